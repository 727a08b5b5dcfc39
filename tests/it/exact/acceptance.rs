//! What the server refused is nowhere, and what it accepted is known as soon as it can be.

use std::sync::atomic::{AtomicBool, Ordering};

use omnitrace_store::row::{Phase, Status};
use omnitrace_tests::{client, eventually, unique};
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowSignalOptions,
};
use temporalio_common::protos::coresdk::{
    workflow_commands::workflow_command::Variant,
    workflow_completion::{WorkflowActivationCompletion, workflow_activation_completion},
};
use temporalio_common::protos::temporal::api::enums::v1::{EventType, WorkflowTaskFailedCause};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk::interceptors::WorkerInterceptor;

use super::flows::{Listener, REPAIRED, Racer};
use super::stage::{Layout, Stage, recorded};

/// Signals a workflow after it has answered that it completes, and before the server is told.
struct Interrupt {
    client: Client,
    workflow_id: String,
    done: AtomicBool,
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for Interrupt {
    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        let Some(workflow_activation_completion::Status::Successful(answer)) = &completion.status
        else {
            return;
        };
        let closes = answer
            .commands
            .iter()
            .any(|c| matches!(c.variant, Some(Variant::CompleteWorkflowExecution(_))));
        if closes && !self.done.swap(true, Ordering::Relaxed) {
            let handle = self.client.get_workflow_handle::<Racer>(&self.workflow_id);
            let signal = handle.signal(
                Racer::tell,
                "just in time".to_owned(),
                WorkflowSignalOptions::default(),
            );
            signal.await.expect("signalled");
        }
    }
}

/// What is stored of a text that was hashed.
fn hash(redacted: &str) -> &str {
    let at = redacted.find("sha256:").expect("a hash");
    &redacted[at..at + "sha256:".len() + 16]
}

#[tokio::test]
async fn a_result_that_the_server_refused_is_nowhere() {
    // What the refused result looks like when it is accepted.
    let mut calm = Stage::start(Layout::Cached).await;
    let handle = start!(calm, Racer, ());
    let calm = calm.settled(handle.run_id().expect("an id")).await;
    let refused = calm.run.output_redacted.expect("an output");
    let refused = hash(&refused);

    let id = unique("racer");
    let interrupt = Interrupt {
        client: client().await,
        workflow_id: id.clone(),
        done: AtomicBool::new(false),
    };
    let mut stage = Stage::with(Layout::Cached, |mut options| {
        options.worker_interceptor(interrupt);
        options
    })
    .await;
    let handle = start!(stage, Racer, (), stage.options(&id));
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), "just in time");
    let history = handle.fetch_history(Default::default()).into_events().await;
    let was_refused = history.expect("a history").iter().any(|event| {
        matches!(&event.attributes, Some(Attributes::WorkflowTaskFailedEventAttributes(failed))
            if failed.cause() == WorkflowTaskFailedCause::UnhandledCommand)
    });
    assert!(was_refused, "the server refused the first result");

    let run = stage.closed(handle.run_id().expect("an id")).await;
    let signal = run.events.iter().find(|row| row.kind == "signal");
    let signal = format!("{} completed", signal.expect("a signal").event_key);
    let lines = [
        "activity:1:Tools::act:0 completed",
        "activity:1:Tools::act:1 completed",
        &signal,
        "timer:1:timer:1 completed",
    ];
    let run = expect!(stage, handle, lines);
    assert_eq!(run.run.status, Status::Completed);
    let output = run.run.output_redacted.expect("an output");
    assert_ne!(hash(&output), refused);

    let stored = stage.recording.stored().await;
    assert_eq!(stored.runs().await.len(), 1, "it is stored once");
    stored.store.close().await;
    let (mut files, mut accepted) = (0, false);
    for file in std::fs::read_dir(stage.recording.folder()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!holds(refused) && !holds("nobody was heard"));
        accepted |= holds(hash(&output));
        files += 1;
    }
    assert!(files > 0 && accepted, "the accepted result is in the file");
}

