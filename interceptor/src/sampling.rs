//! Which runs are recorded, and what is kept of the others until it is clear how they end.
//!
//! Invariant: the decision is a function of the trace id, the rate and what the caller decided, so
//! every worker and every replay decides alike. What is kept of a run that was left out is bounded.

use std::collections::{BTreeMap, HashMap};

use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, SampledBy, Status};
use omnitrace_store::{ids, merge};

use crate::counters::{Counter, Counters};
use crate::policy::sampled;

/// The configured rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    pub(crate) rate: f64,
}

impl Sampling {
    /// Why a run is recorded; `None` if it is left out.
    pub(crate) fn decide(self, trace_id: &str, parent_sampled: Option<bool>) -> Option<SampledBy> {
        if parent_sampled == Some(true) {
            Some(SampledBy::Parent)
        } else {
            sampled(trace_id, self.rate).then_some(SampledBy::Ratio)
        }
    }
}

/// What the trace id of a run is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lineage<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) workflow_id: &'a str,
    pub(crate) run_id: &'a str,
    pub(crate) first_execution_run_id: Option<&'a str>,
    pub(crate) continued_from_run_id: Option<&'a str>,
    pub(crate) trigger: &'a str,
}

impl Lineage<'_> {
    /// Continue-as-new and cron begin new traces; retries and resets go on in theirs.
    pub(crate) fn trace_id(&self) -> String {
        let origin = match self.trigger {
            "continue_as_new" => self.continued_from_run_id.unwrap_or(self.run_id),
            "cron" => self.run_id,
            _ => self.first_execution_run_id.unwrap_or(self.run_id),
        };
        ids::trace_id(self.namespace, self.workflow_id, origin)
    }
}

/// Bytes kept of runs that were left out.
const HELD_BYTES: usize = 8 * 1024 * 1024;

/// Rows of runs that were left out, until they are promoted or end well.
#[derive(Debug)]
pub(crate) struct Held {
    runs: HashMap<RunKey, HeldRun>,
    bytes: usize,
    counters: Counters,
}

#[derive(Debug)]
struct HeldRun {
    run: Option<RunRow>,
    events: BTreeMap<String, EventRow>,
    bytes: usize,
    touched_at: Micros,
}

impl Held {
    pub(crate) fn new(counters: Counters) -> Self {
        Self {
            runs: HashMap::new(),
            bytes: 0,
            counters,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Keeps a row of a run.
    pub(crate) fn run(&mut self, row: RunRow, now: Micros) {
        let held = Self::entry(&mut self.runs, &mut self.bytes, &row.key, row.size(), now);
        let merged = match held.run.take() {
            Some(before) => {
                self.counters.add(Counter::RowsUnchanged, 1);
                merge::merge_run(before, row)
            }
            None => row,
        };
        held.run = Some(merged);
        self.bound();
    }

    /// Keeps a row of an event.
    pub(crate) fn event(&mut self, row: EventRow, now: Micros) {
        let held = Self::entry(&mut self.runs, &mut self.bytes, &row.run, row.size(), now);
        let merged = match held.events.remove(&row.event_key) {
            Some(before) => {
                self.counters.add(Counter::RowsUnchanged, 1);
                merge::merge_event(before, row)
            }
            None => row,
        };
        held.events.insert(merged.event_key.clone(), merged);
        self.bound();
    }

    /// Gives out what was kept of a run that is recorded after all.
    pub(crate) fn take(&mut self, run: &RunKey) -> Option<(Option<RunRow>, Vec<EventRow>)> {
        let held = self.runs.remove(run)?;
        self.bytes -= held.bytes;
        Some((held.run, held.events.into_values().collect()))
    }

    /// Forgets a run that ended well.
    pub(crate) fn discard(&mut self, run: &RunKey) {
        self.drop_run(run, Counter::RowsSampledOut);
    }

    /// Forgets the runs of which nothing was heard since a moment, but for those that are waited for.
    pub(crate) fn discard_older(&mut self, than: Micros, awaited: impl Fn(&RunKey) -> bool) {
        let old: Vec<_> = self
            .runs
            .iter()
            .filter(|(run, held)| held.touched_at < than && !awaited(run))
            .map(|(run, _)| run.clone())
            .collect();
        for run in old {
            self.discard(&run);
        }
    }

    fn entry<'a>(
        runs: &'a mut HashMap<RunKey, HeldRun>,
        total: &mut usize,
        run: &RunKey,
        bytes: usize,
        now: Micros,
    ) -> &'a mut HeldRun {
        let held = runs.entry(run.clone()).or_insert_with(|| HeldRun {
            run: None,
            events: BTreeMap::new(),
            bytes: 0,
            touched_at: now,
        });
        // A merged row counts twice: the bound errs towards less.
        held.bytes += bytes;
        *total += bytes;
        held.touched_at = now;
        held
    }

    fn bound(&mut self) {
        while self.bytes > HELD_BYTES {
            let oldest = self.runs.iter().min_by_key(|(_, held)| held.touched_at);
            let Some(run) = oldest.map(|(run, _)| run.clone()) else {
                return;
            };
            self.drop_run(&run, Counter::RowsDroppedHeldFull);
        }
    }

    fn drop_run(&mut self, run: &RunKey, reason: Counter) {
        if let Some(held) = self.runs.remove(run) {
            self.bytes -= held.bytes;
            let rows = held.events.len() + usize::from(held.run.is_some());
            self.counters.add(reason, rows as u64);
        }
    }
}

/// Why rows make their run one that is recorded after all.
pub(crate) fn run_reason(row: &RunRow, slow_ms: i64) -> Option<SampledBy> {
    if row.phase != Phase::Closed {
        return None;
    }
    if matches!(
        row.status,
        Status::Failed | Status::TimedOut | Status::Terminated
    ) {
        return Some(SampledBy::Error);
    }
    let latency = row.closed_at? - row.started_at?;
    (latency / 1000 > slow_ms).then_some(SampledBy::Slow)
}

/// Whether a step was slow. Attempts are not asked: a retry that ends well is no reason.
pub(crate) fn step_reason(row: &EventRow, slow_ms: i64) -> Option<SampledBy> {
    let is_attempt = row.kind == "activity" && row.attempt > 0;
    (row.phase == Phase::Closed && !is_attempt && row.latency_ms? > slow_ms)
        .then_some(SampledBy::Slow)
}
