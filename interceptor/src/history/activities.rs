//! Activities, local ones and other markers: their steps, and what is known of their attempts.
//!
//! Invariant: a step and its attempts have the same how-manieth use of their id.

use std::collections::HashMap;

use omnitrace_store::key::Step as StepKey;
use omnitrace_store::row::Status;
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads},
    failure::v1::Failure as ProtoFailure,
    history::v1::{
        ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
        MarkerRecordedEventAttributes,
    },
};

use super::attempts::{Activity, Started};
use super::events::{At, closes_when_canceled, header, seq, single};
use super::failures;
use super::marker::{self, Marker};
use super::reader::{Open, Reader, Taken};
use super::task::{Answer, Local};
use crate::observe::{Command, Failure, Job, LocalActivity, Outcome, ScheduleActivity};
use crate::policy::{Content, Redacted};
use crate::sdk::MAX_OUTPUT_BYTES;
use crate::sdk::activation::filled;
use crate::sdk::payload::{redact, redact_one};

impl Reader {
    /// The how-manieth use of an activity id this is, if nothing says so.
    fn nth_use(&mut self, activity_id: &str, told: Option<u32>) -> u32 {
        let uses = self.uses.entry(activity_id.to_owned()).or_default();
        *uses = told.unwrap_or_else(|| uses.saturating_add(1));
        *uses
    }

    pub(super) fn schedule(
        &mut self,
        a: ActivityTaskScheduledEventAttributes,
        at: At,
    ) -> Option<Command> {
        let header = header(a.header.as_ref());
        let activity_type = a.activity_type.unwrap_or_default().name;
        let task_queue = a.task_queue.unwrap_or_default().name;
        let seq = at.seq().filter(|_| !self.open.contains_key(&at.id))?;
        let nth_use = self.nth_use(&a.activity_id, header.nth_use);
        let open = Open::Activity {
            activity: Activity {
                step: StepKey::nth_use(&a.activity_id, nth_use),
                activity_type: activity_type.clone(),
                task_queue: task_queue.clone(),
                local: false,
            },
            scheduled_at: at.time,
            closes_when_canceled: closes_when_canceled(&header),
            started: None,
        };
        self.open.insert(at.id, open);
        let content = self.policy.content(&activity_type);
        let input = a.input.unwrap_or_default().payloads;
        Some(Command::ScheduleActivity(Box::new(ScheduleActivity {
            seq,
            activity_id: a.activity_id,
            activity_type,
            task_queue: filled(&task_queue),
            input: redact(&input, content, &self.policy),
            nth_use: Some(nth_use),
            local: None,
        })))
    }

    /// The server tells of an attempt when it ends for good, with what it knows of the one before.
    pub(super) fn attempt_started(
        &mut self,
        a: ActivityTaskStartedEventAttributes,
        at: At,
    ) -> Taken {
        let Some(Open::Activity {
            activity,
            scheduled_at,
            started,
            ..
        }) = self.open.get_mut(&a.scheduled_event_id)
        else {
            return Taken::Skipped;
        };
        // 0 is written by servers that did not count.
        let attempt = a.attempt.max(1).unsigned_abs();
        let this = Started {
            attempt,
            worker: a.identity,
            scheduled_at: (attempt == 1).then_some(*scheduled_at),
            at: Some(at.time),
        };
        let mut rows = vec![activity.started(&self.key, &this, &self.policy)];
        if let Some(failure) = a.last_failure.filter(|_| attempt > 1) {
            let before = Started {
                attempt: attempt - 1,
                // It may have been another one.
                worker: String::new(),
                scheduled_at: (attempt == 2).then_some(*scheduled_at),
                at: None,
            };
            let failure = failures::held(Some(&failure), "", &self.policy);
            rows.push(activity.ended(&self.key, &before, None, None, Some(failure), &self.policy));
        }
        *started = Some(this);
        rows.into_iter().for_each(|row| self.attempt_row(row));
        Taken::Read
    }

    pub(super) fn activity_ended(
        &mut self,
        scheduled: i64,
        end: Result<Option<Payloads>, Failure>,
        at: At,
    ) -> Taken {
        let Some(Open::Activity {
            activity, started, ..
        }) = self.open.get(&scheduled)
        else {
            return Taken::Skipped;
        };
        let Some(seq) = seq(scheduled) else {
            return Taken::Skipped;
        };
        let (payload, failure) = match end {
            Ok(result) => (single(result), None),
            Err(failure) => (None, Some(failure)),
        };
        if let Some(started) = started {
            let short = payload.as_ref().filter(|p| is_short(Some(p)));
            let output = redact_one(short, &self.policy);
            let row = activity.ended(
                &self.key,
                started,
                Some(at.time),
                output,
                failure.clone(),
                &self.policy,
            );
            self.attempt_row(row);
        }
        self.open.remove(&scheduled);
        let outcome = match failure {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Completed(redact_one(payload.as_ref(), &self.policy)),
        };
        self.wait(Job::ActivityResolved { seq, outcome }, at.event_type)
    }

