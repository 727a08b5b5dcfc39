//! `GET /executions/compare`: two runs, step by step.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use omnitrace_store::tree;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Caller;
use super::outlines::Parts;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use super::trace::find;
use crate::api::{Comparison, Execution};

/// Which two runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CompareParams {
    /// Workflow id of the first run.
    #[serde(deserialize_with = "params::text")]
    #[param(required)]
    a: Option<String>,
    /// Workflow id of the second; may be the same.
    #[serde(deserialize_with = "params::text")]
    #[param(required)]
    b: Option<String>,
    /// Run of the first workflow id instead of its newest.
    #[serde(deserialize_with = "params::text")]
    a_run_id: Option<String>,
    /// Run of the second.
    #[serde(deserialize_with = "params::text")]
    b_run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
}

/// Compare two runs, their steps aligned by key.
///
/// Steps whose key only one run has, as of signals and child workflows, are aligned by kind and name.
#[utoipa::path(
    get,
    path = "/executions/compare",
    tag = "executions",
    params(CompareParams),
    responses(
        (status = 200, description = "Both runs and their steps", body = Comparison),
        problem::OfRun,
    )
)]
pub(super) async fn compare_executions(
    State(state): State<AppState>,
    caller: Caller,
    Params(params): Params<CompareParams>,
) -> Result<Response, Problem> {
    let missing = |name| Problem::BadRequest(format!("{name}: it must be a workflow id"));
    let a = params.a.ok_or_else(|| missing("a"))?;
    let b = params.b.ok_or_else(|| missing("b"))?;
    let reader = state.reader(&caller).await?;
    let a = find(reader, params.namespace.clone(), &a, params.a_run_id).await?;
    let b = find(reader, params.namespace, &b, params.b_run_id).await?;
    let now = Timestamp::now().as_microsecond();
    let (a_parts, b_parts) = tokio::try_join!(Parts::read(reader, &a), Parts::read(reader, &b))?;
    let (a_outline, b_outline) = tokio::try_join!(
        state.outlines.get(reader, &a, &a_parts, now),
        state.outlines.get(reader, &b, &b_parts, now)
    )?;
    let steps = tree::align(&a_outline.tree.root, &b_outline.tree.root);
    let runs = (Execution::from(&a), Execution::from(&b));
    let starts = (a.started_at, b.started_at);
    Ok(Json(Comparison::new(runs, starts, &steps)).into_response())
}
