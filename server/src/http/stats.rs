//! `GET /stats`: runs in numbers, by type and hour.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use omnitrace_store::StatsFilter;
use omnitrace_store::hourly::DAY;
use serde::Deserialize;
use utoipa::IntoParams;

use super::access::Caller;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use crate::api::{Stats, TypeStats};
use crate::when::Moment;

/// Without `from=`.
const DEFAULT_RANGE: i64 = DAY;
/// Between `from` and `to`.
const MAX_RANGE: i64 = 31 * DAY;
/// Rows of an answer, each a type in an hour.
const ROWS: u32 = 20_000;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsParams {
    /// Started at or after: 2h, 3d (ago), 2026-01-01, 2026-01-01T10:00:00Z; a day before `to` without it.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// Started before, written like `from`; now without it. At most 31 days after `from`.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
    /// Workflow type, exact.
    #[serde(deserialize_with = "params::text")]
    workflow_type: Option<String>,
    /// Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
}

/// Count runs by type and hour: how they ended, how long they took, what they used.
#[utoipa::path(
    get,
    path = "/stats",
    tag = "executions",
    params(StatsParams),
    responses(
        (status = 200, description = "Runs in numbers", body = Stats),
        problem::OfQuery,
    )
)]
pub(super) async fn get_stats(
    State(state): State<AppState>,
    caller: Caller,
    Params(params): Params<StatsParams>,
) -> Result<Json<Stats>, Problem> {
    let now = Timestamp::now();
    let before = params.to.map_or(now.as_microsecond(), |to| to.micros(now));
    let from = params.from.map(|from| from.micros(now));
    let from = from.unwrap_or(before.saturating_sub(DEFAULT_RANGE)).max(0);
    if from >= before {
        let said = "from: it must be before to: nothing can have started between them";
        return Err(Problem::BadRequest(said.to_owned()));
    }
    if before - from > MAX_RANGE {
        let said = "from: it is more than 31 days before to: ask for less at once";
        return Err(Problem::BadRequest(said.to_owned()));
    }
    let reader = state.reader(&caller).await?;
    let by_type = StatsFilter {
        from,
        before,
        namespace: params.namespace,
        workflow_type: params.workflow_type,
        hourly: false,
        limit: ROWS,
    };
    let by_hour = StatsFilter {
        hourly: true,
        ..by_type.clone()
    };
    let (hours, types) = tokio::try_join!(reader.run_stats(&by_hour), reader.run_stats(&by_type))?;
    Ok(Json(Stats {
        more: hours.len() >= ROWS as usize,
        hours: hours.into_iter().map(TypeStats::of_hour).collect(),
        types: types.into_iter().map(TypeStats::of_range).collect(),
    }))
}
