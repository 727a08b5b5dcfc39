//! Rows on their way to the store, one per key.
//!
//! Invariant: two rows of one key become one by the merge rule, and the rows never take more than
//! the configured bytes: a row with a new key is refused then, one with a known key is merged.

use std::collections::BTreeMap;

use omnitrace_store::row::{EventRow, RunKey, RunRow};
use omnitrace_store::{Batch, Promotion, Scope, Seen, merge};

/// Rows of one transaction.
const MAX_BATCH_ROWS: usize = 500;

/// What became of an offered row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    New,
    Merged,
    Full,
}

#[derive(Debug)]
pub(crate) struct Buffer {
    runs: BTreeMap<RunKey, RunRow>,
    events: BTreeMap<(RunKey, String), EventRow>,
    seen: BTreeMap<(RunKey, Scope), u32>,
    promotions: Vec<Promotion>,
    bytes: usize,
    limit: usize,
}

impl Buffer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            runs: BTreeMap::new(),
            events: BTreeMap::new(),
            seen: BTreeMap::new(),
            promotions: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows() == 0 && self.seen.is_empty() && self.promotions.is_empty()
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.runs.len() + self.events.len()
    }

    /// Whether a batch is full.
    pub(crate) fn is_batch(&self) -> bool {
        self.rows() >= MAX_BATCH_ROWS
    }

    pub(crate) fn run(&mut self, row: RunRow) -> Put {
        if let Some(before) = self.runs.remove(&row.key) {
            self.bytes -= before.size();
            let merged = merge::merge_run(before, row);
            self.bytes += merged.size();
            self.runs.insert(merged.key.clone(), merged);
            return Put::Merged;
        }
        if self.bytes + row.size() > self.limit {
            return Put::Full;
        }
        self.bytes += row.size();
        self.runs.insert(row.key.clone(), row);
        Put::New
    }

    pub(crate) fn event(&mut self, row: EventRow) -> Put {
        let key = (row.run.clone(), row.event_key.clone());
        if let Some(before) = self.events.remove(&key) {
            self.bytes -= before.size();
            let merged = merge::merge_event(before, row);
            self.bytes += merged.size();
            self.events.insert(key, merged);
            return Put::Merged;
        }
        if self.bytes + row.size() > self.limit {
            return Put::Full;
        }
        self.bytes += row.size();
        self.events.insert(key, row);
        Put::New
    }

    pub(crate) fn seen(&mut self, seen: Seen) {
        let count = self.seen.entry((seen.run, seen.scope)).or_default();
        *count = seen.count.max(*count);
    }

    pub(crate) fn promotion(&mut self, promotion: Promotion) {
        self.promotions.push(promotion);
    }

    /// The rows of the next transaction.
    pub(crate) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        while batch.runs.len() < MAX_BATCH_ROWS
            && let Some((_, row)) = self.runs.pop_first()
        {
            self.bytes -= row.size();
            batch.runs.push(row);
        }
        while batch.runs.len() + batch.events.len() < MAX_BATCH_ROWS
            && let Some((_, row)) = self.events.pop_first()
        {
            self.bytes -= row.size();
            batch.events.push(row);
        }
        let seen = std::mem::take(&mut self.seen);
        batch.seen = seen
            .into_iter()
            .map(|((run, scope), count)| Seen { run, scope, count })
            .collect();
        batch.promotions = std::mem::take(&mut self.promotions);
        batch
    }

    /// Takes back a batch that was not written; returns how many of its rows were merged into
    /// newer ones. The limit does not count here: the rows were in the buffer a moment ago.
    pub(crate) fn put_back(&mut self, batch: &Batch) -> u64 {
        let limit = std::mem::replace(&mut self.limit, usize::MAX);
        let runs = batch.runs.iter().map(|row| self.run(row.clone()));
        let mut merged = runs.filter(|put| *put == Put::Merged).count();
        let events = batch.events.iter().map(|row| self.event(row.clone()));
        merged += events.filter(|put| *put == Put::Merged).count();
        for seen in &batch.seen {
            self.seen(seen.clone());
        }
        self.promotions.extend(batch.promotions.iter().cloned());
        self.limit = limit;
        merged as u64
    }
}
