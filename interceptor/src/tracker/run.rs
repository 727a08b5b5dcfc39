//! One run: which of its steps are open, and what of it the server has not accepted yet.
//!
//! Invariant: what follows from a history event is written as a fact at once, its time as inferred;
//! what follows from a command is written as provisional. [`RunTracker::accept`] raises both, or
//! nothing does.

mod commands;
mod jobs;

use std::collections::{HashMap, HashSet};

use omnitrace_store::key::Step as StepKey;
use omnitrace_store::row::{Micros, Phase, RunKey, RunRow, Source, Status};

use super::acceptance::{Acceptance, Evidence, Proposed};
use super::step::{Cancellation, Step, StepId};
use super::{Asked, Rows};
use crate::observe::{Activation, Failure, Job, RunStart};
use crate::policy::{Policy, Redacted};
use crate::sampling::Lineage;

/// Follows one run from its `InitializeWorkflow` to its eviction.
#[derive(Debug)]
pub(crate) struct RunTracker {
    row: RunRow,
    /// Workflow time of the last activation.
    clock: Micros,
    /// Whether a local activity's end was the last to move it.
    clock_is_local: bool,
    history_length: u32,
    ahead: Ahead,
    replaying: bool,
    open: HashMap<StepId, Step>,
    pending: Vec<Pending>,
    /// Accepted commands by kind, step and name.
    taken: HashMap<(&'static str, StepKey, String), u32>,
    /// Uses of each activity id.
    activity_uses: HashMap<String, u32>,
    patches_known: HashSet<String>,
    patches_set: HashSet<String>,
    cancel_requested: bool,
    /// Durations, in milliseconds, of backoffs whose timer the next commands start.
    backoffs: Vec<i64>,
}

/// Whether the last activation was ahead of its task: to answer a query that came in a task of its own,
/// core gives the workflow all events that there are, and sends the commands with the next workflow
/// task. What came and what was commanded then belongs to that task, at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    No,
    /// The history grew, and no task began: workflow time stood still.
    Perhaps,
    /// And then the query came.
    Yes,
}

/// What the open task proposed, in order.
#[derive(Debug)]
enum Pending {
    Opened(StepId),
    CancelRequested(StepId),
    Closed(Box<Step>),
    Run {
        status: Status,
        at: Micros,
        output: Option<Redacted>,
        failure: Option<Failure>,
    },
}

impl RunTracker {
    pub(super) fn new(start: &RunStart, policy: &Policy) -> Self {
        let key = &start.key;
        let mut row = RunRow::new(key.clone());
        let trace = start.trace.as_ref();
        row.parent_span_id = trace.and_then(|trace| trace.parent.clone());
        let lineage = Lineage {
            namespace: &key.namespace,
            workflow_id: &key.workflow_id,
            run_id: &key.run_id,
            first_execution_run_id: start.first_execution_run_id.as_deref(),
            continued_from_run_id: start.continued_from_run_id.as_deref(),
            trigger: start.trigger,
            trace_per_chain: start.trace_per_chain,
        };
        row.trace_id = trace.map_or_else(|| lineage.trace_id(), |trace| trace.trace_id.clone());
        row.workflow_type.clone_from(&start.workflow_type);
        row.task_queue.clone_from(&start.task_queue);
        row.started_at = start.started_at;
        row.input_redacted = policy.compose(&[("input", &start.input)]);
        row.attempt = start.attempt;
        row.max_attempts = start.max_attempts;
        row.first_execution_run_id
            .clone_from(&start.first_execution_run_id);
        row.continued_from_run_id
            .clone_from(&start.continued_from_run_id);
        row.parent.clone_from(&start.parent);
        row.root.clone_from(&start.root);
        start.trigger.clone_into(&mut row.trigger);
        row.build_id.clone_from(&start.build_id);
        row.user.clone_from(&start.user);
        row.tenant.clone_from(&start.tenant);
        row.policy_id = policy.id().to_owned();
        row.source = start.source;
        Self {
            row,
            clock: 0,
            clock_is_local: false,
            history_length: 0,
            ahead: Ahead::No,
            replaying: false,
            open: HashMap::new(),
            pending: Vec::new(),
            taken: HashMap::new(),
            activity_uses: HashMap::new(),
            patches_known: HashSet::new(),
            patches_set: HashSet::new(),
            cancel_requested: false,
            backoffs: Vec::new(),
        }
    }

