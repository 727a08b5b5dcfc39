//! Histories of further shapes, and those that end without their worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use omnitrace::history::{HistoryEvent, decode};
use omnitrace_store::Batch;
use omnitrace_store::row::{Source, Status};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, client_with, eventually, unique};
use temporalio_client::{
    Client, ClientOptions, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowTerminateOptions,
};
use temporalio_common::protos::{
    coresdk::workflow_completion::WorkflowActivationCompletion, temporal::api::enums::v1::EventType,
};
use temporalio_sdk::interceptors::WorkerInterceptor;

use super::compare::{assert_same, read};
use crate::exact::flows::{Child, Listener, Together};
use crate::exact::stage::{Layout, Stage, recorded, workflows};
use crate::replay;

/// The history of a run, once it has an event of this type.
async fn history_with(client: &Client, id: &str, event_type: EventType) -> Vec<HistoryEvent> {
    eventually(&format!("{id} has {event_type:?}"), async || {
        let events = replay::history(client, id).await.events;
        let found = events.iter().any(|event| event.event_type() == event_type);
        found.then_some(events)
    })
    .await
}

#[tokio::test]
async fn activities_that_time_out_in_each_way() {
    let mut stage = Stage::start(Layout::Cached).await;
    let handle = start!(stage, TimeOuts, ());
    let run = stage.settled(handle.run_id().expect("an id")).await;
    for (id, kind) in [
        ("start-to-close", "StartToClose"),
        ("heartbeat", "Heartbeat"),
        ("schedule-to-start", "ScheduleToStart"),
        ("schedule-to-close", "ScheduleToClose"),
    ] {
        let step = run.event(&format!("activity:{id}:Tools::act:0"));
        assert!(step.status.is_error(), "{step:?}");
        if id != "schedule-to-close" {
            assert_eq!(step.error_type, Some(format!("TimeoutFailure.{kind}")));
        }
    }
    let history = || handle.fetch_history(Default::default());
    stage.check_replay(&run, history).await;
}

#[tokio::test]
async fn local_activities_at_once_and_one_that_heartbeats_its_task() {
    for slow_ms in [0, 3000] {
        let mut stage = Stage::start(Layout::Cached).await;
        let options = WorkflowStartOptions::new(&stage.queue, unique("together"))
            .task_timeout(Duration::from_secs(1))
            .build();
        let handle = start!(stage, Together, slow_ms, options);
        if slow_ms > 0 {
            // Its task ends without a command, as a heartbeat; core merges it with the next in replay,
            // but neither the worker nor history does.
            let id = &handle.info().workflow_id;
            history_with(&stage.client, id, EventType::ActivityTaskCompleted).await;
            let signal = handle.signal(Together::nudge, (), WorkflowSignalOptions::default());
            signal.await.expect("signalled");
        }
        let run = stage.settled(handle.run_id().expect("an id")).await;
        assert_eq!(run.run.status, Status::Completed);
        let events = handle.fetch_history(Default::default()).into_events().await;
        let events = events.expect("a history");
        let is_task =
            |event: &&HistoryEvent| event.event_type() == EventType::WorkflowTaskCompleted;
        let tasks = events.iter().filter(is_task).count();
        assert!(
            slow_ms == 0 || tasks >= 4,
            "{tasks} tasks, of which some were heartbeats"
        );
        assert_same(&run.run, &run.events, events);
    }
}

#[tokio::test]
async fn local_activities_cancelled_in_each_way() {
    let mut stage = Stage::start(Layout::Cached).await;
    let handle = start!(stage, LocalCancels, ());
    let run = stage.settled(handle.run_id().expect("an id")).await;
    let history = || handle.fetch_history(Default::default());
    stage.check_replay(&run, history).await;
}

