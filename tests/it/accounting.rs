//! Whatever is offered is accounted for, and every bound holds.

use std::time::{Duration, Instant};

use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::{Counter, OmniTrace};
use omnitrace_store::DatabaseUrl;
use omnitrace_store::row::{Phase, Status};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, assert_accounted, beside, client_with, eventually, unique,
};
use serde_json::json;
use temporalio_client::{
    ClientOptions, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult};

use crate::outage::{sample, shape};
use crate::workflows::{self, Acts};

/// Starts so many timers at once.
#[workflow]
#[derive(Default)]
pub(crate) struct Timers;

#[workflow_methods]
impl Timers {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, timers: u32) -> WorkflowResult<u32> {
        let all = (0..timers).map(|_| ctx.timer(Duration::from_millis(10)));
        futures::future::join_all(all).await;
        Ok(timers)
    }
}

/// An activity that succeeds at its n-th attempt.
#[workflow]
#[derive(Default)]
pub(crate) struct Retries;

#[workflow_methods]
impl Retries {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, good: u32) -> WorkflowResult<u32> {
        Ok(ctx
            .execute_activity(Acts::flaky, good, workflows::options())
            .await?)
    }
}

/// Takes a step, takes in signals, and ends when it is told to.
#[workflow]
#[derive(Default)]
pub(crate) struct Listener {
    heard: u32,
    done: bool,
}

#[workflow_methods]
impl Listener {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<u32> {
        ctx.wait_condition(|listener| listener.done).await?;
        Ok(ctx.state(|listener| listener.heard))
    }

    #[signal]
    pub(crate) fn say(&mut self, _ctx: &mut SyncWorkflowContext<Self>, text: String) {
        self.heard += 1;
        self.done = text == "done";
    }
}

fn worker(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_activities(Acts)
        .register_workflow::<Timers>()
        .and_then(|options| options.register_workflow::<Retries>())
        .and_then(|options| options.register_workflow::<Listener>())
        .expect("workflows")
        .build()
}

#[tokio::test]
async fn a_run_keeps_its_number_of_rows_and_says_how_many_it_dropped() {
    let recording = Recording::with(|settings| settings.with_max_events_per_run(10));
    let client = recording.client().await;
    let queue = unique("queue");
    let id = unique("timers");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let (run, events) = beside(running, async {
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Timers::run, 30, options).await;
        let handle = handle.expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.expect("completed"), 30);
        recording.closed(&id).await
    })
    .await;
    assert_eq!(run.status, Status::Completed);
    assert_eq!((run.event_count, run.dropped_events), (10, 20));
    assert_eq!((run.steps_seen, events.len()), (30, 10));
    assert!(recording.omnitrace.counter(Counter::RowsDroppedCap) >= 20);
    recording.assert_accounted().await;
}

#[tokio::test]
async fn of_many_attempts_the_first_20_and_the_powers_of_two_are_stored() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let id = unique("retries");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let (run, events) = beside(running, async {
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Retries::run, 34, options).await;
        let handle = handle.expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.expect("completed"), 34);
        recording.closed(&id).await
    })
    .await;
    let mut attempts: Vec<u32> = events.iter().map(|event| event.attempt).collect();
    attempts.sort_unstable();
    let expected: Vec<u32> = (0..=20).chain([32]).collect();
    assert_eq!(attempts, expected);
    assert_eq!((run.event_count, run.dropped_events), (22, 34 - 21));
    // Each of the others began and ended.
    let dropped = recording.omnitrace.counter(Counter::RowsDroppedStepCap);
    assert_eq!(dropped, 2 * (34 - 21));
    recording.assert_accounted().await;
}

