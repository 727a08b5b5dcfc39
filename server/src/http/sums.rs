//! `GET /aggregates`: what is kept of hours whose rows are gone or go.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use omnitrace_store::hourly::{DAY, Dimension, SumsFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Caller;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use crate::api::{Sum, Sums};
use crate::when::{self, Moment};

/// Without `from=`.
const DEFAULT_RANGE: i64 = 104 * DAY;
/// Sums of an answer.
const ROWS: u32 = 20_000;

/// Which aggregates, and by what they are added up.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SumsParams {
    /// Closed in an hour that begins at or after: 90d (ago), 2026-01-01; 104 days before `to` without it.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// Closed in an hour that begins before, written like `from`; now without it.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
    /// day, hour, namespace, type, category, tenant, model, several by commas; by category or model it is of steps,
    /// else of runs; type without it.
    #[serde(deserialize_with = "params::dimensions")]
    #[param(value_type = Option<String>)]
    by: Option<BTreeSet<Dimension>>,
    /// Workflow type, exact.
    #[serde(deserialize_with = "params::text")]
    workflow_type: Option<String>,
    /// Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
}

/// Add up the hourly aggregates: counts, latencies, tokens and cost of runs or steps, also of those whose rows are
/// gone.
#[utoipa::path(
    get,
    path = "/aggregates",
    tag = "executions",
    params(SumsParams),
    responses(
        (status = 200, description = "Aggregates, added up", body = Sums),
        problem::OfQuery,
    )
)]
pub(super) async fn get_aggregates(
    State(state): State<AppState>,
    caller: Caller,
    Params(params): Params<SumsParams>,
) -> Result<Json<Sums>, Problem> {
    let now = Timestamp::now();
    let before = params.to.map_or(now.as_microsecond(), |to| to.micros(now));
    let from = params.from.map(|from| from.micros(now));
    let from = from.unwrap_or(before.saturating_sub(DEFAULT_RANGE));
    if from >= before {
        let said = "from: it must be before to: nothing can have closed between them";
        return Err(Problem::BadRequest(said.to_owned()));
    }
    let filter = SumsFilter {
        from,
        before,
        by: params
            .by
            .unwrap_or_else(|| [Dimension::WorkflowType].into()),
        namespace: params.namespace,
        workflow_type: params.workflow_type,
        limit: ROWS,
    };
    let reader = state.reader(&caller).await?;
    let (through, sums) = tokio::try_join!(reader.sealed_through(), reader.sums(&filter))?;
    Ok(Json(Sums {
        through: (through > 0).then(|| when::short(through)),
        more: sums.len() >= ROWS as usize,
        sums: (sums.into_iter())
            .map(|(key, hour)| Sum::new(&filter, key, &hour))
            .collect(),
    }))
}
