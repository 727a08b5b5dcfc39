//! One run: which of its steps are open, and what of it the server has not accepted yet.
//!
//! Invariant: what follows from a history event is written as a fact at once, its time as inferred;
//! what follows from a command is written as provisional. [`RunTracker::accept`] raises both, or
//! nothing does.

use std::collections::{HashMap, HashSet};

use omnitrace_store::key::Step as StepKey;
use omnitrace_store::row::{Micros, Phase, RunKey, RunRow, Source, Status};

use super::Rows;
use super::acceptance::{Acceptance, Evidence};
use super::step::{Cancellation, Step, StepId};
use crate::observe::{Activation, Command, Failure, Job, Outcome, RunStart, ScheduleActivity};
use crate::policy::{Policy, Redacted};
use crate::sampling::Lineage;

/// Follows one run from its `InitializeWorkflow` to its eviction.
#[derive(Debug)]
pub(crate) struct RunTracker {
    row: RunRow,
    /// Workflow time of the last activation.
    clock: Micros,
    history_length: u32,
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
        row.trace_id = Lineage {
            namespace: &key.namespace,
            workflow_id: &key.workflow_id,
            run_id: &key.run_id,
            first_execution_run_id: start.first_execution_run_id.as_deref(),
            continued_from_run_id: start.continued_from_run_id.as_deref(),
            trigger: start.trigger,
        }
        .trace_id();
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
            history_length: 0,
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
        if acceptance.proves(self.history_length, Evidence::Activation(&activation)) {
            self.accept(policy, rows);
        }
        if activation.is_query_only() {
            return;
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
        if acceptance.proves(self.history_length, evidence) {
            self.accept(policy, rows);
        }
        rows.left.push(self.row.key);
    }

    fn job(&mut self, job: Job, policy: &Policy, rows: &mut Rows) {
        match job {
            Job::Initialize(_) => rows.runs.push(self.row.clone()),
            Job::TimerFired { seq } => {
                self.resolve(StepId::Timer(seq), Outcome::Completed(None), policy, rows);
            }
            Job::ActivityResolved { seq, outcome } => {
                self.resolve(StepId::Activity(seq), outcome, policy, rows);
            }
            Job::ChildStarted { seq, run_id } => {
                let clock = self.clock;
                self.started(StepId::Child(seq), policy, rows, |child| {
                    child.started_at = Some(clock);
                    child.detail.insert("run_id".to_owned(), run_id.into());
                });
            }
            Job::ChildNotStarted { seq, failure } => {
                self.resolve(StepId::Child(seq), Outcome::Failed(failure), policy, rows);
            }
            Job::ChildResolved { seq, outcome } => {
                self.resolve(StepId::Child(seq), outcome, policy, rows);
            }
            Job::SignalDelivered { seq, failure } => {
                self.resolve(StepId::Signal(seq), delivered(failure), policy, rows);
            }
            Job::CancelDelivered { seq, failure } => {
                self.resolve(StepId::Cancel(seq), delivered(failure), policy, rows);
            }
            Job::NexusStarted { seq, failure } => match failure {
                Some(failure) => {
                    self.resolve(StepId::Nexus(seq), Outcome::Failed(failure), policy, rows);
                }
                None => {
                    let clock = self.clock;
                    self.started(StepId::Nexus(seq), policy, rows, |operation| {
                        operation.started_at = Some(clock);
                    });
                }
            },
            Job::NexusResolved { seq, outcome } => {
                self.resolve(StepId::Nexus(seq), outcome, policy, rows);
            }
            Job::Signal {
                event_id,
                name,
                input,
            } => {
                let step = StepKey::new(&event_id.to_string());
                let mut signal = Step::new("signal", step, name, 1, self.clock).with_input(input);
                signal.complete(None, self.clock);
                self.propose_closed(signal, policy, rows);
            }
            Job::CancelRequested { reason } => {
                if !std::mem::replace(&mut self.cancel_requested, true) {
                    let step = StepKey::new("run");
                    let mut request =
                        Step::new("cancel_request", step, "cancel_requested", 1, self.clock)
                            .with_input(reason);
                    request.complete(None, self.clock);
                    self.propose_closed(request, policy, rows);
                }
            }
            Job::Update {
                protocol_id,
                id,
                name,
                input,
            } => {
                let update =
                    Step::new("update", StepKey::new(&id), name, 1, self.clock).with_input(input);
                rows.events.push(self.provisional(&update, policy));
                // Not pending yet: the workflow may still reject it.
                self.open.insert(StepId::Update(protocol_id), update);
            }
            Job::PatchKnown { id } => {
                self.patches_known.insert(id);
            }
            Job::RunEnded { status, failure } => {
                self.close(status, self.clock, None, Some(failure), policy);
                rows.runs.push(self.row.clone());
            }
            Job::Query | Job::Evicted(_) => {}
        }
    }