#[tokio::test]
async fn a_run_that_lost_an_observation_is_told_no_further_and_healed_by_its_replay() {
    let recording = Recording::with(|settings| settings.with_queue_bytes(0));
    let client = recording.client().await;
    let queue = unique("queue");
    let id = unique("listener");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let options = WorkflowStartOptions::new(&queue, &id).build();
    let handle = client.start_workflow(Listener::run, (), options).await;
    let handle = handle.expect("started");
    let stored = |what: &'static str, ready: fn(bool, usize) -> bool| {
        let (recording, id) = (&recording, &id);
        async move {
            eventually(what, async || {
                let stored = recording.stored().await;
                let run = stored.newest(id).await?;
                let events = stored.events(&run).await;
                ready(run.incomplete, events.len()).then_some((run, events))
            })
            .await
        }
    };
    eventually("the run is stored", async || {
        (recording.omnitrace.counter(Counter::RowsStored) > 0).then_some(())
    })
    .await;
    // Greater than the whole queue: never taken in.
    let big = "x".repeat(100_000);
    let say = |text: String| handle.signal(Listener::say, text, WorkflowSignalOptions::default());
    say(big).await.expect("signalled");
    eventually("an observation is dropped", async || {
        (recording.omnitrace.counter(Counter::DroppedQueueFull) > 0).then_some(())
    })
    .await;
    say("more".to_owned()).await.expect("signalled");
    eventually("what follows is left out", async || {
        (recording.omnitrace.counter(Counter::DroppedRunIncomplete) > 0).then_some(())
    })
    .await;
    let (run, events) = stored("the run is incomplete", |incomplete, _| incomplete).await;
    assert_eq!((run.phase, events.len()), (Phase::Open, 0));
    assert_eq!(recording.omnitrace.live_recorders(), 0);
    assert_accounted(&recording.omnitrace).await;
    stop(running).await;

    // With room for the great one, whoever replays the run tells all of it.
    recording
        .omnitrace
        .shutdown(Duration::from_secs(5))
        .await
        .expect("stored");
    let database = DatabaseTarget::Url(DatabaseUrl::Sqlite(recording.file()));
    let healer = OmniTrace::start(Settings::default().with_database(database));
    let options = ClientOptions::new(NAMESPACE).plugin(healer.plugin());
    let client = client_with(options.build()).await;
    let running = RunningWorker::start(client, worker(&queue));
    say("done".to_owned()).await.expect("signalled");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), 3);
    eventually("the run left the cache", async || {
        healer.flush().await.expect("stored");
        (healer.live_recorders() == 0).then_some(())
    })
    .await;
    stop(running).await;
    healer
        .shutdown(Duration::from_secs(5))
        .await
        .expect("stored");
    assert_accounted(&healer).await;
    let stored = omnitrace_tests::Stored::open(recording.folder()).await;
    let run = stored.newest(&id).await.expect("stored");
    assert_eq!((run.status, run.event_count), (Status::Completed, 3));
}

#[tokio::test]
async fn a_full_buffer_refuses_rows_counts_them_and_marks_their_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Without this folder there is no spool either.
    let file = folder.path().join("later").join("omnitrace.db");
    let database = DatabaseTarget::Url(DatabaseUrl::Sqlite(file.clone()));
    let settings = Settings::default()
        .with_database(database)
        .with_queue_bytes(0);
    let omnitrace = OmniTrace::start(settings);
    // Four times the queue's 64 KiB hold far less than these.
    for run in 0..100 {
        let recorder = omnitrace.recorder(&format!("run-{run}"), &unique("trace"));
        recorder.record_run_start(None, json!({}));
        for event in 1..=10 {
            let key = format!("tool:{event}:search:1");
            recorder.record_event(
                &key,
                "tool",
                "search",
                None,
                json!({ "status": "x".repeat(60) }),
            );
        }
        recorder.record_run_complete(json!({}));
        // Lest the queue overflow instead.
        omnitrace.flush().await.expect_err("the folder is missing");
    }
    let dropped = omnitrace.counter(Counter::RowsDroppedBufferFull);
    assert!(dropped > 100, "{:?}", omnitrace.counters());
    assert_eq!(omnitrace.counter(Counter::DroppedQueueFull), 0);
    std::fs::create_dir(folder.path().join("later")).unwrap();
    eventually("the database is back", async || {
        omnitrace.flush().await.ok()
    })
    .await;
    omnitrace
        .shutdown(Duration::from_secs(5))
        .await
        .expect("stored");
    assert_accounted(&omnitrace).await;
    let stored = omnitrace_tests::Stored::open(&folder.path().join("later")).await;
    let runs = stored.runs().await;
    let mut short = 0;
    for run in &runs {
        let missing = 10 - stored.events(run).await.len();
        short += usize::from(missing > 0);
        assert!(run.dropped_events as usize >= missing, "{run:?}");
    }
    assert!(short > 0, "some run misses events");
    let process = &stored.store.processes().await.expect("readable")[0];
    assert_eq!(process.counters["rows.dropped.buffer_full"], dropped);
}