#[tokio::test]
async fn children_that_end_in_each_way_or_outlive_their_parent() {
    let mut stage = Stage::start(Layout::Cached).await;
    let handle = start!(stage, Orphans, ());
    let id = handle.info().workflow_id.clone();
    let ended = stage
        .client
        .get_workflow_handle::<Child>(format!("{id}/ended"));
    eventually("it can be terminated", async || {
        let end = ended.terminate(WorkflowTerminateOptions::default()).await;
        end.ok()
    })
    .await;
    let run = stage.settled(handle.run_id().expect("an id")).await;
    let status = |name: &str| {
        let key = format!("child_workflow:{id}/{name}:Child:1");
        run.event(&key).status
    };
    assert_eq!(status("late"), Status::TimedOut);
    assert_eq!(status("ended"), Status::Terminated);
    assert_eq!(status("try"), Status::Canceled);
    for outlived in ["terminate", "leave", "request"] {
        assert_eq!(status(outlived), Status::Running, "{outlived}");
    }
    let history = || handle.fetch_history(Default::default());
    stage.check_replay(&run, history).await;
    let abandoned = format!("child_workflow:{id}/abandon:Child:1");
    assert_eq!(run.event(&abandoned).status, Status::Canceled);
    let events = history().into_events().await.expect("a history");
    let imported = read(&run.run.key, events).events;
    let imported = imported.iter().find(|row| row.event_key == abandoned);
    assert_eq!(imported.expect("a row").status, Status::Running);
    let left = stage
        .client
        .get_workflow_handle::<Child>(format!("{id}/leave"));
    let end = left.terminate(WorkflowTerminateOptions::default()).await;
    end.expect("terminated");
}

/// The server ended the run: its worker does not know, history does.
async fn ended_by_the_server(
    options: impl FnOnce(WorkflowStartOptions) -> WorkflowStartOptions,
    event_type: EventType,
    error: &str,
    status: Status,
) {
    let mut stage = Stage::start(Layout::Cached).await;
    let id = unique("listener");
    let options = options(stage.options(&id));
    let handle = start!(stage, Listener, true, options);
    let run_id = handle.run_id().expect("an id");
    let told = WorkflowSignalOptions::default();
    let signal = handle.signal(Listener::tell, "first".to_owned(), told);
    signal.await.expect("signalled");
    // The second task accepts the first, the third the second.
    let told = WorkflowSignalOptions::default();
    let signal = handle.signal(Listener::tell, "second".to_owned(), told);
    signal.await.expect("signalled");
    eventually("both signals are recorded", async || {
        let run = recorded(&stage.recording, run_id).await?;
        (run.events.len() == 3).then_some(())
    })
    .await;
    if event_type == EventType::WorkflowExecutionTerminated {
        let mut end = WorkflowTerminateOptions::default();
        end.reason = "a test".to_owned();
        handle.terminate(end).await.expect("terminated");
    }
    let history = history_with(&stage.client, &id, event_type).await;
    stage.stop().await;
    let run = recorded(&stage.recording, run_id).await.expect("recorded");
    let imported = read(&run.run.key, history);
    assert!(imported.skipped.is_empty(), "{:?}", imported.skipped);
    assert_eq!(imported.run.status, status);
    assert_eq!(imported.run.error_type.as_deref(), Some(error));
    assert!(imported.run.closed_at >= Some(run.run.accepted_through));
    // A worker that is not asked again does not know that its last task was accepted.
    let keys = |rows: &[omnitrace_store::row::EventRow]| -> Vec<String> {
        let mut keys: Vec<_> = rows.iter().map(|row| row.event_key.clone()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&imported.events), keys(&run.events));

    // What is imported closes the run that was recorded.
    let mut stored = omnitrace_store::OpenOptions::default();
    stored.migrate = false;
    let url = omnitrace_tests::database(stage.recording.folder());
    let store = omnitrace_store::Store::open(&url, stored)
        .await
        .expect("a database");
    let batch = Batch {
        runs: vec![imported.run],
        events: imported.events,
        ..Batch::default()
    };
    store.write(&batch).await.expect("written");
    let again = store.write(&batch).await.expect("written");
    assert!(again.changed_events.is_empty() && again.changed_runs.is_empty());
    let run = recorded(&stage.recording, run_id).await.expect("stored");
    assert_eq!(run.run.status, status);
    assert_eq!(run.run.event_count as usize, run.events.len());
    assert!(run.events.iter().all(|row| row.source >= Source::History));
}

