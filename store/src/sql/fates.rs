//! What becomes of each offered event.
//!
//! Invariant: exactly one of changed, unchanged, cut, ghost and erased is reported of each.

use std::collections::HashMap;

use crate::row::{EventRow, Phase, RunKey};
use crate::store::WriteReport;

pub(crate) struct Fates<'a> {
    events: &'a [EventRow],
    by_key: HashMap<(&'a RunKey, &'a str), usize>,
    fates: Vec<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unchanged,
    Changed,
    Cut,
    Ghost,
    Erased,
}

impl<'a> Fates<'a> {
    pub(crate) fn new(events: &'a [EventRow]) -> Self {
        Self {
            events,
            by_key: (events.iter().enumerate())
                .map(|(at, row)| ((&row.run, row.event_key.as_str()), at))
                .collect(),
            fates: vec![Fate::Unchanged; events.len()],
        }
    }

    fn set(&mut self, run: &RunKey, event_key: &str, fate: Fate) {
        if let Some(&at) = self.by_key.get(&(run, event_key)) {
            self.fates[at] = fate;
        }
    }

    pub(crate) fn changed(&mut self, run: &RunKey, event_key: &str) {
        self.set(run, event_key, Fate::Changed);
    }

    pub(crate) fn cut(&mut self, run: &RunKey, event_key: &str) {
        self.set(run, event_key, Fate::Cut);
    }

    /// The stored row was provisional and its run is closed; so the offered one was provisional too,
    /// as it would have stayed otherwise.
    pub(crate) fn ghost(&mut self, run: &RunKey, event_key: &str) {
        self.set(run, event_key, Fate::Ghost);
    }

    /// The run is erased: nothing of it is stored.
    pub(crate) fn erased(&mut self, run: &RunKey) {
        for (row, fate) in self.events.iter().zip(&mut self.fates) {
            if row.run == *run {
                *fate = Fate::Erased;
            }
        }
    }

    pub(crate) fn report(self) -> WriteReport {
        let of = |fate| (self.events.iter().zip(&self.fates)).filter(move |(_, f)| **f == fate);
        debug_assert!(of(Fate::Ghost).all(|(row, _)| row.phase == Phase::Provisional));
        WriteReport {
            unchanged_events: of(Fate::Unchanged).count() as u64,
            cut_events: of(Fate::Cut).count() as u64,
            ghost_events: of(Fate::Ghost).count() as u64,
            erased_events: of(Fate::Erased).count() as u64,
            changed_events: of(Fate::Changed)
                .map(|(row, _)| (row.run.clone(), row.event_key.clone()))
                .collect(),
            ..WriteReport::default()
        }
    }
}
