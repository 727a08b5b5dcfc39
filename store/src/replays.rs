//! What replays of stored runs against a worker's code found.
//!
//! Invariant: of a run the latest is kept, and it goes with its run.

use serde::{Deserialize, Serialize};

use crate::row::{Micros, RunKey};
use crate::sql::replays::{Write, read};
use crate::store::{AccessScope, ReadError, Reader, Store, WriteError};

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayVerdict {
    /// The code does what the run did.
    Passed,
    /// It does, but with other arguments or durations, which Temporal lets pass.
    Changed,
    /// The code does something else: Temporal would stop the run here.
    Parted,
    /// The code fails, or the history is none that can be replayed.
    Failed,
    /// The server has no history of the run any more.
    Gone,
}

impl ReplayVerdict {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Passed,
        Self::Changed,
        Self::Parted,
        Self::Failed,
        Self::Gone,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Changed => "changed",
            Self::Parted => "parted",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == text)
    }
}

/// What the latest replay of a run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRow {
    /// The run.
    pub run: RunKey,
    /// Build of the code that it was replayed against.
    pub build_id: String,
    /// When.
    pub checked_at: Micros,
    /// How it ended.
    pub verdict: ReplayVerdict,
    /// Key of the step at which it parts; that of the run itself is empty.
    pub event_key: Option<String>,
    /// Its position among the steps of the run, from 1.
    pub position: Option<u32>,
    /// What the run did there.
    pub expected: Option<String>,
    /// What the code does there.
    pub found: Option<String>,
    /// What else is to be said, one line.
    pub message: Option<String>,
}

impl Store {
    /// Keeps what replays found. What is known from a later one stays, and a run that is not stored any
    /// more is left out.
    ///
    /// # Errors
    /// When the database did not take it; nothing of it is stored then.
    pub async fn write_replays(&self, rows: &[ReplayRow]) -> Result<(), WriteError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.transact(&Write(rows)).await
    }

    /// What the latest replay of a run found.
    ///
    /// # Errors
    /// What the database said.
    pub async fn replay(&self, run: &RunKey) -> Result<Option<ReplayRow>, ReadError> {
        self.seen_by(&AccessScope::ALL).replay(run).await
    }
}

impl Reader<'_> {
    /// What the latest replay of a run found.
    ///
    /// # Errors
    /// What the database said.
    pub async fn replay(&self, run: &RunKey) -> Result<Option<ReplayRow>, ReadError> {
        let (store, scope) = self.parts();
        match store {
            Store::Sqlite(store) => read(store, run, scope).await,
            Store::Postgres(store) => read(store, run, scope).await,
        }
    }
}
