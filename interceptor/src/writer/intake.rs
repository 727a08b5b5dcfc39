//! One observation after the other becomes rows in the buffer.
//!
//! Invariant: every row that is made is counted as offered, and ends as exactly one of stored,
//! unchanged, sampled out or dropped.

mod choice;
mod losses;
mod placing;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use omnitrace_store::row::{Micros, RunKey, SampledBy, Source};
use omnitrace_store::{Scope, Seen as HighWater};
use opentelemetry_sdk::trace::SpanData;

use super::unstored::Unstored;
use super::waiting::Waiting;
use crate::attempt::{self, Attempt, AttemptSeen};
use crate::clock;
use crate::counters::{Counter, Counters};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::queue::{Item, Lost, Observation, Subject};
use crate::recorder::{Explicit, ExplicitRuns};
use crate::sampling::{self, Decision, Held};
use crate::sdk::{Observed, Seen};
use crate::switches::{Beginning, Switchboard};
use crate::telemetry::SpanShape;
use crate::tracker::{Rows, Trackers};

pub(super) struct Intake {
    switches: Switchboard,
    /// Of runs that are followed here, where it is not the configured one.
    policies: HashMap<String, Arc<Policy>>,
    slow_ms: i64,
    trackers: Trackers,
    explicit: ExplicitRuns,
    /// Runs that are followed here, and why they are recorded; `None` if they are left out.
    decided: HashMap<RunKey, Decision>,
    /// Runs recorded after all, and when that was decided.
    promoted: HashMap<RunKey, (SampledBy, Micros)>,
    held: Held,
    pub(super) waiting: Waiting,
    has_store: bool,
    /// What becomes of rows that are stored nowhere, where spans are sent or anything is measured.
    unstored: Option<Unstored>,
    /// How spans are made, where they are sent.
    shape: Option<SpanShape>,
    /// Spans of what there is no row of.
    spans: Vec<SpanData>,
    metrics: Metrics,
    /// Whether the rows that are placed now tell what was told when it happened.
    replays: bool,
    counters: Counters,
    lost: Lost,
    process_id: String,
    /// Position after the last observation taken in.
    position: u64,
}

