//! Sending spans and metrics to a collector by OTLP.
//!
//! Invariant: what it says of an error holds no part of the address and no header.

use std::time::Duration;

use opentelemetry::trace::FutureExt;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, Protocol, SpanExporter as OtlpExporter,
    WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::names::{ENVIRONMENT, HOST_NAME, PROCESS_PID, SERVICE_NAME};
use crate::config::{Endpoint, MetricsTemporality, Otlp, OtlpProtocol, OtlpTls, Secret, Settings};

const DEFAULT_HTTP: &str = "http://localhost:4318";
const DEFAULT_GRPC: &str = "http://localhost:4317";
/// Where spans and metrics go with HTTP, below the base address.
const TRACES_PATH: &str = "/v1/traces";
const METRICS_PATH: &str = "/v1/metrics";

/// Why spans were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// The exporter could not be made.
    #[error("its settings cannot be used: {0}")]
    Settings(String),
    /// It did not answer, or not now; worth trying again.
    #[error("{0}")]
    Unavailable(String),
    /// It will never take them.
    #[error("it refused what was sent: {0}")]
    Refused(String),
}

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Collector {
    exporter: OtlpExporter,
    timeout: Duration,
    /// Its address, without credentials.
    pub(crate) shown: String,
}

impl Collector {
    /// Makes the exporter; connects to nobody yet. Needs a tokio runtime around it.
    pub(crate) fn new(settings: &Settings, host: &str) -> Result<Self, CollectorError> {
        let telemetry = &settings.telemetry;
        let mut exporter = span_exporter(&telemetry.otlp)?;
        exporter.set_resource(&resource(settings, host));
        Ok(Self {
            exporter,
            timeout: Duration::from_millis(telemetry.batching.export_timeout_ms),
            shown: shown(&telemetry.otlp),
        })
    }

