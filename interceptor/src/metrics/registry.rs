//! Measurements by metric and labels, on OpenTelemetry's instruments.
//!
//! Invariant: no I/O. However many values a label is given, a metric has at most [`MAX_SERIES`] series, and
//! a label at most [`MAX_LABEL_CHARS`] characters.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
};

use super::exemplars::{Buckets, Of};
use super::names::{CLOSED, Kind, Metric, OTHER, SERIES_OVERFLOW, UNKNOWN};
use crate::telemetry::SCOPE;

/// Series of one metric.
pub(super) const MAX_SERIES: usize = 500;

/// Those of them that only what became [`OTHER`] may take: as many as the closed labels of a metric have
/// values.
const RESERVED: usize = 20;

/// Characters of a label's value.
pub(super) const MAX_LABEL_CHARS: usize = 100;

/// Series of a gauge in one reading: queues by kind, or dependencies.
pub(super) type Readings = Vec<(f64, Vec<String>)>;

pub(super) struct Registry {
    reader: SharedReader,
    /// What is sent, where that is not what was measured since the start.
    sent: Option<SharedReader>,
    meter: Meter,
    measured: Mutex<HashMap<&'static str, Measured>>,
    /// What it is collected from lives as long as this.
    _provider: SdkMeterProvider,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

/// A metric that was measured, and its series.
struct Measured {
    instrument: Instrument,
    /// By the values of its labels.
    series: HashMap<Vec<String>, Buckets>,
}

#[derive(Clone)]
enum Instrument {
    Counter(Counter<u64>),
    Amount(Counter<f64>),
    Histogram(Histogram<f64>),
}

impl Registry {
    /// What is sent is what Prometheus reads: sums since the start.
    #[cfg(test)]
    pub(super) fn new(resource: Resource) -> Self {
        Self::sending(resource, Temporality::Cumulative)
    }

    pub(super) fn sending(resource: Resource, sent: Temporality) -> Self {
        let reader = SharedReader::default();
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone());
        let sent = (sent != Temporality::Cumulative).then(|| {
            let reader = ManualReader::builder().with_temporality(sent).build();
            SharedReader(Arc::new(reader))
        });
        if let Some(sent) = &sent {
            provider = provider.with_reader(sent.clone());
        }
        let provider = provider.build();
        Self {
            reader,
            sent,
            meter: provider.meter(SCOPE),
            measured: Mutex::default(),
            _provider: provider,
        }
    }

    /// Counts, or adds dollars, or notes a number of seconds, bytes or tokens.
    pub(super) fn measure(&self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.measure_of(metric, labels, value, None);
    }

    /// The same, of a span.
    pub(super) fn measure_of(
        &self,
        metric: &'static Metric,
        labels: &[&str],
        value: f64,
        of: Option<Of>,
    ) {
        let keep = |buckets: &mut Buckets| {
            if let Some(of) = of {
                buckets.keep(metric.kind.bounds(), value, of);
            }
        };
        let (instrument, attributes, overflowed) = self.series(metric, labels, keep);
        match instrument {
            // Counts are whole, and far below 2^53.
            Instrument::Counter(counter) => counter.add(value as u64, &attributes),
            Instrument::Amount(counter) => counter.add(value.max(0.0), &attributes),
            Instrument::Histogram(histogram) => histogram.record(value.max(0.0), &attributes),
        }
        if overflowed {
            self.measure(&SERIES_OVERFLOW, &[metric.name], 1.0);
        }
    }

    pub(super) fn count(&self, metric: &'static Metric, labels: &[&str]) {
        self.measure(metric, labels, 1.0);
    }

