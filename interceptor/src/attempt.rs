//! Attempts of activities, and what happens inside them.
//!
//! Invariant: an attempt's rows need nothing but the attempt itself, so they can be written by a
//! process that never saw the workflow. The task-local attempt lets user code record without a
//! handle; outside an attempt these calls do nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use omnitrace_store::ids;
use omnitrace_store::key::{EventKey, MAX_KEY_BYTES, Step};
use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, Source, Status, TRACEPARENT};
use opentelemetry::trace::{SpanContext, TraceId};
use serde_json::{Map, Value, json};

use crate::counters::Counter;
use crate::observe::Failure;
use crate::policy::{Document, Policy, Redacted, offered_attempt, offered_inner};
use crate::propagation;
use crate::queue::{Observation, Queue, Subject};
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
    /// Its run's trace, 32 hex digits, if the workflow said it.
    pub(crate) trace_id: Option<String>,
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
    pub(crate) first_scheduled_at: Option<Micros>,
    pub(crate) max_attempts: Option<u32>,
}

/// What is seen of an attempt.
#[derive(Debug)]
pub(crate) enum AttemptSeen {
    Started,
    Ended {
        at: Micros,
        /// It ended after its deadline: the server had given it up.
        late: bool,
        end: AttemptEnd,
    },
    Inner(Box<InnerEvent>),
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
            if late {
                // The server had given it up: whatever it brought is not the truth.
                detail.insert("late_result".to_owned(), json!(row.status.as_str()));
                row.status = Status::TimedOut;
                row.error_type = Some("TimeoutFailure.StartToClose".to_owned());
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
        let sampled = self.sampled.unwrap_or(true);
        Some(propagation::context(trace_id, &span_id, sampled))
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
    run.trace_id = ids::trace_id(
        &attempt.run.namespace,
        &attempt.run.workflow_id,
        &attempt.run.run_id,
    );
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

/// The attempt that the current task works on, and where to tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) queue: Queue,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// Makes this the current attempt while the future runs.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Runs something with the attempt of the current task; nothing outside one.
    pub(crate) fn with(f: impl FnOnce(&Self)) {
        // `Err` means: not inside an attempt.
        let _ = CURRENT.try_with(f);
    }

    pub(crate) fn record(&self, kind: &str, name: &str, latency: Option<Duration>, data: Value) {
        let is_kind = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !is_kind || self.is_too_long(kind, name) {
            self.queue.counters().add(Counter::DroppedInvalidKey, 1);
            return;
        }
        let n = self.attempt.inner.fetch_add(1, Ordering::Relaxed) + 1;
        let told = Told {
            detail: Map::new(),
            data,
            failure: None,
        };
        self.tell(n, kind.to_owned(), name.to_owned(), None, latency, told);
    }

    /// The number of the next event; of one too many nothing is made, and it is counted.
    pub(crate) fn next(&self) -> Option<u32> {
        let n = self.attempt.inner.fetch_add(1, Ordering::Relaxed) + 1;
        if offered_inner(n) {
            return Some(n);
        }
        let told = Told {
            detail: Map::new(),
            data: Value::Null,
            failure: None,
        };
        self.tell(n, String::new(), String::new(), None, None, told);
        None
    }

    /// Whether an event of this kind and name has no key.
    fn is_too_long(&self, kind: &str, name: &str) -> bool {
        // The colons and two numbers are in the key, too.
        kind.len() + self.attempt.step.as_str().len() + name.len() + 32 > MAX_KEY_BYTES
    }

    /// Tells of the n-th event. Its kind is one.
    pub(crate) fn tell(
        &self,
        n: u32,
        kind: String,
        name: String,
        parent: Option<String>,
        latency: Option<Duration>,
        told: Told,
    ) {
        if self.is_too_long(&kind, &name) {
            self.queue.counters().add(Counter::DroppedInvalidKey, 1);
            return;
        }
        let at = self.queue.now();
        let data = Document::new(told.data);
        let size = 256 + name.len() + data.size() + 32 * told.detail.len();
        self.queue.offer(size, Subject::Row(&self.attempt.run), || {
            let inner = InnerEvent {
                n,
                kind,
                name,
                at,
                latency,
                parent,
                detail: told.detail,
                data,
                failure: told.failure,
            };
            Observation::Attempt(self.attempt.clone(), AttemptSeen::Inner(Box::new(inner)))
        });
    }
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

#[cfg(test)]
impl Current {
    /// With a queue of its own.
    pub(crate) fn of_test(attempt: Attempt) -> (Self, crate::queue::Receiver) {
        let (queue, items) = Queue::new(usize::MAX, crate::counters::Counters::new());
        let attempt = Arc::new(attempt);
        (Self { attempt, queue }, items)
    }
}