    /// Sends spans. Of those that will never be taken each costs itself alone; says how many they are.
    pub(crate) async fn deliver(&self, spans: Vec<SpanData>) -> Result<u64, CollectorError> {
        match self.send(spans.clone()).await {
            Ok(()) => Ok(0),
            Err(CollectorError::Refused(_)) if !spans.is_empty() => {
                let mut refused = 0;
                for span in spans {
                    match self.send(vec![span]).await {
                        Ok(()) => {}
                        Err(CollectorError::Refused(_)) => refused += 1,
                        Err(error) => return Err(error),
                    }
                }
                Ok(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends spans; an empty message asks whether anyone is there.
    pub(crate) async fn send(&self, spans: Vec<SpanData>) -> Result<(), CollectorError> {
        sent(self.exporter.export(spans), self.timeout).await
    }
}

/// Where metrics go.
#[derive(Debug)]
pub(crate) struct MetricCollector {
    exporter: MetricExporter,
    timeout: Duration,
}

impl MetricCollector {
    /// As [`Collector::new`].
    pub(crate) fn new(otlp: &Otlp) -> Result<Self, CollectorError> {
        Ok(Self {
            exporter: metric_exporter(otlp)?,
            timeout: Duration::from_millis(otlp.metrics.timeout_ms),
        })
    }

    /// Sends what was collected.
    pub(crate) async fn send(&self, metrics: &ResourceMetrics) -> Result<(), CollectorError> {
        sent(self.exporter.export(metrics), self.timeout).await
    }
}

async fn sent(
    sending: impl Future<Output = OTelSdkResult>,
    timeout: Duration,
) -> Result<(), CollectorError> {
    // What sending does is no part of what is observed.
    let context = Context::new().with_telemetry_suppressed();
    match tokio::time::timeout(timeout, sending.with_context(context)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(classified(error.to_string())),
        Err(_) => Err(CollectorError::Unavailable(format!(
            "no answer within {} ms",
            timeout.as_millis()
        ))),
    }
}

/// The exporter tells status codes in its text alone.
fn classified(text: String) -> CollectorError {
    let refused = ["status code: 400", "status code: 413", "status code: 422"]
        .iter()
        .chain(&["code: InvalidArgument"]);
    match refused.clone().any(|code| text.contains(code)) {
        true => CollectorError::Refused(text),
        false => CollectorError::Unavailable(text),
    }
}

/// What the settings send spans to, without credentials.
pub(crate) fn shown(otlp: &Otlp) -> String {
    match otlp.traces_endpoint.as_ref().or(otlp.endpoint.as_ref()) {
        Some(endpoint) => endpoint.to_string(),
        None => default_endpoint(otlp.protocol).to_owned(),
    }
}

fn default_endpoint(protocol: OtlpProtocol) -> &'static str {
    match protocol {
        OtlpProtocol::HttpProtobuf => DEFAULT_HTTP,
        OtlpProtocol::Grpc => DEFAULT_GRPC,
    }
}

impl From<MetricsTemporality> for Temporality {
    fn from(chosen: MetricsTemporality) -> Self {
        match chosen {
            MetricsTemporality::Cumulative => Self::Cumulative,
            MetricsTemporality::Delta => Self::Delta,
            MetricsTemporality::LowMemory => Self::LowMemory,
        }
    }
}

/// How one signal is sent.
struct Signal<'a> {
    /// Its own address.
    own: Option<&'a Endpoint>,
    /// Below the base address.
    path: &'static str,
    protocol: OtlpProtocol,
    headers: &'a [(String, Secret)],
    timeout_ms: u64,
    gzip: bool,
    tls: &'a OtlpTls,
}

impl Signal<'_> {
    fn address(&self, otlp: &Otlp) -> String {
        if let Some(own) = self.own {
            return own.expose().to_owned();
        }
        let base = otlp.endpoint.as_ref().map(|endpoint| endpoint.expose());
        let base = base.unwrap_or(default_endpoint(self.protocol));
        match self.protocol {
            OtlpProtocol::HttpProtobuf => format!("{}{}", base.trim_end_matches('/'), self.path),
            OtlpProtocol::Grpc => base.to_owned(),
        }
    }
}

/// Gives every answer as it is: OpenTelemetry's own client makes an error of the network of each status
/// that is no success, and then nobody knows what will never be taken.
#[derive(Debug)]
struct AsAnswered(reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for AsAnswered {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        Ok(response.body(answer.bytes().await?)?)
    }
}

fn settings_error(error: impl std::fmt::Display) -> CollectorError {
    CollectorError::Settings(error.to_string())
}

fn span_exporter(otlp: &Otlp) -> Result<OtlpExporter, CollectorError> {
    let signal = Signal {
        own: otlp.traces_endpoint.as_ref(),
        path: TRACES_PATH,
        protocol: otlp.protocol,
        headers: &otlp.headers,
        timeout_ms: otlp.timeout_ms,
        gzip: otlp.gzip,
        tls: &otlp.tls,
    };
    let builder = OtlpExporter::builder();
    let built = match otlp.protocol {
        OtlpProtocol::HttpProtobuf => with_http(builder.with_http(), &signal, otlp)?.build(),
        OtlpProtocol::Grpc => with_grpc(builder.with_tonic(), &signal, otlp)?.build(),
    };
    built.map_err(not_made)
}

fn metric_exporter(otlp: &Otlp) -> Result<MetricExporter, CollectorError> {
    let metrics = &otlp.metrics;
    let signal = Signal {
        own: metrics.endpoint.as_ref(),
        path: METRICS_PATH,
        protocol: metrics.protocol,
        headers: &metrics.headers,
        timeout_ms: metrics.timeout_ms,
        gzip: metrics.gzip,
        tls: &metrics.tls,
    };
    let builder = MetricExporter::builder().with_temporality(metrics.temporality.into());
    let built = match metrics.protocol {
        OtlpProtocol::HttpProtobuf => with_http(builder.with_http(), &signal, otlp)?.build(),
        OtlpProtocol::Grpc => with_grpc(builder.with_tonic(), &signal, otlp)?.build(),
    };
    built.map_err(not_made)
}

/// What it says of an address may hold credentials.
fn not_made(_: ExporterBuildError) -> CollectorError {
    settings_error("the address or a header is none")
}

fn with_http<B: WithExportConfig + WithHttpConfig>(
    builder: B,
    signal: &Signal<'_>,
    otlp: &Otlp,
) -> Result<B, CollectorError> {
    let address = signal.address(otlp);
    let timeout = Duration::from_millis(signal.timeout_ms);
    let mut client = reqwest::Client::builder().timeout(timeout);
    client = match address.starts_with("https://") {
        true => client.tls_backend_preconfigured(tls(signal.tls)?),
        // Without certificates nothing is asked of a provider of TLS.
        false => client.tls_backend_preconfigured(plain()?),
    };
    let headers = (signal.headers.iter())
        .map(|(name, value)| (name.clone(), value.expose().to_owned()))
        .collect();
    let builder = builder
        .with_http_client(AsAnswered(client.build().map_err(settings_error)?))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address)
        .with_timeout(timeout)
        .with_headers(headers);
    Ok(match signal.gzip {
        true => WithHttpConfig::with_compression(builder, Compression::Gzip),
        false => builder,
    })
}