    pub(super) fn cancel_activity(&mut self, scheduled: i64) -> Option<Taken> {
        let Some(Open::Activity {
            closes_when_canceled,
            ..
        }) = self.open.get(&scheduled)
        else {
            return None;
        };
        let closes = *closes_when_canceled;
        let seq = seq(scheduled)?;
        let cancel = Command::CancelActivity { seq };
        let outcome = Outcome::Failed(failures::canceled());
        Some(self.answer(match closes {
            true => Answer::Close {
                cancel,
                resolved: Job::ActivityResolved { seq, outcome },
            },
            false => Answer::Command(cancel),
        }))
    }

    pub(super) fn marker(
        &mut self,
        mut a: MarkerRecordedEventAttributes,
        identity: String,
        at: At,
    ) -> Option<Taken> {
        let command = match marker::read(&a) {
            Marker::LocalActivity(local) => {
                let result = a.details.remove("result");
                let input = a.details.remove("input");
                let ended = LocalEnd {
                    payload: single(result),
                    failure: a.failure,
                    input,
                    identity,
                };
                return self.local_activity(local, ended, at);
            }
            Marker::Patch(id) => Command::SetPatch { id },
            Marker::Other => Command::RecordMarker {
                name: a.marker_name,
                details: self.marker_details(&a.details),
            },
        };
        Some(self.answer(Answer::Command(command)))
    }

    /// The payloads of a marker of another kind, in the order of their names.
    fn marker_details(&self, details: &HashMap<String, Payloads>) -> Redacted {
        let mut named: Vec<_> = details.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        let payloads: Vec<Payload> = named
            .into_iter()
            .flat_map(|(_, payloads)| payloads.payloads.iter().cloned())
            .collect();
        redact(&payloads, Content::Plain, &self.policy)
    }

    fn local_activity(
        &mut self,
        local: marker::LocalActivity,
        ended: LocalEnd,
        at: At,
    ) -> Option<Taken> {
        let seq = at.seq()?;
        let nth_use = self.nth_use(&local.activity_id, None);
        let attempt = local.attempt.max(1);
        // A link of a chain has the schedule time of the first one.
        let link = local
            .original_schedule_time
            .map(|first| (local.activity_type.clone(), first));
        let follows = link.as_ref().and_then(|link| self.chains.remove(link));
        if let (Some(link), Some(_)) = (link, local.backoff_ms) {
            self.chains.insert(link, attempt.saturating_add(1));
        }
        let failure = ended.failure.as_ref();
        let failure = failure.map(|f| failures::held(Some(f), "", &self.policy));
        let output = redact_one(ended.payload.as_ref(), &self.policy);
        // A cancelled step may have ended before its attempt, which then is known to its worker alone.
        if failure
            .as_ref()
            .is_none_or(|f| f.status != Status::Canceled)
        {
            let activity = Activity {
                step: StepKey::nth_use(&local.activity_id, nth_use),
                activity_type: local.activity_type.clone(),
                task_queue: self.task_queue.clone(),
                local: true,
            };
            let started = Started {
                attempt,
                worker: ended.identity,
                scheduled_at: None,
                at: None,
            };
            let row = activity.ended(
                &self.key,
                &started,
                local.complete_time,
                output.clone().filter(|_| is_short(ended.payload.as_ref())),
                failure.clone(),
                &self.policy,
            );
            self.attempt_row(row);
        }
        let outcome = match (local.backoff_ms, failure) {
            (Some(duration_ms), _) => Outcome::Backoff {
                duration_ms,
                original_schedule_time: local.original_schedule_time,
            },
            (None, Some(failure)) => Outcome::Failed(failure),
            (None, None) => Outcome::Completed(output),
        };
        let content = self.policy.content(&local.activity_type);
        let input = ended.input.unwrap_or_default().payloads;
        Some(self.answer(Answer::Local(Box::new(Local {
            schedule: ScheduleActivity {
                seq,
                activity_id: local.activity_id,
                activity_type: local.activity_type,
                task_queue: None,
                input: redact(&input, content, &self.policy),
                nth_use: Some(nth_use),
                local: Some(LocalActivity {
                    attempt: follows.unwrap_or(1),
                    original_schedule_time: follows.and(local.original_schedule_time),
                }),
            },
            outcome,
            complete_time: local.complete_time,
            activation_index: local.activation_index,
        }))))
    }
}

/// What a marker tells of the end of a local activity.
struct LocalEnd {
    payload: Option<Payload>,
    failure: Option<ProtoFailure>,
    input: Option<Payloads>,
    identity: String,
}

/// Whether its worker would have told of this output.
fn is_short(payload: Option<&Payload>) -> bool {
    payload.is_none_or(|payload| payload.data.len() <= MAX_OUTPUT_BYTES)
}
