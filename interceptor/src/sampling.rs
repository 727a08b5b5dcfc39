//! Which runs are recorded, and what is kept of the others until it is clear how they end.
//!
//! Invariant: the decision is a function of the trace id, of what the caller decided, and of the rate that
//! held when the run began, so every worker and every replay decides alike. What is kept of a run that was left out is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, SampledBy, Status};
use omnitrace_store::{Scope, Seen, ids, merge};

use crate::counters::{Counter, Counters};
use crate::policy::sampled;
use crate::switches::{Beginning, Switchboard};

/// Whether a run is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Recorded(SampledBy),
    /// Only if it fails or is slow.
    LeftOut,
    /// Whatever becomes of it: recording is switched off.
    Off,
}

impl Decision {
    /// Why it is recorded.
    pub(crate) fn why(self) -> Option<SampledBy> {
        match self {
            Self::Recorded(why) => Some(why),
            Self::LeftOut | Self::Off => None,
        }
    }
}

impl Switchboard {
    /// Decides of a run with this trace and caller.
    pub(crate) fn decide(
        &self,
        trace_id: &str,
        parent_sampled: Option<bool>,
        of: &Beginning,
    ) -> Decision {
        if !self.records(of) {
            Decision::Off
        } else if parent_sampled == Some(true) {
            Decision::Recorded(SampledBy::Parent)
        } else if sampled(trace_id, self.sample_rate(of)) {
            Decision::Recorded(SampledBy::Ratio)
        } else {
            Decision::LeftOut
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
    /// Whether runs that continue as new go on in their trace.
    pub(crate) trace_per_chain: bool,
}

impl Lineage<'_> {
    /// Continue-as-new, unless a chain has one trace, and cron begin new traces; retries and resets go on in
    /// theirs.
    pub(crate) fn trace_id(&self) -> String {
        let origin = match (self.trigger, self.continued_from_run_id) {
            ("continue_as_new", Some(before)) if !self.trace_per_chain => {
                let before = RunKey::new(self.namespace, self.workflow_id, before);
                return ids::continued_trace_id(&before);
            }
            ("cron", _) => self.run_id,
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
    /// Those that were forgotten, for those who measure.
    gone: Option<Vec<HeldRun>>,
    counters: Counters,
}

/// What was kept of one run.
#[derive(Debug)]
pub(crate) struct HeldRun {
    pub(crate) run: Option<RunRow>,
    pub(crate) events: BTreeMap<String, EventRow>,
    /// High water marks of what was not offered.
    pub(crate) seen: BTreeMap<Scope, u32>,
    /// Keys of what closed, seen live; the run's own is empty.
    pub(crate) live: BTreeSet<String>,
    bytes: usize,
    touched_at: Micros,
}

/// Bytes of a high water mark, about.
const MARK_BYTES: usize = 128;

impl Held {
    pub(crate) fn new(counters: Counters, measures: bool) -> Self {
        Self {
            runs: HashMap::new(),
            bytes: 0,
            gone: measures.then(Vec::new),
            counters,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Keeps a row of a run.
    pub(crate) fn run(&mut self, row: RunRow, now: Micros, live: bool) {
        let key = row.key.clone();
        self.keep(&key, now, |held, counters| {
            if live && row.phase == Phase::Closed {
                held.live.insert(String::new());
            }
            let merged = match held.run.take() {
                Some(before) => {
                    counters.add(Counter::RowsUnchanged, 1);
                    held.bytes -= before.size();
                    merge::merge_run(before, row)
                }
                None => row,
            };
            held.bytes += merged.size();
            held.run = Some(merged);
        });
    }

    /// Keeps a row of an event.
    pub(crate) fn event(&mut self, row: EventRow, now: Micros, live: bool) {
        let run = row.run.clone();
        self.keep(&run, now, |held, counters| {
            if live && row.phase == Phase::Closed {
                held.live.insert(row.event_key.clone());
            }
            let merged = match held.events.remove(&row.event_key) {
                Some(before) => {
                    counters.add(Counter::RowsUnchanged, 1);
                    held.bytes -= before.size();
                    merge::merge_event(before, row)
                }
                None => row,
            };
            held.bytes += merged.size();
            held.events.insert(merged.event_key.clone(), merged);
        });
    }

    /// Keeps a high water mark.
    pub(crate) fn seen(&mut self, seen: Seen, now: Micros) {
        self.keep(&seen.run, now, |held, _| {
            if !held.seen.contains_key(&seen.scope) {
                held.bytes += MARK_BYTES;
            }
            let count = held.seen.entry(seen.scope).or_default();
            *count = seen.count.max(*count);
        });
    }

    /// Something was heard of a run, so that what was kept of it stays.
    pub(crate) fn touch(&mut self, run: &RunKey, now: Micros) {
        if let Some(held) = self.runs.get_mut(run) {
            held.touched_at = now;
        }
    }

    /// Gives out what was kept of a run that is recorded after all.
    pub(crate) fn take(&mut self, run: &RunKey) -> Option<HeldRun> {
        let held = self.runs.remove(run)?;
        self.bytes -= held.bytes;
        Some(held)
    }

    /// What was forgotten since the last call.
    pub(crate) fn take_gone(&mut self) -> Vec<HeldRun> {
        self.gone.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Forgets a run that ended well.
    pub(crate) fn discard(&mut self, run: &RunKey) {
        self.drop_run(run, Counter::RowsSampledOut);
    }

    /// Forgets the runs of which nothing was heard since a moment, but for those that are followed.
    pub(crate) fn discard_older(&mut self, than: Micros, is_followed: impl Fn(&RunKey) -> bool) {
        let old: Vec<_> = self
            .runs
            .iter()
            .filter(|(run, held)| held.touched_at < than && !is_followed(run))
            .map(|(run, _)| run.clone())
            .collect();
        for run in old {
            self.discard(&run);
        }
    }

    fn keep(&mut self, run: &RunKey, now: Micros, add: impl FnOnce(&mut HeldRun, &Counters)) {
        let held = self.runs.entry(run.clone()).or_insert_with(|| HeldRun {
            run: None,
            events: BTreeMap::new(),
            seen: BTreeMap::new(),
            live: BTreeSet::new(),
            bytes: 0,
            touched_at: now,
        });
        held.touched_at = now;
        let before = held.bytes;
        add(held, &self.counters);
        self.bytes = self.bytes - before + held.bytes;
        self.bound();
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
            if let Some(gone) = &mut self.gone {
                gone.push(held);
            }
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

#[cfg(test)]
mod tests {
    use omnitrace_store::key::{EventKey, Step};

    use super::*;

    fn run(id: &str) -> RunKey {
        RunKey::new("default", id, "r")
    }

    fn event(id: &str, bytes: usize) -> EventRow {
        let key = EventKey::new("activity", Step::new("1"), "a", 0);
        let mut row = EventRow::new(run(id), key);
        row.data_redacted = Some("x".repeat(bytes));
        row
    }

    #[test]
    fn a_run_that_continues_begins_a_trace_unless_its_chain_has_one() {
        let of = |trigger, trace_per_chain| {
            let lineage = Lineage {
                namespace: "default",
                workflow_id: "w",
                run_id: "r2",
                first_execution_run_id: Some("r0"),
                continued_from_run_id: Some("r1"),
                trigger,
                trace_per_chain,
            };
            lineage.trace_id()
        };
        let chain = ids::trace_id("default", "w", "r0");
        let before = RunKey::new("default", "w", "r1");
        assert_eq!(
            of("continue_as_new", false),
            ids::continued_trace_id(&before)
        );
        assert_eq!(of("continue_as_new", true), chain);
        for trace_per_chain in [false, true] {
            assert_eq!(of("retry", trace_per_chain), chain);
            assert_eq!(
                of("cron", trace_per_chain),
                ids::trace_id("default", "w", "r2")
            );
        }
    }

    #[test]
    fn a_row_that_comes_again_takes_no_more_room() {
        let counters = Counters::new();
        let mut held = Held::new(counters.clone(), false);
        // Each is a quarter of the bound, so that the fifth would be too many.
        for n in 0..20 {
            held.event(event("a", HELD_BYTES / 4), n, true);
        }
        let kept = held.take(&run("a")).expect("kept");
        assert_eq!(kept.events.len(), 1);
        assert_eq!((held.bytes, held.is_empty()), (0, true));
        assert_eq!(counters.get(Counter::RowsUnchanged), 19);
    }

    #[test]
    fn what_was_touched_longest_ago_goes_first_when_there_is_no_room() {
        let counters = Counters::new();
        let mut held = Held::new(counters.clone(), false);
        held.event(event("a", HELD_BYTES / 3), 1, true);
        held.event(event("b", HELD_BYTES / 3), 2, true);
        held.touch(&run("a"), 3);
        held.event(event("c", HELD_BYTES / 3), 4, true);
        assert!(held.take(&run("b")).is_none());
        assert!(held.take(&run("a")).is_some() && held.take(&run("c")).is_some());
        assert_eq!(counters.get(Counter::RowsDroppedHeldFull), 1);
        assert_eq!(held.bytes, 0);
    }

    #[test]
    fn runs_that_are_followed_are_kept_however_old_they_are() {
        let counters = Counters::new();
        let mut held = Held::new(counters.clone(), false);
        for id in ["followed", "left", "young"] {
            let now = if id == "young" { 20 } else { 1 };
            held.run(RunRow::new(run(id)), now, true);
            held.event(event(id, 1), now, true);
        }
        held.discard_older(10, |key| *key == run("followed"));
        assert!(held.take(&run("left")).is_none());
        assert!(held.take(&run("young")).is_some());
        let kept = held.take(&run("followed")).expect("kept");
        assert!(kept.run.is_some() && kept.events.len() == 1);
        assert_eq!(counters.get(Counter::RowsSampledOut), 2);
    }

    #[test]
    fn the_highest_mark_is_kept() {
        let mut held = Held::new(Counters::new(), false);
        for count in [21, 40, 30] {
            let scope = Scope::Attempts {
                step: "1".to_owned(),
            };
            let run = run("a");
            held.seen(Seen { run, scope, count }, 1);
        }
        let kept = held.take(&run("a")).expect("kept");
        assert_eq!(kept.seen.into_values().collect::<Vec<_>>(), [40]);
        assert_eq!(held.bytes, 0);
    }
}