fn with_grpc<B: WithExportConfig + WithTonicConfig>(
    builder: B,
    signal: &Signal<'_>,
    otlp: &Otlp,
) -> Result<B, CollectorError> {
    let address = signal.address(otlp);
    let secure = address.starts_with("https://");
    let mut headers = HeaderMap::new();
    for (name, value) in signal.headers {
        let name = HeaderName::try_from(name);
        let value = HeaderValue::try_from(value.expose());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(settings_error("a header cannot be sent"));
        };
        headers.insert(name, value);
    }
    let mut builder = builder
        .with_endpoint(address)
        .with_timeout(Duration::from_millis(signal.timeout_ms))
        .with_metadata(MetadataMap::from_headers(headers));
    if secure {
        builder = builder.with_tls_config(grpc_tls(signal.tls)?);
    }
    Ok(match signal.gzip {
        true => WithTonicConfig::with_compression(builder, Compression::Gzip),
        false => builder,
    })
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, CollectorError> {
    std::fs::read(path)
        .map_err(|error| CollectorError::Settings(format!("{}: {error}", path.display())))
}

fn grpc_tls(files: &OtlpTls) -> Result<ClientTlsConfig, CollectorError> {
    let mut tls = match &files.certificate {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&files.client_certificate, &files.client_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

fn plain() -> Result<ClientConfig, CollectorError> {
    Ok(configuration()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn configuration()
-> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, CollectorError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(settings_error)
}

fn tls(files: &OtlpTls) -> Result<ClientConfig, CollectorError> {
    let certificates = |path: &std::path::Path| {
        CertificateDer::pem_slice_iter(&read(path)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CollectorError::Settings(format!("{}: {error}", path.display())))
    };
    let mut roots = RootCertStore::empty();
    match &files.certificate {
        Some(path) => roots.add_parsable_certificates(certificates(path)?),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let tls = configuration()?.with_root_certificates(roots);
    match (&files.client_certificate, &files.client_key) {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(settings_error)?;
            tls.with_client_auth_cert(certificates(certificate)?, key)
                .map_err(settings_error)
        }
        _ => Ok(tls.with_no_client_auth()),
    }
}

/// Who sends.
pub(crate) fn resource(settings: &Settings, host: &str) -> Resource {
    let mut attributes = vec![
        KeyValue::new(ENVIRONMENT, settings.env.as_str()),
        KeyValue::new(HOST_NAME, host.to_owned()),
        KeyValue::new(PROCESS_PID, i64::from(std::process::id())),
    ];
    // The user's own go before ours.
    let own = settings.telemetry.resource_attributes.iter();
    attributes.extend(own.map(|(name, value)| KeyValue::new(name.clone(), value.clone())));
    attributes.push(KeyValue::new(SERVICE_NAME, settings.service_name.clone()));
    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}
