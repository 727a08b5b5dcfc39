//! Where rows go: to those that wait, or to what is held of runs that are left out.
//!
//! Invariant: a row that finds no room is counted as dropped, and its run is marked.

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow};
use omnitrace_store::{Scope, Seen as HighWater};

use super::super::buffer::Put;
use super::Intake;
use crate::clock;
use crate::counters::Counter;
use crate::queue::Subject;
use crate::sampling;

impl Intake {
    pub(super) fn high_water(&mut self, run: RunKey, scope: Scope, count: u32) {
        let put = self.waiting.seen(HighWater { run, scope, count });
        self.marked(put);
    }

    pub(super) fn marked(&self, put: Put) {
        if put == Put::Full {
            self.counters.add(Counter::MarksDropped, 1);
        }
    }

    pub(super) fn run_row(&mut self, mut row: RunRow, seq: Option<u64>) {
        self.counters.add(Counter::RowsOffered, 1);
        if let Some(reason) = sampling::run_reason(&row, self.slow_ms) {
            self.promote(&row.key, reason);
        }
        match self.reason(&row.key) {
            Some(reason) => {
                row.sampled_by = reason;
                self.put_run(row, seq);
            }
            None => {
                let ended = row.phase == Phase::Closed;
                let key = row.key.clone();
                self.held.run(row, clock::now(), !self.replays);
                if ended {
                    self.held.discard(&key);
                }
            }
        }
    }

    pub(super) fn event_row(&mut self, row: EventRow, sampled: bool, seq: Option<u64>) {
        self.counters.add(Counter::RowsOffered, 1);
        self.place_event(row, sampled, seq);
    }

    pub(super) fn place_event(&mut self, row: EventRow, sampled: bool, seq: Option<u64>) {
        if sampled {
            self.put_event(row, seq);
        } else {
            self.held.event(row, clock::now(), !self.replays);
        }
    }

    pub(super) fn put_event(&mut self, row: EventRow, seq: Option<u64>) {
        let run = row.run.clone();
        if let Some(unstored) = &mut self.unstored {
            unstored.event(&row);
        }
        let put = self.waiting.event(row);
        self.placed(put, &run, seq);
    }

    pub(super) fn put_run(&mut self, row: RunRow, seq: Option<u64>) {
        let run = row.key.clone();
        if let Some(unstored) = &mut self.unstored {
            unstored.run(&row);
        }
        let put = self.waiting.run(row);
        self.placed(put, &run, seq);
    }

    fn placed(&mut self, put: Put, run: &RunKey, seq: Option<u64>) {
        match put {
            Put::New => {}
            Put::Merged => self.counters.add(Counter::RowsUnchanged, 1),
            Put::Full if !self.has_store => self.counters.add(Counter::RowsDroppedNoStore, 1),
            Put::Full => {
                self.counters.add(Counter::RowsDroppedBufferFull, 1);
                match seq {
                    Some(seq) => self.lost.note(Subject::Workflow(&run.run_id), seq),
                    None => self.lost.note(Subject::Row(run), 0),
                }
            }
        }
    }
}