#[tokio::test]
async fn without_a_store_rows_are_counted_and_a_flush_answers() {
    let omnitrace = OmniTrace::start(Settings::default().with_database(DatabaseTarget::None));
    let options = ClientOptions::new(NAMESPACE).plugin(omnitrace.plugin());
    let client = client_with(options.build()).await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let options = WorkflowStartOptions::new(&queue, unique("retries")).build();
    let handle = client.start_workflow(Retries::run, 22, options).await;
    let result = handle
        .expect("started")
        .get_result(WorkflowGetResultOptions::default())
        .await;
    assert_eq!(result.expect("completed"), 22);
    stop(running).await;
    omnitrace.flush().await.expect("nothing waits");
    assert!(omnitrace.counter(Counter::RowsDroppedNoStore) > 0);
    assert!(omnitrace.counter(Counter::RowsDroppedStepCap) > 0);
    assert_accounted(&omnitrace).await;
}

#[tokio::test]
async fn shutdown_stores_what_was_offered_and_after_it_everything_is_counted_as_dropped() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), workflows::worker(&queue));
    let ids = sample(&client, &queue, 1).await;
    let omnitrace = &recording.omnitrace;
    eventually("the run left the cache", async || {
        omnitrace.flush().await.expect("stored");
        (omnitrace.live_recorders() == 0).then_some(())
    })
    .await;
    omnitrace
        .shutdown(Duration::from_secs(5))
        .await
        .expect("stored");
    let again = Instant::now();
    omnitrace
        .shutdown(Duration::from_secs(60))
        .await
        .expect("nothing to do");
    assert!(again.elapsed() < Duration::from_secs(1));
    assert!(omnitrace.flush().await.is_err());
    let stored = omnitrace_tests::Stored::open(recording.folder()).await;
    let run = stored.newest(&ids[0]).await.expect("stored");
    let before = shape(&run, &stored.events(&run).await);
    assert_eq!(before.0, Status::Completed);

    // The worker goes on, unrecorded.
    assert_eq!(omnitrace.counter(Counter::DroppedStopped), 0);
    sample(&client, &queue, 1).await;
    stop(running).await;
    assert!(omnitrace.counter(Counter::DroppedStopped) > 0);
    assert_eq!(omnitrace.queue_bytes(), 0);
    assert_accounted(omnitrace).await;
    assert_eq!(stored.runs().await.len(), 1);
}

#[tokio::test]
async fn without_a_shutdown_what_was_offered_is_written_all_the_same() {
    let recording = Recording::start();
    let (folder, omnitrace) = (recording.folder().to_owned(), recording.omnitrace.clone());
    let recorder = omnitrace.recorder("by-hand", "0af7651916cd43dd8448eb211c80319c");
    recorder.record_run_start(Some("user"), json!({}));
    recorder.record_run_complete(json!({}));
    drop((recorder, omnitrace));
    let kept = recording.release();
    eventually("the run is stored", async || {
        folder.join("omnitrace.db").exists().then_some(())?;
        let mut options = omnitrace_store::OpenOptions::default();
        options.read_only = true;
        let url = DatabaseUrl::Sqlite(folder.join("omnitrace.db"));
        let store = omnitrace_store::Store::open(&url, options).await.ok()?;
        let runs = store.runs_of_workflow(None, "by-hand").await.ok()?;
        (runs.first()?.status == Status::Completed).then_some(())
    })
    .await;
    drop(kept);
}

async fn stop(worker: RunningWorker) {
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
}
