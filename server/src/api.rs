//! Runs and traces as JSON.
//!
//! Invariant: field names are a contract; they are added to, never changed.

use omnitrace_store::row::{RunKey, RunRow, Status};
use omnitrace_store::tree::{LinkedRun, Node, Role, TraceTree};
use serde::Serialize;
use serde_json::Value;

use crate::when;

/// A trace.
#[derive(Serialize)]
struct Trace<'a> {
    execution_id: &'a str,
    run_id: &'a str,
    namespace: &'a str,
    workflow_type: &'a str,
    task_queue: &'a str,
    trace_id: &'a str,
    status: Status,
    trigger: &'a str,
    build_id: Option<&'a str>,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    root: Event<'a>,
    links: Links<'a>,
    event_count: u32,
    dropped_events: u32,
    incomplete: bool,
}

/// A node: the run, a step, an attempt, or something inside.
#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    kind: &'a str,
    role: &'static str,
    category: Option<&'a str>,
    event_key: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_status: Option<Status>,
    provisional: bool,
    left_open: bool,
    scheduled_at: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    waiting_ms: Option<i64>,
    attempt: u32,
    model: Option<&'a str>,
    token_usage: Option<TokenUsage>,
    cost_usd: Option<f64>,
    error: Option<Failure<'a>>,
    hint: Option<&'static str>,
    redaction: Option<&'a Value>,
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    child_run: Option<Link<'a>>,
    children: Vec<Self>,
}

#[derive(Serialize)]
struct TokenUsage {
    prompt: i64,
    completion: i64,
}

#[derive(Serialize)]
struct Failure<'a> {
    r#type: Option<&'a str>,
    message: Option<&'a str>,
    hint: Option<&'static str>,
}

#[derive(Serialize)]
struct Links<'a> {
    previous_run: Option<&'a str>,
    parent: Option<ParentLink<'a>>,
    children: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct ParentLink<'a> {
    namespace: &'a str,
    execution_id: &'a str,
    run_id: &'a str,
}

#[derive(Serialize)]
struct Link<'a> {
    namespace: &'a str,
    execution_id: &'a str,
    run_id: &'a str,
    workflow_type: &'a str,
    status: Status,
    started_at: Option<String>,
    ended_at: Option<String>,
}

/// A line of the list.
#[derive(Serialize)]
struct RunLine<'a> {
    execution_id: &'a str,
    run_id: &'a str,
    namespace: &'a str,
    workflow_type: &'a str,
    task_queue: &'a str,
    trace_id: &'a str,
    status: Status,
    trigger: &'a str,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    token_usage: TokenUsage,
    cost_usd: f64,
    error: Option<Failure<'a>>,
    event_count: u32,
    dropped_events: u32,
    incomplete: bool,
}

/// A trace as indented JSON.
pub(crate) fn trace(tree: &TraceTree) -> String {
    let run = &tree.run;
    json(serde_json::to_string_pretty(&Trace {
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
        root: event(&tree.root),
        links: Links {
            previous_run: run.continued_from_run_id.as_deref(),
            parent: run.parent.as_ref().map(parent),
            children: tree.children.iter().map(link).collect(),
        },
        event_count: run.event_count,
        dropped_events: run.dropped_events,
        incomplete: run.incomplete,
    }))
}

/// A run as one line of JSON.
pub(crate) fn run_line(run: &RunRow) -> String {
    let (kind, message) = (run.error_type.as_deref(), run.error_message.as_deref());
    let duration = run
        .started_at
        .zip(run.closed_at)
        .map(|(a, b)| b.saturating_sub(a) / 1000);
    json(serde_json::to_string(&RunLine {
        execution_id: &run.key.workflow_id,
        run_id: &run.key.run_id,
        namespace: &run.key.namespace,
        workflow_type: &run.workflow_type,
        task_queue: &run.task_queue,
        trace_id: &run.trace_id,
        status: run.status,
        trigger: &run.trigger,
        started_at: run.started_at.map(when::exact),
        ended_at: run.closed_at.map(when::exact),
        duration_ms: duration.map(|d| d.max(0)),
        token_usage: TokenUsage {
            prompt: run.input_tokens,
            completion: run.output_tokens,
        },
        cost_usd: run.cost_usd,
        error: (kind.is_some() || message.is_some()).then(|| Failure {
            r#type: kind,
            message,
            hint: omnitrace_store::tree::hint(Role::Run, run.status, kind, message),
        }),
        event_count: run.event_count,
        dropped_events: run.dropped_events,
        incomplete: run.incomplete,
    }))
}

/// Dollars for people: cents, or what is not zero of less.
pub(crate) fn dollars(usd: f64) -> String {
    if usd >= 1.0 || usd == 0.0 {
        format!("${usd:.2}")
    } else if usd >= 0.0001 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.1e}")
    }
}

/// Recursion is bounded: a tree is at most [`omnitrace_store::tree::MAX_DEPTH`] levels deep.
fn event(node: &Node) -> Event<'_> {
    let total = &node.total;
    let tokens = total.input_tokens.is_some() || total.output_tokens.is_some();
    Event {
        name: &node.name,
        kind: &node.kind,
        role: match node.role {
            Role::Run => "run",
            Role::Step => "step",
            Role::Attempt => "attempt",
            Role::Inner => "inner",
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
        token_usage: tokens.then(|| TokenUsage {
            prompt: total.input_tokens.unwrap_or_default(),
            completion: total.output_tokens.unwrap_or_default(),
        }),
        cost_usd: total.cost_usd,
        error: node.error.as_ref().map(|e| Failure {
            r#type: e.kind.as_deref(),
            message: e.message.as_deref(),
            hint: node.hint,
        }),
        hint: node.hint,
        redaction: node.redaction(),
        data: node.data.as_ref(),
        child_run: node.child.as_ref().map(link),
        children: node.children.iter().map(event).collect(),
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

/// Structs of text, numbers and JSON values have no way to fail: no map has a key that is no text.
fn json(text: serde_json::Result<String>) -> String {
    text.unwrap_or_default()
}
