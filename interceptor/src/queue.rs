//! The way from the workflows' and activities' paths to the writer.
//!
//! Invariant: offering never waits, never fails and never holds more than the configured bytes.
//! Room is taken first and the observation is made after, so a full queue costs nothing but a
//! count. What is lost is remembered by run, so that the writer stops telling half of it. An offer
//! wakes the writer only if that has had nothing to do for a while, or if the queue is half full:
//! waking a thread costs many times the copy.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use omnitrace_store::row::{Micros, RunKey};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::attempt::{Attempt, AttemptSeen};
use crate::counters::{Counter, Counters};
use crate::recorder::Explicit;
use crate::sdk::Seen;
use crate::telemetry::RequestSeen;

/// One thing that was seen.
#[derive(Debug)]
pub(crate) enum Observation {
    /// On a workflow's path, still in the SDK's terms.
    Workflow(Seen),
    /// Of an attempt of an activity.
    Attempt(Arc<Attempt>, AttemptSeen),
    /// Told by the explicit API.
    Explicit(Box<Explicit>),
    /// A request to an HTTP service of the user's; there is no row of it.
    Request(Box<RequestSeen>),
}

/// An observation on its way.
#[derive(Debug)]
pub(crate) struct Item {
    /// Position among all that was offered.
    pub(crate) seq: u64,
    pub(crate) observation: Observation,
    /// Returns the room when the item is gone.
    _room: Room,
}

#[derive(Debug)]
struct Room {
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where observations are offered. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    items: mpsc::UnboundedSender<Item>,
    half_full: Arc<Notify>,
    used: Arc<AtomicUsize>,
    limit: usize,
    seq: Arc<AtomicU64>,
    lost: Lost,
    counters: Counters,
}

/// Where observations are taken from.
#[derive(Debug)]
pub(crate) struct Receiver {
    items: mpsc::UnboundedReceiver<Item>,
    half_full: Arc<Notify>,
    /// Whether anything was taken since it last rested.
    took: bool,
    rests_until: Option<Instant>,
}

/// How long a receiver that has taken all there was waits before it looks again. While it does, an
/// offer wakes nobody.
const REST: Duration = Duration::from_millis(10);

impl Receiver {
    /// Takes the next one, or `None` if nobody is left to offer any. Nothing is lost if the future
    /// is dropped.
    pub(crate) async fn recv(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.try_recv() {
                return Some(item);
            }
            if std::mem::take(&mut self.took) {
                self.rests_until = Some(Instant::now() + REST);
            }
            let Some(until) = self.rests_until else {
                let item = self.items.recv().await;
                self.took = true;
                return item;
            };
            // `Ok` means: woken before the time.
            let _ = tokio::time::timeout_at(until, self.half_full.notified()).await;
            self.rests_until = None;
        }
    }

    /// Takes the next one if there is any.
    pub(crate) fn try_recv(&mut self) -> Option<Item> {
        let item = self.items.try_recv().ok();
        self.took |= item.is_some();
        item
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Refuses further ones. What was offered before can still be taken.
    pub(crate) fn close(&mut self) {
        self.items.close();
    }
}

