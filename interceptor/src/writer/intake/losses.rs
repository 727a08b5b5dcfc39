//! Runs of which something was lost.
//!
//! Invariant: once an observation of a run was lost, nothing more is told of it until it is told from its
//! beginning, and its row is marked.

use omnitrace_store::Scope;
use omnitrace_store::row::RunRow;

use super::Intake;
use crate::queue::Subject;
use crate::sdk::Seen;

impl Intake {
    /// Once an observation of a run was lost, nothing more is told of it until it is told from
    /// its beginning.
    pub(super) fn can_follow(&mut self, seen: &Seen, seq: u64) -> bool {
        let Some(run_id) = seen.run_id() else {
            return true;
        };
        let Some(lost_at) = self.lost.of_workflow(run_id) else {
            return true;
        };
        if seq < lost_at {
            return true;
        }
        self.forget(run_id, seq);
        let begins = seen.begins_run();
        if begins || seen.leaves_cache() {
            // From here on it is told from its beginning, or not at all.
            self.lost.forget_workflow(run_id);
        }
        begins
    }

    fn forget(&mut self, run_id: &str, seq: u64) {
        if let Some(row) = self.trackers.forget(run_id) {
            self.incomplete(row, seq);
        }
    }

    /// Marks a run of which something was lost and that is followed no longer.
    pub(super) fn incomplete(&mut self, mut row: RunRow, seq: u64) {
        let run = row.key.clone();
        self.lost.note(Subject::Row(&run), seq);
        row.incomplete = true;
        self.run_row(row, Some(seq));
        self.decided.remove(&run);
    }

    /// Nothing may come of a run after what was lost of it, so it is not waited for.
    pub(super) fn forget_lost(&mut self) {
        if let Some(through) = self.position.checked_sub(1) {
            for run_id in self.lost.take_workflows(through) {
                self.forget(&run_id, through);
            }
        }
    }

    /// Marks the runs of which something was lost.
    pub(in crate::writer) fn mark_losses(&mut self) {
        if self.has_store {
            for (run, count) in self.lost.take_rows() {
                let id = self.process_id.clone();
                self.high_water(run, Scope::Process { id }, count);
            }
        }
    }
}