    /// Takes in what the workflow proposes.
    pub(super) fn commands(&mut self, commands: Vec<Command>, policy: &Policy, rows: &mut Rows) {
        for command in commands {
            self.command(command, policy, rows);
        }
    }

    fn command(&mut self, command: Command, policy: &Policy, rows: &mut Rows) {
        match command {
            Command::StartTimer {
                seq,
                timer_id,
                duration_ms,
            } => {
                let step = StepKey::new(&timer_id);
                let mut timer = Step::new("timer", step, "timer", 1, self.clock)
                    .status(Status::Running)
                    .with("duration_ms", duration_ms);
                if let Some(at) = self.backoffs.iter().position(|ms| *ms == duration_ms) {
                    self.backoffs.remove(at);
                    timer = timer.with("la_backoff", true);
                }
                self.propose(StepId::Timer(seq), timer, policy, rows);
            }
            Command::CancelTimer { seq } => {
                let id = StepId::Timer(seq);
                if !self.vanish(&id)
                    && let Some(mut timer) = self.open.remove(&id)
                {
                    timer.status = Status::Canceled;
                    timer.ended_at = Some(self.clock);
                    self.propose_closed(timer, policy, rows);
                }
            }
            Command::ScheduleActivity(activity) => self.schedule(*activity, policy, rows),
            Command::CancelActivity { seq } => self.cancel(StepId::Activity(seq)),
            Command::StartChild {
                seq,
                namespace,
                workflow_id,
                workflow_type,
                input,
            } => {
                let step = StepKey::new(&workflow_id);
                let n = self.next("child_workflow", &step, &workflow_type);
                // As history writes it.
                let namespace = match namespace.is_empty() {
                    true => self.row.key.namespace.clone(),
                    false => namespace,
                };
                let child = Step::new("child_workflow", step, workflow_type, 1, self.clock)
                    .counted(n)
                    .with("namespace", namespace)
                    .with("workflow_id", workflow_id)
                    .with_input(input);
                self.propose(StepId::Child(seq), child, policy, rows);
            }
            Command::CancelChild { seq } => self.cancel(StepId::Child(seq)),
            Command::SignalExternal {
                seq,
                workflow_id,
                name,
                input,
            } => {
                let step = StepKey::new(&workflow_id);
                let n = self.next("signal_external", &step, &name);
                let signal = Step::new("signal_external", step, name, 1, self.clock)
                    .counted(n)
                    .with("workflow_id", workflow_id)
                    .with_input(input);
                self.propose(StepId::Signal(seq), signal, policy, rows);
            }
            Command::CancelSignal { seq } => self.cancel(StepId::Signal(seq)),
            Command::CancelExternal { seq, workflow_id } => {
                let step = StepKey::new(&workflow_id);
                let n = self.next("cancel_external", &step, "cancel");
                let cancel = Step::new("cancel_external", step, "cancel", 1, self.clock)
                    .counted(n)
                    .with("workflow_id", workflow_id);
                self.propose(StepId::Cancel(seq), cancel, policy, rows);
            }
            Command::SetPatch { id } => self.patch(id, policy, rows),
            Command::RecordMarker { name, details } => {
                let mut marker = Step::new("marker", StepKey::new(&name), name, 1, self.clock)
                    .counted(1)
                    .with_input(details);
                marker.complete(None, self.clock);
                // What is read in history is no proposal.
                self.pending.push(Pending::Closed(Box::new(marker)));
            }
            Command::UpdateAccepted { protocol_id } => {
                let id = StepId::Update(protocol_id);
                if let Some(update) = self.open.get_mut(&id) {
                    update.status = Status::Running;
                    update.started_at = Some(self.clock);
                    rows.events
                        .push(update.row(&self.row.key, Phase::Provisional, policy));
                    self.pending.push(Pending::Opened(id));
                }
            }
            Command::UpdateRejected {
                protocol_id,
                failure,
            } => {
                let Some(mut update) = self.open.remove(&StepId::Update(protocol_id)) else {
                    return;
                };
                // An update that was accepted is not rejected any more: it failed.
                if update.started_at.is_some() {
                    update.fail(failure, self.clock);
                    self.propose_closed(update, policy, rows);
                } else {
                    update.detail.insert("rejected".to_owned(), true.into());
                    update.fail(failure, self.clock);
                    // Known to this worker alone: history has nothing of it, so nothing will
                    // ever accept it.
                    rows.events
                        .push(update.row(&self.row.key, Phase::Closed, policy));
                }
            }
            Command::UpdateCompleted {
                protocol_id,
                output,
            } => {
                if let Some(mut update) = self.open.remove(&StepId::Update(protocol_id)) {
                    update.complete(Some(output), self.clock);
                    self.propose_closed(update, policy, rows);
                }
            }
            Command::ScheduleNexus {
                seq,
                endpoint,
                service,
                operation,
                input,
            } => {
                let step = StepKey::new(&format!("{endpoint}/{service}"));
                let n = self.next("nexus_operation", &step, &operation);
                let operation = Step::new("nexus_operation", step, operation, 1, self.clock)
                    .counted(n)
                    .with_input(input);
                self.propose(StepId::Nexus(seq), operation, policy, rows);
            }
            Command::CancelNexus { seq } => self.cancel(StepId::Nexus(seq)),
            Command::Close {
                status,
                output,
                failure,
            } => self.pending.push(Pending::Run {
                status,
                at: self.clock,
                output,
                failure,
            }),
        }
    }

