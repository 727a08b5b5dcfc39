//! Backoff chains of local activities.
//!
//! A local activity that backs off longer than a workflow task lasts is commanded again under a new
//! id after a timer. The links have the same name and `original_schedule_time`, and follow each
//! other in time; the timers between them say `la_backoff`.
//!
//! Invariant: a row is in at most one chain, and a link never begins before the one before it ended.

use std::collections::HashMap;

use super::rows::Row;
use crate::row::{Micros, Status};

/// One chain: rows by index, in order of time.
#[derive(Debug)]
pub(super) struct Chain {
    /// Step rows. The first one stands for the chain.
    pub(super) links: Vec<usize>,
    /// Timers between them, and the one after the last.
    pub(super) timers: Vec<usize>,
    /// Whether the last row is a timer: a retry is still to come.
    pub(super) backing_off: bool,
}

/// Finds the chains among `rows`, which are in display order.
pub(super) fn chains(rows: &[Row]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut by_origin: HashMap<(&str, String), Vec<usize>> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        if row.event.kind != "activity" || row.event.attempt != 0 || !row.local() {
            continue;
        }
        let Some(origin) = row.origin() else { continue };
        let candidates = by_origin.entry((&row.event.name, origin)).or_default();
        // Of several that began at the same moment, go on with the one that ended last before this.
        let before = candidates
            .iter()
            .copied()
            .filter(|&c| follows(rows, &chains[c], row.begin()))
            .max_by_key(|&c| (last_end(rows, &chains[c]), std::cmp::Reverse(c)));
        if let Some(chain) = before {
            chains[chain].links.push(i);
        } else {
            candidates.push(chains.len());
            chains.push(Chain {
                links: vec![i],
                timers: Vec::new(),
                backing_off: false,
            });
        }
    }
    place_timers(rows, &mut chains);
    chains.retain(|chain| chain.links.len() + chain.timers.len() > 1);
    chains
}

/// A link goes on a chain whose last link ended, not well, before it began.
fn follows(rows: &[Row], chain: &Chain, begin: Option<Micros>) -> bool {
    let last = chain.links.last().map(|&i| &rows[i].event);
    last.is_some_and(|last| {
        last.status != Status::Completed
            && match (last.ended_at, begin) {
                (Some(end), Some(begin)) => end <= begin,
                (None, _) => last.status.is_closed(),
                (Some(_), None) => true,
            }
    })
}

fn last_end(rows: &[Row], chain: &Chain) -> Option<Micros> {
    chain.links.last().and_then(|&i| rows[i].event.ended_at)
}

/// Gives each backoff timer to the gap that begins closest before it.
fn place_timers(rows: &[Row], chains: &mut [Chain]) {
    struct Gap {
        chain: usize,
        from: Micros,
        to: Option<Micros>,
        origin: Option<String>,
        taken: bool,
    }
    let mut gaps = Vec::new();
    for (c, chain) in chains.iter().enumerate() {
        for (i, &link) in chain.links.iter().enumerate() {
            let event = &rows[link].event;
            let next = chain.links.get(i + 1);
            if let (Some(from), true) = (event.ended_at, event.status != Status::Completed) {
                gaps.push(Gap {
                    chain: c,
                    from,
                    to: next.and_then(|&n| rows[n].begin()),
                    origin: rows[link].origin(),
                    taken: false,
                });
            }
        }
    }
    for (i, row) in rows.iter().enumerate() {
        let (true, Some(begin)) = (row.la_backoff(), row.begin()) else {
            continue;
        };
        let origin = row.origin();
        let gap = gaps
            .iter_mut()
            .filter(|gap| !gap.taken && gap.from <= begin && gap.to.is_none_or(|to| begin <= to))
            .filter(|gap| origin.is_none() || gap.origin == origin)
            .max_by_key(|gap| (gap.from, std::cmp::Reverse(gap.chain)));
        if let Some(gap) = gap {
            gap.taken = true;
            chains[gap.chain].timers.push(i);
            chains[gap.chain].backing_off |= gap.to.is_none();
        }
    }
}
