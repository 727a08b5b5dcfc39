//! A trace backend: Jaeger or Tempo, asked for the spans that other parts of the system made of a trace.
//!
//! Invariant: a trace is served without it. What it is asked is bounded in time and in size, an answer is
//! kept for a while, and one that fails is left alone, longer each time.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use moka::future::Cache;
use omnitrace_store::tree::{ForeignSpan, MAX_SPANS};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer.
const MAX_BYTES: u64 = 32 << 20;
/// How long an answer is kept: spans of a trace arrive for a while.
const KEPT: Duration = Duration::from_secs(15);
/// Spans of all answers that are kept.
const KEPT_SPANS: u64 = 100_000;
/// How long it is left alone after it failed, at first and at most.
const WAIT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// Attributes of a span, and characters of each.
const ATTRIBUTES: usize = 64;
const CHARACTERS: usize = 512;
/// A trace that nobody has: asked for to see whether there is an answer.
const NO_TRACE: &str = "00000000000000000000000000000001";

/// Which program, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendUrl {
    kind: Kind,
    base: url::Url,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Jaeger,
    Tempo,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Jaeger => "jaeger",
            Self::Tempo => "tempo",
        }
    }
}

impl FromStr for BackendUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = "write jaeger:URL or tempo:URL, as jaeger:http://127.0.0.1:16686";
        let (kind, base) = text.split_once(':').ok_or(allowed)?;
        let kind = match kind {
            "jaeger" => Kind::Jaeger,
            "tempo" => Kind::Tempo,
            _ => return Err(allowed),
        };
        let base: url::Url = base.parse().map_err(|_| allowed)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(allowed);
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(
                "a URL is no place for a password: name a header with --trace-backend-header",
            );
        }
        Ok(Self { kind, base })
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.kind.as_str(), self.base)
    }
}

/// A header of each question, as `X-Scope-OrgID=team`. Shows no value: it may be a secret.
#[derive(Clone)]
pub(crate) struct BackendHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl fmt::Debug for BackendHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl FromStr for BackendHeader {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = "write NAME=VALUE";
        let (name, value) = text.split_once('=').ok_or(allowed)?;
        Ok(Self {
            name: name.trim().parse().map_err(|_| allowed)?,
            value: value.trim().parse().map_err(|_| allowed)?,
        })
    }
}

/// The spans of a trace, and a hash of them.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) spans: Vec<ForeignSpan>,
    pub(super) hash: [u8; 16],
}

/// Asks a trace backend. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct TraceBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: BackendUrl,
    headers: Vec<BackendHeader>,
    agent: ureq::Agent,
    kept: Cache<String, Arc<Spans>>,
    failed: Mutex<Option<Failed>>,
}

/// That it failed last, and until when it is left alone.
#[derive(Clone, Debug)]
struct Failed {
    reason: String,
    wait: Duration,
    until: Instant,
}

