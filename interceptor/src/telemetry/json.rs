//! A run's spans as a file, in OTLP's JSON, that any collector takes.

use omnitrace_store::row::{EventRow, RunRow};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use serde_json::Value;

use super::{OfRun, SpanShape, event_span, run_span};
use crate::config::Settings;

/// The spans of a run and of its events, those included that are sent nowhere. `continued_from_trace` is
/// the trace of the run before it in its chain, if that is known.
pub fn otlp_json(run: &RunRow, events: &[EventRow], continued_from_trace: Option<&str>) -> Value {
    let shape = SpanShape {
        limits: Settings::default().telemetry.span_limits,
        // What is not to be read is not in the rows.
        content: true,
    };
    let mut spans = vec![run_span(run, continued_from_trace, &shape)];
    spans.extend(
        events
            .iter()
            .map(|event| event_span(event, OfRun::from(run), &shape)),
    );
    let resource = Resource::builder_empty()
        .with_service_name(run.task_queue.clone())
        .build();
    let resource = ResourceAttributesWithSchema::from(&resource);
    let resource_spans = group_spans_by_resource_and_scope(spans, &resource);
    // Text and numbers have no way to fail.
    serde_json::to_value(TracesData { resource_spans }).unwrap_or_default()
}
