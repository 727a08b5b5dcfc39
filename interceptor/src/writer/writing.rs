//! Batches to the database, and what becomes of them.
//!
//! Invariant: one batch is on its way at a time; a batch that is refused goes back to the rows that wait.

use std::sync::Arc;

use omnitrace_store::{Batch, WriteReport};
use tokio::time::Instant;

use super::gauges::locked;
use super::link::{Done, Link};
use super::waiting::Origin;
use super::{REPORT_EVERY, Writer};
use crate::clock;
use crate::counters::Counter;

impl Writer {
    /// When the next batch is to be written, if any waits and no other is on its way.
    pub(super) fn write_at(&self) -> Option<Instant> {
        let link = self.link.as_ref().filter(|link| !link.is_busy())?;
        let hurry = self.intake.waiting.is_batch() || !self.flushes.is_empty();
        let due = if hurry {
            self.waiting_since?
        } else {
            self.waiting_since? + self.flush
        };
        Some((link.refusals.not_before()).map_or(due, |not_before| due.max(not_before)))
    }

    pub(super) fn write(&mut self, last: bool) {
        let Some(link) = self.link.as_mut().filter(|link| !link.is_busy()) else {
            return;
        };
        let mut batch = if link.refusals.is_tripped() {
            // The report alone.
            self.origin = Origin::Memory;
            Batch::default()
        } else {
            let (batch, origin) = self.intake.waiting.next();
            self.origin = origin;
            batch
        };
        let report_due = self
            .reported_at
            .is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if report_due || last || link.refusals.error.is_some() {
            self.reported_at = Some(Instant::now());
            self.process.updated_at = clock::now();
            self.process.counters = self.counters.snapshot();
            batch.process = Some(self.process.clone());
        }
        self.writing_since = Instant::now();
        link.write(batch);
        self.waiting_since = (!self.intake.waiting.is_empty()).then(Instant::now);
        self.tell_breaker();
    }

    fn tell_breaker(&self) {
        if let Some(link) = &self.link {
            *locked(&self.gauges.breaker) = link.breaker();
        }
    }

    pub(super) fn finish(&mut self, done: Done) {
        if !matches!(done, Done::Promotions(_)) {
            self.metrics.flushed(self.writing_since.elapsed());
        }
        match done {
            Done::Written(batch, mut report) => {
                self.intake.waiting.stored(self.origin);
                self.count(&report);
                self.metrics.closed(&batch, &report.closings);
                if let Some(exporter) = &mut self.exporter {
                    let store = self.link.as_ref().and_then(Link::store);
                    exporter.closed(std::mem::take(&mut report.to_export), store);
                }
            }
            Done::Refused(batch, error) => {
                if self.counters.get(Counter::WriteErrors) == 0 {
                    tracing::warn!(%error, "OmniTrace cannot store rows; they wait in memory");
                }
                self.counters.add(Counter::WriteErrors, 1);
                self.process.last_error = Some(error.clone());
                self.process.last_error_at = Some(clock::now());
                let batch = Arc::unwrap_or_clone(batch);
                self.intake.waiting.refused(batch, self.origin);
                let failed = std::mem::take(&mut self.flushes);
                for reply in failed {
                    // `Err` means: nobody waits for the answer.
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Done::Promotions(promotions) => self.intake.promoted(&promotions),
        }
        self.tell_breaker();
    }

    fn count(&self, report: &WriteReport) {
        let stored = report.changed_events.len() + report.changed_runs.len();
        let unchanged = report.unchanged_events + report.unchanged_runs;
        self.counters.add(Counter::RowsStored, stored as u64);
        self.counters.add(Counter::RowsUnchanged, unchanged);
        self.counters
            .add(Counter::RowsDroppedCap, report.cut_events);
        self.counters
            .add(Counter::RowsDroppedGhost, report.ghost_events);
        let erased = report.erased_events + report.erased_runs;
        self.counters.add(Counter::RowsDroppedErased, erased);
    }
}
