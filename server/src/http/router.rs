//! All routes, and what every request passes.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router, middleware};
use omnitrace::metrics::Metrics;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa::openapi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::AppState;
use super::{assets, conditional, executions, guard, health, measure, problem, trace};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's body; none is needed.
const MAX_BODY: usize = 16 << 10;

/// What the OpenAPI document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "OmniTrace",
        description = "Recorded runs of Temporal workflows. Times are UTC, statuses are in Temporal's words, values are redacted. Fields are added to, never changed."
    ),
    tags(
        (name = "executions", description = "Recorded runs"),
        (name = "health", description = "Of this server"),
    )
)]
struct Document;

/// The routes, each with its place in the document.
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(executions::list_executions))
        .routes(routes!(trace::get_trace))
        .routes(routes!(trace::list_events))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}

/// Everything that is served; what is no route of the API is the web UI's, if it is wanted. Layers are listed from the handler outwards.
pub(super) fn router(state: AppState, ui: bool, metrics: Metrics) -> Router {
    let (mut routes, document) = api().split_for_parts();
    let document: &'static openapi::OpenApi = Box::leak(Box::new(document));
    if ui {
        routes = routes.fallback_service(get(assets::page));
    }
    routes
        .route("/openapi.json", get(move || async move { Json(document) }))
        .with_state(state)
        .layer(middleware::from_fn(conditional::conditional))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(metrics, measure::measure))
        .layer(middleware::map_response(problem::as_problem))
        .layer(middleware::from_fn(guard::only_this_host))
        .layer(CompressionLayer::new())
        .layer(middleware::map_response(guard::security_headers))
}
