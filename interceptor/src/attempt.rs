//! Attempts of activities, and what happens inside them.
//!
//! Invariant: an attempt's rows need nothing but the attempt itself, so they can be written by a
//! process that never saw the workflow.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use omnitrace_store::ids;
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, Source, Status, TRACEPARENT};
use opentelemetry::trace::{SpanContext, TraceId, TraceState};
use serde_json::{Map, Value, json};

use crate::observe::Failure;
use crate::policy::{Document, Policy, Redacted, offered_attempt, offered_inner};
use crate::propagation;
use crate::recorder::event_row;
use crate::switches::Beginning;
use crate::tracker::{compose, set_usage};

/// One attempt of an activity, as its worker sees it.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) run: RunKey,
    pub(crate) step: Step,
    pub(crate) activity_type: String,
    /// Of its run; empty if it has none.
    pub(crate) workflow_type: String,
    /// Hashed tenant of its run and when that began, if the workflow said it.
    pub(crate) tenant: Option<String>,
    pub(crate) began: Option<Micros>,
    pub(crate) attempt: u32,
    pub(crate) local: bool,
    /// What the workflow said of sampling; `None` where it said nothing.
    pub(crate) sampled: Option<bool>,
    /// Its run's trace, 32 hex digits, if the workflow said it; that of a standalone activity is always
    /// known.
    pub(crate) trace_id: Option<String>,
    /// Of its caller, for those that it calls.
    pub(crate) trace_state: TraceState,
    /// Who called it, if that is a workflow without the plugin: its `traceparent`.
    pub(crate) stranger: Option<String>,
    pub(crate) task_queue: String,
    pub(crate) worker: String,
    /// When the server scheduled this attempt, by its clock.
    pub(crate) scheduled_at: Option<Micros>,
    pub(crate) started_at: Micros,
    /// A standalone activity is a run of its own.
    pub(crate) standalone: Option<Standalone>,
    /// Events recorded inside, so far.
    pub(crate) inner: AtomicU32,
}

/// What only a standalone activity has.
#[derive(Debug)]
pub(crate) struct Standalone {
    /// Span of whoever started it, if that said so.
    pub(crate) caller: Option<String>,
    /// Whether sampling picks it.
    pub(crate) recorded: bool,
    pub(crate) first_scheduled_at: Option<Micros>,
    pub(crate) max_attempts: Option<u32>,
}

/// What is seen of an attempt.
#[derive(Debug)]
pub(crate) enum AttemptSeen {
    Started,
    Ended {
        at: Micros,
        /// The deadline that it ended after, if it did: the server had given it up.
        late: Option<Deadline>,
        end: AttemptEnd,
    },
    Inner(Box<InnerEvent>),
}

/// What the server gives an attempt up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// Of this attempt.
    StartToClose,
    /// Of the activity, with all its attempts.
    ScheduleToClose,
}

impl Deadline {
    fn error_type(self) -> &'static str {
        match self {
            Self::StartToClose => "TimeoutFailure.StartToClose",
            Self::ScheduleToClose => "TimeoutFailure.ScheduleToClose",
        }
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum AttemptEnd {
    /// With its output as JSON, if it has one.
    Completed(Option<Vec<u8>>),
    Failed {
        error_type: String,
        message: String,
        non_retryable: bool,
    },
    Canceled,
    /// The future was dropped.
    Lost,
    /// As history tells it.
    Told {
        output: Option<Redacted>,
        failure: Option<Failure>,
    },
}

/// One thing that happened inside an attempt.
#[derive(Debug)]
pub(crate) struct InnerEvent {
    pub(crate) n: u32,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) at: Micros,
    pub(crate) latency: Option<Duration>,
    /// Key of the event that it lies in; `None` is the attempt itself.
    pub(crate) parent: Option<String>,
    /// Names, classes and numbers that stay readable.
    pub(crate) detail: Map<String, Value>,
    pub(crate) data: Document,
    pub(crate) failure: Option<ToldFailure>,
}

/// What is told of something that happened.
#[derive(Debug)]
pub(crate) struct Told {
    /// Names, classes and numbers that stay readable.
    pub(crate) detail: Map<String, Value>,
    pub(crate) data: Value,
    pub(crate) failure: Option<ToldFailure>,
}

/// Why it failed.
#[derive(Debug)]
pub(crate) struct ToldFailure {
    pub(crate) error_type: String,
    pub(crate) message: Option<String>,
}

