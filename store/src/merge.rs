//! The one merge rule.
//!
//! Invariant: [`merge_event`] and [`merge_run`] are commutative, associative and idempotent. A row
//! replaces the stored one only if (phase, source, start time, digest) is greater; the SQL of the
//! databases and the writer's buffer say the same.

use crate::row::{EventRow, Identity, Micros, Phase, RunRow, Source};

/// What decides between two rows of one key; the greater one stays.
pub type Rank = (Phase, Source, Micros, i64);

/// The rank of an event row.
pub fn event_rank(row: &EventRow) -> Rank {
    (row.phase, row.source, row.start_time(), row.digest())
}

/// The rank of a run row.
pub fn run_rank(row: &RunRow) -> Rank {
    (row.phase, row.source, row.start_time(), row.digest())
}

/// Merges two rows of one event key.
pub fn merge_event(a: EventRow, b: EventRow) -> EventRow {
    debug_assert_eq!((&a.run, &a.event_key), (&b.run, &b.event_key));
    if event_rank(&b) > event_rank(&a) {
        b
    } else {
        a
    }
}

/// Merges two rows of one run.
pub fn merge_run(a: RunRow, b: RunRow) -> RunRow {
    debug_assert_eq!(a.key, b.key);
    let user = better(a.user.clone(), b.user.clone());
    let tenant = better(a.tenant.clone(), b.tenant.clone());
    let accepted_through = a.accepted_through.max(b.accepted_through);
    let steps_seen = a.steps_seen.max(b.steps_seen);
    let incomplete = a.incomplete || b.incomplete;
    let row = if run_rank(&b) > run_rank(&a) { b } else { a };
    RunRow {
        user,
        tenant,
        accepted_through,
        steps_seen,
        incomplete,
        ..row
    }
}

fn better(a: Option<Identity>, b: Option<Identity>) -> Option<Identity> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let b_wins = b.rank > a.rank || (b.rank == a.rank && b.hash < a.hash);
            Some(if b_wins { b } else { a })
        }
        (a, b) => a.or(b),
    }
}
