//! Events, one by one: each is something that reaches the workflow, or something that it answered.
//!
//! Invariant: an answer counts only within a completed task, and what follows upon a step only while the
//! step is open; everything else is skipped.

use omnitrace_store::row::{Micros, Status};
use temporalio_common::protos::{
    coresdk::workflow_activation::{InitializeWorkflow, start_workflow_from_attribs},
    temporal::api::{
        common::v1::{Header, Payload, Payloads},
        enums::v1::ContinueAsNewInitiator,
        history::v1::{
            HistoryEvent, WorkflowExecutionContinuedAsNewEventAttributes,
            WorkflowExecutionStartedEventAttributes, history_event::Attributes,
        },
    },
};

use super::failures;
use super::reader::{Open, Reader, Taken};
use super::task::Answer;
use crate::observe::{Command, Failure, Job, Outcome, RunStart, Sender};
use crate::policy::{Content, Redacted};
use crate::sdk::activation::{beginning, child_cause, run_start};
use crate::sdk::failure::named;
use crate::sdk::header::StepHeader;
use crate::sdk::payload::{micros, millis, redact, redact_one};
use crate::sdk::tracer_data;
use crate::switches::{Beginning, Switchboard};

/// Where an event stands.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) id: i64,
    pub(super) time: Micros,
    pub(super) event_type: i32,
}

impl At {
    /// What a step that this event begins is called until it ends.
    pub(super) fn seq(self) -> Option<u32> {
        seq(self.id)
    }
}

pub(super) fn seq(event_id: i64) -> Option<u32> {
    u32::try_from(event_id).ok()
}

impl Reader {
    /// Takes in an event.
    pub(super) fn event(&mut self, event: HistoryEvent) -> Taken {
        let Some(attributes) = event.attributes else {
            return Taken::Skipped;
        };
        if self.closed {
            return Taken::Skipped;
        }
        if let Some(time) = event.event_time {
            self.event_time = micros(time.seconds, time.nanos);
        }
        let at = At {
            id: event.event_id,
            time: self.event_time,
            event_type: event.event_type,
        };
        if !self.begun
            && !matches!(
                attributes,
                Attributes::WorkflowExecutionStartedEventAttributes(_)
            )
        {
            // Its beginning is lost.
            let start = run_start(
                &InitializeWorkflow::default(),
                self.key.clone(),
                &self.policy,
            );
            self.begin(start, None);
        }
        match self.delivered(attributes, at) {
            Ok(taken) => taken,
            Err(answer) => self.answered(*answer, at).unwrap_or(Taken::Skipped),
        }
    }

