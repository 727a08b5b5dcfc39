//! Whether the server lives, and whether it can answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use omnitrace_store::RunFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Admin;
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

/// Something that is configured; the server is ready without its trace backend.
#[derive(Serialize, ToSchema)]
pub(super) struct Check {
    name: &'static str,
    ok: bool,
    /// Where it is, or why it does not work and what to do; to others than administrators it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Say whether requests can be answered: the database must answer.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "The database answers", body = Readiness),
        (status = 503, description = "It does not, and why", body = Readiness),
    )
)]
pub(super) async fn readyz(
    State(state): State<AppState>,
    admin: Admin,
) -> (StatusCode, Json<Readiness>) {
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
    let ready = read.is_ok();
    let mut checks = vec![("database", read, state.database.place())];
    if let Some(backend) = &state.backend {
        checks.push(("trace backend", backend.check().await, backend.place()));
    }
    let checks: Vec<_> = (checks.into_iter())
        .map(|(name, works, place)| Check {
            name,
            ok: works.is_ok(),
            detail: admin.0.as_ref().map(|_| works.err().unwrap_or(place)),
        })
        .collect();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Readiness { ready, checks }))
}