    /// The instrument of a metric, and the series that a measurement belongs to; whether it is another one
    /// than its labels say, because there are too many.
    fn series(
        &self,
        metric: &'static Metric,
        labels: &[&str],
        keep: impl FnOnce(&mut Buckets),
    ) -> (Instrument, Vec<KeyValue>, bool) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let mut values: Vec<String> = labels.iter().map(|value| bounded(value)).collect();
        let mut measured = self.measured();
        let Measured { instrument, series } =
            (measured.entry(metric.name)).or_insert_with(|| Measured {
                instrument: instrument(&self.meter, metric),
                series: HashMap::new(),
            });
        let mut overflowed = false;
        for (room, keeps_closed) in [(MAX_SERIES - RESERVED, true), (MAX_SERIES - 1, false)] {
            if series.contains_key(&values) || series.len() < room {
                break;
            }
            overflowed = true;
            for (label, value) in metric.labels.iter().zip(&mut values) {
                if !(keeps_closed && CLOSED.contains(label)) {
                    OTHER.clone_into(value);
                }
            }
        }
        match series.get_mut(&values) {
            Some(buckets) => keep(buckets),
            None => keep(series.entry(values.clone()).or_default()),
        }
        let attributes = attributes(metric, values);
        (instrument.clone(), attributes, overflowed)
    }

    fn measured(&self) -> MutexGuard<'_, HashMap<&'static str, Measured>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A count that is kept elsewhere; read whenever metrics are collected.
    pub(super) fn count_elsewhere(
        &self,
        metric: &'static Metric,
        read: impl Fn() -> Vec<(u64, &'static str)> + Send + Sync + 'static,
    ) {
        let builder = self.meter.u64_observable_counter(metric.otlp);
        builder
            .with_callback(move |observer| {
                for (count, label) in read() {
                    let labels = metric.labels.iter().map(|_| label.to_owned()).collect();
                    observer.observe(count, &attributes(metric, labels));
                }
            })
            .build();
    }

    /// A gauge that is read whenever metrics are collected.
    pub(super) fn gauge(
        &self,
        metric: &'static Metric,
        read: impl Fn() -> Readings + Send + Sync + 'static,
    ) {
        let builder = self.meter.f64_observable_gauge(metric.otlp);
        builder
            .with_callback(move |observer| {
                for (value, labels) in read().into_iter().take(MAX_SERIES) {
                    let labels = labels.iter().map(|label| bounded(label)).collect();
                    observer.observe(value, &attributes(metric, labels));
                }
            })
            .build();
    }

    /// All that was measured, since the start.
    pub(super) fn collect(&self) -> ResourceMetrics {
        collected(&self.reader)
    }

    /// What is to be sent now.
    pub(super) fn collect_to_send(&self) -> ResourceMetrics {
        collected(self.sent.as_ref().unwrap_or(&self.reader))
    }

    /// Exemplars of a histogram, by the values of its labels.
    pub(super) fn exemplars(&self, metric: &Metric) -> HashMap<Vec<String>, Buckets> {
        let measured = self.measured();
        let series = measured.get(metric.name).map(|measured| &measured.series);
        series.cloned().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn series_of(&self, metric: &Metric) -> usize {
        (self.measured().get(metric.name)).map_or(0, |measured| measured.series.len())
    }
}

fn collected(reader: &SharedReader) -> ResourceMetrics {
    let mut collected = ResourceMetrics::default();
    // `Err` is after a shutdown, which nobody asks for.
    let _ = reader.collect(&mut collected);
    collected
}

fn instrument(meter: &Meter, metric: &'static Metric) -> Instrument {
    match metric.kind {
        Kind::Amount => Instrument::Amount(meter.f64_counter(metric.otlp).build()),
        Kind::Seconds | Kind::Bytes | Kind::Tokens => {
            let builder = meter.f64_histogram(metric.otlp);
            let builder = builder.with_unit(metric.kind.unit());
            let bounds = metric.kind.bounds().to_vec();
            Instrument::Histogram(builder.with_boundaries(bounds).build())
        }
        // Gauges are only read.
        Kind::Counter | Kind::Gauge => Instrument::Counter(meter.u64_counter(metric.otlp).build()),
    }
}

fn attributes(metric: &'static Metric, values: Vec<String>) -> Vec<KeyValue> {
    let labels = metric.labels.iter().zip(values);
    labels
        .map(|(label, value)| KeyValue::new(*label, value))
        .collect()
}

fn bounded(value: &str) -> String {
    let visible = value.chars().filter(|c| !c.is_control());
    match visible.take(MAX_LABEL_CHARS).collect::<String>() {
        empty if empty.is_empty() => UNKNOWN.to_owned(),
        value => value,
    }
}

/// The reader is given away, and asked here.
#[derive(Clone, Debug, Default)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{DROPPED, QUEUE_DEPTH, TRACES_DURATION, TRACES_TOTAL, WORKFLOW_COST};
    use super::super::prometheus::text;
    use super::*;

    fn registry() -> Registry {
        Registry::new(Resource::builder_empty().build())
    }

    #[test]
    fn what_is_sent_may_be_what_came_since_the_last_time() {
        use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};

        let resource = Resource::builder_empty().build();
        let registry = Registry::sending(resource, Temporality::Delta);
        let sent = || {
            let collected = registry.collect_to_send();
            let mut metrics = collected.scope_metrics().flat_map(|scope| scope.metrics());
            let data = metrics
                .find(|metric| metric.name() == "traces_total")?
                .data();
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = data else {
                panic!("a counter")
            };
            Some(sum.data_points().map(|point| point.value()).sum::<u64>())
        };
        registry.count(&TRACES_TOTAL, &["job", "completed"]);
        assert_eq!(sent(), Some(1));
        registry.count(&TRACES_TOTAL, &["job", "completed"]);
        registry.count(&TRACES_TOTAL, &["job", "completed"]);
        assert_eq!(sent(), Some(2));
        // Prometheus reads sums.
        assert!(
            text(&registry.collect()).contains(r#"traces_total{job="job",status="completed"} 3"#)
        );
    }

    #[test]
    fn random_ids_as_labels_leave_a_bounded_number_of_series() {
        let registry = registry();
        for n in 0..100_000 {
            let id = format!("run-{n}");
            let status = ["completed", "failed"][n % 2];
            registry.count(&TRACES_TOTAL, &[&id, status]);
            registry.measure(&TRACES_DURATION, &[&id], 1.0);
            registry.measure(&WORKFLOW_COST, &[&id, &id], 0.5);
        }
        let text = text(&registry.collect());
        for metric in [&TRACES_TOTAL, &TRACES_DURATION, &WORKFLOW_COST] {
            assert!(registry.series_of(metric) <= MAX_SERIES);
            let counted = format!("{}{{", metric.name);
            let lines = text.lines().filter(|line| line.starts_with(&counted));
            assert!(lines.count() <= MAX_SERIES);
        }
        // What found no room is counted under what stays known of it, and nothing is lost.
        let value = |start: &str| -> f64 {
            let of = text.lines().filter(|line| line.starts_with(start));
            of.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum()
        };
        assert!(
            value(r#"traces_total{job="other",status="failed"}"#) > 49_000.0,
            "{text}"
        );
        assert_eq!(value("traces_total{"), 100_000.0);
        assert_eq!(value("traces_duration_count{"), 100_000.0);
        assert_eq!(value("workflow_cost_usd{"), 50_000.0);
        let overflowed = value(r#"omnitrace_series_overflow_total{metric="traces_total"}"#);
        assert_eq!(overflowed, 100_000.0 - (MAX_SERIES - RESERVED) as f64);
    }

    #[test]
    fn closed_labels_that_are_not_closed_are_bounded_all_the_same() {
        let registry = registry();
        for n in 0..2_000 {
            registry.count(&TRACES_TOTAL, &["job", &format!("status-{n}")]);
        }
        assert_eq!(registry.series_of(&TRACES_TOTAL), MAX_SERIES);
    }

    #[test]
    fn a_label_is_short_printable_and_never_empty() {
        let registry = registry();
        registry.count(&TRACES_TOTAL, &["", "a\nb\"c\\d"]);
        registry.count(&TRACES_TOTAL, &[&"é".repeat(1000), "x"]);
        let text = text(&registry.collect());
        assert!(
            text.contains(r#"traces_total{job="unknown",status="ab\"c\\d"} 1"#),
            "{text}"
        );
        let long = format!(
            r#"traces_total{{job="{}",status="x"}} 1"#,
            "é".repeat(MAX_LABEL_CHARS)
        );
        assert!(text.contains(&long), "{text}");
    }

    #[test]
    fn what_is_kept_elsewhere_is_read_when_it_is_asked_for() {
        let registry = registry();
        let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let read = count.clone();
        registry.count_elsewhere(&DROPPED, move || {
            vec![(read.load(std::sync::atomic::Ordering::Relaxed), "panic")]
        });
        let depths = Arc::new(Mutex::new(vec![(
            3.0,
            vec!["q".to_owned(), "activity".to_owned()],
        )]));
        let read = depths.clone();
        registry.gauge(&QUEUE_DEPTH, move || read.lock().unwrap().clone());
        count.store(7, std::sync::atomic::Ordering::Relaxed);
        let before = text(&registry.collect());
        assert!(
            before.contains(r#"omnitrace_dropped_total{reason="panic"} 7"#),
            "{before}"
        );
        let depth = r#"queue_depth_total{kind="activity",queue="q"}"#;
        assert!(before.contains(&format!("{depth} 3")), "{before}");
        // A queue of which nothing is known any more has no depth.
        depths.lock().unwrap().clear();
        let after = text(&registry.collect());
        assert!(!after.contains(depth), "{after}");
    }
}
