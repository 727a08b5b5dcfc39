//! Makes what is stored of a run equal to what its history says.
//!
//! Invariant: a run that is equal is not written; one that differs is repaired in one transaction, and
//! keeps what only live workers knew.

use std::collections::HashSet;

use omnitrace_store::compare::{CompareError, Difference, compare};
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, SampledBy, Source};
use omnitrace_store::{Batch, ReadError, Repair, Store, WriteError, WriteReport};

use super::{HistoryRows, Server, ServerError};
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::sampling::{self, Decision};
use crate::switches::{Beginning, Switchboard};

/// Event rows of one transaction.
const BATCH_ROWS: usize = 500;

/// Why a run could not be compared or healed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealError {
    /// The server's part.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Reading the store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing to the store.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store's rows were redacted by other rules.
    #[error(transparent)]
    Policy(#[from] CompareError),
}

/// How a run stands to its history.
#[derive(Debug)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing differs; so many rows were compared.
    Equal {
        /// Event rows of the history, and the run.
        rows: u64,
    },
    /// The run is going on: its rows come later.
    Open,
    /// It is not stored.
    Missing,
    /// It is not stored because sampling left it out.
    LeftOut,
    /// Something differs.
    Different(Vec<Difference>),
    /// The server has no history of it.
    Unknown,
    /// It closed so long ago that its rows are deleted, or about to be.
    Pruned,
    /// It was erased: nothing of it is stored, nor will be.
    Erased,
}

/// What was done for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Healed {
    /// Nothing: there was nothing to do.
    Nothing,
    /// It was stored anew.
    Recorded,
    /// Rows were put right.
    Repaired,
}

/// What became of the rows of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backfilled {
    /// Events of its history; 0 is no history.
    pub events_read: u64,
    /// Rows that changed the store.
    pub rows_stored: u64,
    /// Rows that said what was known already, or less.
    pub rows_unchanged: u64,
    /// The run was erased: nothing of it is stored.
    pub erased: bool,
}

impl Backfilled {
    fn add(&mut self, report: &WriteReport) {
        self.rows_stored += (report.changed_events.len() + report.changed_runs.len()) as u64;
        self.rows_unchanged += report.unchanged_events + report.unchanged_runs;
        self.erased |= report.erased_runs + report.erased_events > 0;
    }
}

/// Compares and heals runs of a server's namespace.
#[derive(Clone, Debug)]
pub struct Healer {
    server: Server,
    store: Store,
    switches: Switchboard,
    slow_ms: i64,
    metrics: Metrics,
}

/// A run as the store has it.
#[derive(Debug)]
struct Stored {
    run: RunRow,
    events: Vec<EventRow>,
}

impl HistoryRows {
    /// Stores them, a batch after the other; rows merge.
    ///
    /// # Errors
    /// When the store does not take a batch. Those before it are stored.
    pub async fn write(self, store: &Store) -> Result<WriteReport, WriteError> {
        self.measured(store, &Metrics::default()).await
    }

    async fn measured(self, store: &Store, metrics: &Metrics) -> Result<WriteReport, WriteError> {
        let mut batch = Batch {
            runs: vec![self.run],
            seen: self.seen,
            ..Batch::default()
        };
        let mut done = WriteReport::default();
        let mut events = self.events.into_iter();
        loop {
            batch.events = events.by_ref().take(BATCH_ROWS).collect();
            if batch.is_empty() {
                return Ok(done);
            }
            let report = store.write(&batch).await?;
            metrics.closed(&batch, &report.closings);
            done += report;
            batch = Batch::default();
        }
    }
}

fn differences(stored: &Stored, history: &HistoryRows) -> Result<Vec<Difference>, CompareError> {
    compare(&stored.run, &stored.events, &history.run, &history.events)
}

impl Healer {
    /// Sampling, redaction and limits are those of the workers that recorded: give it their settings.
    pub fn new(server: Server, store: Store, settings: &Settings) -> Self {
        Self {
            server,
            store,
            switches: Switchboard::new(settings),
            slow_ms: i64::try_from(settings.slow_ms).unwrap_or(i64::MAX),
            metrics: Metrics::default(),
        }
    }

