//! `GET /executions/{execution_id}/…`: one run, as a tree or row by row.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_store::tree::{self, MAX_DEPTH, Node};
use omnitrace_store::{AccessScope, Reader, RunFilter};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::access::Caller;
use super::backend::Spans;
use super::conditional;
use super::outlines::Parts;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use crate::api::{Event, Events, Include, Near, Trace, TraceBackend, View};
use crate::tokens::Right;

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
    /// `false` leaves the spans of the trace backend out.
    #[serde(deserialize_with = "params::flag")]
    #[param(value_type = Option<bool>)]
    spans: Option<bool>,
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
        problem::OfRun,
    )
)]
pub(super) async fn get_trace(
    State(state): State<AppState>,
    caller: Caller,
    Path(execution_id): Path<String>,
    Params(params): Params<TraceParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !params.include.is_empty() {
        caller.must(Right::Content, "include=")?;
    }
    let reader = state.reader(&caller).await?;
    let shape = format!("{params:?}");
    let run = find(reader, params.namespace, &execution_id, params.run_id).await?;
    let mut parts = Parts::read(reader, &run).await?;
    let replay = reader.replay(&run.key).await?;
    let asked = backend_spans(&state, &caller, &run, params.spans).await;
    if let Some((_, Ok(spans))) = &asked {
        parts.spans = Some(Arc::clone(spans));
    }
    let failed = asked.as_ref().and_then(|(_, asked)| asked.as_ref().err());
    // What was asked for is part of what names the answer.
    let shape = (
        shape,
        failed,
        replay.as_ref().map(|replay| replay.checked_at),
    );
    // A closed run changes by its rows alone, so the tree is not even looked for.
    let tag = parts.tag(&run, 0, &shape);
    if run.status.is_closed() && conditional::is_known(&headers, &tag) {
        return Ok(not_modified(tag));
    }
    let now = Timestamp::now().as_microsecond();
    let outline = state.outlines.get(reader, &run, &parts, now).await?;
    let tag = match run.status.is_closed() {
        true => tag,
        false => parts.tag(&run, outline.hints, &shape),
    };
    if conditional::is_known(&headers, &tag) {
        return Ok(not_modified(tag));
    }
    let tree = &outline.tree;
    let has_key = |node: &&Node, key: &String| node.key == *key || node.folded.contains(key);
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
        data: None,
    };
    let keys = view.data_keys(root);
    let data: HashMap<String, _> = (reader.events_by_key(&run.key, &keys).await?.into_iter())
        .filter_map(|mut event| {
            let data = tree::read_data(&mut event)?;
            Some((event.event_key, data))
        })
        .collect();
    let view = View {
        data: Some(&data),
        ..view
    };
    let dashboards = state.dashboards(&run);
    let near = Near {
        previous: parts.previous.as_ref(),
        next: parts.next.as_ref(),
        parent: parts.parent.as_ref(),
        replay: replay.as_ref(),
    };
    let backend = asked.as_ref().map(|(name, asked)| {
        let merged = asked.as_ref().map(|_| outline.merged.as_ref());
        TraceBackend::new(name, merged.map_err(String::as_str))
    });
    let trace = Trace::new(tree, root, view, near, dashboards).with_backend(backend);
    Ok(([(ETAG, tag)], Json(trace)).into_response())
}

/// Which backend was asked for the spans of a run's trace, and its answer; `None` if none was to be asked.
type Asked = Option<(&'static str, Result<Arc<Spans>, String>)>;

async fn backend_spans(
    state: &AppState,
    caller: &Caller,
    run: &RunRow,
    wanted: Option<bool>,
) -> Asked {
    let backend = state.backend.as_ref().filter(|_| wanted != Some(false))?;
    // The backend knows no tenants.
    let asked = match *caller.scope() == AccessScope::ALL {
        true => backend.spans(&run.trace_id).await,
        false => Err("spans of other programs are shown to tokens of all tenants alone".to_owned()),
    };
    Some((backend.name(), asked))
}

fn not_modified(tag: String) -> Response {
    (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response()
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
        problem::OfRun,
    )
)]
pub(super) async fn list_events(
    State(state): State<AppState>,
    caller: Caller,
    Path(execution_id): Path<String>,
    Params(params): Params<EventParams>,
) -> Result<Json<Events>, Problem> {
    let limit = params::limit(params.limit, DEFAULT_LIMIT, MAX_LIMIT)? as usize;
    let reader = state.reader(&caller).await?;
    let run = find(reader, params.namespace, &execution_id, params.run_id).await?;
    let parts = Parts::read(reader, &run).await?;
    let now = Timestamp::now().as_microsecond();
    let outline = state.outlines.get(reader, &run, &parts, now).await?;
    let mut order = &outline.rows[..];
    // The cursor is a key, so that a row that lands meanwhile moves no page.
    if let Some(key) = &params.cursor {
        let at = order.iter().position(|(of, _)| of == key);
        order = &order[at.ok_or_else(|| no_event(key))? + 1..];
    }
    let page = &order[..limit.min(order.len())];
    let keys: Vec<_> = page.iter().map(|(key, _)| key.as_str()).collect();
    let rows = reader.events_by_key(&run.key, &keys).await?;
    let mut rows: HashMap<String, EventRow> = (rows.into_iter())
        .map(|row| (row.event_key.clone(), row))
        .collect();
    let content = caller.may(Right::Content);
    let events = page.iter().filter_map(|(key, phase)| {
        let mut row = rows.remove(key)?;
        row.phase = *phase;
        let data = tree::read_data(&mut row).filter(|_| content);
        Some(Event::new((row, data)))
    });
    Ok(Json(Events {
        events: events.collect(),
        next_cursor: (page.last().filter(|_| page.len() < order.len())).map(|(key, _)| key.clone()),
        execution_id: run.key.workflow_id,
        run_id: run.key.run_id,
        namespace: run.key.namespace,
    }))
}

/// A run of a workflow id: this one, or the newest.
pub(super) async fn find(
    reader: Reader<'_>,
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
    let run = reader.list_runs(&filter).await?.pop();
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
