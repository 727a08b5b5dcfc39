//! Spans that user code makes inside an activity.

use std::sync::{Arc, LazyLock, Mutex};

use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::span::assert_whole;
use super::{Place, by_http};
use crate::workflows::options;

/// Keeps finished spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl Kept {
    pub(super) fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut self.0.lock().expect("unpoisoned"))
    }

    /// Those of a trace.
    pub(super) fn of(&self, trace: &str) -> Vec<SpanData> {
        let kept = self.0.lock().expect("unpoisoned");
        let of = |span: &&SpanData| span.span_context.trace_id().to_string() == trace;
        kept.iter().filter(of).cloned().collect()
    }
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("unpoisoned").extend(batch);
        Ok(())
    }
}

/// What the spans of all tests' own code end up in.
pub(super) static KEPT: LazyLock<Kept> = LazyLock::new(Kept::default);
pub(super) static PROVIDER: LazyLock<SdkTracerProvider> = LazyLock::new(|| {
    SdkTracerProvider::builder()
        .with_simple_exporter(KEPT.clone())
        .build()
});

struct Walks;

#[activities]
impl Walks {
    /// Makes spans with `tracing` and with OpenTelemetry; fails once.
    #[activity]
    async fn walk(ctx: ActivityContext, _: ()) -> Result<(), ActivityError> {
        let layer = tracing_opentelemetry::layer().with_tracer(PROVIDER.tracer("user"));
        let subscriber = tracing_subscriber::registry().with(layer);
        let walk = async {
            tokio::task::yield_now().await;
            tracing::info_span!("step").in_scope(|| ());
        };
        let all = async {
            tracing::info_span!("run").in_scope(|| ());
            walk.instrument(tracing::info_span!("walk")).await;
            tokio::task::yield_now().await;
            PROVIDER.tracer("user").start("look").end();
        };
        all.with_subscriber(subscriber).await;
        match ctx.info().attempt {
            1 => Err(anyhow::anyhow!("tired").into()),
            _ => Ok(()),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Walker;

#[workflow_methods]
impl Walker {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        ctx.execute_activity(Walks::walk, (), options()).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_user_code_lie_under_their_attempt() {
    let recording = Recording::with(by_http);
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        .register_activities(Walks)
        .register_workflow::<Walker>()
        .expect("a workflow")
        .build();
    let running = RunningWorker::start(client.clone(), options);
    let id = unique("walker");
    let start = WorkflowStartOptions::new(&queue, &id).build();
    let handle = client.start_workflow(Walker::run, (), start).await;
    let handle = handle.expect("started");
    let get = WorkflowGetResultOptions::default();
    let result = beside(running, handle.get_result(get)).await;
    result.expect("completed");
    let stored = recording.closed(&id).await;
    let trace = super::spans(&Place::Jaeger, std::slice::from_ref(&stored), &[]).await;
    let trace = &trace[0];
    assert_whole(trace);

    let (run, _) = &stored;
    let kept = KEPT.of(&run.trace_id);
    let named = |name: &str| -> Vec<&SpanData> {
        let named = kept.iter().filter(|span| span.name == name);
        named.collect()
    };
    let mut attempts: Vec<_> = (trace.iter())
        .filter(|span| span.name == "RunActivity:Walks::walk")
        .collect();
    attempts.sort_by_key(|span| span.tag("omnitrace.event_key").to_owned());
    assert_eq!(attempts.len(), 2);
    for (at, attempt) in attempts.iter().enumerate() {
        for name in ["run", "walk", "look"] {
            let span = named(name)[at];
            assert_eq!(span.parent_span_id.to_string(), attempt.id, "{name} {at}");
            assert_eq!(span.span_context.trace_id().to_string(), run.trace_id);
        }
        let (walk, step) = (named("walk")[at], named("step")[at]);
        assert_eq!(step.parent_span_id, walk.span_context.span_id());
    }
}
