//! Trace context in headers, in and out.

use std::collections::HashMap;

use omnitrace::Counter;
use omnitrace_store::ids;
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, beside, client_with, unique};
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    TracerProvider,
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use temporalio_client::{ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::protos::temporal::api::common::v1::{Header, Payload};
use temporalio_sdk::opentelemetry::{OpenTelemetryPlugin, WorkflowIdGenerator};

use super::journey::{Journey, travel, worker};
use super::user_code::Kept;

pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const SPAN: &str = "00f067aa0ba902b7";

pub(super) fn caller() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_hex(TRACE).expect("hex"),
        SpanId::from_hex(SPAN).expect("hex"),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_lies_under_the_span_that_called_it_and_its_child_under_its_step() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue, 0));
    let id = beside(running, travel(&client, &queue).with_context(caller())).await;
    let runs = super::journey(async || recording.stored().await, &id).await;
    let [(first, events), (leg, _), (second, _)] = &runs[..] else {
        panic!("three runs")
    };
    assert_eq!(first.trace_id, TRACE);
    assert_eq!(first.parent_span_id.as_deref(), Some(SPAN));
    let step = events.iter().find(|event| event.kind == "child_workflow");
    let step = step.expect("a step");
    assert_eq!(leg.trace_id, TRACE);
    assert_eq!(leg.parent_span_id.as_ref(), Some(&step.span_id));
    assert_eq!(second.trace_id, ids::continued_trace_id(&first.key));
    assert_eq!(second.parent_span_id, None);
    assert_eq!(recording.omnitrace.counter(Counter::HeadersMalformed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_no_context_is_ignored_and_counted() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let id = unique("hostile");
    let mut fields = HashMap::new();
    let payload = Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: format!(r#"{{"traceparent":"00-{TRACE}-{SPAN}-","x":1}}"#).into_bytes(),
        ..Payload::default()
    };
    fields.insert("_tracer-data".to_owned(), payload);
    let start = WorkflowStartOptions::new(&queue, &id)
        .header(Header { fields })
        .build();
    let running = RunningWorker::start(client.clone(), worker(&queue, 100));
    let handle = client.start_workflow(Journey::run, 1, start).await;
    let handle = handle.expect("started");
    let get = WorkflowGetResultOptions::default();
    let result = beside(running, handle.get_result(get)).await;
    assert_eq!(result.expect("completed"), 1);
    let (run, _) = recording.closed(&id).await;
    let own = ids::trace_id(NAMESPACE, &id, &run.key.run_id);
    assert_eq!((run.trace_id, run.parent_span_id), (own, None));
    assert_eq!(recording.omnitrace.counter(Counter::HeadersMalformed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_the_plugin_of_the_sdk_there_is_one_trace() {
    let recording = Recording::start();
    let queue = unique("queue");
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_id_generator(WorkflowIdGenerator::default())
        .with_simple_exporter(kept.clone())
        .build();
    let theirs = || {
        OpenTelemetryPlugin::builder()
            .tracer(provider.tracer("theirs"))
            .build()
    };
    // Whichever is first.
    for ours_first in [true, false] {
        kept.take();
        let options = ClientOptions::new(NAMESPACE);
        let options = match ours_first {
            true => options
                .plugin(recording.omnitrace.plugin())
                .plugin(theirs()),
            false => options
                .plugin(theirs())
                .plugin(recording.omnitrace.plugin()),
        };
        let client = client_with(options.build()).await;
        let running = RunningWorker::start(client.clone(), worker(&queue, 100));
        let id = beside(running, travel(&client, &queue)).await;
        let runs = super::journey(async || recording.stored().await, &id).await;
        let spans = kept.take();
        let start = (spans.iter())
            .find(|span| span.name == "StartWorkflow:Journey")
            .expect("their span of the start");
        let trace = start.span_context.trace_id().to_string();
        for (run, _) in &runs[..2] {
            assert_eq!(run.trace_id, trace, "{ours_first}");
        }
        let parent = runs[0].0.parent_span_id.clone();
        assert_eq!(parent, Some(start.span_context.span_id().to_string()));
        let leg = runs[1].0.parent_span_id.clone().expect("a parent");
        let theirs = spans
            .iter()
            .any(|span| span.span_context.span_id().to_string() == leg);
        let ours = runs[0].1.iter().any(|event| event.span_id == leg);
        assert!(theirs || ours, "{ours_first}");
    }
}
