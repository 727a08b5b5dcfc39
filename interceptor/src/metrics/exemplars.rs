//! Which trace a measurement belongs to: the last one of each bucket of a histogram, as an exemplar that leads
//! from a graph to its trace.
//!
//! Invariant: only of a trace that is recorded. What is kept is bounded: a few numbers for each bucket that was
//! hit, and the traces of so many runs.

use std::collections::BTreeMap;

use omnitrace_store::row::{Micros, RunKey};
use opentelemetry::trace::{SpanContext, SpanId, TraceId};

use crate::clock;
use crate::recent::Recent;
use crate::telemetry::trace_id;

/// A span that something was measured of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

impl Of {
    /// A span that is sampled.
    pub(super) fn sampled(span: &SpanContext) -> Option<Self> {
        (span.is_valid() && span.is_sampled()).then(|| Self {
            trace: span.trace_id(),
            span: span.span_id(),
        })
    }

    /// The span of a row of this trace.
    pub(super) fn row(trace: TraceId, span_id: &str) -> Option<Self> {
        let span = SpanId::from_hex(span_id).ok()?;
        Some(Self { trace, span })
    }
}

/// What was measured last in a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    pub(super) of: Of,
    pub(super) value: f64,
    pub(super) at: Micros,
}

/// Exemplars of a series, by bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(BTreeMap<usize, Exemplar>);

impl Buckets {
    pub(super) fn keep(&mut self, bounds: &[f64], value: f64, of: Of) {
        // A bucket ends with its bound.
        let bucket = bounds.partition_point(|bound| *bound < value);
        let at = clock::now();
        self.0.insert(bucket, Exemplar { of, value, at });
    }

    pub(super) fn of(&self, bucket: usize) -> Option<&Exemplar> {
        self.0.get(&bucket)
    }
}

/// Traces of the runs that were heard of last.
#[derive(Debug, Default)]
pub(super) struct Traces(Recent<TraceId>);

impl Traces {
    pub(super) fn follow(&mut self, run: &RunKey, trace: &str) {
        self.0.follow(run, || trace_id(trace));
    }

    /// The span of a row of a run.
    pub(super) fn of(&self, run: &RunKey, span_id: &str) -> Option<Of> {
        Of::row(*self.0.get(run)?, span_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recent::MAX_RUNS;

    #[test]
    fn of_each_bucket_the_last_is_kept() {
        let of = |n: u64| Of {
            trace: TraceId::from(u128::from(n)),
            span: SpanId::from(n),
        };
        let mut buckets = Buckets::default();
        for (n, value) in [(1, 0.5), (2, 1.0), (3, 1.5), (4, 1.7)] {
            buckets.keep(&[1.0, 2.0], value, of(n));
        }
        let kept = |bucket| buckets.of(bucket).map(|exemplar| exemplar.of.span);
        assert_eq!(kept(0), Some(SpanId::from(2)));
        assert_eq!(kept(1), Some(SpanId::from(4)));
        assert_eq!(kept(2), None);
    }

    #[test]
    fn traces_of_the_last_runs_are_remembered() {
        let run = |n: usize| RunKey::new("default", format!("order-{n}"), "r");
        let mut traces = Traces::default();
        for n in 0..=MAX_RUNS {
            traces.follow(&run(n), "4bf92f3577b34da6a3ce929d0e0e4736");
        }
        let of = |n| traces.of(&run(n), "00f067aa0ba902b7");
        assert!(of(0).is_none() && of(1).is_some() && of(MAX_RUNS).is_some());
        assert!(traces.of(&run(1), "none").is_none());
    }

    #[test]
    fn a_span_that_nobody_records_is_none() {
        let span = |flags: &str| {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let carrier = [("traceparent".to_owned(), text)].into();
            crate::propagation::extract(&carrier).unwrap()
        };
        assert!(Of::sampled(&span("01")).is_some());
        assert!(Of::sampled(&span("00")).is_none());
        assert!(Of::sampled(&SpanContext::NONE).is_none());
    }
}
