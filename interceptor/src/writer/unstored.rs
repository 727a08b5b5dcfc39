//! Spans of rows where there is no store to tell which of them are new.
//!
//! Invariant: only what a worker saw live becomes a span, so nothing of a replay does; of so many runs the
//! trace is remembered, and no more.

use std::collections::{HashMap, VecDeque};

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use opentelemetry_sdk::trace::SpanData;

use crate::telemetry::{OfRun, SpanShape, event_span, run_span};

/// Runs whose trace is remembered.
const MAX_TRACES: usize = 10_000;

pub(super) struct Unstored {
    shape: SpanShape,
    /// Traces of the runs that were followed last: an attempt may end when its run has left the cache.
    traces: HashMap<RunKey, String>,
    /// Those runs, the oldest first.
    order: VecDeque<RunKey>,
    closed: Vec<SpanData>,
}

impl Unstored {
    pub(super) fn new(shape: SpanShape) -> Self {
        Self {
            shape,
            traces: HashMap::new(),
            order: VecDeque::new(),
            closed: Vec::new(),
        }
    }

    pub(super) fn follow(&mut self, run: &RunKey, trace_id: &str) {
        if self.traces.contains_key(run) {
            return;
        }
        if self.order.len() >= MAX_TRACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
        self.order.push_back(run.clone());
        self.traces.insert(run.clone(), trace_id.to_owned());
    }

    pub(super) fn run(&mut self, row: &RunRow) {
        if row.phase == Phase::Closed && row.source == Source::Live {
            self.closed.push(run_span(row, None, &self.shape));
        }
    }

    pub(super) fn event(&mut self, row: &EventRow) {
        let is_over = row.source == Source::Live || row.status == Status::Lost;
        if row.phase == Phase::Closed
            && is_over
            && let Some(trace_id) = self.traces.get(&row.run)
        {
            let run = OfRun {
                trace_id,
                closed_at: None,
            };
            self.closed.push(event_span(row, run, &self.shape));
        }
    }

    /// What closed since the last call.
    pub(super) fn take(&mut self) -> Vec<SpanData> {
        std::mem::take(&mut self.closed)
    }
}
