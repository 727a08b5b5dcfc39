//! Which rows are too old, and taking them out step by step.
//!
//! Invariant: the order is aggregate, events, runs, aggregates; each step is small and can be the last one, so
//! whoever prunes may stop, or crash, between any two. Runs that go on are never taken out.

use serde::Serialize;

use crate::hourly::{self, HOUR, Hours, hour_of};
use crate::row::Micros;
use crate::sql::retention::{DropEvents, DropHours, DropRuns, EventsThrough, Seal};
use crate::store::{ReadError, Store, WriteError};

/// Runs that are read at once to be aggregated.
const PAGE: u32 = 500;

/// What is too old; `None` is never. Whole hours go: those that end before the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events of runs that closed before.
    pub events_before: Option<Micros>,
    /// Runs that closed before, with their events.
    pub runs_before: Option<Micros>,
    /// Hourly aggregates from before.
    pub hours_before: Option<Micros>,
}

impl Retention {
    /// Events go with their run at the latest.
    fn events(&self) -> Option<Micros> {
        self.events_before.max(self.runs_before).map(hour_of)
    }
}

/// How much is too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Prunable {
    /// Runs.
    pub runs: u64,
    /// Events.
    pub events: u64,
    /// About so many bytes, indexes not counted.
    pub bytes: u64,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneStep {
    /// An hour was aggregated.
    Aggregated,
    /// So many events went.
    Events(u64),
    /// So many runs went.
    Runs(u64),
    /// So many aggregates went.
    Hours(u64),
    /// Nothing is left to do.
    Done,
}

/// Why a step was not done. Nothing of it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// Reading.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing.
    #[error("the database did not take rows out: {0}")]
    Write(String),
}

impl From<WriteError> for PruneError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Retry(reason) | WriteError::Corrupt(reason) => Self::Write(reason),
        }
    }
}

impl Store {
    /// Runs that closed before this moment are in the hourly aggregates, and their rows are gone or on
    /// their way out: what comes of them later is not counted again.
    ///
    /// # Errors
    /// What the database said.
    pub async fn sealed_through(&self) -> Result<Micros, ReadError> {
        Ok(self.retention().await?.sealed_through)
    }

    /// How much is too old. Nothing is changed.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prunable(&self, retention: &Retention) -> Result<Prunable, ReadError> {
        let runs = retention.runs_before.map_or(Micros::MIN, hour_of);
        self.count_prunable(runs, retention.events().unwrap_or(Micros::MIN))
            .await
    }

    /// Takes out one step's worth of what is too old. Call it until it says [`PruneStep::Done`]; let others
    /// write between two calls.
    ///
    /// # Errors
    /// When the database did not answer or refused; call it again.
    pub async fn prune(&self, retention: &Retention) -> Result<PruneStep, PruneError> {
        if let Some(before) = retention.events() {
            let progress = self.retention().await?;
            if progress.sealed_through < before {
                self.seal(progress.sealed_through, before).await?;
                return Ok(PruneStep::Aggregated);
            }
            if progress.events_through < before {
                let first = self.first_closed(progress.events_through).await?;
                let Some(hour) = first.map(hour_of).filter(|hour| *hour < before) else {
                    self.transact(&EventsThrough(before)).await?;
                    return Ok(PruneStep::Events(0));
                };
                return Ok(PruneStep::Events(
                    self.transact(&DropEvents { hour }).await?,
                ));
            }
        }
        if let Some(before) = retention.runs_before.map(hour_of) {
            let gone = self.transact(&DropRuns { before }).await?;
            if gone > 0 {
                return Ok(PruneStep::Runs(gone));
            }
        }
        if let Some(before) = retention.hours_before.map(hour_of) {
            let gone = self.transact(&DropHours { before }).await?;
            if gone > 0 {
                return Ok(PruneStep::Hours(gone));
            }
        }
        Ok(PruneStep::Done)
    }

    /// The first hour from a moment on in which a run closed, and before another, added up from its rows as it
    /// will be when they go; `None` if there is none.
    ///
    /// # Errors
    /// What the database said.
    pub async fn next_hour(
        &self,
        from: Micros,
        before: Micros,
    ) -> Result<Option<(Micros, Hours)>, ReadError> {
        let first = self.first_closed(from).await?;
        let Some(hour) = first.map(hour_of).filter(|hour| *hour < before) else {
            return Ok(None);
        };
        let mut hours = Hours::new();
        let mut last = None;
        loop {
            let runs = self.closed_in(hour, last.as_ref(), PAGE).await?;
            let mut events = self.slim_events(&runs).await?;
            events.sort_by(|a, b| a.run.cmp(&b.run));
            for run in &runs {
                let own = events.partition_point(|e| e.run < run.key);
                let end = events.partition_point(|e| e.run <= run.key);
                hourly::add(&mut hours, run, &events[own..end]);
            }
            match runs.len() < PAGE as usize {
                true => return Ok(Some((hour, hours))),
                false => last = runs.into_iter().next_back(),
            }
        }
    }

    /// Stores the aggregates of the first hour in which a run closed, or that there is none.
    async fn seal(&self, from: Micros, before: Micros) -> Result<(), PruneError> {
        let (through, hours) = match self.next_hour(from, before).await? {
            Some((hour, hours)) => (hour + HOUR, hours),
            None => (before, Hours::new()),
        };
        let hours = &hours;
        let seal = Seal {
            from,
            through,
            hours,
        };
        // Where another process was first, the next step goes on from there.
        self.transact(&seal).await?;
        Ok(())
    }
}