impl TraceBackend {
    pub(super) fn new(url: BackendUrl, headers: Vec<BackendHeader>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false);
        let weigh = |_: &String, spans: &Arc<Spans>| {
            u32::try_from(spans.spans.len() + 1).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder().max_capacity(KEPT_SPANS).weigher(weigh);
        Self(Arc::new(Inner {
            url,
            headers,
            agent: config.build().into(),
            kept: kept.time_to_live(KEPT).build(),
            failed: Mutex::default(),
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0.url.kind.as_str()
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        self.0.url.to_string()
    }

    /// The spans of a trace; none if it knows none.
    ///
    /// # Errors
    /// Why it does not answer, one line.
    pub(super) async fn spans(&self, trace_id: &str) -> Result<Arc<Spans>, String> {
        let kept = &self.0.kept;
        let asked = kept.try_get_with(trace_id.to_owned(), self.ask(trace_id));
        let spans = asked
            .await
            .map_err(|reason: Arc<String>| String::clone(&reason))?;
        if spans.spans.is_empty() {
            // They may arrive at any moment.
            kept.invalidate(trace_id).await;
        }
        Ok(spans)
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// Why it does not, one line.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.ask(NO_TRACE).await.map(drop)
    }

    async fn ask(&self, trace_id: &str) -> Result<Arc<Spans>, String> {
        let failed = self.failed().clone();
        if let Some(failed) = &failed
            && Instant::now() < failed.until
        {
            return Err(failed.reason.clone());
        }
        let (inner, trace_id) = (Arc::clone(&self.0), trace_id.to_owned());
        let asked = tokio::task::spawn_blocking(move || inner.fetch(&trace_id));
        let asked = asked
            .await
            .unwrap_or_else(|_| Err("its answer cannot be read".to_owned()));
        match asked {
            Ok(spans) => {
                *self.failed() = None;
                Ok(Arc::new(spans))
            }
            Err(reason) => {
                let reason = format!("{} does not answer: {reason}", self.place());
                let wait = failed.map_or(WAIT[0], |failed| (failed.wait * 2).min(WAIT[1]));
                *self.failed() = Some(Failed {
                    reason: reason.clone(),
                    wait,
                    until: Instant::now() + wait,
                });
                Err(reason)
            }
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<Failed>> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn fetch(&self, trace_id: &str) -> Result<Spans, String> {
        let path = match self.url.kind {
            Kind::Jaeger => "api/v3/traces/",
            Kind::Tempo => "api/traces/",
        };
        let base = self.url.base.as_str().trim_end_matches('/');
        let mut request = self.agent.get(format!("{base}/{path}{trace_id}"));
        request = request.header("accept", "application/json");
        for header in &self.headers {
            request = request.header(&header.name, &header.value);
        }
        // The error names no header; the address has no secret.
        let mut response = request.call().map_err(|error| error.to_string())?;
        let status = response.status();
        if status == 404 {
            return Ok(Spans::default());
        }
        if !status.is_success() {
            return Err(format!("it says {status}"));
        }
        let body = response.body_mut().with_config().limit(MAX_BYTES);
        let body: Value = body.read_json().map_err(|error| error.to_string())?;
        let spans = read(&body);
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(format!("{spans:?}"))[..16]);
        Ok(Spans { spans, hash })
    }
}

/// Spans of OTLP's JSON, as either program wraps it. What is no span is left out.
fn read(body: &Value) -> Vec<ForeignSpan> {
    let wrapped = body
        .get("result")
        .or_else(|| body.get("trace"))
        .unwrap_or(body);
    let resources = ["resourceSpans", "batches"]
        .iter()
        .find_map(|name| wrapped.get(name));
    let mut spans = Vec::new();
    for resource in list(resources) {
        let about = attributes(resource.pointer("/resource/attributes"));
        let service = about.get("service.name").and_then(Value::as_str);
        let scopes = resource
            .get("scopeSpans")
            .or_else(|| resource.get("instrumentationLibrarySpans"));
        let scopes = list(scopes);
        for span in scopes.iter().flat_map(|scope| list(scope.get("spans"))) {
            spans.extend(read_span(span, service));
            // As many as can be merged, with the run's own.
            if spans.len() >= 2 * MAX_SPANS {
                return spans;
            }
        }
    }
    spans
}

fn read_span(span: &Value, service: Option<&str>) -> Option<ForeignSpan> {
    let text = |name: &str| span.get(name).and_then(Value::as_str);
    let time = |name: &str| {
        let time = span.get(name)?;
        let nanos = time.as_i64().or_else(|| time.as_str()?.parse().ok())?;
        Some(nanos / 1000)
    };
    let status = span.get("status");
    let failed = status
        .and_then(|status| status.get("code"))
        .is_some_and(|code| code.as_i64() == Some(2) || code.as_str() == Some("STATUS_CODE_ERROR"));
    let message = status
        .and_then(|status| status.get("message"))
        .and_then(Value::as_str);
    Some(ForeignSpan {
        span_id: span_id(text("spanId")?)?,
        parent_span_id: text("parentSpanId").and_then(span_id),
        name: cut(text("name").unwrap_or_default()),
        service: service.map(cut),
        start: time("startTimeUnixNano")?,
        end: time("endTimeUnixNano")?,
        error: failed.then(|| cut(message.unwrap_or_default())),
        attributes: Value::Object(attributes(span.get("attributes"))),
    })
}

/// As hex: Tempo writes base64.
fn span_id(text: &str) -> Option<String> {
    let bytes = match text.len() {
        16 => hex::decode(text).ok(),
        _ => BASE64_STANDARD.decode(text).ok(),
    };
    let bytes = bytes.filter(|bytes| bytes.len() == 8 && bytes.iter().any(|byte| *byte != 0));
    bytes.map(hex::encode)
}

fn attributes(of: Option<&Value>) -> Map<String, Value> {
    let read = |attribute: &Value| {
        let name = attribute.get("key")?.as_str()?;
        // Scalars alone, by the name of their kind.
        let (kind, value) = attribute.get("value")?.as_object()?.iter().next()?;
        let value = match (kind.as_str(), value) {
            ("intValue", Value::String(number)) => number.parse::<i64>().ok()?.into(),
            ("stringValue", Value::String(text)) => Value::String(cut(text)),
            ("intValue" | "doubleValue" | "boolValue", value) => value.clone(),
            _ => return None,
        };
        Some((cut(name), value))
    };
    list(of).iter().filter_map(read).take(ATTRIBUTES).collect()
}

fn list(of: Option<&Value>) -> &[Value] {
    of.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn cut(text: &str) -> String {
    text.chars().take(CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_a_program_and_a_url_without_a_password() {
        let at = |text: &str| text.parse::<BackendUrl>().map(|url| url.to_string());
        assert_eq!(
            at("jaeger:http://127.0.0.1:16686/ui").unwrap(),
            "jaeger at http://127.0.0.1:16686/ui"
        );
        assert!(at("tempo:https://tempo.example").is_ok());
        for wrong in [
            "",
            "jaeger",
            "zipkin:http://h",
            "tempo:ftp://h",
            "tempo:h",
            "tempo:http://u:p@h",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_read_as_both_programs_write_them() {
        let span = |id: &str, parent: &str| {
            json!({
                "spanId": id, "parentSpanId": parent, "name": "GET /x",
                "startTimeUnixNano": "1767261600000001500", "endTimeUnixNano": "1767261600000002500",
                "attributes": [
                    { "key": "http.status_code", "value": { "intValue": "503" } },
                    { "key": "list", "value": { "arrayValue": {} } },
                ],
                "status": { "code": 2, "message": "bad" },
            })
        };
        let resource = json!({
            "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }],
        });
        let jaeger = json!({ "result": { "resourceSpans": [{
            "resource": resource,
            "scopeSpans": [{ "spans": [span("00f067aa0ba902b7", "53995c3f42cd8ad8"), {}] }],
        }] } });
        let tempo = json!({ "batches": [{
            "resource": resource,
            "scopeSpans": [{ "spans": [span("APBnqgupArc=", "U5lcP0LNitg=")] }],
        }] });
        let expected = [ForeignSpan {
            span_id: "00f067aa0ba902b7".to_owned(),
            parent_span_id: Some("53995c3f42cd8ad8".to_owned()),
            name: "GET /x".to_owned(),
            service: Some("shop".to_owned()),
            start: 1_767_261_600_000_001,
            end: 1_767_261_600_000_002,
            error: Some("bad".to_owned()),
            attributes: json!({ "http.status_code": 503 }),
        }];
        assert_eq!(read(&jaeger), expected);
        assert_eq!(read(&tempo), expected);
        for none in [json!(null), json!([]), json!({ "batches": 7 })] {
            assert!(read(&none).is_empty(), "{none}");
        }
    }
}
