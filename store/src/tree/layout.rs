//! Which row is part of which.
//!
//! Invariant: parents are found among the rows by key, cycles are cut and depth is capped before
//! any node is nested, so hostile `parent_key`s cost no more than honest ones.

use std::collections::{HashMap, HashSet};

use super::MAX_DEPTH;
use super::chain::Chain;
use super::rows::Row;
use crate::key::{EventKey, STEP_KINDS};
use crate::row::EventRow;

/// Where a row hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Run,
    Row(usize),
    Synthetic(usize),
}

/// Who is part of whom.
pub(super) struct Layout {
    pub(super) parents: Vec<Parent>,
    pub(super) depths: Vec<usize>,
    /// Rows that are shown as part of another one.
    pub(super) folded: HashMap<usize, usize>,
    /// Step and name of the steps of which only attempts are known.
    pub(super) synthetic: Vec<(String, String)>,
}

impl Layout {
    pub(super) fn new(rows: &[Row], chains: &[Chain]) -> Self {
        let mut folded = HashMap::new();
        for chain in chains {
            for &other in chain.links[1..].iter().chain(&chain.timers) {
                folded.insert(other, chain.links[0]);
            }
        }
        let mut layout = Self {
            parents: Vec::with_capacity(rows.len()),
            depths: vec![0; rows.len()],
            folded,
            synthetic: Vec::new(),
        };
        let index = Index::new(rows);
        for (i, row) in rows.iter().enumerate() {
            let parent = layout.parent_of(i, &row.event, &index);
            layout.parents.push(parent);
        }
        layout
    }

    fn parent_of(&mut self, i: usize, event: &EventRow, index: &Index<'_>) -> Parent {
        if event.kind == "activity" && event.attempt > 0 {
            return self.step_of(&event.step, &event.name, index, true);
        }
        if let Some(key) = event.parent_key.as_deref() {
            if let Some(&row) = index.by_key.get(key) {
                let row = self.shown_as(row);
                return if row == self.shown_as(i) {
                    Parent::Run
                } else {
                    Parent::Row(row)
                };
            }
            // The attempt itself was cut: its step is the next best place.
            return match EventKey::parse(key) {
                Ok(key) if key.kind == "activity" => {
                    self.step_of(key.step.as_str(), &key.name, index, false)
                }
                _ => Parent::Run,
            };
        }
        if event.attempt > 0
            && !STEP_KINDS.contains(&event.kind.as_str())
            && let Some((step, n)) = event.step.rsplit_once('.')
            && n.bytes().all(|b| b.is_ascii_digit())
            && let Some(&row) = index.attempts.get(&(step, event.attempt))
        {
            return Parent::Row(self.shown_as(row));
        }
        Parent::Run
    }

    fn step_of(&mut self, step: &str, name: &str, index: &Index<'_>, make: bool) -> Parent {
        if let Some(&row) = index.steps.get(&(step, name)) {
            return Parent::Row(self.shown_as(row));
        }
        let known = self
            .synthetic
            .iter()
            .position(|(s, n)| s == step && n == name);
        if known.is_none() && (make || index.has_attempt.contains(&(step, name))) {
            self.synthetic.push((step.to_owned(), name.to_owned()));
            return Parent::Synthetic(self.synthetic.len() - 1);
        }
        known.map_or(Parent::Run, Parent::Synthetic)
    }

    fn shown_as(&self, row: usize) -> usize {
        self.folded.get(&row).copied().unwrap_or(row)
    }

    /// Walks up from every row once. A row that is its own ancestor hangs under the run; one that
    /// is too deep hangs beside its parent.
    pub(super) fn cut_cycles_and_depth(&mut self) {
        const UNKNOWN: usize = 0;
        let mut path = Vec::new();
        let mut on_path = vec![false; self.parents.len()];
        for start in 0..self.parents.len() {
            let mut at = start;
            path.clear();
            loop {
                if self.depths[at] != UNKNOWN {
                    break;
                }
                path.push(at);
                on_path[at] = true;
                match self.parents[at] {
                    Parent::Row(up) if on_path[up] => {
                        self.parents[at] = Parent::Run;
                        break;
                    }
                    Parent::Row(up) => at = up,
                    Parent::Run | Parent::Synthetic(_) => break,
                }
            }
            while let Some(row) = path.pop() {
                on_path[row] = false;
                let depth = match self.parents[row] {
                    Parent::Run => 1,
                    Parent::Synthetic(_) => 2,
                    Parent::Row(up) => self.depths[up] + 1,
                };
                self.depths[row] = depth;
                if depth > MAX_DEPTH
                    && let Parent::Row(up) = self.parents[row]
                {
                    self.parents[row] = self.parents[up];
                    self.depths[row] = MAX_DEPTH;
                }
            }
        }
    }
}

/// Rows by what others know of them.
struct Index<'a> {
    by_key: HashMap<&'a str, usize>,
    steps: HashMap<(&'a str, &'a str), usize>,
    attempts: HashMap<(&'a str, u32), usize>,
    has_attempt: HashSet<(&'a str, &'a str)>,
}

impl<'a> Index<'a> {
    fn new(rows: &'a [Row]) -> Self {
        let mut index = Self {
            by_key: HashMap::new(),
            steps: HashMap::new(),
            attempts: HashMap::new(),
            has_attempt: HashSet::new(),
        };
        for (i, Row { event, .. }) in rows.iter().enumerate() {
            index.by_key.insert(&event.event_key, i);
            if event.kind != "activity" {
            } else if event.attempt == 0 {
                index.steps.insert((&event.step, &event.name), i);
            } else {
                index.attempts.insert((&event.step, event.attempt), i);
                index.has_attempt.insert((&event.step, &event.name));
            }
        }
        index
    }
}