impl Intake {
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, with each part named"
    )]
    pub(super) fn new(
        switches: Switchboard,
        slow_ms: i64,
        waiting: Waiting,
        has_store: bool,
        spans: Option<SpanShape>,
        metrics: Metrics,
        counters: Counters,
        lost: Lost,
        process_id: String,
    ) -> Self {
        Self {
            switches,
            policies: HashMap::new(),
            slow_ms,
            trackers: Trackers::default(),
            explicit: ExplicitRuns::default(),
            decided: HashMap::new(),
            promoted: HashMap::new(),
            held: Held::new(counters.clone(), metrics.is_on()),
            waiting,
            has_store,
            unstored: (!has_store)
                .then(|| Unstored::new(spans.clone(), metrics.clone()))
                .flatten(),
            shape: spans,
            spans: Vec::new(),
            metrics,
            replays: false,
            counters,
            lost,
            process_id,
            position: 0,
        }
    }

    pub(super) fn live_recorders(&self) -> usize {
        self.trackers.live() + self.explicit.live()
    }

    pub(super) fn holds_rows(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes in one observation. Never panics: what it can't take in is counted.
    pub(super) async fn take_in(&mut self, item: Item) {
        let seq = item.seq;
        self.position = self.position.max(seq + 1);
        if self.lost.take_overflow(seq) {
            for row in self.trackers.forget_all() {
                self.incomplete(row, seq);
            }
        }
        let (run_id, run) = match &item.observation {
            Observation::Workflow(seen) => (seen.run_id().map(ToOwned::to_owned), None),
            Observation::Attempt(attempt, _) => (None, Some(attempt.run.clone())),
            Observation::Explicit(explicit) => (None, Some(explicit.run.clone())),
            Observation::Request(_) => (None, None),
        };
        let taken = AssertUnwindSafe(self.observation(item))
            .catch_unwind()
            .await;
        if taken.is_err() {
            self.counters.add(Counter::DroppedPanic, 1);
            let workflow = run_id.as_deref().map(Subject::Workflow);
            let subject = workflow.or(run.as_ref().map(Subject::Row));
            self.lost.note(subject.unwrap_or(Subject::None), seq);
        }
    }

    async fn observation(&mut self, item: Item) {
        match item.observation {
            Observation::Workflow(seen) => {
                if !self.can_follow(&seen, item.seq) {
                    self.counters.add(Counter::DroppedRunIncomplete, 1);
                    return;
                }
                let policy = self.policy(&seen);
                let observed = seen.observe(&policy, &self.counters).await;
                self.workflow(observed, &policy, item.seq);
            }
            Observation::Attempt(attempt, seen) => self.attempt(&attempt, seen),
            Observation::Explicit(explicit) => self.explicit(*explicit),
            Observation::Request(request) => {
                let shape = self.shape.as_ref();
                let span = shape.map(|shape| crate::telemetry::request_span(&request, shape));
                self.spans.extend(span);
            }
        }
        self.measure_left_out();
        self.counters.add(Counter::Taken, 1);
    }

    /// How the payloads of a run are made safe: as was switched when it began.
    fn policy(&mut self, seen: &Seen) -> Arc<Policy> {
        let configured = self.switches.configured_policy().clone();
        let begins = seen.beginning(&self.switches);
        let known = (seen.run_id()).and_then(|run_id| match begins {
            Some(of) => {
                let policy = self.switches.policy(&of);
                if policy.id() != configured.id() {
                    self.policies.insert(run_id.to_owned(), policy.clone());
                }
                Some(policy)
            }
            None => self.policies.get(run_id).cloned(),
        });
        known.unwrap_or(configured)
    }

    fn workflow(&mut self, observed: Observed, policy: &Policy, seq: u64) {
        let rows = match observed {
            Observed::Activation(worker, activation) => {
                self.trackers.activation(worker, activation, policy)
            }
            Observed::Completion(worker, completion) => {
                self.trackers.completion(worker, completion, policy)
            }
            Observed::WorkerStopped(worker) => self.trackers.worker_stopped(worker, policy),
        };
        self.rows(rows, seq);
    }

    fn rows(&mut self, rows: Rows, seq: u64) {
        if let Some((run, parent_sampled)) = rows.began
            && let Some(row) = rows.runs.first()
        {
            let of = Beginning::from(row);
            self.decide(&run, &row.trace_id, parent_sampled, &of, true);
        }
        if let Some(asked) = &rows.asked
            && self.decided.get(&asked.run) != Some(&Decision::Off)
        {
            self.metrics.asked(asked);
        }
        self.replays = rows.replayed;
        for mut row in rows.events {
            if self.unstored.is_some() && rows.replayed {
                row.source = row.source.min(Source::History);
            }
            if let Some(reason) = sampling::step_reason(&row, self.slow_ms) {
                self.promote(&row.run, reason);
            }
            let sampled = self.is_sampled(&row.run, None);
            self.event_row(row, sampled, Some(seq));
        }
        for mut row in rows.runs {
            self.follow_trace(&row.key, &row.trace_id);
            if self.unstored.is_some() && rows.replayed {
                row.source = row.source.min(Source::History);
            }
            self.run_row(row, Some(seq));
        }
        self.replays = false;
        for run in rows.left {
            self.left_cache(&run);
        }
    }

    fn follow_trace(&mut self, run: &RunKey, trace_id: &str) {
        self.metrics.follow(run, trace_id);
        if let Some(unstored) = &mut self.unstored {
            unstored.follow(run, trace_id);
        }
    }

    fn attempt(&mut self, attempt: &Attempt, seen: AttemptSeen) {
        self.counters.add(Counter::RowsOffered, 1);
        if !attempt::offered(attempt, &seen) {
            self.counters.add(Counter::RowsDroppedStepCap, 1);
            if !self.has_store {
                return;
            }
            let step = attempt.step.as_str().to_owned();
            let (scope, count) = match &seen {
                AttemptSeen::Inner(inner) => {
                    let attempt = attempt.attempt;
                    (Scope::Inner { step, attempt }, inner.n)
                }
                _ => (Scope::Attempts { step }, attempt.attempt),
            };
            let run = attempt.run.clone();
            if self.is_sampled(&run, attempt.sampled) {
                self.high_water(run, scope, count);
            } else {
                self.held
                    .seen(HighWater { run, scope, count }, clock::now());
            }
            return;
        }
        if attempt.standalone.is_some() {
            // A run of its own, of which nobody decided before.
            let trace_id = attempt.trace_id.as_deref().unwrap_or_default();
            let begins = attempt.attempt == 1 && matches!(seen, AttemptSeen::Started);
            let of = attempt.beginning();
            self.decide(&attempt.run, trace_id, attempt.sampled, &of, begins);
        }
        if let Some(trace_id) = &attempt.trace_id {
            self.follow_trace(&attempt.run, trace_id);
        }
        let sampled = self.is_sampled(&attempt.run, attempt.sampled);
        let policy = self.switches.policy(&attempt.beginning());
        let (event, run) = attempt::rows(attempt, seen, &policy);
        self.place_event(event, sampled, None);
        if let Some(run) = run {
            self.run_row(run, None);
        }
        if attempt.standalone.is_some() {
            self.decided.remove(&attempt.run);
        }
    }

    fn explicit(&mut self, explicit: Explicit) {
        let run = explicit.run.clone();
        let of = self.switches.explicit(explicit.tenant.as_deref());
        let begins = explicit.is_start();
        self.decided(&run, &explicit.trace_id, explicit.decided, &of, begins);
        self.follow_trace(&run, &explicit.trace_id);
        let policy = self.switches.policy(&of);
        let (event, row) = self.explicit.rows(explicit, &policy);
        if let Some(event) = event {
            let sampled = self.is_sampled(&run, None);
            self.event_row(event, sampled, None);
        }
        if let Some(row) = row {
            self.run_row(row, None);
        }
        // Decided anew each time: who tells single events never says that the run is over.
        self.decided.remove(&run);
    }

    /// Spans of what closed since the last call and is stored nowhere.
    pub(super) fn take_closed(&mut self) -> Vec<SpanData> {
        let mut spans = std::mem::take(&mut self.spans);
        spans.extend(self.unstored.iter_mut().flat_map(Unstored::take));
        spans
    }

    /// Looks after what has no event of its own.
    pub(super) fn housekeeping(&mut self, now: Micros, window: Micros) {
        self.forget_lost();
        let window_start = now.saturating_sub(window);
        let (trackers, explicit) = (&self.trackers, &self.explicit);
        let followed = |run: &RunKey| trackers.follow(run) || explicit.follow(run);
        self.held.discard_older(window_start, followed);
        let mut again = Vec::new();
        self.promoted.retain(|run, (reason, at)| {
            // Other processes ask for the promotions of the window: they hear of a run as long as it
            // goes on.
            if *at < now.saturating_sub(window / 2) && followed(run) {
                *at = now;
                again.push((run.clone(), *reason));
            }
            *at >= window_start
        });
        for (run, reason) in again {
            self.announce(run, reason, now);
        }
        self.measure_left_out();
        self.mark_losses();
    }

    /// Nothing more will come: what was kept of runs that were left out has not shown an error.
    pub(super) fn end(&mut self) {
        self.forget_lost();
        self.held.discard_older(Micros::MAX, |_| false);
        self.measure_left_out();
        self.mark_losses();
        self.decided.clear();
        self.policies.clear();
        self.trackers.forget_all();
    }
}
