//! From observations to rows: pure, without I/O, clock or tokio.
//!
//! Invariant: one [`run::RunTracker`] per (worker, run) that is in that worker's cache; it goes
//! when the run is evicted, so their number returns to zero. Rows that rest on a worker's proposal
//! are provisional until the server is known to have accepted it.

mod acceptance;
mod run;
mod step;

use std::collections::HashMap;

use omnitrace_store::row::{EventRow, RunKey, RunRow, Source};

use crate::observe::{Activation, Completion, Job};
use crate::policy::Policy;
use acceptance::{Acceptance, Evidence};
use run::RunTracker;
pub(crate) use step::{compose, set_usage};

/// Which worker of this process saw something. A run can be in the cache of two.
pub(crate) type WorkerId = u32;

/// Rows that follow from an observation, in order.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) runs: Vec<RunRow>,
    pub(crate) events: Vec<EventRow>,
    /// What the caller of a run that begins said of sampling.
    pub(crate) began: Option<(RunKey, Option<bool>)>,
    /// Whether they tell what was told when it happened.
    pub(crate) replayed: bool,
    /// Runs that are in the cache no longer.
    pub(crate) left: Vec<RunKey>,
    /// What leaves nothing in history.
    pub(crate) asked: Option<Asked>,
}

/// What a run was asked, live, that leaves nothing in history.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) run: RunKey,
    pub(crate) workflow_type: String,
    pub(crate) queries: u64,
    pub(crate) rejected_updates: u64,
}

impl Rows {
    /// Of what a replayer saw, not all is known: a live row of the same phase is the better one.
    fn seen_by(&mut self, source: Source) {
        for event in &mut self.events {
            event.source = event.source.min(source);
        }
    }
}

/// The live trackers.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    runs: HashMap<WorkerId, HashMap<String, RunTracker>>,
    acceptance: Acceptance,
}

impl Trackers {
    /// How many runs are being followed.
    pub(crate) fn live(&self) -> usize {
        self.runs.values().map(HashMap::len).sum()
    }

    /// Whether a run is being followed.
    pub(crate) fn follow(&self, run: &RunKey) -> bool {
        self.runs
            .values()
            .filter_map(|runs| runs.get(&run.run_id))
            .any(|tracker| tracker.key() == run)
    }

    /// Takes in an activation.
    pub(crate) fn activation(
        &mut self,
        worker: WorkerId,
        activation: Activation,
        policy: &Policy,
    ) -> Rows {
        let mut rows = Rows::default();
        let runs = self.runs.entry(worker).or_default();
        if let Some(start) = activation.jobs.iter().find_map(|job| match job {
            Job::Initialize(start) => Some(start),
            _ => None,
        }) {
            rows.began = Some((start.key.clone(), start.parent_sampled));
            let tracker = RunTracker::new(start, policy);
            // Core evicts a run before it begins it anew, but that may have been lost.
            if let Some(before) = runs.insert(activation.run_id.clone(), tracker) {
                rows.left.push(before.into_row().key);
            }
        }
        let run_id = activation.run_id.clone();
        // Without its beginning a run can't be followed: an observation of it was lost.
        let Some(run) = runs.get_mut(&run_id) else {
            return rows;
        };
        let eviction = activation.jobs.iter().find_map(|job| match job {
            Job::Evicted(reason) => Some(*reason),
            _ => None,
        });
        // What is accepted now was proposed then.
        rows.replayed = run.is_replaying();
        match eviction {
            None => {
                run.activation(activation, self.acceptance, policy, &mut rows);
                rows.seen_by(run.source());
            }
            Some(reason) => {
                let evidence = Evidence::Eviction {
                    reason,
                    history_length: activation.history_length,
                };
                if let Some(run) = runs.remove(&run_id) {
                    let source = run.source();
                    run.leave(evidence, self.acceptance, policy, &mut rows);
                    rows.seen_by(source);
                }
            }
        }
        rows
    }

    /// Takes in the answer to the last activation of a run.
    pub(crate) fn completion(
        &mut self,
        worker: WorkerId,
        completion: Completion,
        policy: &Policy,
    ) -> Rows {
        let mut rows = Rows::default();
        if let Some(commands) = completion.commands
            && let Some(run) = self
                .runs
                .get_mut(&worker)
                .and_then(|runs| runs.get_mut(&completion.run_id))
        {
            rows.replayed = run.is_replaying();
            run.commands(commands, policy, &mut rows);
            rows.seen_by(run.source());
        }
        rows
    }

    /// Forgets a run, as when an observation of it was lost.
    pub(crate) fn forget(&mut self, run_id: &str) -> Option<RunRow> {
        let found = self
            .runs
            .values_mut()
            .filter_map(|runs| runs.remove(run_id));
        found.last().map(RunTracker::into_row)
    }

    /// Forgets all runs.
    pub(crate) fn forget_all(&mut self) -> Vec<RunRow> {
        std::mem::take(&mut self.runs)
            .into_values()
            .flat_map(HashMap::into_values)
            .map(RunTracker::into_row)
            .collect()
    }

    /// Forgets what a worker had in its cache: it stopped, and evicts nothing when it does.
    pub(crate) fn worker_stopped(&mut self, worker: WorkerId, policy: &Policy) -> Rows {
        let mut rows = Rows::default();
        for run in self.runs.remove(&worker).into_iter().flatten() {
            run.1
                .leave(Evidence::WorkerStopped, self.acceptance, policy, &mut rows);
        }
        rows
    }
}

#[cfg(test)]
mod tests;
