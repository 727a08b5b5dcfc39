//! What a run asked of others: children, signals, cancellations and Nexus operations.
//!
//! Invariant: what follows upon a step counts only while the step is open.

use omnitrace_store::row::Status;
use temporalio_common::protos::temporal::api::{
    failure::v1::Failure as ProtoFailure,
    history::v1::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
};

use super::events::{At, seq};
use super::failures;
use super::reader::{Open, Reader, Taken};
use super::task::Answer;
use crate::observe::{Command, Failure, Job, Outcome};
use crate::sdk::failure::named;

impl Reader {
    pub(super) fn child_failure(&self, proto: Option<&ProtoFailure>) -> Failure {
        let failure = failures::held(proto, "ChildWorkflowExecutionFailure", &self.policy);
        match failure.status {
            Status::Failed => failure,
            // Of these the text is core's.
            _ => named(failure.status, &failure.error_type),
        }
    }

    pub(super) fn child_not_started(&mut self, initiated: i64, failure: Failure, at: At) -> Taken {
        match self.close(initiated, |open| matches!(open, Open::Child { .. })) {
            Some(seq) => self.wait(Job::ChildNotStarted { seq, failure }, at.event_type),
            None => Taken::Skipped,
        }
    }

    pub(super) fn child_ended(&mut self, initiated: i64, outcome: Outcome, at: At) -> Taken {
        match self.close(initiated, |open| matches!(open, Open::Child { .. })) {
            Some(seq) => self.wait(Job::ChildResolved { seq, outcome }, at.event_type),
            None => Taken::Skipped,
        }
    }

    pub(super) fn signal_delivered(
        &mut self,
        initiated: i64,
        failure: Option<Failure>,
        at: At,
    ) -> Taken {
        match self.close(initiated, |open| matches!(open, Open::Signal)) {
            Some(seq) => self.wait(Job::SignalDelivered { seq, failure }, at.event_type),
            None => Taken::Skipped,
        }
    }

    pub(super) fn cancel_delivered(
        &mut self,
        initiated: i64,
        failure: Option<Failure>,
        at: At,
    ) -> Taken {
        if self.child_cancels.remove(&initiated) {
            return Taken::Read;
        }
        match self.close(initiated, |open| matches!(open, Open::Cancel)) {
            Some(seq) => self.wait(Job::CancelDelivered { seq, failure }, at.event_type),
            None => Taken::Skipped,
        }
    }

    /// A request to cancel another workflow, or, from core, a child.
    pub(super) fn cancel_external(
        &mut self,
        a: RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
        at: At,
    ) -> Option<Taken> {
        let workflow_id = a.workflow_execution.unwrap_or_default().workflow_id;
        if !a.child_workflow_only {
            let seq = self.opens(at, Open::Cancel)?;
            let command = Command::CancelExternal { seq, workflow_id };
            return Some(self.answer(Answer::Command(command)));
        }
        self.child_cancels.insert(at.id);
        let child = self.open.iter().find_map(|(id, open)| match open {
            Open::Child {
                workflow_id: known,
                closes_when_canceled,
            } if *known == workflow_id => Some((*id, *closes_when_canceled)),
            _ => None,
        });
        let Some((id, closes)) = child else {
            return Some(Taken::Read);
        };
        let seq = seq(id)?;
        let cancel = Command::CancelChild { seq };
        let outcome = Outcome::Failed(failures::canceled());
        Some(self.answer(match closes {
            true => Answer::Close {
                cancel,
                resolved: Job::ChildResolved { seq, outcome },
            },
            false => Answer::Command(cancel),
        }))
    }

    pub(super) fn nexus_failed(
        &mut self,
        scheduled: i64,
        failure: Option<&ProtoFailure>,
        at: At,
    ) -> Taken {
        let failure = failures::held(failure, "NexusOperationFailure", &self.policy);
        self.nexus_ended(scheduled, Outcome::Failed(failure), at)
    }

    pub(super) fn nexus_ended(&mut self, scheduled: i64, outcome: Outcome, at: At) -> Taken {
        let Some(Open::Nexus { started }) = self.open.get(&scheduled) else {
            return Taken::Skipped;
        };
        let started = *started;
        let Some(seq) = self.close(scheduled, |_| true) else {
            return Taken::Skipped;
        };
        match (started, outcome) {
            (true, outcome) => self.wait(Job::NexusResolved { seq, outcome }, at.event_type),
            (false, Outcome::Failed(failure)) => {
                let failure = Some(failure);
                self.wait(Job::NexusStarted { seq, failure }, at.event_type)
            }
            // It was answered at once.
            (false, outcome) => {
                let failure = None;
                let start = Job::NexusStarted { seq, failure };
                self.wait_for_both(start, Job::NexusResolved { seq, outcome }, at.event_type)
            }
        }
    }
}
