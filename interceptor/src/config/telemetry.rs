//! Where spans and metrics go, as the standard variables of OpenTelemetry say it.
//!
//! Invariant: what cannot be understood sends less, never more and never to another place.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::defaults::*;
use super::finding::{Finding, without_credentials};
use super::parse;
use super::reader::{Number, Reader};
use super::secret::Secret;
use super::variables::{self as v, Variable};

const NO_OTLP: &str = "nothing is sent to a collector";
const NO_ENDPOINT: &str = "no Prometheus endpoint is opened";

/// A place that telemetry goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Backend {
    /// Metrics at a Prometheus endpoint.
    Prom,
    /// Spans and metrics to an OTLP endpoint.
    Otel,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtlpProtocol {
    /// `http/protobuf`.
    HttpProtobuf,
    /// `grpc`.
    Grpc,
}

/// What is sent of counters and histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricsTemporality {
    /// Sums since the start.
    Cumulative,
    /// Sums since the last time.
    Delta,
    /// Since the last time, but for counts that are kept elsewhere.
    LowMemory,
}

/// An address of a collector. `Debug` and `Display` show no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// An address, if it is an `http://` or `https://` one with a host.
    pub fn parse(url: &str) -> Option<Self> {
        parse::http_url(url).map(Self)
    }

    /// The address as it was given, with credentials if it has any.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_credentials(&self.0))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// The exporter of spans and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Otlp {
    /// Base address; with HTTP, `/v1/traces` or `/v1/metrics` is added to it.
    pub endpoint: Option<Endpoint>,
    /// Address of spans as it is; goes before the other.
    pub traces_endpoint: Option<Endpoint>,
    /// How spans are sent.
    pub protocol: OtlpProtocol,
    /// Headers sent along with spans.
    pub headers: Vec<(String, Secret)>,
    /// Longest time of one export of spans, in milliseconds.
    pub timeout_ms: u64,
    /// Whether gzip is used for spans.
    pub gzip: bool,
    /// The same of metrics.
    pub metrics: OtlpMetrics,
    /// Who the endpoint of spans must be, and who it is told that we are.
    pub tls: OtlpTls,
}

/// Files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpTls {
    /// Certificates that the endpoint is checked against.
    pub certificate: Option<PathBuf>,
    /// Certificate shown to the endpoint.
    pub client_certificate: Option<PathBuf>,
    /// Private key of that certificate.
    pub client_key: Option<PathBuf>,
}

/// Where metrics are sent otherwise than spans.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpMetrics {
    /// Address of metrics as it is; goes before the base address.
    pub endpoint: Option<Endpoint>,
    /// How they are sent.
    pub protocol: OtlpProtocol,
    /// Headers sent along.
    pub headers: Vec<(String, Secret)>,
    /// Longest time of one export, in milliseconds.
    pub timeout_ms: u64,
    /// Whether gzip is used.
    pub gzip: bool,
    /// Time between two exports, in milliseconds.
    pub interval_ms: u64,
    /// What is sent of counters and histograms.
    pub temporality: MetricsTemporality,
    /// As that of spans.
    pub tls: OtlpTls,
}

/// How much of a span is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Characters of an attribute's text; `None` is no limit.
    pub value_length: Option<u32>,
    /// Attributes of a span.
    pub attributes: u32,
    /// Events of a span.
    pub events: u32,
    /// Links of a span.
    pub links: u32,
    /// Attributes of an event.
    pub attributes_per_event: u32,
    /// Attributes of a link.
    pub attributes_per_link: u32,
}

/// How spans are gathered for export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batching {
    /// Longest time between two exports, in milliseconds.
    pub schedule_delay_ms: u64,
    /// Longest time of one batch, in milliseconds.
    pub export_timeout_ms: u64,
    /// Spans that wait.
    pub max_queue_size: u32,
    /// Spans of one batch, at most those that wait.
    pub max_export_batch_size: u32,
}

/// Spans and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Telemetry {
    /// Whether anything leaves the process.
    pub enabled: bool,
    /// Where to; empty is `noop`.
    pub backends: BTreeSet<Backend>,
    /// Port of the Prometheus endpoint; `None` opens none.
    pub prom_port: Option<u16>,
    /// Address of this machine that it is opened at.
    pub prom_host: IpAddr,
    /// The exporter of spans and metrics.
    pub otlp: Otlp,
    /// Attributes of every span and metric; the service name is beside them, in the settings.
    pub resource_attributes: Vec<(String, String)>,
    /// How much of a span is exported.
    pub span_limits: SpanLimits,
    /// How spans are gathered.
    pub batching: Batching,
}

