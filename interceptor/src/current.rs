//! What the code of a user that runs now belongs to: an attempt, or a run.
//!
//! Invariant: both are of the task, so user code records, and its lines are told apart, without a handle; outside
//! of them these calls do nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use omnitrace_store::key::MAX_KEY_BYTES;
use omnitrace_store::row::RunKey;
use opentelemetry::trace::SpanContext;
use serde_json::{Map, Value};

use crate::attempt::{Attempt, AttemptSeen, InnerEvent, Told};
use crate::counters::Counter;
use crate::policy::{Document, offered_inner};
use crate::queue::{Observation, Queue, Subject};

/// The attempt that the current task works on, and where to tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) queue: Queue,
}

tokio::task_local! {
    static CURRENT: Current;
    static CURRENT_RUN: Arc<CurrentRun>;
}

/// The run whose code is running.
#[derive(Debug)]
pub(crate) struct CurrentRun {
    pub(crate) key: RunKey,
    /// Of its span.
    pub(crate) context: SpanContext,
}

impl CurrentRun {
    /// Makes this the current run while the future runs.
    pub(crate) fn scope<F: Future>(this: Arc<Self>, future: F) -> impl Future<Output = F::Output> {
        CURRENT_RUN.scope(this, future)
    }

    /// Runs something with the run whose code is running; nothing elsewhere.
    pub(crate) fn with(f: impl FnOnce(&Self)) {
        // `Err` means: not in a workflow's code.
        let _ = CURRENT_RUN.try_with(|run| f(run));
    }
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
impl Current {
    /// With a queue of its own.
    pub(crate) fn of_test(attempt: Attempt) -> (Self, crate::queue::Receiver) {
        let (queue, items) = Queue::new(usize::MAX, crate::counters::Counters::new());
        let attempt = Arc::new(attempt);
        (Self { attempt, queue }, items)
    }
}
