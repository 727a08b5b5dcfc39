//! What is remembered of the runs that were heard of last.
//!
//! Invariant: of so many runs and no more; the one that was heard of first goes first.

use std::collections::{HashMap, VecDeque};

use omnitrace_store::row::RunKey;

/// Runs that are remembered.
pub(crate) const MAX_RUNS: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Recent<T> {
    runs: HashMap<RunKey, T>,
    /// The oldest first.
    order: VecDeque<RunKey>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Recent<T> {
    /// Remembers this of a run, unless something is remembered of it.
    pub(crate) fn follow(&mut self, run: &RunKey, what: impl FnOnce() -> T) {
        if self.runs.contains_key(run) {
            return;
        }
        if self.order.len() >= MAX_RUNS
            && let Some(oldest) = self.order.pop_front()
        {
            self.runs.remove(&oldest);
        }
        self.order.push_back(run.clone());
        self.runs.insert(run.clone(), what());
    }

    pub(crate) fn get(&self, run: &RunKey) -> Option<&T> {
        self.runs.get(run)
    }

    pub(crate) fn get_mut(&mut self, run: &RunKey) -> Option<&mut T> {
        self.runs.get_mut(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_remembered() {
        let run = |n: usize| RunKey::new("default", format!("order-{n}"), "r");
        let mut recent = Recent::default();
        for n in 0..=MAX_RUNS {
            recent.follow(&run(n), || n);
            recent.follow(&run(n), || 0);
        }
        let of = |n| recent.get(&run(n)).copied();
        assert_eq!(
            (of(0), of(1), of(MAX_RUNS)),
            (None, Some(1), Some(MAX_RUNS))
        );
        assert_eq!(
            (recent.runs.len(), recent.order.len()),
            (MAX_RUNS, MAX_RUNS)
        );
    }
}