/// Rows of an attempt; the run's row is there for a standalone activity alone.
pub(crate) fn rows(
    attempt: &Attempt,
    seen: AttemptSeen,
    policy: &Policy,
) -> (EventRow, Option<RunRow>) {
    match seen {
        AttemptSeen::Inner(inner) => (inner_row(attempt, *inner, policy), None),
        AttemptSeen::Started => {
            let row = attempt_row(attempt, policy);
            let run = run_row(attempt, &row, None, policy);
            (row, run)
        }
        AttemptSeen::Ended { at, late, end } => {
            let mut row = attempt_row(attempt, policy);
            row.phase = Phase::Closed;
            row.ended_at = Some(at);
            row.latency_ms = Some((at - attempt.started_at) / 1000);
            let mut output = None;
            let mut last = true;
            match end {
                AttemptEnd::Completed(json) => {
                    row.status = Status::Completed;
                    output = json.map(|json| {
                        let content = policy.content(&attempt.activity_type);
                        policy.result("json/plain", &json).into_content(content)
                    });
                }
                AttemptEnd::Failed {
                    error_type,
                    message,
                    non_retryable,
                } => {
                    row.status = Status::Failed;
                    row.error_type = Some(policy.error_type(&error_type));
                    row.error_message = Some(policy.error_message(&message));
                    last = non_retryable;
                }
                AttemptEnd::Canceled => {
                    row.status = Status::Canceled;
                    row.error_type = Some("CanceledFailure".to_owned());
                }
                AttemptEnd::Told {
                    output: told,
                    failure,
                } => {
                    row.status = Status::Completed;
                    if let Some(failure) = failure {
                        row.status = failure.status;
                        row.error_type = Some(failure.error_type);
                        row.error_message = failure.message;
                    }
                    let content = policy.content(&attempt.activity_type);
                    output = told.map(|told| told.into_content(content));
                }
                AttemptEnd::Lost => {
                    row.status = Status::Lost;
                    row.source = Source::Inferred;
                    last = false;
                }
            }
            let usage = output.as_ref().and_then(|output| output.usage());
            row.category = policy.category(&attempt.activity_type, usage);
            set_usage(&mut row, usage);
            let mut detail = detail(attempt);
            if let Some(deadline) = late {
                // The server had given it up: whatever it brought is not the truth.
                detail.insert("late_result".to_owned(), json!(row.status.as_str()));
                row.status = Status::TimedOut;
                row.error_type = Some(deadline.error_type().to_owned());
                last = false;
            }
            row.data_redacted = compose(&detail, &[("output", output.as_ref())], policy);
            let run = run_row(attempt, &row, Some((last, output.as_ref())), policy);
            (row, run)
        }
    }
}

/// Whether the row of this event is offered at all, and what is counted if not.
pub(crate) fn offered(attempt: &Attempt, seen: &AttemptSeen) -> bool {
    match seen {
        AttemptSeen::Inner(inner) => offered_inner(inner.n),
        AttemptSeen::Started | AttemptSeen::Ended { .. } => offered_attempt(attempt.attempt),
    }
}

impl Attempt {
    /// What switches go by: that of its run.
    pub(crate) fn beginning(&self) -> Beginning {
        let (workflow_type, at) = match &self.standalone {
            Some(standalone) => (&self.activity_type, standalone.first_scheduled_at),
            // A workflow that says nothing of it began when nothing was switched.
            None => (
                &self.workflow_type,
                self.began.or(self.sampled.map(|_| Micros::MIN)),
            ),
        };
        Beginning {
            workflow_type: workflow_type.clone(),
            tenant: self.tenant.clone(),
            at: at.unwrap_or(self.started_at),
        }
    }

    /// The context of its span, if its run's trace is known. An attempt that is not offered has none of
    /// its own; then it is that of its step.
    pub(crate) fn context(&self) -> Option<SpanContext> {
        let trace_id = TraceId::from_hex(self.trace_id.as_deref()?).ok()?;
        let mut key = attempt_key(self);
        if !offered_attempt(key.attempt) {
            key.attempt = 0;
        }
        let span_id = ids::span_id(&self.run, &key.to_string());
        let sampled = match &self.standalone {
            Some(standalone) => standalone.recorded,
            None => self.sampled.unwrap_or(true),
        };
        let state = self.trace_state.clone();
        Some(propagation::context(trace_id, &span_id, sampled, state))
    }
}

