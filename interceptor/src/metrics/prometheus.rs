//! Metrics as Prometheus reads them: text, and the endpoint that serves it.
//!
//! Invariant: [`text`] and [`open_metrics`] are pure. The endpoint answers one path and knows no other.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::routing::get;
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics,
};

use super::exemplars::{Buckets, Exemplar};
use super::names::{ALL, Metric};
use super::registry::Registry;

/// Names and values, in the order of the names.
type Labels = Vec<(String, String)>;

/// Of the text format, and of OpenMetrics, which alone has exemplars.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How metrics are written.
#[derive(Clone, Copy)]
enum Format<'a> {
    Text,
    Open(&'a dyn Fn(&Metric) -> HashMap<Vec<String>, Buckets>),
}

/// All of it in the text format, in the order of their names.
pub(super) fn text(metrics: &ResourceMetrics) -> String {
    write(metrics, Format::Text)
}

/// The same as OpenMetrics has it, with exemplars of histograms by the values of their labels.
pub(super) fn open_metrics(
    metrics: &ResourceMetrics,
    exemplars: impl Fn(&Metric) -> HashMap<Vec<String>, Buckets>,
) -> String {
    let mut out = write(metrics, Format::Open(&exemplars));
    out.push_str("# EOF\n");
    out
}

fn write(metrics: &ResourceMetrics, format: Format<'_>) -> String {
    let mut out = String::new();
    let resource = metrics.resource().iter();
    let resource = resource.map(|(key, value)| (plain(key.as_str()), value.to_string()));
    let mut resource: Labels = resource.collect();
    resource.sort();
    if !resource.is_empty() {
        let (family, kind) = match format {
            Format::Text => ("target_info", "gauge"),
            Format::Open(_) => ("target", "info"),
        };
        head(&mut out, family, kind, "Attributes of the process.");
        sample(&mut out, "target_info", &resource, 1, None);
    }
    let collected: BTreeMap<&str, (&Metric, &AggregatedMetrics)> = (metrics.scope_metrics())
        .flat_map(|scope| scope.metrics())
        .filter_map(|collected| {
            let metric = ALL.iter().find(|metric| metric.otlp == collected.name())?;
            Some((metric.name, (*metric, collected.data())))
        })
        .collect();
    for (metric, data) in collected.into_values() {
        let kind = metric.kind.prometheus();
        match format {
            Format::Text => {
                let meaning = metric.meaning.replace('\\', "\\\\");
                head(&mut out, metric.name, kind, &meaning);
            }
            Format::Open(_) => {
                let (family, kind) = match metric.name.strip_suffix("_total") {
                    Some(family) if kind == "counter" => (family, kind),
                    // A counter is called so there, or is none.
                    None if kind == "counter" => (metric.name, "unknown"),
                    _ => (metric.name, kind),
                };
                head(&mut out, family, kind, &escaped(metric.meaning));
            }
        }
        match data {
            AggregatedMetrics::F64(data) => points(&mut out, metric, data, format),
            AggregatedMetrics::U64(data) => points(&mut out, metric, data, format),
            AggregatedMetrics::I64(data) => points(&mut out, metric, data, format),
        }
    }
    out
}

fn head(out: &mut String, family: &str, kind: &str, meaning: &str) {
    // Writing to a string cannot fail.
    let _ = write!(out, "# HELP {family} {meaning}\n# TYPE {family} {kind}\n");
}

fn points<T: Copy + Display>(
    out: &mut String,
    metric: &Metric,
    data: &MetricData<T>,
    format: Format<'_>,
) {
    let name = metric.name;
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            let points = points.map(|point| (labels(point.attributes()), point.value()));
            for (labels, value) in sorted(points) {
                sample(out, name, &labels, value, None);
            }
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            let points = points.map(|point| (labels(point.attributes()), point.value()));
            for (labels, value) in sorted(points) {
                sample(out, name, &labels, value, None);
            }
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            let points = points.map(|point| (labels(point.attributes()), point));
            let exemplars = match format {
                Format::Text => HashMap::new(),
                Format::Open(exemplars) => exemplars(metric),
            };
            for (labels, point) in sorted(points) {
                let values = |label: &&str| {
                    let label = plain(label);
                    let own = labels.iter().find(|(name, _)| *name == label);
                    own.map(|(_, value)| value.clone())
                };
                let values: Option<Vec<String>> = metric.labels.iter().map(values).collect();
                let exemplars = values.and_then(|values| exemplars.get(&values));
                let is_open = matches!(format, Format::Open(_));
                buckets(out, name, &labels, point, is_open, exemplars);
            }
        }
        // None is made.
        MetricData::ExponentialHistogram(_) => {}
    }
}

fn sorted<T>(points: impl Iterator<Item = (Labels, T)>) -> Vec<(Labels, T)> {
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.0.cmp(&b.0));
    points
}