impl Telemetry {
    /// Whether spans are sent.
    pub fn exports_spans(&self) -> bool {
        self.enabled && self.backends.contains(&Backend::Otel)
    }

    /// Whether anything is measured.
    pub fn measures(&self) -> bool {
        self.enabled && !self.backends.is_empty()
    }

    /// Reads all of it.
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let enabled = r.boolean(
            v::TELEMETRY_ENABLED,
            DEFAULT_TELEMETRY_ENABLED,
            "no spans and no metrics leave the process",
        );
        let mut backends = backends(r);
        let prom_port = r
            .parsed(v::PROM_EXPORT_PORT, None, NO_ENDPOINT, |text| {
                Some(Some(text.parse().ok().filter(|port: &u16| *port > 0)?))
            })
            .unwrap_or(Some(DEFAULT_PROM_EXPORT_PORT));
        let prom_host = r
            .parsed(v::PROMETHEUS_HOST, None, NO_ENDPOINT, |text| match text {
                "localhost" => Some(Some(DEFAULT_PROMETHEUS_HOST)),
                _ => Some(Some(text.parse().ok()?)),
            })
            .unwrap_or(Some(DEFAULT_PROMETHEUS_HOST));
        let (otlp, usable) = Otlp::read(r);
        if !usable {
            backends.remove(&Backend::Otel);
        }
        let resource_attributes = r
            .parsed(
                v::OTEL_RESOURCE_ATTRIBUTES,
                Vec::new(),
                "none of them is used",
                parse::pairs,
            )
            .unwrap_or_default();
        let telemetry = Self {
            enabled,
            backends,
            prom_port: prom_port.filter(|_| prom_host.is_some()),
            prom_host: prom_host.unwrap_or(DEFAULT_PROMETHEUS_HOST),
            otlp,
            resource_attributes,
            span_limits: SpanLimits::read(r),
            batching: Batching::read(r),
        };
        // Of one that cannot be used there is a finding already.
        if usable {
            telemetry.note_unused_endpoint(r);
        }
        telemetry
    }

    /// An endpoint that nothing is sent to is most often a forgotten switch.
    fn note_unused_endpoint(&self, r: &mut Reader<'_>) {
        let set = if self.otlp.traces_endpoint.is_some() {
            v::OTLP_TRACES_ENDPOINT
        } else if self.otlp.metrics.endpoint.is_some() {
            v::OTLP_METRICS_ENDPOINT
        } else if self.otlp.endpoint.is_none() {
            return;
        } else if r.raw(v::OTLP_ENDPOINT).is_some() {
            v::OTLP_ENDPOINT
        } else {
            v::OTLP_ENDPOINT_ALIAS
        };
        if !self.enabled {
            let what = "is set and TELEMETRY_ENABLED is not true: nothing is sent to a collector";
            r.findings.push(Finding::note(set, what));
        } else if !self.backends.contains(&Backend::Otel) {
            let what =
                "is set and TELEMETRY_BACKEND has no usable otel: nothing is sent to a collector";
            r.findings.push(Finding::note(set, what));
        }
    }
}

/// The known backends of the list; unknown ones are left out.
fn backends(r: &mut Reader<'_>) -> BTreeSet<Backend> {
    let mut known = BTreeSet::new();
    let instead = "what is not known in it is left out";
    r.parsed(v::TELEMETRY_BACKEND, (), instead, |text| {
        let mut all_known = true;
        for item in parse::items(text) {
            match item.to_ascii_lowercase().as_str() {
                "noop" => {}
                "prom" => drop(known.insert(Backend::Prom)),
                "otel" => drop(known.insert(Backend::Otel)),
                "both" => known.extend([Backend::Prom, Backend::Otel]),
                _ => all_known = false,
            }
        }
        all_known.then_some(())
    });
    known
}

