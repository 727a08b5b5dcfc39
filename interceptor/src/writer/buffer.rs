//! Rows on their way to the store, one per key.
//!
//! Invariant: two rows of one key become one by the merge rule, and all that waits never takes more
//! than the configured bytes: what has a new key is refused then, what has a known key is merged.

use std::collections::BTreeMap;

use omnitrace_store::row::{EventRow, RunKey, RunRow};
use omnitrace_store::{Batch, Promotion, Scope, Seen, merge};

/// Rows of one transaction, and marks.
const MAX_BATCH_ROWS: usize = 500;

/// What tells of losses has room where rows have none any more: this part of the limit.
const RESERVE: usize = 8;

/// What became of an offered row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    New,
    Merged,
    Full,
}

/// What can wait.
trait Waits {
    type Key: Ord;
    fn key(&self) -> Self::Key;
    fn size(&self) -> usize;
    fn merge(self, other: Self) -> Self;
}

impl Waits for RunRow {
    type Key = RunKey;

    fn key(&self) -> RunKey {
        self.key.clone()
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn merge(self, other: Self) -> Self {
        merge::merge_run(self, other)
    }
}

impl Waits for EventRow {
    type Key = (RunKey, String);

    fn key(&self) -> Self::Key {
        (self.run.clone(), self.event_key.clone())
    }

    fn size(&self) -> usize {
        self.size()
    }

    fn merge(self, other: Self) -> Self {
        merge::merge_event(self, other)
    }
}

/// About how many bytes a mark or a promotion takes beside the names in it.
const MARK_BYTES: usize = 128;

fn run_bytes(run: &RunKey) -> usize {
    MARK_BYTES + run.namespace.len() + run.workflow_id.len() + run.run_id.len()
}

impl Waits for Seen {
    type Key = (RunKey, Scope);

    fn key(&self) -> Self::Key {
        (self.run.clone(), self.scope.clone())
    }

    fn size(&self) -> usize {
        let scope = match &self.scope {
            Scope::Attempts { step } | Scope::Inner { step, .. } => step.len(),
            Scope::Process { id } => id.len(),
            _ => 0,
        };
        run_bytes(&self.run) + scope
    }

    fn merge(self, other: Self) -> Self {
        if other.count > self.count {
            other
        } else {
            self
        }
    }
}

impl Waits for Promotion {
    type Key = RunKey;

    fn key(&self) -> RunKey {
        self.run.clone()
    }

    fn size(&self) -> usize {
        run_bytes(&self.run)
    }

    /// The later one, as in the store.
    fn merge(self, other: Self) -> Self {
        let rank = |promotion: &Self| (promotion.at, promotion.reason.as_str());
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

/// What waits of one kind, in two generations: what comes later never holds up what is sealed.
#[derive(Debug)]
struct Shelf<T: Waits> {
    sealed: BTreeMap<T::Key, T>,
    open: BTreeMap<T::Key, T>,
    bytes: usize,
}

impl<T: Waits> Shelf<T> {
    fn new() -> Self {
        Self {
            sealed: BTreeMap::new(),
            open: BTreeMap::new(),
            bytes: 0,
        }
    }

    fn len(&self) -> usize {
        self.sealed.len() + self.open.len()
    }

    /// Whether something would find no room within so many bytes, nor a row to merge with.
    fn refuses(&self, new: &T, room: usize) -> bool {
        new.size() > room && {
            let key = new.key();
            !self.sealed.contains_key(&key) && !self.open.contains_key(&key)
        }
    }

    /// Puts something in, or merges it; something new only within so many bytes.
    fn put(&mut self, new: T, room: usize) -> Put {
        let key = new.key();
        for generation in [&mut self.sealed, &mut self.open] {
            if let Some(before) = generation.remove(&key) {
                self.bytes -= before.size();
                let merged = before.merge(new);
                self.bytes += merged.size();
                generation.insert(key, merged);
                return Put::Merged;
            }
        }
        if new.size() > room {
            return Put::Full;
        }
        self.bytes += new.size();
        self.open.insert(key, new);
        Put::New
    }

    fn seal(&mut self) {
        self.sealed.append(&mut self.open);
    }

    /// Takes out so many, the sealed ones first.
    fn take(&mut self, most: usize) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, next)) = self.sealed.pop_first().or_else(|| self.open.pop_first())
        {
            self.bytes -= next.size();
            taken.push(next);
        }
        taken
    }

