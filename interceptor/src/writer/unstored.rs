//! Rows where there is no store to tell which of them are new: as spans, and in metrics.
//!
//! Invariant: only what a worker saw live counts, so nothing of a replay does; of so many runs it is
//! remembered what their events need, and no more.

use omnitrace_store::RunFacts;
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use opentelemetry_sdk::trace::SpanData;

use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::telemetry::{OfRun, SpanShape, event_span, run_span};

pub(super) struct Unstored {
    /// Of spans, where they are sent.
    shape: Option<SpanShape>,
    metrics: Metrics,
    /// The runs that were followed last: an attempt may end when its run has left the cache.
    runs: Recent<Followed>,
    closed: Vec<SpanData>,
}

#[derive(Default)]
struct Followed {
    trace_id: String,
    facts: RunFacts,
}

impl Unstored {
    pub(super) fn new(shape: Option<SpanShape>, metrics: Metrics) -> Option<Self> {
        (shape.is_some() || metrics.is_on()).then(|| Self {
            shape,
            metrics,
            runs: Recent::default(),
            closed: Vec::new(),
        })
    }

    pub(super) fn follow(&mut self, run: &RunKey, trace_id: &str) {
        self.runs.follow(run, || Followed {
            trace_id: trace_id.to_owned(),
            facts: RunFacts::default(),
        });
    }

    pub(super) fn run(&mut self, row: &RunRow) {
        if let Some(followed) = self.runs.get_mut(&row.key) {
            followed.facts = RunFacts::from(row);
        }
        if row.phase == Phase::Closed && row.source == Source::Live {
            let span = self.shape.as_ref().map(|shape| run_span(row, None, shape));
            self.closed.extend(span);
            let none = std::iter::empty();
            let facts = RunFacts::default();
            let has_spans = self.shape.is_some();
            self.metrics.unstored(Some(row), none, &facts, has_spans);
        }
    }

    pub(super) fn event(&mut self, row: &EventRow) {
        let is_over = row.source == Source::Live || row.status == Status::Lost;
        if row.phase < Phase::Closed || !is_over {
            return;
        }
        let followed = self.runs.get(&row.run);
        let unknown = Followed::default();
        let facts = &followed.unwrap_or(&unknown).facts;
        let has_spans = self.shape.is_some();
        (self.metrics).unstored(None, std::iter::once(row), facts, has_spans);
        if let (Some(shape), Some(followed)) = (&self.shape, followed) {
            let run = OfRun {
                trace_id: &followed.trace_id,
                closed_at: None,
            };
            self.closed.push(event_span(row, run, shape));
        }
    }

    /// What closed since the last call.
    pub(super) fn take(&mut self) -> Vec<SpanData> {
        std::mem::take(&mut self.closed)
    }
}
