//! What runs say to each other, and what is said to them.

use omnitrace_store::row::Status;
use temporalio_client::{
    WorkflowCancelOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowQueryOptions, WorkflowSignalOptions,
};

use super::flows::{Fate, Listener};
use super::stage::{Layout, Stage};

in_each_layout! {
    children_that_end_in_every_way_are_recorded: children;
    signals_and_cancellations_sent_and_received_are_recorded: signals;
    updates_are_recorded_and_queries_are_not: updates;
    a_cancelled_run_is_recorded: cancelled;
    a_failed_run_is_recorded: failed;
}

async fn children(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Parent, ());
    let lines = [
        "child_workflow:$id/bad:Child:1 failed Refused",
        "child_workflow:$id/good:Child:1 completed",
        "child_workflow:$id/good:Child:2 completed",
        "child_workflow:$id/good:Child:3 failed WORKFLOW_ALREADY_EXISTS",
        "child_workflow:$id/waits:Child:1 canceled CanceledFailure",
    ];
    let run = expect!(stage, handle, lines);
    let stored = stage.recording.stored().await;
    let children = stored.store.children(&run.run.key).await.expect("readable");
    let children: Vec<_> = children
        .iter()
        .map(|child| (child.status, child.trigger.as_str()))
        .collect();
    let expected = [
        Status::Completed,
        Status::Completed,
        Status::Failed,
        Status::Canceled,
    ];
    assert_eq!(children, expected.map(|status| (status, "parent")));
}

async fn signals(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let listener = start!(stage, Listener, false);
    let to = listener.info().workflow_id.clone();
    let talker = start!(stage, Talker, to.clone());
    stage.closed(talker.run_id().expect("an id")).await;
    let heard = stage.closed(listener.run_id().expect("an id")).await;
    let signals: Vec<i64> = heard
        .events
        .iter()
        .filter(|row| row.kind == "signal")
        .map(|row| row.step.parse().expect("an event id"))
        .collect();
    let [first, second] = signals[..] else {
        panic!("two signals: {:#?}", heard.lines());
    };
    let (first, second) = (first.min(second), first.max(second));
    let signal = |id: i64| format!("signal:{id:}:tell:1 completed");
    let mut lines = [
        "cancel_request:run:cancel_requested:1 completed".to_owned(),
        signal(first),
        signal(second),
    ];
    lines.sort();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let heard = expect!(stage, listener, lines);
    assert_eq!(heard.run.status, Status::Canceled);

    let unknown = "failed ExternalWorkflowExecutionNotFound";
    let [cancel, lost_cancel, one, two, lost] = [
        format!("cancel_external:{to}:cancel:1 completed"),
        format!("cancel_external:{to}-nowhere:cancel:1 {unknown}"),
        format!("signal_external:{to}:tell:1 completed"),
        format!("signal_external:{to}:tell:2 completed"),
        format!("signal_external:{to}-nowhere:tell:1 {unknown}"),
    ];
    let mut lines = [lost_cancel.as_str(), &cancel, &lost, &one, &two];
    lines.sort_unstable();
    expect!(stage, talker, lines);
}

async fn updates(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Listener, false);
    let update = async |id: &str, text: &str| {
        let mut options = WorkflowExecuteUpdateOptions::default();
        options.update_id = Some(id.to_owned());
        handle
            .execute_update(Listener::change, text.to_owned(), options)
            .await
    };
    update("one", "nothing").await.expect("completed");
    update("two", "work").await.expect("completed");
    update("three", "fail").await.expect_err("failed");
    update("four", "refuse").await.expect_err("rejected");
    let heard = handle.query(Listener::heard, (), WorkflowQueryOptions::default());
    assert_eq!(heard.await.expect("answered"), 0);
    let options = WorkflowSignalOptions::default();
    let signal = handle.signal(Listener::tell, "stop".to_owned(), options);
    signal.await.expect("signalled");
    let run = stage.closed(handle.run_id().expect("an id")).await;
    let signal = run.events.iter().find(|row| row.kind == "signal");
    let signal = format!("{} completed", signal.expect("a signal").event_key);
    let lines = [
        "activity:1:Tools::act:0 completed",
        "activity:1:Tools::act:1 completed",
        &signal,
        "update:four:change:1 failed ApplicationFailure [rejected]",
        "update:one:change:1 completed",
        "update:three:change:1 failed ApplicationFailure",
        "update:two:change:1 completed",
    ];
    expect!(stage, handle, lines);
}

async fn cancelled(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Child, Fate::Wait);
    let cancel = handle.cancel(WorkflowCancelOptions::default());
    cancel.await.expect("requested");
    let lines = ["cancel_request:run:cancel_requested:1 completed"];
    let run = expect!(stage, handle, lines);
    assert_eq!(run.run.status, Status::Canceled);
}

async fn failed(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Child, Fate::Fail);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    result.expect_err("failed");
    let lines: [&str; 0] = [];
    let run = expect!(stage, handle, lines);
    assert_eq!(run.run.status, Status::Failed);
    assert_eq!(run.run.error_type.as_deref(), Some("Refused"));
    assert_eq!(run.run.error_message.as_deref(), Some("this is refused"));
}