#[tokio::test]
async fn a_terminated_run_is_closed_by_its_history() {
    let terminated = EventType::WorkflowExecutionTerminated;
    ended_by_the_server(
        |options| options,
        terminated,
        "TerminatedFailure",
        Status::Terminated,
    )
    .await;
}

#[tokio::test]
async fn a_run_that_timed_out_is_closed_by_its_history() {
    let limited = |mut options: WorkflowStartOptions| {
        options.execution_timeout = Some(Duration::from_secs(4));
        options
    };
    let timed_out = EventType::WorkflowExecutionTimedOut;
    let error = "TimeoutFailure.StartToClose";
    ended_by_the_server(limited, timed_out, error, Status::TimedOut).await;
}

#[tokio::test]
async fn a_run_that_began_before_the_plugin_was_registered() {
    let mut stage = Stage::empty().await;
    let plain = omnitrace_tests::client().await;
    let id = unique("listener");
    let handle = start!(stage, Listener, true, stage.options(&id));
    let worker = RunningWorker::start(plain.clone(), workflows(&stage.queue, 100));
    history_with(&plain, &id, EventType::WorkflowTaskCompleted).await;
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("stopped");
    let options = workflows(&stage.queue, 100);
    stage.work(options);
    let told = WorkflowSignalOptions::default();
    let signal = handle.signal(Listener::tell, "stop".to_owned(), told);
    signal.await.expect("signalled");
    let run = stage.settled(handle.run_id().expect("an id")).await;
    assert_eq!(run.run.event_count, 2, "a timer and a signal");
    let history = || handle.fetch_history(Default::default());
    stage.check_replay(&run, history).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypting_codec_is_applied_before_the_history_is_read() {
    let recording = Recording::start();
    let options = ClientOptions::new(NAMESPACE)
        .data_converter(crate::codec::converter())
        .plugin(recording.omnitrace.plugin())
        .build();
    let client = client_with(options).await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), crate::probes::worker(&queue));
    let (run, events) = omnitrace_tests::beside(worker, async {
        let id = unique("carrier");
        let payload = crate::privacy::payload("json/plain", r#"{"id": "order-7"}"#.to_owned());
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(crate::probes::Carrier::run, payload.clone(), start);
        let handle = handle.await.expect("started");
        let signal = WorkflowSignalOptions::default();
        let signal = handle.signal(crate::probes::Carrier::put, payload.clone(), signal);
        signal.await.expect("signaled");
        let update = temporalio_client::WorkflowExecuteUpdateOptions::default();
        let update = handle.execute_update(crate::probes::Carrier::swap, payload, update);
        update.await.expect("updated");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        result.expect_err("it fails");
        recording.closed(&id).await
    })
    .await;
    let history = replay::history(&client, &run.key.workflow_id).await.events;
    let coded = read(&run.key, history.clone());
    assert!(format!("{:?}", coded.events).contains("binary/xor"));
    let mut decoded = history;
    assert_eq!(decode(&mut decoded, &crate::codec::converter()).await, 0);
    assert_same(&run, &events, decoded);
}

/// Holds back the first answer to a workflow task until the server has given it up.
struct Late {
    client: Client,
    workflow_id: String,
    done: AtomicBool,
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for Late {
    async fn on_workflow_activation_completion(&self, _: &WorkflowActivationCompletion) {
        if !self.done.swap(true, Ordering::Relaxed) {
            let timed_out = EventType::WorkflowTaskTimedOut;
            history_with(&self.client, &self.workflow_id, timed_out).await;
        }
    }
}

#[tokio::test]
async fn a_task_that_timed_out_counts_for_nothing() {
    let id = unique("journey");
    let late = Late {
        client: omnitrace_tests::client().await,
        workflow_id: id.clone(),
        done: AtomicBool::new(false),
    };
    let mut stage = Stage::with(Layout::Cached, |mut options| {
        options.worker_interceptor(late);
        options
    })
    .await;
    let options = WorkflowStartOptions::new(&stage.queue, &id)
        .task_timeout(Duration::from_secs(1))
        .build();
    let handle = start!(stage, Journey, 2, options);
    let run = stage.settled(handle.run_id().expect("an id")).await;
    let history = || handle.fetch_history(Default::default());
    stage.check_replay(&run, history).await;
}
