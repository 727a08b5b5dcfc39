//! `GET /executions`: runs, newest first, in pages.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use omnitrace_store::RunFilter;
use omnitrace_store::row::Status;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::access::Caller;
use super::cursor;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use crate::api::{Counts, Execution, Executions, StatusName};
use crate::when::{self, Moment};

/// Runs of a page, unless `limit` says otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// And at most.
const MAX_LIMIT: u32 = 500;
/// Among how many of the newest runs statuses are counted.
const COUNTED: u32 = 10_000;
/// How many runs a request looks at for what no index answers.
const LOOKED_AT: u32 = 100_000;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
    /// Workflow id, exact.
    #[serde(deserialize_with = "params::text")]
    workflow_id: Option<String>,
    /// Any of these; several by commas, or each by itself.
    #[serde(deserialize_with = "params::statuses")]
    #[param(value_type = Vec<StatusName>, style = Form, explode = false)]
    status: Vec<Status>,
    /// Workflow type; `*` stands for any text.
    #[serde(deserialize_with = "params::text")]
    r#type: Option<String>,
    /// The same as `type`.
    #[serde(deserialize_with = "params::text")]
    workflow_type: Option<String>,
    /// Type of the failure; `*` stands for any text.
    #[serde(deserialize_with = "params::text")]
    error_type: Option<String>,
    /// Hashed tenant, as a run tells it.
    #[serde(deserialize_with = "params::text")]
    tenant: Option<String>,
    /// Text in workflow id, run id, type or error, whatever its case; or a whole trace id.
    #[serde(deserialize_with = "params::text")]
    text: Option<String>,
    /// The same as `text`.
    #[serde(deserialize_with = "params::text")]
    q: Option<String>,
    /// Started at or after: 2h, 3d (ago), 2026-01-01, 2026-01-01T10:00:00Z.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    since: Option<Moment>,
    /// Started before, written like `since`.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    until: Option<Moment>,
    /// The same as `since`.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    started_after: Option<Moment>,
    /// The same as `until`.
    #[serde(deserialize_with = "params::moment")]
    #[param(value_type = Option<String>)]
    started_before: Option<Moment>,
    /// Closed, and lasted at least so long.
    #[serde(deserialize_with = "params::millis")]
    min_duration_ms: Option<i64>,
    /// Closed, and lasted at most so long.
    #[serde(deserialize_with = "params::millis")]
    max_duration_ms: Option<i64>,
    /// US dollars.
    #[serde(deserialize_with = "params::dollars")]
    min_cost_usd: Option<f64>,
    /// US dollars.
    #[serde(deserialize_with = "params::dollars")]
    max_cost_usd: Option<f64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "params::text")]
    cursor: Option<String>,
    /// At most so many, 1 to 500; 50 without it.
    #[serde(deserialize_with = "params::small")]
    limit: Option<u32>,
    /// `counts`: how many runs have which status.
    #[serde(deserialize_with = "include")]
    #[param(value_type = Option<String>)]
    include: Vec<&'static str>,
}

fn include<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
    params::names(from, &["counts"])
}

impl ListParams {
    fn filter(self, now: Timestamp) -> Result<RunFilter, Problem> {
        let limit = params::limit(self.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        Ok(RunFilter {
            namespace: self.namespace,
            statuses: self.status,
            workflow_id: self.workflow_id,
            run_id: None,
            workflow_type: either("type", self.r#type, "workflow_type", self.workflow_type)?,
            error_type: self.error_type,
            tenant: self.tenant,
            started_from: either("since", self.since, "started_after", self.started_after)?
                .map(|moment| moment.micros(now)),
            started_before: either("until", self.until, "started_before", self.started_before)?
                .map(|moment| moment.micros(now)),
            // What is shown as `n` milliseconds lasted less than one more.
            min_duration: self.min_duration_ms.map(|ms| ms * 1000),
            max_duration: self.max_duration_ms.map(|ms| ms * 1000 + 999),
            min_cost_usd: self.min_cost_usd,
            max_cost_usd: self.max_cost_usd,
            text: either("text", self.text, "q", self.q)?,
            after: self.cursor.as_deref().map(cursor::read).transpose()?,
            limit,
        })
    }
}

/// What has two names is given by one of them.
fn either<T>(
    name: &str,
    value: Option<T>,
    other_name: &str,
    other: Option<T>,
) -> Result<Option<T>, Problem> {
    match (value, other) {
        (Some(_), Some(_)) => Err(Problem::BadRequest(format!(
            "{other_name}: it is the same as {name}: leave one of them out"
        ))),
        (one, other) => Ok(one.or(other)),
    }
}

/// List runs, newest first.
///
/// For a text, patterns with `*`, durations and cost a request looks at the newest 100,000 runs that the other
/// parameters leave. Where there are more, `looked_until` says how far back it looked, and `next_cursor` looks
/// further. Runs whose workflow id or run id begins with the text are found at once, however old, and may come
/// once more where they belong.
#[utoipa::path(
    get,
    path = "/executions",
    tag = "executions",
    params(ListParams),
    responses(
        (status = 200, description = "A page of runs", body = Executions),
        problem::OfQuery,
    )
)]
pub(super) async fn list_executions(
    State(state): State<AppState>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let with_counts = params.include.contains(&"counts");
    let mut filter = params.filter(Timestamp::now())?;
    let reader = state.reader(&caller).await?;
    let limit = filter.limit as usize;
    // One more tells whether there is a next page.
    filter.limit += 1;
    let found = reader.search_runs(&filter, LOOKED_AT).await?;
    let mut runs = found.runs;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = match runs.last().filter(|_| more) {
        Some(last) => Some((last.start_time(), last.key.clone())),
        None => found.until.clone(),
    };
    let counts = if with_counts {
        // Of each status, whichever are shown.
        filter.statuses.clear();
        let counted = reader.count_found(&filter, COUNTED, LOOKED_AT).await?;
        Some(Counts {
            by_status: counted.by_status,
            more: counted.more,
        })
    } else {
        None
    };
    Ok(Json(Executions {
        next_cursor: next.map(|(start, key)| cursor::write(start, &key)),
        looked_until: found.until.map(|(start, _)| when::exact(start)),
        executions: runs.iter().map(Execution::from).collect(),
        counts,
    })
    .into_response())
}