    /// What it closes is measured.
    pub(super) fn measured(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The server that is asked.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The store that is healed.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Compares a run with its history.
    ///
    /// # Errors
    /// When server or store don't answer, or the rows are of another policy.
    pub async fn compare(&self, run: &RunKey) -> Result<Standing, HealError> {
        Ok(self.look(run).await?.0)
    }

    /// Compares a run with its history, and puts right what differs. A run that goes on is stored as far
    /// as it got, unless a worker records it.
    ///
    /// # Errors
    /// When server or store don't answer, or the rows are of another policy.
    pub async fn heal(&self, run: &RunKey) -> Result<(Standing, Healed), HealError> {
        let (standing, stored, history) = self.look(run).await?;
        let Some(history) = history else {
            return Ok((standing, Healed::Nothing));
        };
        let healed = match (&standing, stored) {
            (Standing::Missing, _) | (Standing::Open, None) => {
                self.record(history).await?;
                Healed::Recorded
            }
            (Standing::Open, Some(stored)) if stored.run.source < Source::Live => {
                history.measured(&self.store, &self.metrics).await?;
                Healed::Repaired
            }
            (Standing::Different(_), Some(_)) => {
                // What only lags behind is healed by merging; what is wrong is replaced.
                let merging = history.clone();
                merging.measured(&self.store, &self.metrics).await?;
                if let Some(stored) = self.stored(run).await? {
                    let left = differences(&stored, &history)?;
                    if !left.is_empty() || stored.run.incomplete {
                        self.repair(&left, stored, history).await?;
                    }
                }
                Healed::Repaired
            }
            (Standing::Equal { .. }, Some(stored)) if stored.run.incomplete => {
                self.repair(&[], stored, history).await?;
                Healed::Repaired
            }
            _ => Healed::Nothing,
        };
        Ok((standing, healed))
    }

    /// Stores what the history of a run says, whatever is stored of it; rows merge.
    ///
    /// # Errors
    /// When server or store don't answer.
    pub async fn backfill(&self, run: &RunKey) -> Result<Backfilled, HealError> {
        self.switches.tell(self.store.switches().await?);
        let mut history = self.server.read_switched(run.clone(), &self.switches);
        let mut done = Backfilled::default();
        // The run's row comes last: it is known when the whole history was read.
        let mut batch = Batch::default();
        while let Some(rows) = history.rows().await? {
            batch.events.extend(rows);
            while batch.events.len() >= BATCH_ROWS {
                let rest = batch.events.split_off(BATCH_ROWS);
                done.add(&self.store.write(&batch).await?);
                batch.events = rest;
            }
        }
        done.events_read = history.events();
        if done.events_read == 0 {
            return Ok(done);
        }
        let last = history.finish();
        let events = batch.events.into_iter().chain(last.events).collect();
        let last = HistoryRows { events, ..last };
        done.add(&last.write(&self.store).await?);
        Ok(done)
    }

    async fn look(
        &self,
        run: &RunKey,
    ) -> Result<(Standing, Option<Stored>, Option<HistoryRows>), HealError> {
        self.switches.tell(self.store.switches().await?);
        let Some(mut history) = self.server.rows_switched(run, &self.switches).await? else {
            return Ok((Standing::Unknown, None, None));
        };
        let stored = self.stored(run).await?;
        let sampled_by = self.sampled_by(&history);
        history.run.sampled_by = sampled_by.unwrap_or(history.run.sampled_by);
        let standing = match &stored {
            None if self.store.is_erased(&history.run).await? => Standing::Erased,
            None if sampled_by.is_none() => Standing::LeftOut,
            _ if history.run.phase < Phase::Closed => Standing::Open,
            _ if history.run.closed_at < Some(self.store.sealed_through().await?) => {
                Standing::Pruned
            }
            None => Standing::Missing,
            Some(stored) => {
                let differences = differences(stored, &history)?;
                if differences.is_empty() {
                    let rows = history.events.len() as u64 + 1;
                    Standing::Equal { rows }
                } else {
                    Standing::Different(differences)
                }
            }
        };
        Ok((standing, stored, Some(history)))
    }

    async fn stored(&self, run: &RunKey) -> Result<Option<Stored>, ReadError> {
        let Some(run) = self.store.run(run).await? else {
            return Ok(None);
        };
        let events = self.store.events(&run.key).await?;
        Ok(Some(Stored { run, events }))
    }

    /// Why a worker with the plugin would have recorded the run; `None` if it would not.
    fn sampled_by(&self, history: &HistoryRows) -> Option<SampledBy> {
        let mut rows = history.events.iter();
        // That its caller was recorded is known from the history.
        let called = history.run.sampled_by == SampledBy::Parent;
        let of = Beginning::from(&history.run);
        let decided = (self.switches).decide(&history.run.trace_id, called.then_some(true), &of);
        if decided == Decision::Off {
            return None;
        }
        decided
            .why()
            .or_else(|| sampling::run_reason(&history.run, self.slow_ms))
            .or_else(|| rows.find_map(|row| sampling::step_reason(row, self.slow_ms)))
    }

    /// Stores a run of which there is no row.
    async fn record(&self, history: HistoryRows) -> Result<(), HealError> {
        // Rows without their run: they may be wrong, and win.
        let is_left = !self.store.events(&history.run.key).await?.is_empty();
        let left = is_left.then(|| Repair {
            run: history.run.clone(),
            events: history.events.clone(),
        });
        history.measured(&self.store, &self.metrics).await?;
        if let Some(repair) = left {
            self.store.repair(&repair).await?;
        }
        Ok(())
    }

    /// Puts history's rows in the place of those that differ. A row that does not is offered as it is
    /// stored: it may hold what history does not say.
    async fn repair(
        &self,
        differences: &[Difference],
        stored: Stored,
        history: HistoryRows,
    ) -> Result<(), WriteError> {
        let differing: HashSet<Option<&str>> = differences
            .iter()
            .map(|difference| difference.event_key.as_deref())
            .collect();
        let known: HashSet<String> = history
            .events
            .iter()
            .map(|row| row.event_key.clone())
            .collect();
        let is_equal = |row: &EventRow| {
            known.contains(&row.event_key) && !differing.contains(&Some(&row.event_key))
        };
        let mut events: Vec<EventRow> = stored.events.into_iter().filter(is_equal).collect();
        let kept: HashSet<String> = events.iter().map(|row| row.event_key.clone()).collect();
        let new = history.events.into_iter();
        events.extend(new.filter(|row| !kept.contains(&row.event_key)));
        let run = if differing.contains(&None) {
            history.run
        } else {
            stored.run
        };
        self.store.repair(&Repair { run, events }).await.map(drop)
    }
}
