//! What was offered and what became of it.
//!
//! Invariant: once everything is flushed, rows offered = stored + unchanged + sampled out + spooled
//! + the `rows.dropped.*`; and observations offered = taken + the `dropped.*`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One thing that is counted; the names are a promise to those who read them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Counter { $($(#[$doc])* $variant,)+ }

        impl Counter {
            /// All counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it is reported.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

counters! {
    /// Observations made on the workflows' and activities' paths, and by the API.
    Offered = "observations.offered",
    /// Observations that the writer took in.
    Taken = "observations.taken",
    /// Observations dropped: the queue was full.
    DroppedQueueFull = "dropped.queue_full",
    /// Observations dropped: an earlier one of their run was.
    DroppedRunIncomplete = "dropped.run_incomplete",
    /// Observations dropped: recording them failed in an unforeseen way.
    DroppedPanic = "dropped.panic",
    /// Observations dropped: the writer had stopped.
    DroppedStopped = "dropped.stopped",
    /// Events of the API refused: their key is not one.
    DroppedInvalidKey = "dropped.invalid_key",
    /// Payloads that the client's codec could not decode; they are recorded as opaque.
    Undecodable = "codec.undecodable",
    /// Headers `_tracer-data` that are no trace context, or too long; they are ignored.
    HeadersMalformed = "headers.malformed",
    /// Rows made from observations.
    RowsOffered = "rows.offered",
    /// Rows that changed the store.
    RowsStored = "rows.stored",
    /// Rows that said what was known already, or less.
    RowsUnchanged = "rows.unchanged",
    /// Rows of runs that sampling left out.
    RowsSampledOut = "rows.sampled_out",
    /// Rows dropped: too many waited for the database.
    RowsDroppedBufferFull = "rows.dropped.buffer_full",
    /// Rows dropped: too many were kept of runs that sampling left out, before it was clear
    /// whether they fail.
    RowsDroppedHeldFull = "rows.dropped.held_full",
    /// Rows dropped: the run has its number of rows.
    RowsDroppedCap = "rows.dropped.run_cap",
    /// Rows dropped: the step has its number of attempts, or the attempt of events.
    RowsDroppedStepCap = "rows.dropped.step_cap",
    /// Proposals that were never accepted.
    RowsDroppedGhost = "rows.dropped.ghost",
    /// Rows of runs that were erased.
    RowsDroppedErased = "rows.dropped.erased",
    /// Rows dropped: there is no store.
    RowsDroppedNoStore = "rows.dropped.no_store",
    /// Rows that waited for the database when the process ended.
    RowsDroppedShutdown = "rows.dropped.shutdown",
    /// Rows dropped: they were on disk and could not be read back.
    RowsDroppedSpool = "rows.dropped.spool",
    /// Rows left on disk when the process ended; another process stores them.
    RowsSpooled = "rows.spooled",
    /// Rows that another process left on disk, offered again and stored by this one.
    RowsAdopted = "rows.adopted",
    /// Lines of a spool file that could not be read, as the last one of a process that was killed.
    SpoolTorn = "spool.torn",
    /// Times that the spool could not be written.
    SpoolErrors = "spool.errors",
    /// Marks that count a run's losses, and promotions, dropped: too much waited for the database.
    MarksDropped = "marks.dropped",
    /// Writes that the database refused, to be tried again.
    WriteErrors = "store.write_errors",
    /// Spans that the collector acknowledged.
    SpansExported = "spans.exported",
    /// Spans dropped: without a store they found no room, or the collector would never take them.
    SpansDropped = "spans.dropped",
    /// Times that the collector did not take what it was sent.
    ExportErrors = "export.errors",
    /// Runs recorded because of the sampling rate or their caller.
    RunsSampled = "runs.sampled",
    /// Runs left out by the sampling rate.
    RunsNotSampled = "runs.not_sampled",
    /// Runs left out and recorded after all.
    RunsPromoted = "runs.promoted",
}

/// The counters of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Counters(Arc<[AtomicU64; Counter::ALL.len()]>);

impl Counters {
    pub(crate) fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        self.0[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }

    /// All that are not 0, by name.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, u64> {
        Counter::ALL
            .iter()
            .map(|counter| (counter.name().to_owned(), self.get(*counter)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}
