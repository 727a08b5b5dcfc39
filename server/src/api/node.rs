//! A node of a trace: the run, a step, an attempt, or something inside.

use std::borrow::Cow;
use std::collections::HashSet;

use omnitrace_store::content;
use omnitrace_store::row::Status;
use omnitrace_store::tree::{Node, Role};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::trace::{Link, link};
use super::view::View;
use super::{Failure, StatusName, TokenUsage};
use crate::when;

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

pub(super) fn trace_node<'a>(
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
        prompts: content(node, data, view.include.prompts, content::prompts),
        responses: content(node, data, view.include.responses, content::responses),
        artifacts: if view.include.artifacts {
            let mut seen = HashSet::new();
            (node.walk().flat_map(artifacts))
                .filter(|artifact| seen.insert((artifact.name, artifact.url)))
                .collect()
        } else {
            Vec::new()
        },
        data: data.filter(|_| view.include.attributes),
        child_run: node.child.as_ref().map(link),
        more_children,
        children,
    }
}

/// What went into a call of a language model, or came out. Arrays are several.
fn content<'a>(
    node: &Node,
    data: Option<&'a Value>,
    wanted: bool,
    of: fn(&Map<String, Value>) -> Option<&Value>,
) -> Vec<&'a Value> {
    let data = data.filter(|_| wanted && is_model(node));
    match data.and_then(|data| of(data.as_object()?)) {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

/// Whether its data is in the tree whatever else is: that of a run is in its row, that of a span nowhere
/// else.
pub(super) fn holds_data(node: &Node) -> bool {
    matches!(node.role, Role::Run | Role::Span)
}

/// Whether it is a call of a language model.
pub(super) fn is_model(node: &Node) -> bool {
    node.kind == "model" || node.category.as_deref() == Some("model")
}

/// What it told by itself, and what its result tells of.
fn artifacts(node: &Node) -> impl Iterator<Item = Artifact<'_>> {
    let field = |name: &str| node.data.as_ref().and_then(|data| data.get(name));
    let told = field("url").filter(|_| node.kind == "artifact");
    let told = told.and_then(Value::as_str).map(|url| Artifact {
        name: &node.name,
        url,
    });
    let found = match node.role {
        // Its data holds what its row keeps as one value each.
        Role::Run => field("output").and_then(|output| output.get("artifacts")),
        _ => field("artifacts"),
    };
    let found = found.and_then(Value::as_array);
    let found = found.into_iter().flatten().filter_map(|artifact| {
        Some(Artifact {
            name: artifact.get("name")?.as_str()?,
            url: artifact.get("url")?.as_str()?,
        })
    });
    told.into_iter().chain(found)
}

fn redaction(of: &Value) -> Redaction {
    let count = |name: &str| of.get(name).and_then(Value::as_u64).unwrap_or_default();
    Redaction {
        dropped: count("dropped"),
        hashed: count("hashed"),
        truncated: count("truncated"),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}
