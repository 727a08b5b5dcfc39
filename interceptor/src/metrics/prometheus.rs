//! Metrics as Prometheus reads them: text, and the endpoint that serves it.
//!
//! Invariant: [`text`] is pure. The endpoint answers one path and knows no other.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics,
};

use super::names::{ALL, Metric};
use super::registry::Registry;

/// Names and values, in the order of the names.
type Labels = Vec<(String, String)>;

/// Of the text format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of it in the text format, in the order of their names.
pub(super) fn text(metrics: &ResourceMetrics) -> String {
    let mut out = String::new();
    let resource = metrics.resource().iter();
    let resource = resource.map(|(key, value)| (plain(key.as_str()), value.to_string()));
    let mut resource: Labels = resource.collect();
    resource.sort();
    if !resource.is_empty() {
        out.push_str("# HELP target_info Attributes of the process.\n# TYPE target_info gauge\n");
        sample(&mut out, "target_info", &resource, 1);
    }
    let collected: BTreeMap<&str, (&Metric, &AggregatedMetrics)> = (metrics.scope_metrics())
        .flat_map(|scope| scope.metrics())
        .filter_map(|collected| {
            let metric = ALL.iter().find(|metric| metric.otlp == collected.name())?;
            Some((metric.name, (*metric, collected.data())))
        })
        .collect();
    for (metric, data) in collected.into_values() {
        let (name, kind) = (metric.name, metric.kind.prometheus());
        let meaning = metric.meaning.replace('\\', "\\\\");
        // Writing to a string cannot fail.
        let _ = write!(out, "# HELP {name} {meaning}\n# TYPE {name} {kind}\n");
        match data {
            AggregatedMetrics::F64(data) => points(&mut out, name, data),
            AggregatedMetrics::U64(data) => points(&mut out, name, data),
            AggregatedMetrics::I64(data) => points(&mut out, name, data),
        }
    }
    out
}

fn points<T: Copy + Display>(out: &mut String, name: &str, data: &MetricData<T>) {
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            let points = points.map(|point| (labels(point.attributes()), point.value()));
            for (labels, value) in sorted(points) {
                sample(out, name, &labels, value);
            }
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            let points = points.map(|point| (labels(point.attributes()), point.value()));
            for (labels, value) in sorted(points) {
                sample(out, name, &labels, value);
            }
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            let points = points.map(|point| (labels(point.attributes()), point));
            for (labels, point) in sorted(points) {
                buckets(out, name, &labels, point);
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
) {
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    let bounds = point.bounds().map(|bound| bound.to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(point.bucket_counts()) {
        below += count;
        let mut labels = own.to_vec();
        labels.push(("le".to_owned(), bound));
        sample(out, &bucket, &labels, below);
    }
    sample(out, &format!("{name}_sum"), own, point.sum());
    sample(out, &format!("{name}_count"), own, point.count());
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

fn sample(out: &mut String, name: &str, labels: &[(String, String)], value: impl Display) {
    out.push_str(name);
    for (at, (label, value)) in labels.iter().enumerate() {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let open = if at == 0 { '{' } else { ',' };
        let _ = write!(out, "{open}{label}=\"{value}\"");
    }
    if !labels.is_empty() {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, registry: Arc<Registry>) {
    let answer = move || async move { ([(CONTENT_TYPE, FORMAT)], text(&registry.collect())) };
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

    use super::super::names::{GEN_AI_OPERATION_DURATION, TOKEN_COST, TRACES_TOTAL};
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "or\"ders"))
            .build();
        let registry = Registry::new(resource);
        registry.count(&TRACES_TOTAL, &["Order", "failed"]);
        registry.measure(&TOKEN_COST, &["mini", "none"], 0.25);
        registry.measure(&GEN_AI_OPERATION_DURATION, &["mini"], 0.02);
        registry.measure(&GEN_AI_OPERATION_DURATION, &["mini"], 2e6);
        insta::assert_snapshot!(text(&registry.collect()));
    }
}
