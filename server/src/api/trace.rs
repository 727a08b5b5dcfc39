//! A trace, or the part of one that a [`View`] asks for.
//!
//! Invariant: what a view leaves out is counted where it would be.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use omnitrace_store::ReplayRow;
use omnitrace_store::row::{RunKey, RunRow, Status};
use omnitrace_store::tree::{ForeignSpan, LinkedRun, Merged, Node, Role, TraceTree};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Failure, Replay, StatusName, TokenUsage};
use crate::when;

/// Beside what is always told of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Include {
    pub(crate) prompts: bool,
    pub(crate) responses: bool,
    pub(crate) artifacts: bool,
    pub(crate) attributes: bool,
}

/// Which part of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) include: Include,
    /// Levels below the root.
    pub(crate) depth: usize,
    /// At most so many nodes.
    pub(crate) nodes: usize,
    /// Only children of the root after the one with this key.
    pub(crate) after: Option<&'a str>,
    /// Data by the keys of rows; without it, what the nodes hold.
    pub(crate) data: Option<&'a HashMap<String, Value>>,
}

impl<'a> View<'a> {
    /// Keys of the rows whose data this view of a node and what is below it tells.
    pub(crate) fn data_keys<'n>(&self, root: &'n Node) -> Vec<&'n str> {
        let include = &self.include;
        let content = include.prompts || include.responses;
        let mut keys = Vec::new();
        if content || include.attributes {
            let mut nodes = self.nodes;
            let mut add = |node: &'n Node, _: Vec<()>, _: usize| {
                if !holds_data(node) && (include.attributes || is_model(node)) {
                    keys.push(node.data_key());
                }
            };
            part(root, self.after, self.depth, &mut nodes, &mut add);
        }
        keys
    }

    fn data<'n>(&self, node: &'n Node) -> Option<&'n Value>
    where
        'a: 'n,
    {
        match self.data {
            Some(data) if !holds_data(node) => data.get(node.data_key()),
            _ => node.data.as_ref(),
        }
    }

    /// Everything.
    pub(crate) const WHOLE: Self = Self {
        include: Include {
            prompts: true,
            responses: true,
            artifacts: true,
            attributes: true,
        },
        depth: usize::MAX,
        nodes: usize::MAX,
        after: None,
        data: None,
    };
}

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

/// A node: the run, a step, an attempt, or something inside.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceNode<'a> {
    name: &'a str,
    kind: &'a str,
    #[schema(value_type = RoleName)]
    role: &'static str,
    /// `tool`, `model`, `policy`, `cache`, `approval`, `publish`, …
    category: Option<&'a str>,
    /// Unique in the run; empty for the run itself.
    event_key: &'a str,
    #[schema(value_type = StatusName)]
    status: Status,
    /// What its worker said, where others prove it wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<StatusName>)]
    reported_status: Option<Status>,
    /// Proposed by a worker, not yet accepted by the server.
    provisional: bool,
    /// Still open, though what it is part of has ended.
    left_open: bool,
    scheduled_at: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    /// From scheduling to the first start.
    waiting_ms: Option<i64>,
    /// 0 for a step, 1 and more for its attempts.
    attempt: u32,
    model: Option<&'a str>,
    /// Of a span of another program: which service made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// Of it and everything below.
    token_usage: Option<TokenUsage>,
    /// Of it and everything below, US dollars.
    cost_usd: Option<f64>,
    error: Option<Failure<'a>>,
    /// What to do about its state.
    hint: Option<&'static str>,
    /// What redaction did to its data.
    redaction: Option<Redaction>,
    /// What a language model was asked; with `include=prompts`.
    #[schema(value_type = Vec<Value>)]
    prompts: Vec<&'a Value>,
    /// What it answered; with `include=responses`.
    #[schema(value_type = Vec<Value>)]
    responses: Vec<&'a Value>,
    /// Of it and everything below; with `include=artifacts`.
    artifacts: Vec<Artifact<'a>>,
    /// Redacted input, output and attributes; with `include=attributes`.
    #[schema(value_type = Option<Value>)]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    child_run: Option<Link<'a>>,
    /// Children that are not here: beyond `depth=` or the limit of nodes. Ask for this node with
    /// `event_key=`, or for the rest of its children with `after=` too.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    more_children: usize,
    #[schema(no_recursion)]
    children: Vec<TraceNode<'a>>,
}

/// What redaction did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redaction {
    dropped: u64,
    hashed: u64,
    truncated: u64,
}

/// Something that was made and can be looked at.
#[derive(Serialize, ToSchema)]
pub(crate) struct Artifact<'a> {
    name: &'a str,
    url: &'a str,
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

