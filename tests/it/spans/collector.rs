//! A Collector of a test's own, with the configuration of `deploy` and a file in the place of its backend.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use omnitrace_tests::eventually;
use serde_json::Value;
use tokio::net::TcpStream;

use super::free_address;
use super::span::Span;

/// The configuration that is shipped.
pub(crate) const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/collector/collector.yaml"
);

/// A running Collector; it ends when this is dropped.
pub(crate) struct Collector {
    system: Child,
    folder: tempfile::TempDir,
    /// Where it takes OTLP by HTTP, `host:port`.
    pub(crate) http: String,
    /// And by gRPC.
    pub(crate) grpc: String,
    /// Where Prometheus reads the metrics that it took.
    pub(crate) prometheus: String,
}

/// The program, which no setting of the tests reaches.
pub(crate) fn program() -> Command {
    let program = std::env::var("OMNITRACE_TEST_COLLECTOR_BIN");
    let program = program.expect("a Collector: run `cargo xtask test`");
    let mut command = Command::new(program);
    command.env_clear();
    command
}

impl Collector {
    /// Keeps every trace.
    pub(crate) async fn start() -> Self {
        Self::keeping(100).await
    }

    /// Keeps so many percent of ordinary traces.
    pub(crate) async fn keeping(percent: u8) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let overlay = folder.path().join("overlay.yaml");
        let text = format!(
            "exporters: {{file: {{path: '{}', flush_interval: 50ms}}}}\n\
             service: {{pipelines: {{traces: {{exporters: [file]}}}}}}\n",
            folder.path().join("spans.json").display()
        );
        std::fs::write(&overlay, text).expect("a file");
        let [http, grpc, health, metrics, prometheus] = [(); 5].map(|()| free_address());
        let port = metrics.rsplit(':').next().expect("a port");
        let system = program()
            .args(["--config", SHIPPED, "--config"])
            .arg(&overlay)
            .env("OMNITRACE_COLLECTOR_HTTP", &http)
            .env("OMNITRACE_COLLECTOR_GRPC", &grpc)
            .env("OMNITRACE_COLLECTOR_HEALTH", health)
            .env("OMNITRACE_COLLECTOR_METRICS", port)
            .env("OMNITRACE_COLLECTOR_PROMETHEUS", &prometheus)
            .env("OMNITRACE_DECISION_WAIT", "1s")
            .env("OMNITRACE_KEEP_PERCENT", percent.to_string())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("a process");
        let collector = Self {
            system,
            folder,
            http,
            grpc,
            prometheus,
        };
        eventually("the Collector listens", async || {
            let both = [&collector.http, &collector.grpc];
            for address in both {
                TcpStream::connect(address).await.ok()?;
            }
            Some(())
        })
        .await;
        collector
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("a file")
    }

    /// What it wrote: a line of OTLP as JSON for each batch.
    pub(crate) fn written(&self) -> String {
        let file = self.folder.path().join("spans.json");
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// All spans that it wrote.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let text = self.written();
        // The last line may be half written.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.flat_map(|line: Value| read(&line)).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // `Err` means: it has ended by itself.
        let _ = self.system.kill();
        let _ = self.system.wait();
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// OTLP as JSON.
fn read(line: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in list(line, "resourceSpans") {
        let process = attributes(&resource["resource"]);
        for scope in list(resource, "scopeSpans") {
            spans.extend(list(scope, "spans").map(|span| span_of(span, &process)));
        }
    }
    spans
}

fn span_of(span: &Value, process: &BTreeMap<String, Value>) -> Span {
    let mut tags = attributes(span);
    if span["status"]["code"] == 2 {
        tags.insert("error".to_owned(), Value::Bool(true));
        let message = span["status"]["message"].clone();
        tags.insert("otel.status_description".to_owned(), message);
    }
    Span {
        trace: text(&span["traceId"]),
        id: text(&span["spanId"]),
        name: text(&span["name"]),
        parent: Some(text(&span["parentSpanId"])).filter(|id| !id.is_empty()),
        links: list(span, "links")
            .map(|link| (text(&link["traceId"]), text(&link["spanId"])))
            .collect(),
        tags,
        events: list(span, "events")
            .map(|event| text(&event["name"]))
            .collect(),
        service: process.get("service.name").map(text).unwrap_or_default(),
    }
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    let value = |value: &Value| {
        let values = value.as_object().and_then(|value| value.values().next());
        values.cloned().unwrap_or_default()
    };
    list(of, "attributes")
        .map(|attribute| (text(&attribute["key"]), value(&attribute["value"])))
        .collect()
}
