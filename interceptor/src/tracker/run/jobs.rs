//! What reaches a workflow.
//!
//! Invariant: what comes from an event is a fact; a local activity's result, and an end that core makes
//! up, are proposals.

use omnitrace_store::key::Step as StepKey;
use omnitrace_store::row::{Phase, Source, Status};

use super::{Pending, RunTracker};
use crate::observe::{Failure, Job, Outcome};
use crate::policy::Policy;
use crate::tracker::Rows;
use crate::tracker::step::{Cancellation, Step, StepId};

impl RunTracker {
    pub(super) fn job(&mut self, job: Job, policy: &Policy, rows: &mut Rows) {
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
                sender,
            } => {
                let step = StepKey::new(&event_id.to_string());
                let mut signal = Step::new("signal", step, name, 1, self.clock)
                    .with_input(input)
                    .sent_by(sender);
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
                sender,
            } => {
                let update = Step::new("update", StepKey::new(&id), name, 1, self.clock)
                    .with_input(input)
                    .sent_by(sender);
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
            Job::Query { .. } | Job::Evicted(_) => {}
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
            // Told again with its time, should it turn out to belong to a later task.
            self.pending.push(Pending::Opened(id));
        }
    }

    fn resolve(&mut self, id: StepId, outcome: Outcome, policy: &Policy, rows: &mut Rows) {
        // Unknown: cancelled before its task completed, so it never was.
        let Some(mut step) = self.open.remove(&id) else {
            return;
        };
        match outcome {
            Outcome::Completed(output) => {
                let content = step.content(policy);
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