impl Otlp {
    /// Reads the exporter, and whether it can be used: not if a part of it is wrong.
    fn read(r: &mut Reader<'_>) -> (Self, bool) {
        let mut usable = true;
        let mut keep = |part: Option<Option<_>>| {
            usable &= part != Some(None);
            part.flatten()
        };
        let mut endpoint = |r: &mut Reader<'_>, variable| {
            keep(r.parsed(variable, None, NO_OTLP, |text| {
                Endpoint::parse(text).map(Some)
            }))
        };
        let traces_endpoint = endpoint(r, v::OTLP_TRACES_ENDPOINT);
        let metrics_endpoint = endpoint(r, v::OTLP_METRICS_ENDPOINT);
        let main = endpoint(r, v::OTLP_ENDPOINT);
        let alias = endpoint(r, v::OTLP_ENDPOINT_ALIAS);

        let protocol = specific(
            r,
            [
                v::OTLP_TRACES_PROTOCOL,
                v::OTLP_METRICS_PROTOCOL,
                v::OTLP_PROTOCOL,
            ],
            |r, variable| {
                r.parsed(variable, None, NO_OTLP, |text| {
                    match text.to_ascii_lowercase().as_str() {
                        "grpc" => Some(Some(OtlpProtocol::Grpc)),
                        "http/protobuf" => Some(Some(OtlpProtocol::HttpProtobuf)),
                        _ => None,
                    }
                })
            },
        );
        usable &= !protocol.contains(&Some(None));
        let headers = specific(
            r,
            [
                v::OTLP_TRACES_HEADERS,
                v::OTLP_METRICS_HEADERS,
                v::OTLP_HEADERS,
            ],
            |r, variable| r.secret_pairs(variable, NO_OTLP),
        );
        usable &= !headers.contains(&Some(None));
        let timeout = Number::limit(MILLIS_RANGE, DEFAULT_OTLP_TIMEOUT_MS);
        let timeout_ms = specific(
            r,
            [
                v::OTLP_TRACES_TIMEOUT,
                v::OTLP_METRICS_TIMEOUT,
                v::OTLP_TIMEOUT,
            ],
            |r, variable| r.number(variable, &timeout, parse::whole),
        );
        let gzip = specific(
            r,
            [
                v::OTLP_TRACES_COMPRESSION,
                v::OTLP_METRICS_COMPRESSION,
                v::OTLP_COMPRESSION,
            ],
            |r, variable| {
                r.parsed(variable, false, "nothing is compressed", |text| match text
                    .to_ascii_lowercase()
                    .as_str()
                {
                    "gzip" => Some(true),
                    "none" => Some(false),
                    _ => None,
                })
            },
        );
        let files = [
            [
                v::OTLP_TRACES_CERTIFICATE,
                v::OTLP_METRICS_CERTIFICATE,
                v::OTLP_CERTIFICATE,
            ],
            [
                v::OTLP_TRACES_CLIENT_CERTIFICATE,
                v::OTLP_METRICS_CLIENT_CERTIFICATE,
                v::OTLP_CLIENT_CERTIFICATE,
            ],
            [
                v::OTLP_TRACES_CLIENT_KEY,
                v::OTLP_METRICS_CLIENT_KEY,
                v::OTLP_CLIENT_KEY,
            ],
        ];
        let [certificate, client_certificate, client_key] =
            files.map(|variables| specific(r, variables, |r, variable| r.path(variable, NO_OTLP)));
        let tls = [0, 1].map(|signal| {
            let mut file = |files: &[Option<Option<PathBuf>>; 2]| {
                usable &= files[signal] != Some(None);
                files[signal].clone().flatten()
            };
            OtlpTls {
                certificate: file(&certificate),
                client_certificate: file(&client_certificate),
                client_key: file(&client_key),
            }
        });
        let [tls, metrics_tls] = tls;
        let temporality = r.parsed(
            v::OTLP_METRICS_TEMPORALITY,
            MetricsTemporality::Cumulative,
            "sums since the start are sent",
            |text| match text.to_ascii_lowercase().as_str() {
                "cumulative" => Some(MetricsTemporality::Cumulative),
                "delta" => Some(MetricsTemporality::Delta),
                "lowmemory" => Some(MetricsTemporality::LowMemory),
                _ => None,
            },
        );
        let interval = Number::neutral(MILLIS_RANGE, DEFAULT_METRIC_EXPORT_INTERVAL_MS);
        let interval_ms = r.number(v::METRIC_EXPORT_INTERVAL, &interval, parse::whole);
        let [protocol, metrics_protocol] =
            protocol.map(|chosen| chosen.flatten().unwrap_or(OtlpProtocol::HttpProtobuf));
        let [headers, metrics_headers] = headers.map(|chosen| chosen.flatten().unwrap_or_default());
        let [timeout_ms, metrics_timeout_ms] =
            timeout_ms.map(|chosen| chosen.unwrap_or(DEFAULT_OTLP_TIMEOUT_MS));
        let [gzip, metrics_gzip] = gzip.map(|chosen| chosen.unwrap_or(false));
        let otlp = Self {
            endpoint: main.or(alias),
            traces_endpoint,
            protocol,
            headers,
            timeout_ms,
            gzip,
            metrics: OtlpMetrics {
                endpoint: metrics_endpoint,
                protocol: metrics_protocol,
                headers: metrics_headers,
                timeout_ms: metrics_timeout_ms,
                gzip: metrics_gzip,
                interval_ms: interval_ms.unwrap_or(DEFAULT_METRIC_EXPORT_INTERVAL_MS),
                temporality: temporality.unwrap_or(MetricsTemporality::Cumulative),
                tls: metrics_tls,
            },
            tls,
        };
        (otlp, usable)
    }
}

