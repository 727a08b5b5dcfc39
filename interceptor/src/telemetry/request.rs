//! The span of a request to an HTTP service of the user's own.
//!
//! Invariant: pure; its names and attributes are those of OpenTelemetry's conventions for servers.

use std::time::Duration;

use omnitrace_store::row::Micros;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::names::{
    ERROR_TYPE, HTTP_METHOD, HTTP_REQUEST_SIZE, HTTP_ROUTE, HTTP_STATUS_CODE, SERVICE_ERROR,
};
use super::span::{Attributes, Span, SpanShape};

/// A request that was served.
#[derive(Debug)]
pub(crate) struct RequestSeen {
    pub(crate) span: SpanContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) method: &'static str,
    /// The pattern that it matched.
    pub(crate) route: Option<String>,
    /// Of its body, where the request says it.
    pub(crate) bytes: Option<u64>,
    pub(crate) started_at: Micros,
    pub(crate) latency: Duration,
    pub(crate) answer: Answer,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// The service failed without an answer.
    Error,
    /// Nobody waited for the answer any more.
    Gone,
}

/// The span of a request.
pub(crate) fn request_span(seen: &RequestSeen, shape: &SpanShape) -> SpanData {
    let mut a = Attributes::default();
    a.text(HTTP_METHOD, seen.method);
    a.maybe(HTTP_ROUTE, seen.route.as_deref());
    a.number(
        HTTP_REQUEST_SIZE,
        seen.bytes.and_then(|n| i64::try_from(n).ok()),
    );
    let status = match seen.answer {
        Answer::Status(code) => {
            a.number(HTTP_STATUS_CODE, Some(code));
            // What the caller did wrong is no error of the server.
            if code >= 500 {
                a.text(ERROR_TYPE, &code.to_string());
                Status::error("")
            } else {
                Status::Unset
            }
        }
        Answer::Error => {
            a.text(ERROR_TYPE, SERVICE_ERROR);
            Status::error("")
        }
        Answer::Gone => Status::Unset,
    };
    let name = match &seen.route {
        Some(route) => format!("{} {route}", seen.method),
        None => seen.method.to_owned(),
    };
    let latency = Micros::try_from(seen.latency.as_micros()).unwrap_or(Micros::MAX);
    let parent = seen.parent.map(|parent| parent.to_string());
    Span {
        context: seen.span.clone(),
        parent: parent.as_deref(),
        kind: SpanKind::Server,
        name,
        start: seen.started_at,
        end: seen.started_at.saturating_add(latency),
        attributes: a,
        events: Vec::new(),
        links: Vec::new(),
        status,
    }
    .data(shape)
}
