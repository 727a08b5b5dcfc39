//! What a workflow proposes.
//!
//! Invariant: nothing of it is real until its task is accepted.

use omnitrace_store::key::Step as StepKey;
use omnitrace_store::row::{Phase, Status};

use super::{Pending, RunTracker};
use crate::observe::{Command, ScheduleActivity};
use crate::policy::Policy;
use crate::tracker::Rows;
use crate::tracker::step::{Cancellation, Step, StepId};

impl RunTracker {
    /// Takes in what the workflow proposes.
    pub(in crate::tracker) fn commands(
        &mut self,
        commands: Vec<Command>,
        policy: &Policy,
        rows: &mut Rows,
    ) {
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
                    self.asked(0, 1, rows);
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

    fn cancel(&mut self, id: StepId) {
        if !self.vanish(&id)
            && let Some(step) = self.open.get_mut(&id)
            && step.cancellation == Cancellation::None
        {
            step.cancellation = Cancellation::Proposed;
            self.pending.push(Pending::CancelRequested(id));
        }
    }
}