/// The variable of spans, and that of metrics, else the one of all signals. All are read, so that all
/// are checked.
fn specific<T: Clone>(
    r: &mut Reader<'_>,
    variables: [&Variable; 3],
    read: impl Fn(&mut Reader<'_>, &Variable) -> Option<T>,
) -> [Option<T>; 2] {
    let [traces, metrics, all] = variables.map(|variable| read(r, variable));
    [traces.or_else(|| all.clone()), metrics.or(all)]
}

impl SpanLimits {
    fn read(r: &mut Reader<'_>) -> Self {
        let limit = Number::limit(COUNT_RANGE, DEFAULT_SPAN_COUNT_LIMIT);
        let mut count = |variable| r.number(variable, &limit, parse::whole);
        let attributes = count(v::ATTRIBUTE_COUNT);
        let or_all = |own: Option<u32>| own.or(attributes).unwrap_or(DEFAULT_SPAN_COUNT_LIMIT);
        let length = count(v::ATTRIBUTE_VALUE_LENGTH);
        Self {
            value_length: count(v::SPAN_ATTRIBUTE_VALUE_LENGTH).or(length),
            attributes: or_all(count(v::SPAN_ATTRIBUTE_COUNT)),
            events: count(v::SPAN_EVENT_COUNT).unwrap_or(DEFAULT_SPAN_COUNT_LIMIT),
            links: count(v::SPAN_LINK_COUNT).unwrap_or(DEFAULT_SPAN_COUNT_LIMIT),
            attributes_per_event: or_all(count(v::EVENT_ATTRIBUTE_COUNT)),
            attributes_per_link: or_all(count(v::LINK_ATTRIBUTE_COUNT)),
        }
    }
}

impl Batching {
    fn read(r: &mut Reader<'_>) -> Self {
        let mut millis = |variable, default| {
            let number = Number::neutral(MILLIS_RANGE, default);
            r.number(variable, &number, parse::whole).unwrap_or(default)
        };
        let schedule_delay_ms = millis(v::BSP_SCHEDULE_DELAY, DEFAULT_BSP_SCHEDULE_DELAY_MS);
        let export_timeout_ms = millis(v::BSP_EXPORT_TIMEOUT, DEFAULT_BSP_EXPORT_TIMEOUT_MS);
        let mut size = |variable, max, default: u32| {
            let default = default.min(max);
            let number = Number::limit(*SIZE_RANGE.start()..=max, default);
            r.number(variable, &number, parse::whole).unwrap_or(default)
        };
        let waiting = size(
            v::BSP_MAX_QUEUE_SIZE,
            *SIZE_RANGE.end(),
            DEFAULT_BSP_MAX_QUEUE_SIZE,
        );
        let batch = size(
            v::BSP_MAX_EXPORT_BATCH_SIZE,
            waiting,
            DEFAULT_BSP_MAX_EXPORT_BATCH_SIZE,
        );
        Self {
            schedule_delay_ms,
            export_timeout_ms,
            max_queue_size: waiting,
            max_export_batch_size: batch,
        }
    }
}
