//! `GET /executions/{execution_id}/…`: one run, as a tree or row by row.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use omnitrace_store::row::RunRow;
use omnitrace_store::tree::{self, MAX_DEPTH, TraceTree};
use omnitrace_store::{RunFilter, Store};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::params;
use super::problem::{self, Problem};
use super::state::AppState;
use crate::api::{Event, Events, Include, Trace, View};

/// Nodes of one answer. What is left out can be asked for.
const MAX_NODES: usize = 10_000;
/// Rows of a page, unless `limit` says otherwise.
const DEFAULT_LIMIT: u32 = 500;
/// And at most.
const MAX_LIMIT: u32 = 5_000;

/// Which part of a trace.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TraceParams {
    /// This run of the workflow id instead of its newest.
    #[serde(deserialize_with = "params::text")]
    run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
    /// Any of `prompts`, `responses`, `artifacts`, `attributes`, separated by commas.
    #[serde(deserialize_with = "include")]
    #[param(value_type = Option<String>)]
    include: Vec<&'static str>,
    /// Levels below the root; all without it.
    #[serde(deserialize_with = "params::small")]
    depth: Option<u32>,
    /// The root is the node with this key instead of the run.
    #[serde(deserialize_with = "params::text")]
    event_key: Option<String>,
    /// Only children of the root after the one with this key.
    #[serde(deserialize_with = "params::text")]
    after: Option<String>,
}

fn include<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
    params::names(from, &["prompts", "responses", "artifacts", "attributes"])
}

/// Show a run as a tree of steps, attempts and what happened inside them.
///
/// An answer holds at most 10,000 nodes; `more_children` of a node says how many are left out, and
/// `event_key=` and `after=` ask for them.
#[utoipa::path(
    get,
    path = "/executions/{execution_id}/trace",
    tag = "executions",
    params(
        ("execution_id" = String, Path, description = "Workflow id, percent-encoded"),
        TraceParams,
    ),
    responses(
        (status = 200, description = "The trace", body = Trace),
        (status = 400, description = "A parameter is wrong", body = problem::Body, content_type = "application/problem+json"),
        (status = 404, description = "There is no such run", body = problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = problem::Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_trace(
    State(state): State<AppState>,
    Path(execution_id): Path<String>,
    Query(params): Query<TraceParams>,
) -> Result<Response, Problem> {
    let store = state.store().await?;
    let run = find(store, params.namespace, &execution_id, params.run_id).await?;
    let events = store.events(&run.key).await?;
    let children = store.children(&run.key).await?;
    let next = store.next_run(&run.key).await?;
    let now = Timestamp::now().as_microsecond();
    let tree = TraceTree::build(&run, events, &children, now);
    let has_key = |node: &&tree::Node, key: &String| node.key == *key || node.folded.contains(key);
    let root = match &params.event_key {
        None => &tree.root,
        Some(key) => {
            (tree.root.walk().find(|node| has_key(node, key))).ok_or_else(|| no_event(key))?
        }
    };
    if let Some(after) = &params.after
        && !root.children.iter().any(|child| child.key == *after)
    {
        return Err(no_event(after));
    }
    let includes = |name| params.include.contains(&name);
    let view = View {
        include: Include {
            prompts: includes("prompts"),
            responses: includes("responses"),
            artifacts: includes("artifacts"),
            attributes: includes("attributes"),
        },
        depth: params.depth.map_or(MAX_DEPTH, |depth| depth as usize),
        nodes: MAX_NODES,
        after: params.after.as_deref(),
    };
    let dashboards = state.dashboards(&run);
    Ok(Json(Trace::new(&tree, root, view, next.as_ref(), dashboards)).into_response())
}

/// Which rows of a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// This run of the workflow id instead of its newest.
    #[serde(deserialize_with = "params::text")]
    run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "params::text")]
    cursor: Option<String>,
    /// At most so many, 1 to 5000; 500 without it.
    #[serde(deserialize_with = "params::small")]
    limit: Option<u32>,
}

/// List the rows of a run in the order in which it took them.
#[utoipa::path(
    get,
    path = "/executions/{execution_id}/events",
    tag = "executions",
    params(
        ("execution_id" = String, Path, description = "Workflow id, percent-encoded"),
        EventParams,
    ),
    responses(
        (status = 200, description = "A page of rows", body = Events),
        (status = 400, description = "A parameter is wrong", body = problem::Body, content_type = "application/problem+json"),
        (status = 404, description = "There is no such run", body = problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = problem::Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_events(
    State(state): State<AppState>,
    Path(execution_id): Path<String>,
    Query(params): Query<EventParams>,
) -> Result<Json<Events>, Problem> {
    let limit = params::limit(params.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let store = state.store().await?;
    let run = find(store, params.namespace, &execution_id, params.run_id).await?;
    let events = store.events(&run.key).await?;
    let mut rows = tree::shown(&run, events);
    // The cursor is a key, so that a row that lands meanwhile moves no page.
    if let Some(key) = &params.cursor {
        let at = rows.iter().position(|(row, _)| row.event_key == *key);
        rows.drain(..=at.ok_or_else(|| no_event(key))?);
    }
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok(Json(Events {
        next_cursor: (rows.last().filter(|_| more)).map(|(row, _)| row.event_key.clone()),
        execution_id: run.key.workflow_id,
        run_id: run.key.run_id,
        namespace: run.key.namespace,
        events: rows.into_iter().map(Event::new).collect(),
    }))
}

/// A run of a workflow id: this one, or the newest.
async fn find(
    store: &Store,
    namespace: Option<String>,
    workflow_id: &str,
    run_id: Option<String>,
) -> Result<RunRow, Problem> {
    let filter = RunFilter {
        workflow_id: Some(workflow_id.to_owned()),
        namespace,
        run_id,
        limit: 1,
        ..RunFilter::default()
    };
    let run = store.list_runs(&filter).await?.pop();
    run.ok_or_else(|| {
        let place = filter.namespace.map(|name| format!(" in namespace {name:?}"));
        let which = filter.run_id.map(|id| format!(" and run id {id:?}"));
        Problem::NotFound(format!(
            "no run has the workflow id {workflow_id:?}{}{}: GET /executions lists what is recorded",
            which.unwrap_or_default(),
            place.unwrap_or_default(),
        ))
    })
}

fn no_event(key: &str) -> Problem {
    Problem::NotFound(format!(
        "the run has no event with the key {key:?}: ask for its trace without event_key, after or \
         cursor"
    ))
}
