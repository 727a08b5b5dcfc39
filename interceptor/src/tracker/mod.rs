//! From observations to rows: pure, without I/O, clock or tokio.
//!
//! Invariant: one [`run::RunTracker`] per (worker, run) that is in that worker's cache; it goes
//! when the run is evicted, so their number returns to zero. Rows that rest on a worker's proposal
//! are provisional until the server is known to have accepted it.

mod run;
mod step;

use std::collections::HashMap;

use omnitrace_store::row::{EventRow, RunKey, RunRow};

use crate::observe::{Activation, Completion, Eviction, Job};
use crate::policy::Policy;
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
    /// The run is in the cache no longer.
    pub(crate) evicted: Option<RunKey>,
}

/// The live trackers.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    runs: HashMap<WorkerId, HashMap<String, RunTracker>>,
}

impl Trackers {
    /// How many runs are being followed.
    pub(crate) fn live(&self) -> usize {
        self.runs.values().map(HashMap::len).sum()
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
            runs.insert(activation.run_id.clone(), tracker);
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
        match eviction {
            None => run.activation(activation, policy, &mut rows),
            Some(reason) => {
                let proves = match reason {
                    Eviction::ExecutionEnding => true,
                    // With 0 a task was still open when the run left the cache.
                    Eviction::CacheFull => activation.history_length > 0,
                    Eviction::Other => false,
                };
                if proves {
                    run.accept(policy, &mut rows);
                }
                rows.evicted = Some(run.key().clone());
                runs.remove(&run_id);
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
            run.commands(commands, policy, &mut rows);
        }
        rows
    }

    /// Forgets a run, as when an observation of it was lost.
    pub(crate) fn forget(&mut self, worker: WorkerId, run_id: &str) -> Option<RunRow> {
        let run = self.runs.get_mut(&worker)?.remove(run_id)?;
        Some(run.into_row())
    }

    /// Forgets what a worker had in its cache: it stopped, and evicts nothing when it does.
    pub(crate) fn worker_stopped(&mut self, worker: WorkerId) -> Vec<RunKey> {
        self.runs
            .remove(&worker)
            .into_iter()
            .flat_map(HashMap::into_values)
            .map(|run| run.key().clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
