//! Activities, local activities and timers.

use omnitrace_store::row::Status;
use omnitrace_tests::eventually;
use temporalio_client::WorkflowSignalOptions;

use super::flows::Cancels;
use super::stage::{Layout, Stage, recorded};

in_each_layout! {
    local_activities_and_their_backoffs_are_recorded: locals;
    activities_that_time_out_or_reuse_their_id_are_recorded: remotes;
    cancelled_activities_and_timers_are_recorded: cancels;
}

async fn locals(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Locals, ());
    let lines = [
        "activity:1:Tools::act:0 completed",
        "activity:1:Tools::act:1 failed Upstream",
        "activity:1:Tools::act:2 failed Upstream",
        "activity:1:Tools::act:3 completed",
        "activity:2:Tools::act:0 failed [backoff_ms] [original_schedule_time]",
        "activity:2:Tools::act:1 failed Upstream",
        "activity:3:Tools::act:0 failed [backoff_ms] [original_schedule_time]",
        "activity:3:Tools::act:2 failed Upstream",
        "activity:4:Tools::act:0 completed [original_schedule_time]",
        "activity:4:Tools::act:3 completed",
        "activity:5:Tools::act:0 failed Upstream",
        "activity:5:Tools::act:1 failed Upstream",
        "timer:1:timer:1 completed [la_backoff]",
        "timer:2:timer:1 completed [la_backoff]",
        "timer:3:timer:1 completed",
    ];
    let run = expect!(stage, handle, lines);
    assert_eq!(run.run.status, Status::Completed);
    let chain = [2, 3, 4].map(|n| {
        let link = run.event(&format!("activity:{n}:Tools::act:0"));
        let data = link.data_redacted.as_deref().expect("data");
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        data["original_schedule_time"].clone()
    });
    assert!(chain[0].is_number(), "{chain:?}");
    assert!(chain.iter().all(|link| *link == chain[0]), "{chain:?}");
}

async fn remotes(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Remotes, ());
    let lines = [
        "activity:8:Tools::act:0 failed Upstream",
        "activity:8:Tools::act:1 failed Upstream",
        "activity:late:Tools::act:0 completed",
        "activity:late:Tools::act:1 timed_out TimeoutFailure.StartToClose [late_result]",
        "activity:late:Tools::act:2 completed",
        "activity:limited:Tools::act:0 timed_out TimeoutFailure.ScheduleToClose",
        "activity:limited:Tools::act:1 timed_out TimeoutFailure.ScheduleToClose [late_result]",
        "activity:mine%~2:Tools::act:0 completed",
        "activity:mine%~2:Tools::act:1 failed Upstream",
        "activity:mine%~2:Tools::act:2 completed",
        "activity:mine:Tools::act:0 completed",
        "activity:mine:Tools::act:1 completed",
        "activity:nobody:Tools::act:0 timed_out TimeoutFailure.ScheduleToStart",
        "activity:panics:Tools::act:0 completed",
        "activity:panics:Tools::act:1 failed ApplicationFailure",
        "activity:panics:Tools::act:2 completed",
        "activity:silent:Tools::act:0 completed",
        // What its worker said of it; the tree knows that the next attempt proves it over.
        "activity:silent:Tools::act:1 completed",
        "activity:silent:Tools::act:2 completed",
    ];
    expect!(stage, handle, lines);
}

async fn cancels(layout: Layout) {
    let mut stage = Stage::start(layout).await;
    let handle = start!(stage, Cancels, ());
    let run_id = handle.run_id().expect("an id");
    eventually("all three attempts are under way", async || {
        let run = recorded(&stage.recording, run_id).await?;
        let attempts = run.events.iter().filter(|row| row.attempt == 1);
        (attempts.filter(|row| row.kind == "activity").count() == 3).then_some(())
    })
    .await;
    let options = WorkflowSignalOptions::default();
    let signal = handle.signal(Cancels::all_wait, (), options);
    signal.await.expect("signalled");
    let run = stage.closed(run_id).await;
    let signal = run.events.iter().find(|row| row.kind == "signal");
    let signal = format!("{} completed", signal.expect("a signal").event_key);
    // The first timer and the first activity were cancelled in the task that commanded them.
    let lines = [
        "activity:abandon:Tools::act:0 canceled CanceledFailure",
        "activity:abandon:Tools::act:1 canceled CanceledFailure",
        "activity:try:Tools::act:0 canceled CanceledFailure",
        "activity:try:Tools::act:1 canceled CanceledFailure",
        "activity:wait:Tools::act:0 canceled CanceledFailure",
        "activity:wait:Tools::act:1 canceled CanceledFailure",
        &signal,
        "timer:2:timer:1 canceled",
    ];
    expect!(stage, handle, lines);
}