/// The schema of a node's role.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the values in the OpenAPI document")]
pub(crate) enum RoleName {
    Run,
    Step,
    Attempt,
    Inner,
    Span,
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

/// The part of a tree below a node that a view shows: what `make` makes of each node, of what it made of
/// those below, and of how many are left out. Recursion is bounded: a tree is at most
/// [`omnitrace_store::tree::MAX_DEPTH`] levels deep.
fn part<'a, T>(
    node: &'a Node,
    after: Option<&str>,
    depth: usize,
    nodes: &mut usize,
    make: &mut impl FnMut(&'a Node, Vec<T>, usize) -> T,
) -> T {
    *nodes = nodes.saturating_sub(1);
    let skip = after.and_then(|key| {
        let at = node.children.iter().position(|child| child.key == key);
        at.map(|at| at + 1)
    });
    let rest = &node.children[skip.unwrap_or_default()..];
    let mut children = Vec::new();
    while depth > 0 && *nodes > 0 && children.len() < rest.len() {
        let child = &rest[children.len()];
        children.push(part(child, None, depth - 1, nodes, make));
    }
    let more = rest.len() - children.len();
    make(node, children, more)
}

fn trace_node<'a>(
    node: &'a Node,
    view: &View<'a>,
    children: Vec<TraceNode<'a>>,
    more_children: usize,
) -> TraceNode<'a> {
    let total = &node.total;
    let tokens = total.input_tokens.is_some() || total.output_tokens.is_some();
    let data = view.data(node);
    TraceNode {
        name: &node.name,
        kind: &node.kind,
        role: match node.role {
            Role::Run => "run",
            Role::Step => "step",
            Role::Attempt => "attempt",
            Role::Inner => "inner",
            Role::Span => "span",
        },
        category: node.category.as_deref(),
        event_key: &node.key,
        status: node.status,
        reported_status: node.reported,
        provisional: node.provisional,
        left_open: node.left_open,
        scheduled_at: node.scheduled_at.map(when::exact),
        started_at: node.started_at.map(when::exact),
        ended_at: node.ended_at.map(when::exact),
        duration_ms: node.duration_ms,
        waiting_ms: node.waiting_ms,
        attempt: node.attempt,
        model: node.model.as_deref(),
        service: node.service.as_deref(),
        token_usage: tokens.then(|| TokenUsage {
            prompt: total.input_tokens.unwrap_or_default(),
            completion: total.output_tokens.unwrap_or_default(),
        }),
        cost_usd: total.cost_usd,
        error: node.error.as_ref().map(|e| Failure {
            r#type: e.kind.as_deref().map(Cow::Borrowed),
            message: e.message.as_deref().map(Cow::Borrowed),
            hint: node.hint,
        }),
        hint: node.hint,
        redaction: node.redaction().map(redaction),
        prompts: content(node, data, view.include.prompts, "input", PROMPTS),
        responses: content(node, data, view.include.responses, "output", RESPONSES),
        artifacts: if view.include.artifacts {
            node.walk().filter_map(artifact).collect()
        } else {
            Vec::new()
        },
        data: data.filter(|_| view.include.attributes),
        child_run: node.child.as_ref().map(link),
        more_children,
        children,
    }
}

/// Fields under which events of the explicit API tell what a model was asked, and what it said.
const PROMPTS: &[&str] = &["prompt", "prompts", "messages", "input"];
const RESPONSES: &[&str] = &["response", "responses", "completion", "output"];

/// What went into a call of a language model, or came out: the payload of an activity, or fields of
/// an event. Arrays are several.
fn content<'a>(
    node: &Node,
    data: Option<&'a Value>,
    wanted: bool,
    payload: &str,
    fields: &[&str],
) -> Vec<&'a Value> {
    let Some(data) = data.filter(|_| wanted && is_model(node)) else {
        return Vec::new();
    };
    let told = data.get("data");
    let told = told.and_then(|told| fields.iter().find_map(|field| told.get(field)));
    match data.get(payload).or(told) {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

/// Whether its data is in the tree whatever else is: that of a run is in its row, that of a span nowhere
/// else.
fn holds_data(node: &Node) -> bool {
    matches!(node.role, Role::Run | Role::Span)
}

/// Whether it is a call of a language model.
fn is_model(node: &Node) -> bool {
    node.kind == "model" || node.category.as_deref() == Some("model")
}

fn artifact(node: &Node) -> Option<Artifact<'_>> {
    let url = node.data.as_ref()?.get("url")?.as_str()?;
    (node.kind == "artifact").then_some(Artifact {
        name: &node.name,
        url,
    })
}

fn redaction(of: &Value) -> Redaction {
    let count = |name: &str| of.get(name).and_then(Value::as_u64).unwrap_or_default();
    Redaction {
        dropped: count("dropped"),
        hashed: count("hashed"),
        truncated: count("truncated"),
    }
}

fn link(run: &LinkedRun) -> Link<'_> {
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}
