//! What user code tells by itself, inside activities and outside, and what activities end as.

use std::time::Duration;

use omnitrace::config::Settings;
use omnitrace::{Counter, Tokens};
use omnitrace_store::row::{EventRow, Identity, Phase, RunRow, Status};
use omnitrace_tests::{Recording, RunningWorker, beside, eventually, unique};
use serde_json::json;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, LocalActivityOptions, WorkerOptions, WorkflowContext,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// Activities that tell of themselves, or end badly.
pub(crate) struct Talkers;

#[activities]
impl Talkers {
    /// Tells of everything that can be told.
    #[activity]
    pub(crate) async fn tell(_ctx: ActivityContext) -> Result<(), ActivityError> {
        let latency = Some(Duration::from_millis(7));
        omnitrace::record_event(
            "tool",
            "search",
            latency,
            json!({ "count": 3, "query": "x y" }),
        );
        // Also from what the activity calls, on its task.
        deeper().await;
        omnitrace::record_event("No Kind", "refused", None, json!({}));
        omnitrace::record_usage(
            "gpt-4o",
            Tokens {
                input: 1000,
                output: 500,
            },
        );
        omnitrace::record_event("cache", "a:b", None, json!({ "status": "hit" }));
        Ok(())
    }

    /// Ends badly, in the way that it is told to.
    #[activity]
    pub(crate) async fn fail(_ctx: ActivityContext, how: String) -> Result<(), ActivityError> {
        match how.as_str() {
            "panics" => panic!("cannot reach jane@example.com"),
            "hangs" => std::future::pending().await,
            _ => {
                let cause = anyhow::anyhow!("cannot reach jane@example.com");
                let failure = ApplicationFailure::builder(cause)
                    .type_name("Unreachable".to_owned())
                    .non_retryable(true)
                    .build();
                Err(ActivityError::application(failure))
            }
        }
    }
}

async fn deeper() {
    tokio::task::yield_now().await;
    omnitrace::record_artifact("report", "https://example.com/report.html");
}

/// Runs one talker.
#[workflow]
#[derive(Default)]
pub(crate) struct Talk;

#[workflow_methods]
impl Talk {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, how: String) -> WorkflowResult<bool> {
        let once = temporalio_common::RetryPolicy::builder()
            .maximum_attempts(1)
            .build();
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .retry_policy(once.clone())
            .build();
        let result = match how.as_str() {
            "tells" => ctx.execute_activity(Talkers::tell, (), options).await,
            // The worker itself gives a local activity up, and drops its future.
            "hangs" => {
                let options = LocalActivityOptions::builder()
                    .start_to_close_timeout(Duration::from_millis(50))
                    .retry_policy(once)
                    .build();
                ctx.execute_local_activity(Talkers::fail, how, options)
                    .await
            }
            _ => ctx.execute_activity(Talkers::fail, how, options).await,
        };
        Ok(result.is_ok())
    }
}

async fn talk(recording: &Recording, how: &str) -> (bool, RunRow, Vec<EventRow>) {
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        .register_activities(Talkers)
        .register_workflow::<Talk>()
        .expect("a workflow")
        .build();
    let worker = RunningWorker::start(client.clone(), options);
    beside(worker, async {
        let id = unique("talk");
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client
            .start_workflow(Talk::run, how.to_owned(), options)
            .await;
        let handle = handle.expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        let (run, events) = recording.closed(&id).await;
        (result.expect("completed"), run, events)
    })
    .await
}

fn find<'a>(events: &'a [EventRow], key: &str) -> &'a EventRow {
    let found = events.iter().find(|event| event.event_key == key);
    found.unwrap_or_else(|| panic!("{key} in {events:#?}"))
}

#[tokio::test]
async fn an_activity_tells_of_itself_without_a_handle() {
    let recording = Recording::start();
    let (well, run, events) = talk(&recording, "tells").await;
    assert!(well);
    assert_eq!((run.event_count, events.len()), (6, 6));
    let attempt = "activity:1:Talkers::tell:1";
    assert_eq!(find(&events, attempt).phase, Phase::Closed);

    let search = find(&events, "tool:1.1:search:1");
    assert_eq!(search.parent_key.as_deref(), Some(attempt));
    assert_eq!(search.category.as_deref(), Some("tool"));
    assert_eq!(
        (search.latency_ms, search.status),
        (Some(7), Status::Completed)
    );
    let data = search.data_redacted.as_deref().expect("data");
    assert!(
        data.contains("\"count\":3") && !data.contains("x y"),
        "{data}"
    );

    let report = find(&events, "artifact:1.2:report:1");
    assert_eq!(report.parent_key.as_deref(), Some(attempt));

    // A refused event takes no number.
    let model = find(&events, "model:1.3:gpt-4o:1");
    assert_eq!(model.category.as_deref(), Some("model"));
    assert_eq!(
        (model.input_tokens, model.output_tokens),
        (Some(1000), Some(500))
    );
    assert_eq!(model.model.as_deref(), Some("gpt-4o"));
    assert!(model.cost_usd.is_some_and(|cost| cost > 0.0), "{model:?}");
    assert_eq!((run.input_tokens, run.output_tokens), (1000, 500));
    assert_eq!(run.cost_usd, model.cost_usd.expect("a cost"));

    let cache = find(&events, "cache:1.4:a:b:1");
    assert_eq!((cache.step.as_str(), cache.name.as_str()), ("1.4", "a:b"));
    assert_eq!(recording.omnitrace.counter(Counter::DroppedInvalidKey), 1);
    recording.assert_accounted().await;
}