    fn schedule(&mut self, activity: ScheduleActivity, policy: &Policy, rows: &mut Rows) {
        let uses = self
            .activity_uses
            .entry(activity.activity_id.clone())
            .or_default();
        *uses += 1;
        let step = StepKey::nth_use(&activity.activity_id, activity.nth_use.unwrap_or(*uses));
        let mut row = Step::new("activity", step, activity.activity_type, 0, self.clock)
            .with_input(activity.input);
        if let Some(task_queue) = activity.task_queue {
            row = row.with("task_queue", task_queue);
        }
        if let Some(local) = activity.local {
            row.local = true;
            row = row.with("local", true);
            if let Some(first) = local.original_schedule_time {
                row = row
                    .with("original_schedule_time", first)
                    .with("chain_attempt", local.attempt);
            }
        }
        self.propose(StepId::Activity(activity.seq), row, policy, rows);
    }

    fn patch(&mut self, id: String, policy: &Policy, rows: &mut Rows) {
        // In replay a marker that history does not announce has no event.
        if (self.replaying && !self.patches_known.contains(&id))
            || !self.patches_set.insert(id.clone())
        {
            return;
        }
        let mut patch = Step::new("patch", StepKey::new(&id), "patch", 1, self.clock);
        patch.complete(None, self.clock);
        self.propose_closed(patch, policy, rows);
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

    fn cancel(&mut self, id: StepId) {
        if !self.vanish(&id)
            && let Some(step) = self.open.get_mut(&id)
            && step.cancellation == Cancellation::None
        {
            step.cancellation = Cancellation::Proposed;
            self.pending.push(Pending::CancelRequested(id));
        }
    }

    fn started(
        &mut self,
        id: StepId,
        policy: &Policy,
        rows: &mut Rows,
        change: impl FnOnce(&mut Step),
    ) {
        if let Some(step) = self.open.get_mut(&id) {
            step.status = Status::Running;
            change(step);
            rows.events
                .push(step.row(&self.row.key, Phase::Open, policy));
        }
    }

    fn resolve(&mut self, id: StepId, outcome: Outcome, policy: &Policy, rows: &mut Rows) {
        // Unknown: cancelled before its task completed, so it never was.
        let Some(mut step) = self.open.remove(&id) else {
            return;
        };
        match outcome {
            Outcome::Completed(output) => {
                let content = policy.content(&step.name);
                step.complete(
                    output.map(|output| output.into_content(content)),
                    self.clock,
                );
            }
            Outcome::Failed(failure) => step.fail(failure, self.clock),
            Outcome::Backoff {
                duration_ms,
                original_schedule_time,
            } => {
                self.backoffs.push(duration_ms);
                step.status = Status::Failed;
                step.ended_at = Some(self.clock);
                step.detail
                    .insert("backoff_ms".to_owned(), duration_ms.into());
                if let Some(first) = original_schedule_time {
                    step.detail
                        .entry("original_schedule_time")
                        .or_insert(first.into());
                    step.detail.entry("chain_attempt").or_insert(1.into());
                }
            }
        }
        // A resolution comes from an event, but for a local activity's result, and for the end that
        // core makes up when a step is cancelled without waiting for it.
        if step.local || step.cancellation == Cancellation::Proposed {
            self.propose_closed(step, policy, rows);
        } else {
            self.count(&mut step);
            // That it ended is a fact; when, is not yet: if this task fails, it reaches the workflow
            // in a later one.
            let mut row = step.row(&self.row.key, Phase::Closed, policy);
            row.source = Source::Inferred;
            rows.events.push(row);
            self.pending.push(Pending::Closed(Box::new(step)));
        }
    }
}

fn delivered(failure: Option<Failure>) -> Outcome {
    failure.map_or(Outcome::Completed(None), Outcome::Failed)
}
