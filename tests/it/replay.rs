//! A `WorkflowReplayer` with the plugin does what it does without it; told which run it replays, it
//! records that run.

use std::sync::{Arc, Mutex};

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, beside, client, eventually, unique};
use serde_json::json;
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowHistory,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::{
    UntypedWorkflow,
    protos::{
        coresdk::{
            workflow_commands::workflow_command::Variant,
            workflow_completion::{
                WorkflowActivationCompletion, workflow_activation_completion::Status as Answer,
            },
        },
        temporal::api::history::v1::{History, history_event::Attributes},
    },
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    WorkerPlugin, WorkflowContext, WorkflowResult,
    interceptors::WorkerInterceptor,
    workflow_replayer::{
        WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
    },
};

use crate::privacy::payload;
use crate::probes::{self, Carrier, Trial, Tried};
use crate::workflows::{self, Sampler};

/// The history of a run.
pub(crate) async fn history(client: &Client, id: &str) -> History {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
    let history = handle.fetch_history(Default::default());
    let events = history.into_events().await.expect("events");
    History { events }
}

pub(crate) fn run_key(id: &str, history: &History) -> RunKey {
    match history.events[0].attributes.as_ref() {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            RunKey::new(NAMESPACE, id, &started.original_execution_run_id)
        }
        other => panic!("a history begins with its start: {other:?}"),
    }
}

/// Keeps what workflows answer.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Vec<WorkflowActivationCompletion>>>);

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for Answers {
    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        self.0.lock().expect("unpoisoned").push(completion.clone());
    }
}

pub(crate) fn options<P: WorkerPlugin>(queue: &str, plugin: Option<P>) -> WorkflowReplayerOptions {
    let mut builder = WorkflowReplayerOptions::new();
    if let Some(plugin) = plugin {
        builder = builder.worker_plugin(plugin);
    }
    builder
        .register_workflow::<Carrier>()
        .and_then(|options| options.register_workflow::<Tried>())
        .and_then(|options| options.register_workflow::<Sampler>())
        .expect("workflows")
        .task_queue(queue)
        .build()
}

pub(crate) async fn replay(
    history: &History,
    mut options: WorkflowReplayerOptions,
) -> (
    Result<(), WorkflowReplayError>,
    Vec<WorkflowActivationCompletion>,
) {
    let answers = Answers::default();
    options.worker_interceptor(answers.clone());
    let replayer = WorkflowReplayer::new(options).expect("valid options");
    let history = WorkflowHistory::from(history.clone());
    let replayed = replayer.replay_workflow(history).await;
    let answers = std::mem::take(&mut *answers.0.lock().expect("unpoisoned"));
    (replayed, answers)
}

/// Replays a run, recording it as what it is.
pub(crate) async fn replay_into(recording: &Recording, client: &Client, id: &str) {
    let history = history(client, id).await;
    let plugin = recording.omnitrace.replay_plugin(run_key(id, &history));
    let (replayed, _) = replay(&history, options("", Some(plugin))).await;
    replayed.expect("replayed");
}

/// Takes the headers `omnitrace` and `_tracer-data` off; says how many there were.
fn take_headers(answers: &mut [WorkflowActivationCompletion]) -> usize {
    let mut taken = 0;
    for answer in answers {
        let Some(Answer::Successful(success)) = &mut answer.status else {
            continue;
        };
        for command in &mut success.commands {
            let headers = match &mut command.variant {
                Some(Variant::ScheduleActivity(activity)) => &mut activity.headers,
                Some(Variant::ScheduleLocalActivity(activity)) => &mut activity.headers,
                Some(Variant::StartChildWorkflowExecution(child)) => &mut child.headers,
                Some(Variant::SignalExternalWorkflowExecution(signal)) => &mut signal.headers,
                Some(Variant::ContinueAsNewWorkflowExecution(next)) => &mut next.headers,
                _ => continue,
            };
            for header in ["omnitrace", "_tracer-data"] {
                taken += usize::from(headers.remove(header).is_some());
            }
        }
    }
    taken
}

