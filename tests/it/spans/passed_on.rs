//! What calls pass on of what they were called with: tracestate, allowed baggage, and a trace over
//! continue-as-new.

use std::time::Duration;

use omnitrace::config::{Backend, Endpoint, Settings};
use omnitrace_store::row::RunKey;
use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue};
use temporalio_client::{
    Client, WorkflowExecutionInfo, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions, WorkerOptions,
    WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use super::journey::{travel, worker};
use super::propagation::{TRACE, caller};
use crate::workflows::options;

/// The history of a run.
pub(super) async fn history(client: &Client, run: &RunKey) -> Vec<HistoryEvent> {
    let handle = WorkflowExecutionInfo::builder()
        .namespace(run.namespace.clone())
        .workflow_id(run.workflow_id.clone())
        .run_id(run.run_id.clone())
        .build()
        .bind_untyped(client.clone());
    let history = handle.fetch_history(Default::default()).into_events().await;
    history.expect("a history")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_may_have_one_trace_live_and_imported() {
    let recording = Recording::with(|settings| settings.with_trace_per_chain(true));
    let client = recording.client().await;
    let queue = unique("queue");
    // Without a cache each task replays the run.
    let running = RunningWorker::start(client.clone(), worker(&queue, 0));
    let id = beside(running, travel(&client, &queue).with_context(caller())).await;
    let runs = super::journey(async || recording.stored().await, &id).await;
    for (run, events) in &runs {
        assert_eq!(run.trace_id, TRACE, "{}", run.trigger);
        let history = history(&client, &run.key).await;
        crate::history::compare::assert_same(run, events, history);
    }
    let (second, _) = &runs[2];
    assert_eq!(second.trigger, "continue_as_new");
    assert_eq!(
        second.parent_span_id, None,
        "it lies under the run before it"
    );
    assert_eq!(
        second.continued_from_run_id.as_ref(),
        Some(&runs[0].0.key.run_id)
    );
}

struct Hearer;

#[activities]
impl Hearer {
    /// What is current of what the run was called with.
    #[activity]
    async fn hear(_ctx: ActivityContext, _: ()) -> Result<String, ActivityError> {
        let current = Context::current();
        let state = current.span().span_context().trace_state().header();
        let value = |key: &str| {
            current
                .baggage()
                .get(key)
                .map(|value| value.as_str().to_owned())
        };
        Ok(format!("{state} {:?} {:?}", value("team"), value("user")))
    }
}

/// Hears in itself, in a child and in the run that it continues as.
#[workflow]
#[derive(Default)]
struct Whispers;

#[workflow_methods]
impl Whispers {
    #[run]
    async fn run(
        ctx: &mut WorkflowContext<Self>,
        (depth, mut heard): (u32, Vec<String>),
    ) -> WorkflowResult<Vec<String>> {
        heard.push(ctx.execute_activity(Hearer::hear, (), options()).await?);
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        heard.push(ctx.execute_local_activity(Hearer::hear, (), local).await?);
        if depth == 2 {
            let id = format!("{}-child", ctx.workflow_id());
            let options = ChildWorkflowOptions::workflow_id(id);
            let child = ctx
                .start_child_workflow(Self::run, (0, heard), options)
                .await?;
            let heard = child.result().await?;
            ctx.continue_as_new((1, heard), ContinueAsNewOptions::default())?;
            return Ok(Vec::new());
        }
        Ok(heard)
    }
}

/// Sends spans to where nobody listens: without that no span is current.
fn sends(settings: Settings) -> Settings {
    let mut telemetry = settings.telemetry.clone();
    telemetry.enabled = true;
    telemetry.backends.insert(Backend::Otel);
    telemetry.otlp.endpoint = Endpoint::parse("http://127.0.0.1:1");
    settings.with_telemetry(telemetry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracestate_and_the_baggage_that_is_allowed_reach_every_callee() {
    for (per_chain, allowed) in [(true, &["team"][..]), (false, &[])] {
        let recording = Recording::with(|settings| {
            let settings = sends(settings).with_trace_per_chain(per_chain);
            settings.with_baggage(allowed.iter().copied())
        });
        let client = recording.client().await;
        let queue = unique("queue");
        let options = WorkerOptions::new(&queue)
            .register_activities(Hearer)
            .register_workflow::<Whispers>()
            .expect("a workflow")
            .build();
        let running = RunningWorker::start(client.clone(), options);
        let start = WorkflowStartOptions::new(&queue, unique("whispers")).build();
        let span = caller().span().span_context().clone();
        let span = SpanContext::new(
            span.trace_id(),
            span.span_id(),
            TraceFlags::SAMPLED,
            true,
            TraceState::from_key_value([("vendor", "1")]).expect("valid"),
        );
        let context = Context::new()
            .with_remote_span_context(span)
            .with_baggage([KeyValue::new("team", "a b"), KeyValue::new("user", "7")]);
        let called = async {
            let handle = client
                .start_workflow(Whispers::run, (2, Vec::new()), start)
                .await;
            let handle = handle.expect("started");
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            result.expect("completed")
        };
        let heard = beside(running, called.with_context(context)).await;
        let team = match allowed {
            [] => "None",
            _ => r#"Some("a b")"#,
        };
        let in_trace = format!("vendor=1 {team} None");
        // What a vendor says is of its trace.
        let after = match per_chain {
            true => in_trace.clone(),
            false => format!(" {team} None"),
        };
        let expected = [&in_trace, &in_trace, &in_trace, &in_trace, &after, &after];
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    }
}
