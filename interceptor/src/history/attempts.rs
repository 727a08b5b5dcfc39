//! What a history knows of the attempts of activities: the last one, and why the one before it failed.
//!
//! Invariant: an attempt has the key that its worker gives it, and of its times only those that the
//! history holds.

use std::sync::atomic::AtomicU32;

use omnitrace_store::key::Step;
use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, Source};
use opentelemetry::trace::TraceState;

use crate::attempt::{self, Attempt, AttemptEnd, AttemptSeen};
use crate::observe::Failure;
use crate::policy::{Policy, Redacted};

/// An activity as far as its attempts need it.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) step: Step,
    pub(super) activity_type: String,
    pub(super) task_queue: String,
    pub(super) local: bool,
}

/// An attempt that history knows to have started.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) attempt: u32,
    /// Identity of its worker.
    pub(super) worker: String,
    pub(super) scheduled_at: Option<Micros>,
    pub(super) at: Option<Micros>,
}

impl Activity {
    /// The row of an attempt that has started.
    pub(super) fn started(&self, run: &RunKey, started: &Started, policy: &Policy) -> EventRow {
        self.row(run, started, AttemptSeen::Started, policy)
    }

    /// The row of an attempt that has ended.
    pub(super) fn ended(
        &self,
        run: &RunKey,
        started: &Started,
        at: Option<Micros>,
        output: Option<Redacted>,
        failure: Option<Failure>,
        policy: &Policy,
    ) -> EventRow {
        let seen = AttemptSeen::Ended {
            at: at.unwrap_or_default(),
            late: None,
            end: AttemptEnd::Told { output, failure },
        };
        let mut row = self.row(run, started, seen, policy);
        row.ended_at = at;
        row.phase = Phase::Closed;
        row
    }

    fn row(&self, run: &RunKey, started: &Started, seen: AttemptSeen, policy: &Policy) -> EventRow {
        let attempt = Attempt {
            trace_id: None,
            trace_state: TraceState::default(),
            stranger: None,
            run: run.clone(),
            step: self.step.clone(),
            activity_type: self.activity_type.clone(),
            workflow_type: String::new(),
            tenant: None,
            began: None,
            attempt: started.attempt,
            local: self.local,
            sampled: None,
            task_queue: self.task_queue.clone(),
            worker: started.worker.clone(),
            scheduled_at: started.scheduled_at,
            started_at: started.at.unwrap_or_default(),
            standalone: None,
            inner: AtomicU32::new(0),
        };
        let (mut row, _) = attempt::rows(&attempt, seen, policy);
        row.source = Source::History;
        if started.at.is_none() {
            row.started_at = None;
            row.latency_ms = None;
        }
        row
    }
}
