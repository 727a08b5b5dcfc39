//! All routes, and what every request passes.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::AppState;
use super::{
    assets, compare, conditional, executions, export, guard, health, me, measure, metrics, problem,
    stats, stream, sums, trace,
};

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
        (name = "access", description = "Who may see what"),
        (name = "health", description = "Of this server"),
    ),
    components(schemas(problem::Body)),
    modifiers(&Bearer)
)]
struct Document;

/// How a client says who it is, where that is needed.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "A token of `omnitrace token create`, or a JWT. On a loopback address none is needed."
                .to_owned(),
        );
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let needed = SecurityRequirement::new("bearer", [] as [&str; 0]);
        document.security = Some(vec![needed, SecurityRequirement::default()]);
    }
}

/// The routes, each with its place in the document.
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(executions::list_executions))
        .routes(routes!(compare::compare_executions))
        .routes(routes!(trace::get_trace))
        .routes(routes!(stream::stream_trace))
        .routes(routes!(trace::list_events))
        .routes(routes!(export::export_execution))
        .routes(routes!(stats::get_stats))
        .routes(routes!(sums::get_aggregates))
        .routes(routes!(me::get_me))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::get_metrics))
}

/// Everything that is served; what is no route of the API is the web UI's, if it is wanted. Layers are listed from the handler outwards.
/// `origins` are other sites whose pages may read answers.
pub(super) fn router(state: AppState, ui: bool, origins: Vec<HeaderValue>) -> Router {
    let (mut routes, document) = api().split_for_parts();
    let document: &'static openapi::OpenApi = Box::leak(Box::new(document));
    if ui {
        routes = routes.fallback_service(get(assets::page));
    }
    // Of what is open to nobody else only this machine may ask.
    let closed = state.access.is_closed();
    let measured = middleware::from_fn_with_state(state.metrics.clone(), measure::measure);
    let routes = routes
        .route("/openapi.json", get(move || async move { Json(document) }))
        .with_state(state)
        .layer(middleware::from_fn(conditional::conditional))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ))
        .layer(CatchPanicLayer::new())
        .layer(measured)
        .layer(middleware::map_response(problem::as_problem));
    let routes = match closed {
        true => routes,
        false => routes.layer(middleware::from_fn(guard::only_this_host)),
    };
    let routes = match origins.is_empty() {
        true => routes,
        false => routes.layer(cors(origins)),
    };
    routes
        .layer(CompressionLayer::new())
        .layer(middleware::map_response(guard::security_headers))
}

/// Lets pages of other sites read answers.
fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    let last_event = HeaderName::from_static("last-event-id");
    CorsLayer::new()
        .allow_origin(origins)
        .allow_headers([AUTHORIZATION, IF_NONE_MATCH, last_event])
        .expose_headers([ETAG])
}