    pub(super) fn key(&self) -> &RunKey {
        &self.row.key
    }

    /// Whether what it was told last is replayed.
    pub(super) fn is_replaying(&self) -> bool {
        self.replaying
    }

    pub(super) fn source(&self) -> Source {
        self.row.source
    }

    pub(super) fn into_row(self) -> RunRow {
        self.row
    }

    /// Takes in what reached the workflow. Evictions are not for here.
    pub(super) fn activation(
        &mut self,
        activation: Activation,
        acceptance: Acceptance,
        policy: &Policy,
        rows: &mut Rows,
    ) {
        if acceptance.proves(self.proposed(), Evidence::Activation(&activation)) {
            self.accept(policy, rows);
        }
        let queries = activation
            .jobs
            .iter()
            .filter(|job| matches!(job, Job::Query { .. }));
        let queries = queries.count() as u64;
        // From zero on, so that the first one is an increase.
        let begins = |job: &Job| matches!(job, Job::Initialize(_));
        if queries > 0 || activation.jobs.iter().any(begins) {
            self.asked(queries, 0, rows);
        }
        if activation.is_query_only() {
            if self.ahead == Ahead::Perhaps && activation.is_direct_query() {
                self.ahead = Ahead::Yes;
            }
            return;
        }
        let moved = activation.at > self.clock;
        if activation.history_length > self.history_length {
            if self.ahead == Ahead::Yes {
                self.put_off(activation.at, policy, rows);
            }
            self.ahead = match moved || self.clock_is_local {
                true => Ahead::No,
                false => Ahead::Perhaps,
            };
            self.clock_is_local &= !moved;
        } else {
            self.clock_is_local |= moved;
        }
        self.history_length = activation.history_length;
        self.clock = activation.at;
        self.replaying = activation.replaying;
        self.backoffs.clear();
        for job in activation.jobs {
            self.job(job, policy, rows);
        }
    }

    /// The run is no longer in the worker's cache.
    pub(super) fn leave(
        mut self,
        evidence: Evidence<'_>,
        acceptance: Acceptance,
        policy: &Policy,
        rows: &mut Rows,
    ) {
        if acceptance.proves(self.proposed(), evidence) {
            self.accept(policy, rows);
        }
        rows.left.push(self.row.key);
    }

    fn proposed(&self) -> Proposed {
        Proposed {
            history_length: self.history_length,
            ahead: self.ahead == Ahead::Yes,
        }
    }

    /// What is pending belongs to the task that begins now.
    fn put_off(&mut self, at: Micros, policy: &Policy, rows: &mut Rows) {
        for pending in &mut self.pending {
            match pending {
                Pending::Opened(id) => {
                    if let Some(step) = self.open.get_mut(id) {
                        step.started_at = step.started_at.map(|_| at);
                        if !step.accepted {
                            step.scheduled_at = at;
                            let row = step.row(&self.row.key, Phase::Provisional, policy);
                            rows.events.push(row);
                        }
                    }
                }
                Pending::Closed(step) => {
                    step.ended_at = Some(at);
                    if !step.accepted {
                        step.scheduled_at = at;
                    }
                }
                Pending::Run { at: closed_at, .. } => *closed_at = at,
                Pending::CancelRequested(_) => {}
            }
        }
    }