    /// Events that reach the workflow, tasks, and what is known of attempts. Gives back the others.
    fn delivered(&mut self, attributes: Attributes, at: At) -> Result<Taken, Box<Attributes>> {
        use Attributes as E;
        Ok(match attributes {
            E::WorkflowExecutionStartedEventAttributes(a) => self.started(a, at),
            E::WorkflowTaskScheduledEventAttributes(_) => {
                self.flush();
                Taken::Read
            }
            E::WorkflowTaskStartedEventAttributes(_) => self.task_started(at.time),
            E::WorkflowTaskCompletedEventAttributes(a) => self.task_completed(a, at.time),
            E::WorkflowTaskFailedEventAttributes(_) | E::WorkflowTaskTimedOutEventAttributes(_) => {
                self.under_way = None;
                Taken::Read
            }
            E::ActivityTaskStartedEventAttributes(a) => self.attempt_started(a, at),
            E::ActivityTaskCompletedEventAttributes(a) => {
                self.activity_ended(a.scheduled_event_id, Ok(a.result), at)
            }
            E::ActivityTaskFailedEventAttributes(a) => {
                let failure = failures::held(a.failure.as_ref(), "ActivityFailure", &self.policy);
                self.activity_ended(a.scheduled_event_id, Err(failure), at)
            }
            E::ActivityTaskTimedOutEventAttributes(a) => {
                let failure = match &a.failure {
                    None => named(Status::TimedOut, "TimeoutFailure.Unspecified"),
                    held => failures::held(held.as_ref(), "ActivityFailure", &self.policy),
                };
                self.activity_ended(a.scheduled_event_id, Err(failure), at)
            }
            E::ActivityTaskCanceledEventAttributes(a) => {
                self.activity_ended(a.scheduled_event_id, Err(failures::canceled()), at)
            }
            E::TimerFiredEventAttributes(a) => match self.timer(a.started_event_id, &a.timer_id) {
                Some(seq) => self.wait(Job::TimerFired { seq }, at.event_type),
                None => Taken::Skipped,
            },
            E::WorkflowExecutionSignaledEventAttributes(a) => {
                let job = Job::Signal {
                    event_id: at.id,
                    name: a.signal_name,
                    input: self.redact(a.input),
                    sender: sender(a.header.as_ref()),
                };
                self.wait(job, at.event_type)
            }
            E::WorkflowExecutionCancelRequestedEventAttributes(a) => {
                let reason = serde_json::json!({ "reason": a.cause });
                let reason = self.policy.json(reason, Content::Plain);
                self.wait(Job::CancelRequested { reason }, at.event_type)
            }
            E::WorkflowExecutionUpdateAdmittedEventAttributes(a) => self.update_admitted(a, at),
            E::WorkflowExecutionTerminatedEventAttributes(a) => {
                let message = (!a.reason.is_empty()).then(|| self.policy.error_message(&a.reason));
                let failure = Failure {
                    message,
                    ..failures::terminated()
                };
                self.run_ended(Status::Terminated, failure, at)
            }
            E::WorkflowExecutionTimedOutEventAttributes(_) => {
                self.run_ended(Status::TimedOut, failures::timed_out(), at)
            }
            E::StartChildWorkflowExecutionFailedEventAttributes(a) => {
                let cause = named(Status::Failed, child_cause(a.cause().as_str_name()));
                self.child_not_started(a.initiated_event_id, cause, at)
            }
            E::ChildWorkflowExecutionStartedEventAttributes(a) => {
                match (
                    self.open.get(&a.initiated_event_id),
                    seq(a.initiated_event_id),
                ) {
                    (Some(Open::Child { .. }), Some(seq)) => {
                        let run_id = a.workflow_execution.unwrap_or_default().run_id;
                        self.wait(Job::ChildStarted { seq, run_id }, at.event_type)
                    }
                    _ => Taken::Skipped,
                }
            }
            E::ChildWorkflowExecutionCompletedEventAttributes(a) => {
                let outcome = Outcome::Completed(self.redact_one(a.result));
                self.child_ended(a.initiated_event_id, outcome, at)
            }
            E::ChildWorkflowExecutionFailedEventAttributes(a) => {
                let failure = a.failure.as_ref();
                // What is in the wrapper of a child is read as such.
                let failure = self.child_failure(failure);
                self.child_ended(a.initiated_event_id, Outcome::Failed(failure), at)
            }
            E::ChildWorkflowExecutionCanceledEventAttributes(a) => {
                let outcome = Outcome::Failed(failures::canceled());
                self.child_ended(a.initiated_event_id, outcome, at)
            }
            E::ChildWorkflowExecutionTimedOutEventAttributes(a) => {
                let outcome = Outcome::Failed(failures::timed_out());
                self.child_ended(a.initiated_event_id, outcome, at)
            }
            E::ChildWorkflowExecutionTerminatedEventAttributes(a) => {
                let outcome = Outcome::Failed(failures::terminated());
                self.child_ended(a.initiated_event_id, outcome, at)
            }
            E::ExternalWorkflowExecutionSignaledEventAttributes(a) => {
                self.signal_delivered(a.initiated_event_id, None, at)
            }
            E::SignalExternalWorkflowExecutionFailedEventAttributes(a) => {
                let failure = failures::not_signaled(a.cause());
                self.signal_delivered(a.initiated_event_id, Some(failure), at)
            }
            E::ExternalWorkflowExecutionCancelRequestedEventAttributes(a) => {
                self.cancel_delivered(a.initiated_event_id, None, at)
            }
            E::RequestCancelExternalWorkflowExecutionFailedEventAttributes(a) => {
                let failure = failures::not_canceled(a.cause());
                self.cancel_delivered(a.initiated_event_id, Some(failure), at)
            }
            E::NexusOperationStartedEventAttributes(a) => {
                match (
                    self.open.get_mut(&a.scheduled_event_id),
                    seq(a.scheduled_event_id),
                ) {
                    (Some(Open::Nexus { started }), Some(seq)) => {
                        *started = true;
                        let failure = None;
                        self.wait(Job::NexusStarted { seq, failure }, at.event_type)
                    }
                    _ => Taken::Skipped,
                }
            }
            E::NexusOperationCompletedEventAttributes(a) => {
                let output = redact_one(a.result.as_ref(), &self.policy);
                self.nexus_ended(a.scheduled_event_id, Outcome::Completed(output), at)
            }
            E::NexusOperationFailedEventAttributes(a) => {
                self.nexus_failed(a.scheduled_event_id, a.failure.as_ref(), at)
            }
            E::NexusOperationCanceledEventAttributes(a) => {
                self.nexus_failed(a.scheduled_event_id, a.failure.as_ref(), at)
            }
            E::NexusOperationTimedOutEventAttributes(a) => {
                self.nexus_failed(a.scheduled_event_id, a.failure.as_ref(), at)
            }
            // Steps of the way of a cancellation: its end is an event of its own.
            E::NexusOperationCancelRequestCompletedEventAttributes(a) => {
                self.of_open(a.scheduled_event_id)
            }
            E::NexusOperationCancelRequestFailedEventAttributes(a) => {
                self.of_open(a.scheduled_event_id)
            }
            other => return Err(Box::new(other)),
        })
    }

