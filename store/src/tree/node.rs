//! One node from one row.

use serde_json::{Map, Value};

use super::chain::Chain;
use super::rows::{Row, read};
use super::{Node, NodeError, Role, Totals};
use crate::key::{STEP_KINDS, Step};
use crate::row::{Micros, Phase, RunRow, Status};

pub(super) fn run_node(run: &RunRow) -> Node {
    let mut data = Map::new();
    for (name, text) in [
        ("input", &run.input_redacted),
        ("output", &run.output_redacted),
    ] {
        if let Some(text) = text {
            data.insert(name.to_owned(), read(text.clone()));
        }
    }
    Node {
        kind: if run.trigger == "activity" {
            "activity"
        } else {
            "workflow"
        }
        .to_owned(),
        step: run.key.workflow_id.clone(),
        name: run.workflow_type.clone(),
        attempt: run.attempt,
        status: run.status,
        provisional: run.phase == Phase::Provisional,
        started_at: run.started_at,
        ended_at: run.closed_at,
        duration_ms: between(run.started_at, run.closed_at),
        error: error(run.error_type.as_deref(), run.error_message.as_deref()),
        data: (!data.is_empty()).then_some(Value::Object(data)),
        ..empty(Role::Run)
    }
}

pub(super) fn row_node(row: &Row) -> Node {
    let event = &row.event;
    let role = if event.kind == "activity" && event.attempt > 0 {
        Role::Attempt
    } else if STEP_KINDS.contains(&event.kind.as_str()) {
        Role::Step
    } else {
        Role::Inner
    };
    let duration = between(event.started_at.or(event.scheduled_at), event.ended_at);
    Node {
        kind: event.kind.clone(),
        category: event.category.clone(),
        key: event.event_key.clone(),
        step: decode(&event.step),
        name: event.name.clone(),
        attempt: event.attempt,
        status: event.status,
        provisional: event.phase == Phase::Provisional,
        local: row.local(),
        scheduled_at: event.scheduled_at,
        started_at: event.started_at,
        ended_at: event.ended_at,
        duration_ms: duration.or(event.latency_ms.filter(|_| event.status.is_closed())),
        waiting_ms: between(event.scheduled_at, event.started_at),
        error: error(event.error_type.as_deref(), event.error_message.as_deref()),
        model: event.model.clone(),
        total: Totals {
            input_tokens: event.input_tokens,
            output_tokens: event.output_tokens,
            cost_usd: event.cost_usd,
        },
        data: row.data.clone(),
        ..empty(role)
    }
}

/// One node for all links: begins with the first, ends with the last.
pub(super) fn chain_node(rows: &[Row], chain: &Chain) -> Node {
    let [first, .., last] = chain.links[..] else {
        let mut node = row_node(&rows[chain.links[0]]);
        fold(&mut node, rows, chain);
        return node;
    };
    let mut node = row_node(&rows[last]);
    let first = &rows[first].event;
    node.key.clone_from(&first.event_key);
    node.step = decode(&first.step);
    node.scheduled_at = first.scheduled_at;
    node.started_at = first.started_at;
    node.duration_ms = between(first.started_at.or(first.scheduled_at), node.ended_at);
    node.waiting_ms = None;
    for &link in &chain.links[..chain.links.len() - 1] {
        let event = &rows[link].event;
        node.total = node.total.plus(Totals {
            input_tokens: event.input_tokens,
            output_tokens: event.output_tokens,
            cost_usd: event.cost_usd,
        });
    }
    fold(&mut node, rows, chain);
    node
}

fn fold(node: &mut Node, rows: &[Row], chain: &Chain) {
    let mut folded: Vec<_> = chain.links[1..]
        .iter()
        .chain(&chain.timers)
        .copied()
        .collect();
    folded.sort_unstable();
    node.folded = folded
        .iter()
        .map(|&i| rows[i].event.event_key.clone())
        .collect();
    if chain.backing_off {
        node.status = Status::Running;
        node.ended_at = None;
        node.duration_ms = None;
        node.error = None;
    }
}

pub(super) fn synthetic_node(step: &str, name: &str) -> Node {
    Node {
        kind: "activity".to_owned(),
        key: format!("activity:{step}:{name}:0"),
        step: decode(step),
        name: name.to_owned(),
        status: Status::Running,
        synthetic: true,
        ..empty(Role::Step)
    }
}

pub(super) fn empty(role: Role) -> Node {
    Node {
        role,
        kind: String::new(),
        category: None,
        key: String::new(),
        folded: Vec::new(),
        step: String::new(),
        name: String::new(),
        attempt: 0,
        status: Status::Scheduled,
        reported: None,
        provisional: false,
        synthetic: false,
        left_open: false,
        local: false,
        scheduled_at: None,
        started_at: None,
        ended_at: None,
        duration_ms: None,
        waiting_ms: None,
        extent: None,
        error: None,
        hint: None,
        model: None,
        service: None,
        total: Totals::default(),
        child: None,
        data: None,
        children: Vec::new(),
    }
}

fn error(kind: Option<&str>, message: Option<&str>) -> Option<NodeError> {
    (kind.is_some() || message.is_some()).then(|| NodeError {
        kind: kind.map(str::to_owned),
        message: message.map(str::to_owned),
    })
}

fn between(from: Option<Micros>, to: Option<Micros>) -> Option<i64> {
    Some(to?.saturating_sub(from?).max(0) / 1000)
}

/// The id that a step of a key stands for.
fn decode(step: &str) -> String {
    // `%~n` marks the n-th use of an id and stays readable as it is.
    if !step.contains('%') || Step::from_encoded(step).is_err() {
        return step.to_owned();
    }
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| byte == b'%');
        let hex = escape.and_then(|e| str::from_utf8(e).ok());
        if let Some(decoded) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(decoded);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| step.to_owned())
}
