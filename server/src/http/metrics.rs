//! `GET /metrics`: how the server itself is, for Prometheus.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::access::Admin;
use super::problem::{self, Problem};
use super::state::AppState;

/// Tell how the server is, as Prometheus reads it.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "Metrics of this server", body = String, content_type = "text/plain"),
        (status = 403, description = "It needs a token with the right `admin`", body = problem::Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_metrics(
    State(state): State<AppState>,
    admin: Admin,
) -> Result<([(HeaderName, &'static str); 2], String), Problem> {
    if admin.0.is_none() {
        return Err(Problem::Forbidden(
            "metrics need a token with the right `admin`: send it as Authorization: Bearer TOKEN"
                .to_owned(),
        ));
    }
    let content = (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    let headers = [content, (CACHE_CONTROL, "no-store")];
    Ok((headers, state.metrics.text()))
}
