//! Each request in metrics, under the pattern of its route.
//!
//! Invariant: a path never becomes a label.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use omnitrace::metrics::Metrics;

/// The route whose time is that of fetching a trace.
pub(super) const TRACE: &str = "/executions/{execution_id}/trace";

pub(super) async fn measure(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("ui", MatchedPath::as_str);
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let response = next.run(request).await;
    let elapsed = began.elapsed();
    let status = response.status().as_u16();
    metrics.http_request(method.as_str(), route, status, elapsed, length);
    if route == TRACE {
        metrics.trace_fetched(elapsed);
    }
    response
}
