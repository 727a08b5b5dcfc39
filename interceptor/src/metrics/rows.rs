//! What a row that closed says in metrics.
//!
//! Invariant: a row is measured when it closes for the first time, so a replay measures nothing. No I/O.

use std::collections::{BTreeSet, HashMap, VecDeque};

use omnitrace_store::key::STEP_KINDS;
use omnitrace_store::row::{EventRow, Micros, RunKey, RunRow, Status};
use omnitrace_store::{Batch, Closings, RunFacts, Spent, spent_by};
use serde::Deserialize;

use super::exemplars::{Of, Traces};
use super::names::*;
use super::registry::Registry;
use crate::telemetry::trace_id;

/// Attempts that go on of which it is remembered what happened inside.
const MAX_OPEN_ATTEMPTS: usize = 10_000;

/// Categories of what lies inside.
const NOT_EXTERNAL: &[&str] = &["policy", "approval", "artifact"];

/// Run, step and number of an attempt.
type AttemptKey = (RunKey, String, u32);

/// What happened inside attempts that go on.
#[derive(Debug, Default)]
pub(super) struct Inside {
    attempts: HashMap<AttemptKey, Happened>,
    /// The oldest first; some have ended.
    order: VecDeque<AttemptKey>,
}

#[derive(Debug, Default)]
struct Happened {
    /// Categories of the calls that are counted already.
    categories: BTreeSet<String>,
    /// What tells of tokens and is stored nowhere.
    used: Vec<EventRow>,
}

impl Inside {
    fn of(&mut self, row: &EventRow) -> Option<&mut Happened> {
        if row.kind == "activity" || row.parent_key.is_none() {
            return None;
        }
        // Whatever it lies in, its step tells.
        let (step, _) = row.step.rsplit_once('.')?;
        let key = (row.run.clone(), step.to_owned(), row.attempt);
        if !self.attempts.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        while self.order.len() > MAX_OPEN_ATTEMPTS {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.attempts.remove(&oldest));
        }
        Some(self.attempts.entry(key).or_default())
    }

    fn end(&mut self, row: &EventRow) -> Happened {
        let key = (row.run.clone(), row.step.clone(), row.attempt);
        self.attempts.remove(&key).unwrap_or_default()
    }
}

/// What was closed and spent by a write.
pub(super) fn closed(
    registry: &Registry,
    inside: &mut Inside,
    traces: &Traces,
    batch: &Batch,
    closings: &Closings,
) {
    let nothing = RunFacts::default();
    let facts = |run: &RunKey| closings.facts.get(run).unwrap_or(&nothing);
    let events = closings.events.iter().map(|at| &batch.events[*at]);
    for row in inside_first(events) {
        let of = traces.of(&row.run, &row.span_id);
        event(registry, inside, row, facts(&row.run), of);
    }
    for at in &closings.runs {
        let row = &batch.runs[*at];
        run(
            registry,
            row,
            Of::row(trace_id(&row.trace_id), &row.span_id),
        );
    }
    for (run, spent) in &closings.spent {
        cost(registry, facts(run), spent);
    }
}

/// What happened inside an attempt is measured before it.
fn inside_first<'a>(rows: impl Iterator<Item = &'a EventRow>) -> Vec<&'a EventRow> {
    let mut rows: Vec<&EventRow> = rows.collect();
    rows.sort_by_key(|row| row.kind == "activity");
    rows
}

/// The same of rows of a run that are stored nowhere.
pub(super) fn unstored<'a>(
    registry: &Registry,
    inside: &mut Inside,
    rows: impl Iterator<Item = &'a EventRow>,
    facts: &RunFacts,
    of: impl Fn(&EventRow) -> Option<Of>,
) {
    for row in inside_first(rows) {
        let is_attempt = row.kind == "activity" && row.attempt > 0;
        let is_used = row.input_tokens.or(row.output_tokens).is_some() || row.cost_usd.is_some();
        // What an attempt used may be told inside it, too; what its step used, by itself.
        let mut used = Vec::new();
        if is_attempt {
            let key = (row.run.clone(), row.step.clone(), row.attempt);
            let happened = inside.attempts.get_mut(&key);
            used = happened
                .map(|h| std::mem::take(&mut h.used))
                .unwrap_or_default();
        }
        event(registry, inside, row, facts, of(row));
        let is_inside = is_used && row.kind != "activity";
        match inside.of(row).filter(|_| is_inside) {
            Some(happened) => happened.used.push(EventRow {
                data_redacted: None,
                ..row.clone()
            }),
            None if is_attempt || is_inside => {
                for spent in spent_by(used.iter().chain([row])) {
                    cost(registry, facts, &spent);
                }
            }
            None => {}
        }
    }
}