impl Attempt {
    /// Key of the n-th event inside it.
    pub(crate) fn inner_key(&self, n: u32, kind: &str, name: &str) -> String {
        EventKey::new(kind, self.step.inner(n), name, self.attempt).to_string()
    }
}

fn attempt_key(attempt: &Attempt) -> EventKey {
    EventKey::new(
        "activity",
        attempt.step.clone(),
        &attempt.activity_type,
        attempt.attempt,
    )
}

fn attempt_row(attempt: &Attempt, policy: &Policy) -> EventRow {
    let mut row = EventRow::new(attempt.run.clone(), attempt_key(attempt));
    row.status = Status::Running;
    row.scheduled_at = attempt.scheduled_at;
    row.started_at = Some(attempt.started_at);
    row.category = policy.category(&attempt.activity_type, None);
    row.data_redacted = compose(&detail(attempt), &[], policy);
    row.policy_id = policy.id().to_owned();
    if attempt.standalone.is_none() {
        let step = EventKey::new("activity", attempt.step.clone(), &attempt.activity_type, 0);
        row.parent_key = Some(step.to_string());
    }
    row
}

fn detail(attempt: &Attempt) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("task_queue".to_owned(), json!(attempt.task_queue));
    if !attempt.worker.is_empty() {
        detail.insert("worker".to_owned(), json!(attempt.worker));
    }
    if attempt.local {
        detail.insert("local".to_owned(), json!(true));
    }
    if let Some(stranger) = &attempt.stranger {
        detail.insert(TRACEPARENT.to_owned(), json!(stranger));
    }
    detail
}

fn run_row(
    attempt: &Attempt,
    row: &EventRow,
    end: Option<(bool, Option<&Redacted>)>,
    policy: &Policy,
) -> Option<RunRow> {
    let standalone = attempt.standalone.as_ref()?;
    let key = attempt.run.clone();
    let mut run = RunRow::new(key);
    run.trace_id = attempt.trace_id.clone().unwrap_or_default();
    run.parent_span_id.clone_from(&standalone.caller);
    run.workflow_type.clone_from(&attempt.activity_type);
    run.task_queue.clone_from(&attempt.task_queue);
    run.started_at = standalone.first_scheduled_at;
    run.max_attempts = standalone.max_attempts;
    "activity".clone_into(&mut run.trigger);
    run.steps_seen = 1;
    policy.id().clone_into(&mut run.policy_id);
    let exhausted = standalone
        .max_attempts
        .is_some_and(|max| attempt.attempt >= max);
    if let Some((last, output)) = end
        && (last || exhausted)
        && row.status != Status::Lost
    {
        run.phase = Phase::Closed;
        run.status = row.status;
        run.closed_at = row.ended_at;
        run.attempt = attempt.attempt;
        run.error_type.clone_from(&row.error_type);
        run.error_message.clone_from(&row.error_message);
        run.output_redacted = output.and_then(|output| policy.compose(&[("output", output)]));
    }
    Some(run)
}

fn inner_row(attempt: &Attempt, inner: InnerEvent, policy: &Policy) -> EventRow {
    let step = attempt.step.inner(inner.n);
    let key = EventKey::new(inner.kind, step, inner.name, attempt.attempt);
    let run = attempt.run.clone();
    let detail = inner.detail;
    let mut row = event_row(
        run,
        key,
        inner.at,
        inner.latency,
        &detail,
        inner.data,
        policy,
    );
    let of_attempt = || attempt_key(attempt).to_string();
    row.parent_key = Some(inner.parent.unwrap_or_else(of_attempt));
    if let Some(failure) = inner.failure {
        row.status = Status::Failed;
        row.error_type = Some(policy.error_type(&failure.error_type));
        row.error_message = failure.message.map(|text| policy.error_message(&text));
    }
    row
}

#[cfg(test)]
impl Attempt {
    /// The second attempt of a step with the id 7.
    pub(crate) fn of_test(workflow_id: &str) -> Self {
        Self {
            run: RunKey::new("default", workflow_id, "r1"),
            step: Step::new("7"),
            activity_type: "Tools::search".to_owned(),
            workflow_type: String::new(),
            tenant: None,
            began: None,
            attempt: 2,
            local: false,
            sampled: Some(true),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            trace_state: TraceState::default(),
            stranger: None,
            task_queue: "tools".to_owned(),
            worker: "1@host".to_owned(),
            scheduled_at: None,
            started_at: 0,
            standalone: None,
            inner: AtomicU32::new(0),
        }
    }
}
