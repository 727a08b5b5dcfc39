//! Whether the server lives, and whether it can answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use omnitrace_store::RunFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::AppState;

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`: a server that is not well does not answer.
    status: &'static str,
    version: &'static str,
}

/// Say that the server lives.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses((status = 200, description = "It lives", body = Health))
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

/// Something that is configured, and must work.
#[derive(Serialize, ToSchema)]
pub(super) struct Check {
    name: &'static str,
    ok: bool,
    /// Where it is, or why it does not work and what to do.
    detail: String,
}

/// Say whether requests can be answered: what is configured must work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "All that is configured works", body = Readiness),
        (status = 503, description = "Something does not, and why", body = Readiness),
    )
)]
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let read = async {
        let store = state.database.store().await.map_err(|e| e.to_string())?;
        let one = RunFilter {
            limit: 1,
            ..RunFilter::default()
        };
        let read = store.list_runs(&one).await;
        read.map(drop).map_err(|e| e.to_string())
    };
    let read = read.await;
    let database = Check {
        name: "database",
        ok: read.is_ok(),
        detail: read.err().unwrap_or_else(|| state.database.place()),
    };
    let ready = database.ok;
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let checks = vec![database];
    (status, Json(Readiness { ready, checks }))
}
