//! What became of what was written, and repairs.

use std::collections::BTreeMap;

use super::SpanKey;
use crate::row::{EventRow, RunKey, RunRow};

/// What became of the rows of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// Event keys (with their run) that are now stored with the content offered and were not before.
    pub changed_events: Vec<(RunKey, String)>,
    /// Runs whose row changed, but for what is derived from their events.
    pub changed_runs: Vec<RunKey>,
    /// Event rows whose stored version is at least as good.
    pub unchanged_events: u64,
    /// Run rows whose stored version is at least as good.
    pub unchanged_runs: u64,
    /// Event rows cut by the cap of rows per run: offered now and not kept.
    pub cut_events: u64,
    /// Provisional rows refused because their run is closed.
    pub ghost_events: u64,
    /// Event rows refused because their run is erased.
    pub erased_events: u64,
    /// Run rows refused because they are erased.
    pub erased_runs: u64,
    /// Rows that closed in this write and are to be exported; see [`OpenOptions::export`].
    pub to_export: Vec<SpanKey>,
    /// What closed for the first time; see [`OpenOptions::closings`].
    pub closings: Closings,
}

impl std::ops::AddAssign for WriteReport {
    fn add_assign(&mut self, other: Self) {
        self.changed_events.extend(other.changed_events);
        self.changed_runs.extend(other.changed_runs);
        self.unchanged_events += other.unchanged_events;
        self.unchanged_runs += other.unchanged_runs;
        self.cut_events += other.cut_events;
        self.ghost_events += other.ghost_events;
        self.erased_events += other.erased_events;
        self.erased_runs += other.erased_runs;
    }
}

/// What closed for the first time with a write, and what is newly known to have been spent. A row that
/// was closed before is not in it, whoever writes it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closings {
    /// Positions in [`Batch::events`].
    pub events: Vec<usize>,
    /// Positions in [`Batch::runs`].
    pub runs: Vec<usize>,
    /// What was spent beyond what the store knew.
    pub spent: Vec<(RunKey, Spent)>,
    /// Of the runs of all these, those that have a row.
    pub facts: BTreeMap<RunKey, RunFacts>,
}

/// What metrics say of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Workflow type, or the activity type of a standalone activity.
    pub workflow_type: String,
    /// Task queue.
    pub task_queue: String,
    /// Hashed tenant.
    pub tenant: Option<String>,
}

impl From<&RunRow> for RunFacts {
    fn from(row: &RunRow) -> Self {
        Self {
            workflow_type: row.workflow_type.clone(),
            task_queue: row.task_queue.clone(),
            tenant: row.tenant.as_ref().map(|tenant| tenant.hash.clone()),
        }
    }
}

/// Tokens of one language model and their cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The model, if it is known.
    pub model: Option<String>,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// US dollars.
    pub cost_usd: f64,
}

/// All rows of a run, as Temporal's history says them.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The run.
    pub run: RunRow,
    /// Its events, each key once: steps, and the attempts that history tells of.
    pub events: Vec<EventRow>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Whether the run's row was replaced or inserted.
    pub changed_run: bool,
    /// Keys of events that were replaced or inserted.
    pub changed_events: Vec<String>,
    /// Keys of events that history does not have.
    pub deleted_events: Vec<String>,
    /// Events that were stored as history has them, or that a live worker knows better.
    pub unchanged_events: u64,
    /// Of the changed ones, those that the cap of rows per run did not keep.
    pub cut_events: u64,
}