    /// The server accepted what was pending.
    fn accept(&mut self, policy: &Policy, rows: &mut Rows) {
        let mut closed = false;
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Opened(id) => {
                    if let Some(mut step) = self.open.remove(&id) {
                        self.count(&mut step);
                        rows.events
                            .push(step.row(&self.row.key, Phase::Open, policy));
                        self.open.insert(id, step);
                    }
                }
                Pending::CancelRequested(id) => {
                    if let Some(step) = self.open.get_mut(&id) {
                        step.cancellation = Cancellation::Accepted;
                    }
                }
                Pending::Closed(mut step) => {
                    self.count(&mut step);
                    rows.events
                        .push(step.row(&self.row.key, Phase::Closed, policy));
                }
                Pending::Run {
                    status,
                    at,
                    output,
                    failure,
                } => {
                    closed = true;
                    self.close(status, at, output.as_ref(), failure, policy);
                }
            }
        }
        if self.clock > self.row.accepted_through || closed {
            self.row.accepted_through = self.row.accepted_through.max(self.clock);
            rows.runs.push(self.row.clone());
        }
    }

    fn close(
        &mut self,
        status: Status,
        at: Micros,
        output: Option<&Redacted>,
        failure: Option<Failure>,
        policy: &Policy,
    ) {
        self.row.phase = Phase::Closed;
        self.row.status = status;
        self.row.closed_at = Some(at);
        self.row.output_redacted = output.and_then(|output| policy.compose(&[("output", output)]));
        if let Some(failure) = failure {
            self.row.error_type = Some(failure.error_type);
            self.row.error_message = failure.message;
        }
    }

    /// Counts what leaves nothing in history; a replayer makes it up.
    fn asked(&self, queries: u64, rejected_updates: u64, rows: &mut Rows) {
        if self.row.source < Source::Live {
            return;
        }
        let asked = rows.asked.get_or_insert_with(|| Asked {
            run: self.row.key.clone(),
            workflow_type: self.row.workflow_type.clone(),
            queries: 0,
            rejected_updates: 0,
        });
        asked.queries += queries;
        asked.rejected_updates += rejected_updates;
    }

    /// Gives an accepted step its number, once.
    fn count(&mut self, step: &mut Step) {
        if std::mem::replace(&mut step.accepted, true) {
            return;
        }
        self.row.steps_seen += 1;
        if step.counted {
            let key = (step.kind, step.step.clone(), step.name.clone());
            let taken = self.taken.entry(key).or_default();
            *taken += 1;
            step.attempt = *taken;
        }
    }

    /// The number that the next command of this kind, step and name has if all that is pending
    /// is accepted.
    fn next(&self, kind: &'static str, step: &StepKey, name: &str) -> u32 {
        let same = |other: &Step| other.kind == kind && other.step == *step && other.name == name;
        let proposed = self
            .open
            .values()
            .filter(|other| !other.accepted && same(other))
            .count();
        let taken = self
            .taken
            .get(&(kind, step.clone(), name.to_owned()))
            .copied()
            .unwrap_or_default();
        taken + u32::try_from(proposed).unwrap_or(u32::MAX - taken - 1) + 1
    }

    fn propose(&mut self, id: StepId, step: Step, policy: &Policy, rows: &mut Rows) {
        rows.events.push(self.provisional(&step, policy));
        self.pending.push(Pending::Opened(id.clone()));
        self.open.insert(id, step);
    }

    fn propose_closed(&mut self, step: Step, policy: &Policy, rows: &mut Rows) {
        rows.events.push(self.provisional(&step, policy));
        self.pending.push(Pending::Closed(Box::new(step)));
    }

    fn provisional(&self, step: &Step, policy: &Policy) -> omnitrace_store::row::EventRow {
        step.row(&self.row.key, Phase::Provisional, policy)
    }

    /// A step that is cancelled before its task completes leaves nothing in history.
    fn vanish(&mut self, id: &StepId) -> bool {
        let vanishes = self
            .open
            .get(id)
            .is_some_and(|step| !step.accepted && !step.local);
        if vanishes {
            self.open.remove(id);
        }
        vanishes
    }
}