    /// Takes back what was not written; returns how much of it was merged into newer.
    fn put_back(&mut self, taken: Vec<T>) -> u64 {
        let mut merged = 0;
        for back in taken {
            let key = back.key();
            let newer = self.open.remove(&key).or_else(|| self.sealed.remove(&key));
            let back = match newer {
                Some(newer) => {
                    merged += 1;
                    self.bytes -= newer.size();
                    newer.merge(back)
                }
                None => back,
            };
            self.bytes += back.size();
            self.sealed.insert(key, back);
        }
        merged
    }
}

#[derive(Debug)]
pub(crate) struct Buffer {
    runs: Shelf<RunRow>,
    events: Shelf<EventRow>,
    seen: Shelf<Seen>,
    promotions: Shelf<Promotion>,
    limit: usize,
}

impl Buffer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            runs: Shelf::new(),
            events: Shelf::new(),
            seen: Shelf::new(),
            promotions: Shelf::new(),
            limit,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows() + self.seen.len() + self.promotions.len() == 0
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.runs.len() + self.events.len()
    }

    /// Whether a batch is full.
    pub(crate) fn is_batch(&self) -> bool {
        self.rows() >= MAX_BATCH_ROWS
    }

    fn bytes(&self) -> usize {
        self.runs.bytes + self.events.bytes + self.seen.bytes + self.promotions.bytes
    }

    fn room(&self) -> usize {
        (self.limit - self.limit / RESERVE).saturating_sub(self.bytes())
    }

    fn last_room(&self) -> usize {
        self.limit.saturating_sub(self.bytes())
    }

    fn room_for_run(&self, row: &RunRow) -> usize {
        if row.incomplete {
            self.last_room()
        } else {
            self.room()
        }
    }

    /// Whether there is no room for this row.
    pub(crate) fn refuses_run(&self, row: &RunRow) -> bool {
        self.runs.refuses(row, self.room_for_run(row))
    }

    /// Whether there is no room for this row.
    pub(crate) fn refuses_event(&self, row: &EventRow) -> bool {
        self.events.refuses(row, self.room())
    }

    pub(crate) fn run(&mut self, row: RunRow) -> Put {
        let room = self.room_for_run(&row);
        self.runs.put(row, room)
    }

    pub(crate) fn event(&mut self, row: EventRow) -> Put {
        self.events.put(row, self.room())
    }

    pub(crate) fn seen(&mut self, seen: Seen) -> Put {
        self.seen.put(seen, self.last_room())
    }

    pub(crate) fn promotion(&mut self, promotion: Promotion) -> Put {
        self.promotions.put(promotion, self.last_room())
    }

    /// What waits now is taken before what comes later.
    pub(crate) fn seal(&mut self) {
        self.runs.seal();
        self.events.seal();
        self.seen.seal();
        self.promotions.seal();
    }

    /// Whether all that was sealed is taken.
    pub(crate) fn is_unsealed(&self) -> bool {
        self.runs.sealed.is_empty()
            && self.events.sealed.is_empty()
            && self.seen.sealed.is_empty()
            && self.promotions.sealed.is_empty()
    }

    /// The rows of the next transaction.
    pub(crate) fn take(&mut self) -> Batch {
        if self.is_unsealed() {
            self.seal();
        }
        let mut batch = Batch::default();
        batch.runs = self.runs.take(MAX_BATCH_ROWS);
        batch.events = self.events.take(MAX_BATCH_ROWS - batch.runs.len());
        batch.seen = self.seen.take(MAX_BATCH_ROWS);
        batch.promotions = self.promotions.take(MAX_BATCH_ROWS);
        batch
    }

    /// Takes back a batch that was not written; returns how many of its rows were merged into
    /// newer ones. The limit does not count here: the rows were in the buffer a moment ago.
    pub(crate) fn put_back(&mut self, batch: Batch) -> u64 {
        self.seen.put_back(batch.seen);
        self.promotions.put_back(batch.promotions);
        self.runs.put_back(batch.runs) + self.events.put_back(batch.events)
    }
}

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