    /// Events that the workflow's answer to a task made; `None` for those that are not known.
    fn answered(&mut self, attributes: Attributes, at: At) -> Option<Taken> {
        use Attributes as E;
        let identity = self.task.as_ref()?.identity.clone();
        let command = match attributes {
            E::ActivityTaskScheduledEventAttributes(a) => self.schedule(a, at)?,
            E::ActivityTaskCancelRequestedEventAttributes(a) => {
                return self.cancel_activity(a.scheduled_event_id);
            }
            E::TimerStartedEventAttributes(a) => {
                let seq = self.opens(
                    at,
                    Open::Timer {
                        timer_id: a.timer_id.clone(),
                    },
                )?;
                Command::StartTimer {
                    seq,
                    timer_id: a.timer_id,
                    duration_ms: a
                        .start_to_fire_timeout
                        .map_or(0, |d| millis(d.seconds, d.nanos)),
                }
            }
            E::TimerCanceledEventAttributes(a) => Command::CancelTimer {
                seq: self.timer(a.started_event_id, &a.timer_id)?,
            },
            E::MarkerRecordedEventAttributes(a) => return self.marker(a, identity, at),
            E::StartChildWorkflowExecutionInitiatedEventAttributes(a) => {
                let header = header(a.header.as_ref());
                let child = Open::Child {
                    workflow_id: a.workflow_id.clone(),
                    closes_when_canceled: closes_when_canceled(&header),
                };
                Command::StartChild {
                    seq: self.opens(at, child)?,
                    namespace: a.namespace,
                    workflow_id: a.workflow_id,
                    workflow_type: a.workflow_type.unwrap_or_default().name,
                    input: self.redact(a.input),
                }
            }
            E::SignalExternalWorkflowExecutionInitiatedEventAttributes(a) => {
                Command::SignalExternal {
                    seq: self.opens(at, Open::Signal)?,
                    workflow_id: a.workflow_execution.unwrap_or_default().workflow_id,
                    name: a.signal_name,
                    input: self.redact(a.input),
                }
            }
            E::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(a) => {
                return self.cancel_external(a, at);
            }
            E::WorkflowExecutionUpdateAcceptedEventAttributes(a) => {
                return self.update_accepted(a, at);
            }
            E::WorkflowExecutionUpdateCompletedEventAttributes(a) => self.update_completed(a)?,
            E::NexusOperationScheduledEventAttributes(a) => Command::ScheduleNexus {
                seq: self.opens(at, Open::Nexus { started: false })?,
                endpoint: a.endpoint,
                service: a.service,
                operation: a.operation,
                input: redact(a.input.as_slice(), Content::Plain, &self.policy),
            },
            E::NexusOperationCancelRequestedEventAttributes(a) => {
                if !matches!(
                    self.open.get(&a.scheduled_event_id),
                    Some(Open::Nexus { .. })
                ) {
                    return None;
                }
                Command::CancelNexus {
                    seq: seq(a.scheduled_event_id)?,
                }
            }
            // What is known of a run, and no step.
            E::UpsertWorkflowSearchAttributesEventAttributes(_)
            | E::WorkflowPropertiesModifiedEventAttributes(_) => return Some(Taken::Read),
            E::WorkflowExecutionCompletedEventAttributes(a) => Command::Close {
                status: Status::Completed,
                output: self.redact_one(a.result),
                failure: None,
            },
            E::WorkflowExecutionFailedEventAttributes(a) => Command::Close {
                status: Status::Failed,
                output: None,
                failure: a
                    .failure
                    .as_ref()
                    .map(|proto| failures::held(Some(proto), "", &self.policy)),
            },
            E::WorkflowExecutionCanceledEventAttributes(a) => Command::Close {
                status: Status::Canceled,
                output: a.details.map(|details| self.redact(Some(details))),
                failure: None,
            },
            E::WorkflowExecutionContinuedAsNewEventAttributes(a) => self.continued(a),
            _ => return None,
        };
        let closes = matches!(command, Command::Close { .. });
        let taken = self.answer(Answer::Command(command));
        if closes {
            self.closed = true;
            self.flush();
        }
        Some(taken)
    }

