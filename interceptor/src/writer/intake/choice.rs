//! Which runs are recorded: those that are picked when they begin, and those that turn out to be worth it.
//!
//! Invariant: what is held of a run is put to the rows that wait when it is recorded after all, once.

use omnitrace_store::row::{Micros, Phase, RunKey, SampledBy};
use omnitrace_store::{Promotion, RunFacts};

use super::Intake;
use crate::clock;
use crate::counters::Counter;
use crate::sampling::Decision;
use crate::switches::Beginning;

impl Intake {
    /// Decides whether a run is recorded; counts and logs it where the run begins.
    pub(super) fn decide(
        &mut self,
        run: &RunKey,
        trace_id: &str,
        parent_sampled: Option<bool>,
        of: &Beginning,
        begins: bool,
    ) {
        let decided = self.switches.decide(trace_id, parent_sampled, of);
        self.decided(run, trace_id, decided, of, begins);
    }

    pub(super) fn decided(
        &mut self,
        run: &RunKey,
        trace_id: &str,
        decided: Decision,
        of: &Beginning,
        begins: bool,
    ) {
        if begins {
            let (counter, decision) = match decided {
                Decision::Recorded(_) => (Counter::RunsSampled, "recorded"),
                Decision::LeftOut => (Counter::RunsNotSampled, "left out"),
                Decision::Off => (Counter::RunsNotSampled, "switched off"),
            };
            self.counters.add(counter, 1);
            tracing::debug!(
                workflow_id = run.workflow_id,
                run_id = run.run_id,
                trace_id,
                rate = self.switches.sample_rate(of),
                decision,
                "OmniTrace sampling"
            );
        }
        self.decided.insert(run.clone(), decided);
    }

    /// A worker has the run in its cache no longer. Another one of this process may.
    pub(super) fn left_cache(&mut self, run: &RunKey) {
        if !self.trackers.follow(run) {
            self.decided.remove(run);
            self.policies.remove(&run.run_id);
            // Its next worker may find that it is to be recorded after all.
            self.held.touch(run, clock::now());
        }
    }

    /// Why a run is recorded, as far as it is known here.
    pub(super) fn reason(&self, run: &RunKey) -> Option<SampledBy> {
        self.decided
            .get(run)
            .and_then(|decided| decided.why())
            .or_else(|| self.promoted.get(run).map(|(reason, _)| *reason))
    }

    /// `said` is what the run's workflow told an attempt, if it told.
    pub(super) fn is_sampled(&self, run: &RunKey, said: Option<bool>) -> bool {
        self.reason(run).is_some()
            || match self.decided.get(run) {
                Some(_) => false,
                None => said.unwrap_or(true),
            }
    }

    pub(super) fn promote(&mut self, run: &RunKey, reason: SampledBy) {
        let off = self.decided.get(run) == Some(&Decision::Off);
        if off || self.is_sampled(run, None) {
            return;
        }
        self.counters.add(Counter::RunsPromoted, 1);
        tracing::debug!(
            workflow_id = run.workflow_id,
            run_id = run.run_id,
            reason = reason.as_str(),
            "OmniTrace records a run after all"
        );
        let at = clock::now();
        self.announce(run.clone(), reason, at);
        self.release(run, reason, at);
    }

    /// Other processes found that these runs are to be recorded after all.
    pub(in crate::writer) fn promoted(&mut self, promotions: &[Promotion]) {
        for promotion in promotions {
            if !self.promoted.contains_key(&promotion.run) {
                self.release(&promotion.run, promotion.reason, promotion.at);
            }
        }
    }

    fn release(&mut self, run: &RunKey, reason: SampledBy, at: Micros) {
        self.promoted.insert(run.clone(), (reason, at));
        // As long as the run is followed, whatever else is forgotten.
        if let Some(why) = self.decided.get_mut(run) {
            *why = Decision::Recorded(reason);
        }
        if let Some(held) = self.held.take(run) {
            for event in held.events.into_values() {
                self.put_event(event, None);
            }
            for (scope, count) in held.seen {
                self.high_water(run.clone(), scope, count);
            }
            if let Some(mut row) = held.run {
                row.sampled_by = reason;
                self.put_run(row, None);
            }
        }
    }

    /// Tells other processes of a run that is recorded after all.
    pub(super) fn announce(&mut self, run: RunKey, reason: SampledBy, at: Micros) {
        if self.has_store {
            let put = self.waiting.promotion(Promotion { run, reason, at });
            self.marked(put);
        }
    }

    /// Of runs that were left out for good, nothing is stored, and yet they are measured.
    pub(super) fn measure_left_out(&mut self) {
        for held in self.held.take_gone() {
            let run = held.run.as_ref();
            let facts = run.map(RunFacts::from).unwrap_or_default();
            let ended = run.filter(|run| run.phase == Phase::Closed && held.live.contains(""));
            let events = (held.events.values())
                .filter(|row| row.phase == Phase::Closed && held.live.contains(&row.event_key));
            self.metrics.unstored(ended, events, &facts, false);
        }
    }
}
