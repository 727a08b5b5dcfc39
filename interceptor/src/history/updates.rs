//! Updates: admitted, accepted, completed, with and without the event that the server names.
//!
//! Invariant: an update that no event has accepted has no end.

use temporalio_common::protos::temporal::api::{
    history::v1::{
        WorkflowExecutionUpdateAcceptedEventAttributes,
        WorkflowExecutionUpdateAdmittedEventAttributes,
        WorkflowExecutionUpdateCompletedEventAttributes,
    },
    update::v1::outcome,
};

use super::events::{At, sender};
use super::failures;
use super::reader::{Admitted, Reader, Taken};
use super::task::Answer;
use crate::observe::{Command, Job};
use crate::policy::Redacted;

impl Reader {
    /// A later event accepts it, and may leave out what it asks for.
    pub(super) fn update_admitted(
        &mut self,
        a: WorkflowExecutionUpdateAdmittedEventAttributes,
        at: At,
    ) -> Taken {
        let Some(request) = a.request else {
            return Taken::Skipped;
        };
        let id = request.meta.as_ref().map(|meta| meta.update_id.clone());
        let admitted = Admitted {
            request,
            event_type: at.event_type,
        };
        match id.filter(|id| !self.admitted.contains_key(id)) {
            Some(id) => {
                self.admitted.insert(id, admitted);
                Taken::Read
            }
            None => Taken::Skipped,
        }
    }

    pub(super) fn update_accepted(
        &mut self,
        a: WorkflowExecutionUpdateAcceptedEventAttributes,
        at: At,
    ) -> Option<Taken> {
        let of_event = a.accepted_request;
        let id = of_event
            .as_ref()
            .and_then(|request| request.meta.as_ref())
            .map(|meta| meta.update_id.clone())
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| a.protocol_instance_id.clone());
        let admitted = self.admitted.remove(&id).map(|admitted| admitted.request);
        let request = of_event
            .filter(|request| request.input.is_some())
            .or(admitted)?;
        let protocol_id = match a.protocol_instance_id.is_empty() {
            true => id.clone(),
            false => a.protocol_instance_id,
        };
        let input = request.input.unwrap_or_default();
        self.updates
            .insert(at.id, (protocol_id.clone(), id.clone()));
        let delivered = Job::Update {
            protocol_id: protocol_id.clone(),
            id,
            name: input.name,
            sender: sender(input.header.as_ref()),
            input: self.redact(input.args),
        };
        Some(self.answer(Answer::Update {
            delivered,
            accepted: Command::UpdateAccepted { protocol_id },
        }))
    }

    /// An update's end names the event that accepted it, or the update.
    pub(super) fn update_completed(
        &mut self,
        a: WorkflowExecutionUpdateCompletedEventAttributes,
    ) -> Option<Command> {
        let id = a.meta.unwrap_or_default().update_id;
        let accepted = match self.updates.contains_key(&a.accepted_event_id) {
            true => a.accepted_event_id,
            false => *self.updates.iter().find(|(_, known)| known.1 == id)?.0,
        };
        let (protocol_id, _) = self.updates.remove(&accepted)?;
        Some(match a.outcome.and_then(|outcome| outcome.value) {
            Some(outcome::Value::Failure(failure)) => Command::UpdateRejected {
                protocol_id,
                failure: failures::held(Some(&failure), "", &self.policy),
            },
            Some(outcome::Value::Success(payloads)) => Command::UpdateCompleted {
                protocol_id,
                output: self.redact_one(Some(payloads)).unwrap_or_default(),
            },
            None => Command::UpdateCompleted {
                protocol_id,
                output: Redacted::default(),
            },
        })
    }
}