/// Runs one of each kind; gives their workflow ids.
pub(crate) async fn live_runs(client: &Client, queue: &str) -> Vec<String> {
    let (sampler, carrier) = (unique("sampler"), unique("carrier"));
    let start = WorkflowStartOptions::new(queue, &sampler).build();
    let handle = client.start_workflow(Sampler::run, "hello".to_owned(), start);
    let handle = handle.await.expect("started");
    let get = WorkflowGetResultOptions::default;
    handle.get_result(get()).await.expect("completed");

    let start = WorkflowStartOptions::new(queue, &carrier).build();
    let carried = || payload("json/plain", json!({ "id": 1, "note": "x y" }).to_string());
    let handle = client.start_workflow(Carrier::run, carried(), start);
    let handle = handle.await.expect("started");
    let signal = WorkflowSignalOptions::default();
    handle
        .signal(Carrier::put, carried(), signal)
        .await
        .expect("signaled");
    let update = WorkflowExecuteUpdateOptions::default();
    handle
        .execute_update(Carrier::swap, carried(), update)
        .await
        .expect("updated");
    handle.get_result(get()).await.expect_err("it fails");

    let family = Trial {
        child: true,
        wait_ms: 10,
        ..Trial::good()
    };
    vec![sampler, carrier, probes::tried(client, queue, family).await]
}