/// Whose observation it is, in case it is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// A workflow's: what follows can't be told without it.
    Workflow(&'a str),
    /// One of a run that stands for itself, as of an attempt.
    Row(&'a RunKey),
    /// Nobody's.
    None,
}

/// What was lost, by run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost(Arc<Mutex<LostRuns>>);

#[derive(Debug, Default)]
struct LostRuns {
    /// Run id to the position of the last observation lost.
    workflows: HashMap<String, u64>,
    /// Those of them that the writer has not heard of yet.
    unheard: Vec<String>,
    /// Position of the last loss whose run could not be remembered.
    overflow: Option<u64>,
    /// What was lost and stands for itself, ever.
    rows: HashMap<RunKey, u32>,
    /// Runs whose number in `rows` has grown.
    grown: HashSet<RunKey>,
}

/// Runs that are remembered as incomplete. Of more than so many at once all runs are taken to be.
const MAX_LOST_RUNS: usize = 10_000;

impl Lost {
    fn runs(&self) -> std::sync::MutexGuard<'_, LostRuns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a loss. Only ever called where something was dropped, so rarely.
    pub(crate) fn note(&self, subject: Subject<'_>, seq: u64) {
        let runs = &mut *self.runs();
        match subject {
            Subject::Workflow(run_id) => {
                if let Some(last) = runs.workflows.get_mut(run_id) {
                    *last = seq.max(*last);
                } else if runs.workflows.len() < MAX_LOST_RUNS {
                    runs.workflows.insert(run_id.to_owned(), seq);
                    runs.unheard.push(run_id.to_owned());
                } else {
                    runs.overflow = Some(seq.max(runs.overflow.unwrap_or_default()));
                }
            }
            Subject::Row(run) => {
                if let Some(count) = runs.rows.get_mut(run) {
                    *count = count.saturating_add(1);
                } else if runs.rows.len() < MAX_LOST_RUNS {
                    runs.rows.insert(run.clone(), 1);
                } else {
                    return;
                }
                runs.grown.insert(run.clone());
            }
            Subject::None => {}
        }
    }

    /// The position of the last observation lost of a workflow, if any.
    pub(crate) fn of_workflow(&self, run_id: &str) -> Option<u64> {
        self.runs().workflows.get(run_id).copied()
    }

    /// The run is told from its beginning again, or is over.
    pub(crate) fn forget_workflow(&self, run_id: &str) {
        self.runs().workflows.remove(run_id);
    }

    /// Workflows that lost an observation at or before a position, each told once.
    pub(crate) fn take_workflows(&self, through: u64) -> Vec<String> {
        let LostRuns {
            workflows, unheard, ..
        } = &mut *self.runs();
        let (heard, rest) = std::mem::take(unheard)
            .into_iter()
            .filter(|run_id| workflows.contains_key(run_id))
            .partition(|run_id| workflows[run_id] <= through);
        *unheard = rest;
        heard
    }

    /// Whether a loss before this position could not be remembered; told once.
    pub(crate) fn take_overflow(&self, before: u64) -> bool {
        let overflow = &mut self.runs().overflow;
        overflow.take_if(|at| *at < before).is_some()
    }

    /// How many observations and rows that stand for themselves were lost ever, for the runs of
    /// which the number has grown since the last call.
    pub(crate) fn take_rows(&self) -> Vec<(RunKey, u32)> {
        let runs = &mut *self.runs();
        runs.grown
            .drain()
            .map(|run| {
                let count = runs.rows.get(&run).copied().unwrap_or_default();
                (run, count)
            })
            .collect()
    }
}

impl Queue {
    /// A queue that holds observations of about so many bytes.
    pub(crate) fn new(limit: usize, counters: Counters) -> (Self, Receiver) {
        let (items, taken) = mpsc::unbounded_channel();
        let half_full = Arc::new(Notify::new());
        let receiver = Receiver {
            items: taken,
            half_full: half_full.clone(),
            took: false,
            rests_until: None,
        };
        let queue = Self {
            items,
            half_full,
            used: Arc::default(),
            limit,
            seq: Arc::default(),
            lost: Lost::default(),
            counters,
        };
        (queue, receiver)
    }

    /// Offers an observation of about so many bytes.
    pub(crate) fn offer(
        &self,
        bytes: usize,
        subject: Subject<'_>,
        observation: impl FnOnce() -> Observation,
    ) {
        self.counters.add(Counter::Offered, 1);
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let room = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let after = used.checked_add(bytes)?;
                (after <= self.limit).then_some(after)
            });
        let Ok(before) = room else {
            self.lose(Counter::DroppedQueueFull, subject, seq);
            return;
        };
        // Before the observation is made: so the room is given back whatever happens then.
        let room = Room {
            bytes,
            used: self.used.clone(),
        };
        let item = Item {
            seq,
            observation: observation(),
            _room: room,
        };
        if self.items.send(item).is_err() {
            self.lose(Counter::DroppedStopped, subject, seq);
        }
        let half = self.limit / 2;
        if before <= half && before + bytes > half {
            self.half_full.notify_one();
        }
    }

    fn lose(&self, reason: Counter, subject: Subject<'_>, seq: u64) {
        self.counters.add(reason, 1);
        self.lost.note(subject, seq);
        if self.counters.get(reason) == 1 {
            tracing::warn!(
                reason = reason.name(),
                "OmniTrace drops observations; further drops are counted, see `omnitrace doctor`"
            );
        }
    }

    /// Bytes that wait now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The same for those that must not keep the queue open.
    pub(crate) fn used_bytes(&self) -> Arc<AtomicUsize> {
        self.used.clone()
    }

    pub(crate) fn lost(&self) -> &Lost {
        &self.lost
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Now, by the clock of this process.
    pub(crate) fn now(&self) -> Micros {
        crate::clock::now()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
