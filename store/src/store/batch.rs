//! What is written in one transaction.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::row::{EventRow, Micros, RunKey, RunRow, SampledBy};

/// What is written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Runs, each key at most once.
    pub runs: Vec<RunRow>,
    /// Events, each key at most once.
    pub events: Vec<EventRow>,
    /// High water marks of what was not offered.
    pub seen: Vec<Seen>,
    /// Runs to be recorded after all.
    pub promotions: Vec<Promotion>,
    /// The writing process.
    pub process: Option<ProcessReport>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.events.is_empty()
            && self.seen.is_empty()
            && self.promotions.is_empty()
            && self.process.is_none()
    }
}

/// What a cut is counted against. Each is merged by maximum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Scope {
    /// Highest attempt number of a step, stored or not.
    Attempts {
        /// Encoded step.
        step: String,
    },
    /// Highest number of an inner event of an attempt, stored or not.
    Inner {
        /// Encoded step.
        step: String,
        /// Attempt.
        attempt: u32,
    },
    /// Observations of the run that a process lost.
    Process {
        /// Id of the process.
        id: String,
    },
}

/// A high water mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Run.
    pub run: RunKey,
    /// What is counted.
    pub scope: Scope,
    /// How many were seen (or lost).
    pub count: u32,
}

/// A run that the sampling rate left out and that is recorded after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Run.
    pub run: RunKey,
    /// Why.
    pub reason: SampledBy,
    /// When it was decided, by the clock of the deciding process.
    pub at: Micros,
}

/// What a recording process says of itself, replaced as a whole by that process alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Random id of the process.
    pub id: String,
    /// Service name.
    pub service: String,
    /// Host name.
    pub host: String,
    /// Operating system's process id.
    pub pid: u32,
    /// Version of the plugin.
    pub version: String,
    /// When it started.
    pub started_at: Micros,
    /// When it last reported.
    pub updated_at: Micros,
    /// Counters by name, each only ever growing.
    pub counters: BTreeMap<String, u64>,
    /// Why the database last refused its rows, one line.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When that was.
    #[serde(default)]
    pub last_error_at: Option<Micros>,
}