    fn started(&mut self, a: WorkflowExecutionStartedEventAttributes, at: At) -> Taken {
        if self.begun {
            return Taken::Skipped;
        }
        let task_queue = a.task_queue.clone().unwrap_or_default().name;
        let workflow_id = self.key.workflow_id.clone();
        let start = start_workflow_from_attribs(a, workflow_id, 0, Default::default());
        if let Some(switches) = &self.switches {
            self.policy = switches.policy(&Beginning {
                at: at.time,
                ..beginning(&start, switches)
            });
        }
        let start = RunStart {
            task_queue,
            started_at: (at.time != 0).then_some(at.time),
            trace_per_chain: (self.switches.as_ref()).is_some_and(Switchboard::trace_per_chain),
            ..run_start(&start, self.key.clone(), &self.policy)
        };
        self.begin(start, Some(at.event_type));
        Taken::Read
    }

    fn run_ended(&mut self, status: Status, failure: Failure, at: At) -> Taken {
        self.flush();
        self.ended = Some((at.time, status, failure));
        self.closed = true;
        Taken::Read
    }

    /// Opens a step, named after its event; `None` if there is no such name, or it is taken.
    pub(super) fn opens(&mut self, at: At, open: Open) -> Option<u32> {
        let seq = at.seq()?;
        if self.open.contains_key(&at.id) {
            return None;
        }
        self.open.insert(at.id, open);
        Some(seq)
    }

    fn of_open(&self, event_id: i64) -> Taken {
        match self.open.contains_key(&event_id) {
            true => Taken::Read,
            false => Taken::Skipped,
        }
    }

    /// Closes a timer, by the event that started it or by its id.
    fn timer(&mut self, event_id: i64, timer_id: &str) -> Option<u32> {
        let is_it = |id: &i64, open: &Open| match open {
            Open::Timer { timer_id: known } => {
                *id == event_id || (event_id == 0 && known == timer_id)
            }
            _ => false,
        };
        let (id, _) = self.open.iter().find(|(id, open)| is_it(id, open))?;
        let id = *id;
        self.open.remove(&id);
        seq(id)
    }

    pub(super) fn close(
        &mut self,
        event_id: i64,
        is_it: impl FnOnce(&Open) -> bool,
    ) -> Option<u32> {
        let open = self.open.get(&event_id)?;
        if !is_it(open) {
            return None;
        }
        self.open.remove(&event_id);
        seq(event_id)
    }

    /// A run that went on as a new one. Older servers wrote it for retries and cron runs too, which for
    /// their worker had failed or completed.
    #[expect(deprecated, reason = "what older servers wrote")]
    fn continued(&self, a: WorkflowExecutionContinuedAsNewEventAttributes) -> Command {
        let by_server = matches!(
            a.initiator(),
            ContinueAsNewInitiator::Retry | ContinueAsNewInitiator::CronSchedule
        );
        match (by_server, &a.failure) {
            (true, Some(failure)) => Command::Close {
                status: Status::Failed,
                output: None,
                failure: Some(failures::held(Some(failure), "", &self.policy)),
            },
            (true, None) => Command::Close {
                status: Status::Completed,
                output: self.redact_one(a.last_completion_result),
                failure: None,
            },
            (false, _) => Command::Close {
                status: Status::ContinuedAsNew,
                output: Some(self.redact(a.input)),
                failure: None,
            },
        }
    }

    pub(super) fn redact(&self, payloads: Option<Payloads>) -> Redacted {
        let payloads = payloads.unwrap_or_default().payloads;
        redact(&payloads, Content::Plain, &self.policy)
    }

    pub(super) fn redact_one(&self, payloads: Option<Payloads>) -> Option<Redacted> {
        redact_one(single(payloads).as_ref(), &self.policy)
    }
}

pub(super) fn single(payloads: Option<Payloads>) -> Option<Payload> {
    payloads?.payloads.into_iter().next()
}

pub(super) fn header(header: Option<&Header>) -> StepHeader {
    header
        .and_then(|header| StepHeader::read(&header.fields))
        .unwrap_or_default()
}

pub(super) fn sender(header: Option<&Header>) -> Sender {
    header.map_or_else(Sender::default, |header| {
        tracer_data::sender(&header.fields)
    })
}

/// Whether core closes a step as soon as its cancellation was requested. Without the header nobody
/// knows, and then its end is where history shows it.
pub(super) fn closes_when_canceled(header: &StepHeader) -> bool {
    matches!(
        header.cancellation_type.as_deref(),
        Some("try_cancel" | "abandon")
    )
}
