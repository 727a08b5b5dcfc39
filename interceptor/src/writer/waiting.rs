//! What waits to be stored: in memory, and what finds no room there, on disk.
//!
//! Invariant: what waits longest is stored first, and a batch leaves this place only when it is
//! stored, or counted.

use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_store::{Batch, Promotion, Seen};

use super::buffer::{Buffer, Put};
use super::spool::Spool;
use crate::counters::{Counter, Counters};

pub(crate) struct Waiting {
    buffer: Buffer,
    spool: Option<Spool>,
    /// The disk took no more when it was last asked; asked again when something has left it.
    spool_refuses: bool,
    counters: Counters,
}

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is in nobody's hands but the taker's.
    Memory,
    /// It stays on disk until it is stored. These rows in it were offered by another process.
    Disk { adopted_rows: u64 },
}

impl Waiting {
    pub(crate) fn new(buffer: Buffer, spool: Option<Spool>, counters: Counters) -> Self {
        Self {
            buffer,
            spool,
            spool_refuses: false,
            counters,
        }
    }

    pub(crate) fn run(&mut self, row: RunRow) -> Put {
        while self.buffer.refuses_run(&row) && self.spill() {}
        self.buffer.run(row)
    }

    pub(crate) fn event(&mut self, row: EventRow) -> Put {
        while self.buffer.refuses_event(&row) && self.spill() {}
        self.buffer.event(row)
    }

    pub(crate) fn seen(&mut self, seen: Seen) -> Put {
        self.buffer.seen(seen)
    }

    pub(crate) fn promotion(&mut self, promotion: Promotion) -> Put {
        self.buffer.promotion(promotion)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.spool_is_empty()
    }

    /// Whether a batch is full.
    pub(crate) fn is_batch(&self) -> bool {
        self.buffer.is_batch() || !self.spool_is_empty()
    }

    /// What waits now is stored before what comes later.
    pub(crate) fn seal(&mut self) {
        self.buffer.seal();
    }

    /// Whether all that was sealed is stored.
    pub(crate) fn is_unsealed(&self) -> bool {
        self.buffer.is_unsealed() && self.spool_is_empty()
    }

    /// Bytes on disk.
    pub(crate) fn spool_bytes(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::bytes)
    }

    fn spool_is_empty(&self) -> bool {
        self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// Moves a batch from memory to disk; false if it can't be.
    fn spill(&mut self) -> bool {
        let Some(spool) = self.spool.as_mut().filter(|_| !self.spool_refuses) else {
            return false;
        };
        let batch = self.buffer.take();
        if batch.is_empty() {
            return false;
        }
        let kept = spool.append(&batch).unwrap_or_else(|error| {
            if self.counters.get(Counter::SpoolErrors) == 0 {
                tracing::warn!(%error, "OmniTrace cannot write its spool; rows wait in memory alone");
            }
            self.counters.add(Counter::SpoolErrors, 1);
            false
        });
        if !kept {
            self.spool_refuses = true;
            // Taken a moment ago: there is nothing newer to merge with.
            self.buffer.put_back(batch);
        }
        kept
    }

    /// The next batch to store.
    pub(crate) fn next(&mut self) -> (Batch, Origin) {
        let next = self.spool.as_mut().and_then(Spool::peek);
        self.count_losses();
        match next {
            Some(next) => {
                let rows = next.batch.runs.len() + next.batch.events.len();
                let adopted_rows = if next.adopted { rows as u64 } else { 0 };
                (next.batch, Origin::Disk { adopted_rows })
            }
            None => (self.buffer.take(), Origin::Memory),
        }
    }

    /// The batch is stored.
    pub(crate) fn stored(&mut self, origin: Origin) {
        if let Origin::Disk { adopted_rows } = origin {
            self.counters.add(Counter::RowsOffered, adopted_rows);
            self.counters.add(Counter::RowsAdopted, adopted_rows);
            if let Some(spool) = &mut self.spool {
                spool.advance();
            }
            self.spool_refuses = false;
        }
    }

    /// The batch is not stored.
    pub(crate) fn refused(&mut self, batch: Batch, origin: Origin) {
        if origin == Origin::Memory {
            let merged = self.buffer.put_back(batch);
            self.counters.add(Counter::RowsUnchanged, merged);
        }
    }

    /// Takes over what processes that are gone have left on disk.
    pub(crate) fn adopt(&mut self) {
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.adopt()
        {
            tracing::debug!(%error, "OmniTrace cannot look for what other processes left");
        }
        self.spool_refuses = false;
    }

    /// Nothing is stored any more: what waits is left on disk for the next process. Returns how many
    /// rows found no room there.
    pub(crate) fn leave(&mut self) -> usize {
        self.spool_refuses = false;
        while self.spill() {}
        if let Some(spool) = &mut self.spool {
            let rows = spool.own_rows();
            if rows > 0 {
                tracing::warn!(
                    rows,
                    "OmniTrace stopped; rows wait on disk for the next process"
                );
            }
            self.counters.add(Counter::RowsSpooled, rows as u64);
            spool.leave();
        }
        self.buffer.rows()
    }

    fn count_losses(&mut self) {
        if let Some(spool) = &mut self.spool {
            let losses = spool.take_losses();
            self.counters.add(Counter::SpoolTorn, losses.lines);
            self.counters
                .add(Counter::RowsDroppedSpool, losses.own_rows);
        }
    }
}