#[tokio::test]
async fn outside_an_attempt_nothing_is_told() {
    let recording = Recording::start();
    omnitrace::record_event("tool", "search", None, json!({}));
    omnitrace::record_artifact("report", "https://example.com");
    omnitrace::record_usage("gpt-4o", Tokens::default());
    recording.omnitrace.flush().await.expect("nothing to store");
    assert_eq!(recording.omnitrace.counters().len(), 0);
}

#[tokio::test]
async fn an_error_is_stored_with_its_type_and_a_scrubbed_message() {
    let recording = Recording::start();
    for (how, error_type) in [("fails", "Unreachable"), ("panics", "ApplicationFailure")] {
        let (well, run, events) = talk(&recording, how).await;
        assert!(!well);
        assert_eq!(run.status, Status::Completed);
        for attempt in 0..=1 {
            let row = find(&events, &format!("activity:1:Talkers::fail:{attempt}"));
            assert_eq!(row.status, Status::Failed);
            let message = row.error_message.as_deref().expect("a message");
            assert!(message.contains("cannot reach"), "{message}");
            assert!(!format!("{row:?}").contains("jane@"), "{row:?}");
            let said = row.error_type.as_deref();
            assert!(
                how == "panics" || said == Some(error_type),
                "{how}: {said:?}"
            );
        }
    }
    recording.assert_accounted().await;
}

#[tokio::test]
async fn an_attempt_whose_future_is_dropped_is_lost() {
    let recording = Recording::start();
    let (well, run, events) = talk(&recording, "hangs").await;
    assert!(!well);
    assert_eq!(run.status, Status::Completed);
    assert_eq!(
        find(&events, "activity:1:Talkers::fail:0").status,
        Status::TimedOut
    );
    let attempt = eventually("the attempt is over", async || {
        let stored = recording.stored().await;
        let events = stored.events(&run).await;
        let attempt = find(&events, "activity:1:Talkers::fail:1").clone();
        (attempt.phase == Phase::Closed).then_some(attempt)
    })
    .await;
    assert!(
        [Status::Lost, Status::TimedOut].contains(&attempt.status),
        "{attempt:?}"
    );
    recording.assert_accounted().await;
}

#[tokio::test]
async fn a_run_told_by_hand_has_the_namespace_and_the_tenant_that_it_is_given() {
    let recording = Recording::start();
    let omnitrace = &recording.omnitrace;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let recorder = omnitrace
        .recorder("import", trace)
        .with_namespace("nightly")
        .with_tenant("acme");
    recorder.record_run_start(Some("jane"), json!({}));
    recorder.record_event("tool:1:parse:1", "tool", "parse", None, json!({}));
    recorder.record_run_complete(json!({}));
    // Its end alone says whose it is, too.
    let late = omnitrace.recorder("late", trace).with_tenant("acme");
    late.record_run_complete(json!({}));
    let (run, events) = recording.closed("import").await;
    let (late, _) = recording.closed("late").await;
    let policy = Settings::default().policy();
    let identity = |id: &str| {
        Some(Identity {
            rank: 3,
            hash: policy.identity(id),
        })
    };
    assert_eq!(
        (run.tenant.clone(), run.user),
        (identity("acme"), identity("jane"))
    );
    assert_eq!(late.tenant, run.tenant);
    let namespaces = (run.key.namespace.as_str(), late.key.namespace.as_str());
    assert_eq!(namespaces, ("nightly", "default"));
    assert_eq!((events.len(), &events[0].run), (1, &run.key));
    for wrong in ["", &"x".repeat(1001)] {
        assert!(
            !omnitrace
                .recorder("w", trace)
                .with_namespace(wrong)
                .should_record()
        );
        assert!(
            !omnitrace
                .recorder("w", trace)
                .with_tenant(wrong)
                .should_record()
        );
    }
    assert_eq!(omnitrace.counter(Counter::DroppedInvalidKey), 4);
    recording.assert_accounted().await;
}

#[tokio::test]
async fn a_run_told_by_hand_is_stored_and_its_recorder_cleared() {
    let recording = Recording::start();
    let omnitrace = &recording.omnitrace;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let recorder = omnitrace.recorder("import", trace);
    assert!(recorder.should_record());
    recorder.record_run_start(Some("jane"), json!({ "count": 2, "password": "hunter2" }));
    recorder.record_event(
        "tool:1:parse:1",
        "tool",
        "parse",
        None,
        json!({ "count": 1 }),
    );
    recorder.record_event("tool:1:parse:1", "model", "parse", None, json!({}));
    recorder.record_event("no key", "tool", "parse", None, json!({}));
    omnitrace.flush().await.expect("stored");
    assert_eq!(omnitrace.live_recorders(), 1);
    recorder.record_run_failed("Upstream", "said no to jane@example.com");
    let (run, events) = recording.closed("import").await;
    assert_eq!(omnitrace.live_recorders(), 0);
    assert_eq!(omnitrace.counter(Counter::DroppedInvalidKey), 2);
    assert_eq!((run.status, run.trace_id.as_str()), (Status::Failed, trace));
    assert!(run.key.run_id.starts_with("x-"), "{}", run.key.run_id);
    assert_eq!((run.event_count, events.len()), (1, 1));
    assert_eq!(run.error_type.as_deref(), Some("Upstream"));
    let text = format!("{run:?}{events:?}");
    for secret in ["jane", "hunter2"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }

    let cleared = omnitrace.recorder("cleared", &unique("trace"));
    cleared.record_run_start(None, json!({}));
    cleared.clear_recorder();
    omnitrace.flush().await.expect("stored");
    assert_eq!(omnitrace.live_recorders(), 0);
    let run = recording.stored().await.newest("cleared").await;
    assert_eq!(run.expect("stored").phase, Phase::Open);
    recording.assert_accounted().await;
}
