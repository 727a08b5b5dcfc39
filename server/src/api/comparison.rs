//! Two runs, step by step.

use omnitrace_store::row::{Micros, Status};
use omnitrace_store::tree::{Aligned, Node, Role};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Execution, StatusName};

/// Steps that took so much longer or shorter, in percent and in milliseconds, differ in how long they took.
const DURATION_PERCENT: i64 = 10;
const DURATION_MS: i64 = 10;
/// Costs that differ by less are the same.
const COST_USD: f64 = 1e-9;

/// Two runs, their steps aligned by key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparison<'a> {
    pub(crate) a: Execution<'a>,
    pub(crate) b: Execution<'a>,
    /// Those that differ in more than their duration first; else in the order of the runs.
    pub(crate) steps: Vec<ComparedStep<'a>>,
    /// How many differ in anything.
    pub(crate) differing: usize,
}

impl<'a> Comparison<'a> {
    /// `starts` is when each run began.
    pub(crate) fn new(
        runs: (Execution<'a>, Execution<'a>),
        starts: (Option<Micros>, Option<Micros>),
        steps: &[Aligned<'a>],
    ) -> Self {
        let step = |step: &Aligned<'a>| {
            let a = step.a.map(|node| Side::new(node, starts.0));
            let b = step.b.map(|node| Side::new(node, starts.1));
            let node = step.a.or(step.b)?;
            Some(ComparedStep {
                event_key: &node.key,
                kind: &node.kind,
                name: &node.name,
                differs: differs(a.as_ref(), b.as_ref()),
                a,
                b,
            })
        };
        let mut steps: Vec<_> = steps.iter().filter_map(step).collect();
        let differing = steps.iter().filter(|step| !step.differs.is_empty()).count();
        // A stable sort: the order of the runs stays.
        steps.sort_by_key(|step| !step.differs.iter().any(|what| *what != DURATION));
        Self {
            a: runs.0,
            b: runs.1,
            steps,
            differing,
        }
    }
}

/// A step of either run, or of both.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComparedStep<'a> {
    /// Of `a`, else of `b`.
    event_key: &'a str,
    kind: &'a str,
    name: &'a str,
    a: Option<Side<'a>>,
    b: Option<Side<'a>>,
    /// `missing`, `status`, `error_type`, `attempts`, `tokens`, `cost_usd`, `duration_ms`.
    differs: Vec<&'static str>,
}

/// A step in one run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Side<'a> {
    #[schema(value_type = StatusName)]
    status: Status,
    /// After the run began.
    started_offset_ms: Option<i64>,
    duration_ms: Option<i64>,
    attempts: usize,
    error_type: Option<&'a str>,
    cost_usd: Option<f64>,
    /// Of prompts and answers.
    tokens: Option<i64>,
}

impl<'a> Side<'a> {
    fn new(node: &'a Node, run_start: Option<Micros>) -> Self {
        let attempts = node
            .children
            .iter()
            .filter(|child| child.role == Role::Attempt);
        let begin = node.scheduled_at.or(node.started_at);
        let total = &node.total;
        let tokens = match (total.input_tokens, total.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        };
        Self {
            status: node.status,
            started_offset_ms: (begin.zip(run_start))
                .map(|(begin, start)| begin.saturating_sub(start) / 1000),
            duration_ms: node.duration_ms,
            attempts: attempts.count(),
            error_type: node.error.as_ref().and_then(|error| error.kind.as_deref()),
            cost_usd: total.cost_usd,
            tokens,
        }
    }
}

const DURATION: &str = "duration_ms";

fn differs(a: Option<&Side<'_>>, b: Option<&Side<'_>>) -> Vec<&'static str> {
    let (Some(a), Some(b)) = (a, b) else {
        return vec!["missing"];
    };
    let cost = |side: &Side<'_>| side.cost_usd.unwrap_or_default();
    let took = match (a.duration_ms, b.duration_ms) {
        (Some(a), Some(b)) => {
            let most = a.max(b);
            let by = most - a.min(b);
            by >= DURATION_MS && by.saturating_mul(100) > most.saturating_mul(DURATION_PERCENT)
        }
        (a, b) => a != b,
    };
    [
        ("status", a.status != b.status),
        ("error_type", a.error_type != b.error_type),
        ("attempts", a.attempts != b.attempts),
        ("tokens", a.tokens != b.tokens),
        ("cost_usd", (cost(a) - cost(b)).abs() > COST_USD),
        (DURATION, took),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}
