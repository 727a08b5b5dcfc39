//! What leaves the process: rows as spans.
//!
//! Invariant: nothing here runs on a workflow's or activity's path, and a collector that is away costs
//! neither rows nor time.

mod collector;
mod exporter;
mod json;
mod names;
mod request;
mod resend;
mod span;

pub use collector::CollectorError;
pub(crate) use collector::{MetricCollector, resource};
pub(crate) use exporter::{Done, Exporter, grace};
pub use json::otlp_json;
pub(crate) use names::SCOPE;
pub(crate) use request::{Answer, RequestSeen, request_span};
pub use resend::Resender;
pub(crate) use span::{OfRun, SpanShape, event_span, run_span, trace_id};

use crate::config::Settings;

/// The collector that spans are sent to with these settings, without credentials, and whether it answers:
/// it is sent a message without spans. `None` if no spans are sent.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn collector(settings: &Settings) -> Option<(String, Result<(), CollectorError>)> {
    if !settings.telemetry.exports_spans() {
        return None;
    }
    let shown = collector::shown(&settings.telemetry.otlp);
    let answers = match collector::Collector::new(settings, "") {
        Ok(collector) => collector.send(Vec::new()).await,
        Err(error) => Err(error),
    };
    Some((shown, answers))
}
