//! A trace, or the part of one that a [`View`] asks for.

use std::collections::BTreeMap;

use omnitrace_store::ReplayRow;
use omnitrace_store::row::{RunKey, RunRow, Status};
use omnitrace_store::tree::{ForeignSpan, LinkedRun, Merged, Node, TraceTree};
use serde::Serialize;
use utoipa::ToSchema;

use super::node::{TraceNode, trace_node};
use super::view::{View, part};
use super::{Replay, StatusName};
use crate::when;

/// What is known beside a run: other runs, as far as they are known and may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Near<'a> {
    /// That it went on from.
    pub(crate) previous: Option<&'a RunKey>,
    /// That went on from it.
    pub(crate) next: Option<&'a RunRow>,
    /// That started it.
    pub(crate) parent: Option<&'a RunKey>,
    /// What its latest replay against a worker's code found.
    pub(crate) replay: Option<&'a ReplayRow>,
}

/// A run as a tree of what happened in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trace<'a> {
    /// Workflow id.
    execution_id: &'a str,
    run_id: &'a str,
    namespace: &'a str,
    workflow_type: &'a str,
    task_queue: &'a str,
    trace_id: &'a str,
    #[schema(value_type = StatusName)]
    status: Status,
    /// `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`.
    trigger: &'a str,
    build_id: Option<&'a str>,
    /// UTC, to the microsecond.
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    root: TraceNode<'a>,
    links: Links<'a>,
    event_count: u32,
    /// Rows that were cut by limits, and are not in the tree.
    dropped_events: u32,
    /// The recorder lost something of this run.
    incomplete: bool,
    /// Pages of other programs about this run, by their name.
    dashboards: BTreeMap<&'a str, String>,
    /// What the latest replay against a worker's code found; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<Replay<'a>>,
    /// What a trace backend added; absent where none is configured, or `spans=false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_backend: Option<TraceBackend<'a>>,
}

/// What a trace backend added to a trace.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceBackend<'a> {
    /// `jaeger` or `tempo`.
    name: &'a str,
    /// Whether it was asked and answered; if not, what is stored is all that is shown.
    available: bool,
    /// Why not, and what to do.
    detail: Option<&'a str>,
    /// Spans of other programs that are in the tree.
    spans: usize,
    /// Spans of the trace that are not part of this run.
    elsewhere: usize,
    /// What the run is part of, the outermost first.
    callers: Vec<CallerSpan<'a>>,
}

/// A span that the run is part of.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallerSpan<'a> {
    span_id: &'a str,
    name: &'a str,
    service: Option<&'a str>,
    started_at: String,
    duration_ms: i64,
    error: bool,
}

impl<'a> TraceBackend<'a> {
    pub(crate) fn new(name: &'a str, answer: Result<Option<&'a Merged>, &'a str>) -> Self {
        let merged = answer.ok().flatten();
        let caller = |span: &'a ForeignSpan| CallerSpan {
            span_id: &span.span_id,
            name: &span.name,
            service: span.service.as_deref(),
            started_at: when::exact(span.start),
            duration_ms: span.end.saturating_sub(span.start) / 1000,
            error: span.error.is_some(),
        };
        Self {
            name,
            available: answer.is_ok(),
            detail: answer.err(),
            spans: merged.map_or(0, |merged| merged.below),
            elsewhere: merged.map_or(0, |merged| merged.elsewhere),
            callers: merged.map_or(Vec::new(), |merged| {
                merged.callers.iter().map(caller).collect()
            }),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Links<'a> {
    /// Run that this one went on from: by continue-as-new, retry or cron.
    previous_run: Option<&'a str>,
    /// Run that went on from this one.
    next_run: Option<&'a str>,
    parent: Option<ParentLink<'a>>,
    children: Vec<Link<'a>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ParentLink<'a> {
    namespace: &'a str,
    execution_id: &'a str,
    run_id: &'a str,
}

/// Another run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Link<'a> {
    namespace: &'a str,
    execution_id: &'a str,
    run_id: &'a str,
    workflow_type: &'a str,
    #[schema(value_type = StatusName)]
    status: Status,
    started_at: Option<String>,
    ended_at: Option<String>,
}

impl<'a> Trace<'a> {
    /// The part of a trace below `root`, one of the tree's nodes.
    pub(crate) fn new(
        tree: &'a TraceTree,
        root: &'a Node,
        view: View<'a>,
        near: Near<'a>,
        dashboards: BTreeMap<&'a str, String>,
    ) -> Self {
        let run = &tree.run;
        let mut nodes = view.nodes;
        let mut make = |node, children, more| trace_node(node, &view, children, more);
        Self {
            execution_id: &run.key.workflow_id,
            run_id: &run.key.run_id,
            namespace: &run.key.namespace,
            workflow_type: &run.workflow_type,
            task_queue: &run.task_queue,
            trace_id: &run.trace_id,
            status: run.status,
            trigger: &run.trigger,
            build_id: run.build_id.as_deref(),
            started_at: run.started_at.map(when::exact),
            ended_at: run.closed_at.map(when::exact),
            duration_ms: tree.root.duration_ms,
            root: part(root, view.after, view.depth, &mut nodes, &mut make),
            links: Links {
                previous_run: near.previous.map(|run| run.run_id.as_str()),
                next_run: near.next.map(|next| next.key.run_id.as_str()),
                parent: near.parent.map(parent),
                children: tree.children.iter().map(link).collect(),
            },
            event_count: run.event_count,
            dropped_events: run.dropped_events,
            incomplete: run.incomplete,
            dashboards,
            replay: near.replay.map(Replay::from),
            trace_backend: None,
        }
    }

    pub(crate) fn with_backend(mut self, backend: Option<TraceBackend<'a>>) -> Self {
        self.trace_backend = backend;
        self
    }
}

pub(super) fn link(run: &LinkedRun) -> Link<'_> {
    Link {
        namespace: &run.key.namespace,
        execution_id: &run.key.workflow_id,
        run_id: &run.key.run_id,
        workflow_type: &run.workflow_type,
        status: run.status,
        started_at: run.started_at.map(when::exact),
        ended_at: run.closed_at.map(when::exact),
    }
}

fn parent(key: &RunKey) -> ParentLink<'_> {
    ParentLink {
        namespace: &key.namespace,
        execution_id: &key.workflow_id,
        run_id: &key.run_id,
    }
}