/// Phase of the timer that a [`Listener`] waits beside.
async fn timer(stage: &Stage, run_id: &str) -> Option<Phase> {
    let run = recorded(&stage.recording, run_id).await?;
    let timer = run.events.iter().find(|row| row.kind == "timer")?;
    Some(timer.phase)
}

async fn stop(stage: &mut Stage, id: &str, run_id: &str) {
    let handle = stage.client.get_workflow_handle::<Listener>(id);
    let options = WorkflowSignalOptions::default();
    let signal = handle.signal(Listener::tell, "stop".to_owned(), options);
    signal.await.expect("signalled");
    let run = stage.closed(run_id).await;
    assert_eq!(run.run.status, Status::Completed);
    assert!(run.events.iter().all(|row| row.phase > Phase::Provisional));
}

#[tokio::test]
async fn a_query_accepts_nothing_and_a_later_task_does() {
    let mut stage = Stage::start(Layout::Cached).await;
    let id = unique("listener");
    let handle = start!(stage, Listener, true, stage.options(&id));
    let run_id = handle.run_id().expect("an id");
    eventually("the timer is proposed", async || {
        timer(&stage, run_id).await
    })
    .await;
    for _ in 0..2 {
        let heard = handle.query(Listener::heard, (), WorkflowQueryOptions::default());
        assert_eq!(heard.await.expect("answered"), 0);
        assert_eq!(timer(&stage, run_id).await, Some(Phase::Provisional));
    }
    // The update is rejected, but the task that rejects it shows that the one before was accepted.
    let options = WorkflowExecuteUpdateOptions::default();
    let refused = handle.execute_update(Listener::change, "refuse".to_owned(), options);
    refused.await.expect_err("rejected");
    assert_eq!(timer(&stage, run_id).await, Some(Phase::Open));
    stop(&mut stage, &id, run_id).await;
    stage.stop().await;
    stage.recording.assert_accounted().await;
}

#[tokio::test]
async fn a_full_cache_accepts_the_last_task_of_the_run_that_leaves() {
    let mut stage = Stage::start(Layout::OneRun).await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        let id = unique("listener");
        let handle = start!(stage, Listener, true, stage.options(&id));
        handles.push((id, handle.run_id().expect("an id").to_owned()));
    }
    eventually("all but one have left the cache", async || {
        let mut open = 0;
        for (_, run_id) in &handles {
            open += usize::from(timer(&stage, run_id).await? == Phase::Open);
        }
        (open >= 2).then_some(())
    })
    .await;
    for (id, run_id) in &handles {
        stop(&mut stage, id, run_id).await;
    }
    stage.stop().await;
    assert_eq!(stage.recording.omnitrace.live_recorders(), 0);
    stage.recording.assert_accounted().await;
}

#[tokio::test]
async fn a_task_that_panics_leaves_nothing_and_the_repaired_code_does() {
    let mut stage = Stage::start(Layout::Cached).await;
    let id = unique("broken");
    let handle = start!(stage, Broken, (), stage.options(&id));
    eventually("its task has failed", async || {
        let history = handle.fetch_history(Default::default()).into_events().await;
        let events = history.expect("a history");
        let failed = |event: EventType| event == EventType::WorkflowTaskFailed;
        events
            .iter()
            .any(|event| failed(event.event_type()))
            .then_some(())
    })
    .await;
    let run_id = handle.run_id().expect("an id");
    let run = recorded(&stage.recording, run_id)
        .await
        .expect("it is there");
    assert_eq!(run.run.status, Status::Running);
    // That the timer fired is a fact; when, will be said by the task that is accepted.
    assert_eq!(
        run.lines(),
        ["timer:1:timer:1 completed (Closed, Inferred)"]
    );
    REPAIRED.lock().expect("not poisoned").push(id);
    let lines = ["timer:1:timer:1 completed", "timer:2:timer:1 completed"];
    expect!(stage, handle, lines);
}