/// What a run's end says.
pub(super) fn run(registry: &Registry, row: &RunRow, of: Option<Of>) {
    let job = row.workflow_type.as_str();
    registry.count(&TRACES_TOTAL, &[job, row.status.as_str()]);
    let seconds = seconds(row.started_at, row.closed_at);
    if let Some(seconds) = seconds {
        registry.measure_of(&TRACES_DURATION, &[job], seconds, of);
    }
    // Those told by hand wait in no queue, and of standalone activities the attempts tell.
    if row.task_queue.is_empty() || row.trigger == "activity" {
        return;
    }
    let queue = row.task_queue.as_str();
    if let Some(seconds) = seconds {
        registry.measure_of(&QUEUE_JOB_LATENCY, &[queue, job], seconds, of);
    }
    if row.status.is_error() {
        let error = error_type(row.error_type.as_deref(), row.status);
        registry.count(&QUEUE_JOB_FAILURES, &[queue, job, error]);
    }
}

fn event(
    registry: &Registry,
    inside: &mut Inside,
    row: &EventRow,
    facts: &RunFacts,
    of: Option<Of>,
) {
    match row.kind.as_str() {
        "activity" if row.attempt == 0 => step(registry, row, facts),
        "activity" => attempt(registry, inside.end(row), row, facts, of),
        kind if STEP_KINDS.contains(&kind) => {}
        _ => {
            let seconds = row.latency_ms.and(seconds(row.started_at, row.ended_at));
            call(registry, row, seconds, of);
            if let (Some(category), Some(happened)) = (&row.category, inside.of(row)) {
                happened.categories.insert(category.clone());
            }
        }
    }
}

/// Of an activity without an attempt that could tell, its step does.
fn step(registry: &Registry, row: &EventRow, facts: &RunFacts) {
    if let Some(error) = row.error_type.as_deref()
        && error.starts_with("TimeoutFailure.")
        && error != "TimeoutFailure.StartToClose"
    {
        let labels = [&*queue(row, facts), &row.name, error];
        registry.count(&QUEUE_JOB_FAILURES, &labels);
    }
}

fn attempt(
    registry: &Registry,
    happened: Happened,
    row: &EventRow,
    facts: &RunFacts,
    of: Option<Of>,
) {
    let queue = queue(row, facts);
    if let Some(seconds) = seconds(row.scheduled_at.or(row.started_at), row.ended_at) {
        registry.measure_of(&QUEUE_JOB_LATENCY, &[&queue, &row.name], seconds, of);
    }
    if row.status.is_error() {
        let error = error_type(row.error_type.as_deref(), row.status);
        registry.count(&QUEUE_JOB_FAILURES, &[&queue, &row.name, error]);
    }
    // Calls that were told by themselves are not counted again.
    let category = row.category.as_deref();
    if category.is_some_and(|category| !happened.categories.contains(category)) {
        call(registry, row, seconds(row.started_at, row.ended_at), of);
    }
}

/// A call of what lies outside.
fn call(registry: &Registry, row: &EventRow, seconds: Option<f64>, of: Option<Of>) {
    let Some(category) = row.category.as_deref() else {
        return;
    };
    if NOT_EXTERNAL.contains(&category) {
        return;
    }
    let operation = row.name.as_str();
    registry.count(&EXTERNAL_API_CALLS, &[category, operation]);
    if let Some(seconds) = seconds {
        registry.measure_of(&EXTERNAL_API_DURATION, &[category, operation], seconds, of);
        if category == "model" {
            let model = row.model.as_deref().unwrap_or(UNKNOWN);
            registry.measure_of(&GEN_AI_OPERATION_DURATION, &[model], seconds, of);
        }
    }
    if row.status.is_error() {
        let error = error_type(row.error_type.as_deref(), row.status);
        registry.count(&EXTERNAL_API_ERRORS, &[category, operation, error]);
    }
}

fn cost(registry: &Registry, facts: &RunFacts, spent: &Spent) {
    let model = spent.model.as_deref().unwrap_or(UNKNOWN);
    let tenant = facts.tenant.as_deref().unwrap_or(NO_TENANT);
    if spent.cost_usd > 0.0 {
        registry.measure(&TOKEN_COST, &[model, tenant], spent.cost_usd);
        let job = facts.workflow_type.as_str();
        registry.measure(&WORKFLOW_COST, &[job, tenant], spent.cost_usd);
    }
    for (tokens, kind) in [
        (spent.input_tokens, "input"),
        (spent.output_tokens, "output"),
    ] {
        if tokens > 0 {
            registry.measure(&GEN_AI_TOKEN_USAGE, &[model, kind], tokens as f64);
        }
    }
}

fn error_type(error_type: Option<&str>, status: Status) -> &str {
    error_type.unwrap_or(status.as_str())
}

fn seconds(from: Option<Micros>, to: Option<Micros>) -> Option<f64> {
    Some((to?.saturating_sub(from?)).max(0) as f64 / 1e6)
}

/// The task queue of an activity: its own, if it has one.
fn queue(row: &EventRow, facts: &RunFacts) -> String {
    #[derive(Default, Deserialize)]
    struct Detail {
        #[serde(default)]
        task_queue: Option<String>,
    }
    let detail = row.data_redacted.as_deref();
    let detail = detail.and_then(|data| serde_json::from_str::<Detail>(data).ok());
    let own = detail.and_then(|detail| detail.task_queue);
    own.unwrap_or_else(|| facts.task_queue.clone())
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