pub(crate) fn worker(queue: &str) -> temporalio_sdk::WorkerOptions {
    probes::workflows_only(queue)
        .register_workflow::<Sampler>()
        .expect("a workflow")
        .register_activities(probes::Probes)
        .register_activities(workflows::Acts)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_replay_as_without_the_plugin_and_commands_differ_by_the_header_alone() {
    let recording = Recording::start();
    let queue = unique("queue");
    let plain = client().await;
    // Histories that the plugin has no part in, and such that it wrote its header into.
    for client in [plain, recording.client().await] {
        let worker = RunningWorker::start(client.clone(), worker(&queue));
        let ids = beside(worker, live_runs(&client, &queue)).await;
        for id in ids {
            let history = history(&client, &id).await;
            let key = run_key(&id, &history);
            let (replayed, without) = replay(
                &history,
                options::<omnitrace::OmniTracePlugin>(&queue, None),
            )
            .await;
            replayed.expect("replayed");
            let silent = recording.omnitrace.plugin();
            let told = recording.omnitrace.replay_plugin(key);
            for options in [options(&queue, Some(silent)), options(&queue, Some(told))] {
                let (replayed, mut with) = replay(&history, options).await;
                replayed.expect("replayed");
                assert!(take_headers(&mut with) >= 2, "{id}");
                assert_eq!(with, without, "{id}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayer_that_is_not_told_the_run_records_nothing() {
    let queue = unique("queue");
    let client = client().await;
    let worker = RunningWorker::start(client.clone(), worker(&queue));
    let id = beside(worker, probes::tried(&client, &queue, Trial::good())).await;
    let recording = Recording::start();
    let history = history(&client, &id).await;
    let plugin = recording.omnitrace.plugin();
    let (replayed, _) = replay(&history, options(&queue, Some(plugin))).await;
    replayed.expect("replayed");
    recording.omnitrace.flush().await.expect("stored");
    assert_eq!(recording.omnitrace.counter(omnitrace::Counter::Offered), 0);
    replay_into(&recording, &client, &id).await;
    assert!(
        recording.stored().await.newest(&id).await.is_some(),
        "told, it records"
    );
}

mod changed {
    use super::*;

    /// As the workflow of the same name might become.
    #[workflow]
    #[derive(Default)]
    pub(crate) struct Tried;

    #[workflow_methods]
    impl Tried {
        #[run]
        pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: Trial) -> WorkflowResult<u32> {
            ctx.timer(std::time::Duration::from_millis(1)).await;
            Ok(1)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_non_deterministic_change_is_still_found() {
    let queue = unique("queue");
    let client = client().await;
    let worker = RunningWorker::start(client.clone(), worker(&queue));
    let id = beside(worker, probes::tried(&client, &queue, Trial::good())).await;
    let history = history(&client, &id).await;
    let recording = Recording::start();
    let told = recording.omnitrace.replay_plugin(run_key(&id, &history));
    let silent = recording.omnitrace.plugin();
    let builders = [
        WorkflowReplayerOptions::new().worker_plugin(told),
        WorkflowReplayerOptions::new().worker_plugin(silent),
    ];
    for builder in builders {
        let builder = builder
            .register_workflow::<changed::Tried>()
            .expect("a workflow");
        let (replayed, _) = replay(&history, builder.build()).await;
        let failure = replayed.expect_err("it has changed");
        assert!(
            matches!(
                failure,
                WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { .. })
            ),
            "{failure:?}"
        );
    }
}

/// What must not differ between live and replayed.
fn comparable(events: &[EventRow], proposed_last: &[&str]) -> Vec<EventRow> {
    let mut events: Vec<_> = events
        .iter()
        .filter(|event| event.kind != "activity" || event.attempt == 0)
        .filter(|event| !proposed_last.contains(&event.event_key.as_str()))
        .cloned()
        // A live row is the better one.
        .map(|event| EventRow {
            source: Source::History,
            ..event
        })
        .collect();
    events.sort_by(|a, b| a.event_key.cmp(&b.event_key));
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_told_the_run_leaves_the_rows_of_the_live_run() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let replaying = Recording::start();
    beside(running, async {
        let ids = live_runs(&client, &queue).await;
        // Proposed in the last task, whose acceptance a replay does not see.
        let last: [&[&str]; 3] = [&["activity:3:Acts::echo:0"], &[], &[]];
        for (id, last) in ids.iter().zip(last) {
            let (live, live_events) = recording.closed(id).await;
            let history = history(&client, id).await;
            let plugin = replaying.omnitrace.replay_plugin(run_key(id, &history));
            let (done, _) = replay(&history, options(&queue, Some(plugin))).await;
            done.expect("replayed");
            let stored = replaying.stored().await;
            let run = stored.newest(id).await.expect("recorded");
            let events = stored.events(&run).await;
            assert_eq!(comparable(&events, last), comparable(&live_events, last));
            for key in last {
                let event = events.iter().find(|event| event.event_key == *key);
                assert_eq!(event.expect("proposed").phase, Phase::Provisional, "{key}");
            }
            assert_eq!(
                (run.status, run.closed_at),
                (Status::Running, None),
                "nothing proves its end"
            );
            assert_eq!(run.output_redacted, None);
            let open = RunRow {
                status: run.status,
                phase: run.phase,
                closed_at: None,
                output_redacted: None,
                error_type: None,
                error_message: None,
                source: run.source,
                // Of its last task.
                accepted_through: run.accepted_through,
                steps_seen: run.steps_seen,
                event_count: run.event_count,
                ..live.clone()
            };
            assert_eq!(run, open);

            // Into the live rows it brings nothing.
            let plugin = recording.omnitrace.replay_plugin(live.key.clone());
            let elsewhere = options("another queue", Some(plugin));
            replay(&history, elsewhere).await.0.expect("replayed");
            let stored = recording.stored().await;
            assert_eq!(stored.newest(id).await.expect("recorded"), live);
            assert_eq!(stored.events(&live).await, live_events);
        }
    })
    .await;
    eventually("nothing is followed", async || {
        recording.omnitrace.flush().await.expect("stored");
        (replaying.omnitrace.live_recorders() + recording.omnitrace.live_recorders() == 0)
            .then_some(())
    })
    .await;
    replaying.assert_accounted().await;
}
