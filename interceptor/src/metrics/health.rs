//! OmniTrace's own health: counters and gauges that the writer keeps, read whenever metrics are.
//!
//! Invariant: nothing is counted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Metrics;
use super::names::*;
use crate::breaker::Breaker;
use crate::config::{DatabaseTarget, Settings};
use crate::counters::{Counter, Counters};
use crate::logs::dropped_lines;
use crate::switches::{Beginning, Switchboard};
use crate::writer::Gauges;

/// Counters that are metrics of their own.
const COUNTED: &[(&Metric, Counter)] = &[
    (&OFFERED, Counter::RowsOffered),
    (&STORED, Counter::RowsStored),
    (&UNCHANGED, Counter::RowsUnchanged),
    (&SAMPLED_OUT, Counter::RowsSampledOut),
    (&STORE_ERRORS, Counter::WriteErrors),
    (&SPANS_EXPORTED, Counter::SpansExported),
    (&SPANS_FAILED, Counter::SpansDropped),
    (&EXPORT_ERRORS, Counter::ExportErrors),
    (&RUNS_PROMOTED, Counter::RunsPromoted),
    (&HEADERS_IGNORED, Counter::HeadersMalformed),
];

/// Counters of what was dropped, and why.
fn dropped() -> impl Iterator<Item = (Counter, &'static str)> {
    Counter::ALL.iter().filter_map(|counter| {
        let name = counter.name();
        let reason = name.strip_prefix("dropped.");
        let reason = reason.or_else(|| name.strip_prefix("rows.dropped."))?;
        Some((*counter, reason))
    })
}

impl Metrics {
    /// Begins to tell of a writer and its queue.
    pub(crate) fn tell_health(
        &self,
        counters: &Counters,
        gauges: &Gauges,
        queue_bytes: Arc<AtomicUsize>,
        settings: &Settings,
        switches: &Switchboard,
    ) {
        let Some(inner) = &self.0 else { return };
        let registry = &inner.registry;
        for &(metric, counter) in COUNTED {
            let counters = counters.clone();
            registry.count_elsewhere(metric, move || vec![(counters.get(counter), "")]);
        }
        registry.count_elsewhere(&LOG_LINES_DROPPED, || vec![(dropped_lines(), "")]);
        let own = counters.clone();
        registry.count_elsewhere(&DROPPED, move || {
            dropped()
                .map(|(counter, reason)| (own.get(counter), reason))
                .collect()
        });
        let gauge = |metric, read: Box<dyn Fn() -> Option<f64> + Send + Sync>| {
            let read = move || {
                read()
                    .map(|value| (value, Vec::new()))
                    .into_iter()
                    .collect()
            };
            registry.gauge(metric, read);
        };
        gauge(
            &QUEUE_BYTES,
            Box::new(move || Some(queue_bytes.load(Ordering::Relaxed) as f64)),
        );
        let own = gauges.clone();
        gauge(
            &SPOOL_BYTES,
            Box::new(move || Some(own.spool_bytes() as f64)),
        );
        let own = gauges.clone();
        gauge(
            &LIVE_RECORDERS,
            Box::new(move || Some(own.live_recorders() as f64)),
        );
        let own = switches.clone();
        gauge(
            &SAMPLE_RATE_CONFIGURED,
            Box::new(move || Some(own.sample_rate(&Beginning::now()))),
        );
        let own = counters.clone();
        gauge(&SAMPLE_RATE_ACTUAL, Box::new(move || actual(&own)));
        let own = gauges.clone();
        gauge(
            &COLLECTOR_UP,
            Box::new(move || own.collector_up().map(|up| f64::from(u8::from(up)))),
        );
        let (store, collector) = (
            settings.database != DatabaseTarget::None,
            settings.telemetry.exports_spans(),
        );
        let own = gauges.clone();
        registry.gauge(&BREAKER_OPEN, move || {
            let is_open = |breaker| f64::from(u8::from(breaker != Breaker::Closed));
            [
                (store, own.breaker(), "store"),
                (collector, own.export_breaker(), "collector"),
            ]
            .into_iter()
            .filter(|(is_there, ..)| *is_there)
            .map(|(_, breaker, name)| (is_open(breaker), vec![name.to_owned()]))
            .collect()
        });
    }
}

/// Of the runs that began, those that were recorded.
fn actual(counters: &Counters) -> Option<f64> {
    let sampled = counters.get(Counter::RunsSampled) as f64;
    let all = sampled + counters.get(Counter::RunsNotSampled) as f64;
    (all > 0.0).then(|| sampled / all)
}