fn buckets<T: Copy + Display>(
    out: &mut String,
    name: &str,
    own: &[(String, String)],
    point: &HistogramDataPoint<T>,
    is_open: bool,
    exemplars: Option<&Buckets>,
) {
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    let bounds = point.bounds().map(|bound| match is_open {
        // Of numbers that are whole it wants to see that they need not be.
        true => format!("{bound:?}"),
        false => bound.to_string(),
    });
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (at, (bound, count)) in bounds.zip(point.bucket_counts()).enumerate() {
        below += count;
        let mut labels = own.to_vec();
        labels.push(("le".to_owned(), bound));
        let exemplar = exemplars.and_then(|exemplars| exemplars.of(at));
        sample(out, &bucket, &labels, below, exemplar);
    }
    sample(out, &format!("{name}_sum"), own, point.sum(), None);
    sample(out, &format!("{name}_count"), own, point.count(), None);
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Labels {
    let mut labels: Labels = attributes
        .map(|attribute| (plain(attribute.key.as_str()), attribute.value.to_string()))
        .collect();
    labels.sort();
    labels
}

/// A name of a label without what Prometheus does not take.
fn plain(name: &str) -> String {
    let taken = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut plain: String = (name.chars())
        .map(|c| if taken(c) { c } else { '_' })
        .collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        plain.insert(0, '_');
    }
    plain
}

fn sample(
    out: &mut String,
    name: &str,
    labels: &[(String, String)],
    value: impl Display,
    exemplar: Option<&Exemplar>,
) {
    out.push_str(name);
    for (at, (label, value)) in labels.iter().enumerate() {
        let open = if at == 0 { '{' } else { ',' };
        let _ = write!(out, "{open}{label}=\"{}\"", escaped(value));
    }
    if !labels.is_empty() {
        out.push('}');
    }
    let _ = write!(out, " {value}");
    if let Some(Exemplar { of, value, at }) = exemplar {
        let (trace, span, seconds) = (of.trace, of.span, *at as f64 / 1e6);
        let _ = write!(
            out,
            " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds:.3}"
        );
    }
    out.push('\n');
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

/// Whether the answer may be OpenMetrics.
fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        let mut parts = kind.split(';').map(str::trim);
        let is_open = (parts.next())
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
        let is_refused = |part: &str| {
            let weight = part.strip_prefix("q=").map(str::parse::<f64>);
            weight.is_some_and(|weight| weight == Ok(0.0))
        };
        is_open && !parts.any(is_refused)
    })
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, registry: Arc<Registry>) {
    let answer = move |headers: HeaderMap| async move {
        let metrics = registry.collect();
        let (kind, text) = match takes_open_metrics(&headers) {
            true => {
                let exemplars = |metric: &Metric| registry.exemplars(metric);
                (OPEN_METRICS, open_metrics(&metrics, exemplars))
            }
            false => (TEXT, text(&metrics)),
        };
        ([(CONTENT_TYPE, kind), (VARY, "accept")], text)
    };
    let router = Router::new().route("/metrics", get(answer));
    let served = async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, router).await
    };
    if let Err(error) = served.await {
        tracing::warn!(%error, "OmniTrace's Prometheus endpoint is gone");
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::Resource;

    use opentelemetry::trace::{SpanId, TraceId};

    use super::super::exemplars::Of;
    use super::super::names::{GEN_AI_OPERATION_DURATION, TOKEN_COST, TRACES_TOTAL};
    use super::*;

    fn measured() -> Registry {
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "or\"ders"))
            .build();
        let registry = Registry::new(resource);
        registry.count(&TRACES_TOTAL, &["Order", "failed"]);
        registry.measure(&TOKEN_COST, &["mini", "none"], 0.25);
        let of = Of {
            trace: TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
            span: SpanId::from(0x00f0_67aa_0ba9_02b7),
        };
        registry.measure_of(&GEN_AI_OPERATION_DURATION, &["mini"], 0.02, Some(of));
        registry.measure(&GEN_AI_OPERATION_DURATION, &["mini"], 2e6);
        registry
    }

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        insta::assert_snapshot!(text(&measured().collect()));
    }

    #[test]
    fn open_metrics_have_exemplars() {
        let registry = measured();
        let text = open_metrics(&registry.collect(), |metric| registry.exemplars(metric));
        // When it was measured.
        let time = |line: &str| match line.split_once("} 0.02 ") {
            Some((before, _)) => format!("{before}}} 0.02 TIME"),
            None => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().map(time).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn who_asks_for_open_metrics_gets_it() {
        let takes = |accepted: &[&str]| {
            let accepted = accepted.iter().map(|text| (ACCEPT, text.parse().unwrap()));
            takes_open_metrics(&accepted.collect())
        };
        // As Prometheus asks.
        assert!(takes(&[
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ]));
        assert!(takes(&[
            "text/plain",
            "Application/OpenMetrics-Text; q=0.1"
        ]));
        assert!(!takes(&[]));
        assert!(!takes(&["*/*"]));
        assert!(!takes(&["text/plain;version=0.0.4"]));
        assert!(!takes(&["application/openmetrics-text; q=0, text/plain"]));
    }
}
