//! What a repair does to the rows of a run: history's rows take the place of those that differ.
//!
//! Invariant: pure; applied again it changes nothing. What only a live worker can know (attempts,
//! what happens inside them, rejected updates) is never deleted.

use std::collections::HashMap;

use crate::compare::{in_history, is_equal};
use crate::derive::is_step;
use crate::row::{EventRow, Phase, RunRow, Source};
use crate::store::Repair;

/// What is to be done to a run.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// The run's row, if it is to be replaced.
    pub(crate) run: Option<RunRow>,
    /// Rows to put in the place of what is stored, if anything is.
    pub(crate) put: Vec<EventRow>,
    /// Keys of rows to delete.
    pub(crate) delete: Vec<String>,
}

/// Compares what is stored of a run with what history says.
pub(crate) fn plan(run: Option<&RunRow>, events: &[EventRow], repair: &Repair) -> Plan {
    let right = repaired_run(run, repair);
    let by_key: HashMap<&str, &EventRow> = (repair.events.iter())
        .map(|row| (row.event_key.as_str(), row))
        .collect();
    let mut plan = Plan::default();
    let mut stored = HashMap::new();
    for row in events {
        stored.insert(row.event_key.as_str(), row);
        let proposed = row.phase == Phase::Provisional
            && right.phase < Phase::Closed
            && row.start_time() > right.accepted_through;
        if !by_key.contains_key(row.event_key.as_str()) && in_history(row) && !proposed {
            plan.delete.push(row.event_key.clone());
        }
    }
    for row in &repair.events {
        let right = repaired_event(row);
        let stays = (stored.get(row.event_key.as_str()))
            .is_some_and(|stored| same_event(stored, &right) || live_stays(stored, row));
        if !stays {
            plan.put.push(right);
        }
    }
    if run.is_none_or(|stored| !same_run(stored, &right)) {
        plan.run = Some(right);
    }
    plan
}

/// Whether a live worker's row of an attempt stays: its times are the worker's own. One that never
/// ended, or ended otherwise, is what history is better at.
fn live_stays(stored: &EventRow, history: &EventRow) -> bool {
    !is_step(history) && stored.phase == Phase::Closed && is_equal(stored, history)
}

/// A step's row wins against every row of its phase that comes later; that of an attempt loses
/// against a live one.
fn repaired_event(row: &EventRow) -> EventRow {
    EventRow {
        source: if is_step(row) {
            Source::Repaired
        } else {
            Source::History
        },
        ..row.clone()
    }
}

/// History's row, with what history does not know.
fn repaired_run(stored: Option<&RunRow>, repair: &Repair) -> RunRow {
    let mut right = RunRow {
        source: Source::Repaired,
        ..repair.run.clone()
    };
    if let Some(stored) = stored {
        let merged = crate::merge::merge_run(stored.clone(), right.clone());
        right.sampled_by = stored.sampled_by;
        right.user = merged.user;
        right.tenant = merged.tenant;
        right.accepted_through = merged.accepted_through;
        // While the run goes on, its worker may be ahead of the history that was read.
        if right.phase < Phase::Closed {
            right.steps_seen = merged.steps_seen;
        }
    }
    right.incomplete = false;
    right
}

fn same_event(stored: &EventRow, right: &EventRow) -> bool {
    let source = stored.source;
    *stored
        == EventRow {
            source,
            ..right.clone()
        }
}

/// Whether they are the same but for who says so and what the store derives.
fn same_run(stored: &RunRow, right: &RunRow) -> bool {
    *stored
        == RunRow {
            source: stored.source,
            event_count: stored.event_count,
            dropped_events: stored.dropped_events,
            input_tokens: stored.input_tokens,
            output_tokens: stored.output_tokens,
            cost_usd: stored.cost_usd,
            ..right.clone()
        }
}
