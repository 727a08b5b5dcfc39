//! Which runs are recorded, for as long as someone here follows them.
//!
//! Invariant: a decision stays until the last who follows the run has left it. Two workers of one
//! process may have the same run in their caches, as when one of them stops and the other goes on.

use std::collections::HashMap;

use omnitrace_store::row::{RunKey, SampledBy};

#[derive(Debug, Default)]
pub(super) struct Decisions {
    runs: HashMap<RunKey, Decision>,
}

#[derive(Debug)]
struct Decision {
    why: Option<SampledBy>,
    followers: usize,
}

impl Decisions {
    /// Someone more follows the run. Everyone decides alike, so the last word is as good as any.
    pub(super) fn begin(&mut self, run: RunKey, why: Option<SampledBy>) {
        let decision = self
            .runs
            .entry(run)
            .or_insert(Decision { why, followers: 0 });
        decision.why = why;
        decision.followers += 1;
    }

    /// One of those who follow the run has left it.
    pub(super) fn end(&mut self, run: &RunKey) {
        let Some(decision) = self.runs.get_mut(run) else {
            return;
        };
        decision.followers -= 1;
        if decision.followers == 0 {
            self.runs.remove(run);
        }
    }

    /// Whether it was decided, and why the run is recorded, if it is.
    pub(super) fn get(&self, run: &RunKey) -> Option<Option<SampledBy>> {
        self.runs.get(run).map(|decision| decision.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_stays_until_the_last_worker_has_left_the_run() {
        let run = RunKey::new("default", "workflow", "run");
        let mut decisions = Decisions::default();
        decisions.begin(run.clone(), Some(SampledBy::Ratio));
        decisions.begin(run.clone(), Some(SampledBy::Ratio));
        decisions.end(&run);
        assert_eq!(decisions.get(&run), Some(Some(SampledBy::Ratio)));
        decisions.end(&run);
        assert_eq!(decisions.get(&run), None);
        decisions.end(&run);
        assert!(decisions.runs.is_empty());
    }
}
