//! Spans per second to a Collector, beside OpenTelemetry's own exporter that sends as many spans of the same
//! kind, made before.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use omnitrace::config::{Backend, DatabaseTarget, Endpoint, Settings};
use omnitrace::telemetry::Resender;
use omnitrace::{Counter, OmniTrace};
use omnitrace_store::RunFilter;
use omnitrace_store::row::{EventRow, RunRow};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use serde_json::json;

use crate::Scale;
use crate::database::{Database, Kind};
use crate::series::{Metrics, Of, Question, Series};

/// Events of a run.
const EVENTS: u32 = 9;
/// Spans of a message, as the exporter sends them by default.
const BATCH: usize = 512;
/// The longest wait for what was sent.
const PATIENCE: Duration = Duration::from_secs(120);

const RATE: &str = "spans_per_s";
const EXPORTER: &str = "exporter";
const RESENT: &str = "stored_rows";
const LIVE: &str = "live";

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 2] = [
    Question::new(
        "stored rows to the Collector / OpenTelemetry's exporter",
        Of::new(RESENT, RATE),
        Of::new(EXPORTER, RATE),
    ),
    Question::new(
        "told, made into rows and sent, without a store / the same",
        Of::new(LIVE, RATE),
        Of::new(EXPORTER, RATE),
    ),
];

pub(crate) async fn run(scale: &Scale, collector: &Path) -> anyhow::Result<Series> {
    let collector = Collector::start(collector).await?;
    let settings = collector.settings()?;
    let stored = Database::make(Kind::Sqlite).await?;
    let database = DatabaseTarget::Url(stored.url.clone());
    let omnitrace = OmniTrace::start(Settings::default().with_database(database));
    tell(&omnitrace, scale.rows);
    omnitrace.flush().await?;
    omnitrace.shutdown(Duration::from_secs(10)).await?;
    let store = stored.store().await?;
    let mut runs: Vec<(RunRow, Vec<EventRow>)> = Vec::new();
    for run in store.list_runs(&RunFilter::default()).await? {
        let events = store.events(&run.key).await?;
        runs.push((run, events));
    }
    store.close().await;
    let count: usize = runs.iter().map(|(_, events)| events.len() + 1).sum();
    let series = Series::measure(scale.rounds, &[EXPORTER, RESENT, LIVE], async |variant| {
        let seconds = match variant {
            EXPORTER => bare(&collector, count).await?,
            RESENT => {
                let mut resender = Resender::new(&settings)?;
                let begun = Instant::now();
                for (run, events) in &runs {
                    resender.add(run, None, events).await?;
                }
                resender.finish().await?;
                ensure!(resender.sent() == count as u64, "spans were refused");
                begun.elapsed()
            }
            _ => live(&settings, scale.rows, count).await?,
        };
        Ok(Metrics::from([(
            RATE,
            count as f64 / seconds.as_secs_f64(),
        )]))
    })
    .await?;
    stored.drop().await?;
    Ok(series)
}

/// Tells runs of so many rows.
fn tell(omnitrace: &OmniTrace, rows: u32) {
    for n in 0..rows / (EVENTS + 1) {
        let trace_id = uuid::Uuid::new_v4().simple().to_string();
        let recorder = omnitrace.recorder(&format!("order-{n}"), &trace_id);
        recorder.record_run_start(Some("user-17"), json!({ "id": n }));
        for event in 1..=EVENTS {
            let key = format!("tool:{event}:search:1");
            let latency = Some(Duration::from_millis(u64::from(event)));
            recorder.record_event(&key, "tool", "search", latency, json!({ "count": event }));
        }
        recorder.record_run_complete(json!({ "count": EVENTS }));
    }
}

/// From the queue to the Collector's acknowledgement of the last span.
async fn live(settings: &Settings, rows: u32, count: usize) -> anyhow::Result<Duration> {
    let settings = settings.clone().with_database(DatabaseTarget::None);
    let omnitrace = OmniTrace::start(settings.with_queue_bytes(1 << 30));
    let begun = Instant::now();
    tell(&omnitrace, rows);
    let mut poll = tokio::time::interval(Duration::from_millis(1));
    while omnitrace.counter(Counter::SpansExported) < count as u64 {
        ensure!(
            omnitrace.counter(Counter::SpansDropped) == 0,
            "spans were dropped"
        );
        ensure!(begun.elapsed() < PATIENCE, "the Collector takes no spans");
        poll.tick().await;
    }
    let taken = begun.elapsed();
    omnitrace.shutdown(Duration::from_secs(10)).await?;
    Ok(taken)
}

/// OpenTelemetry's own exporter, with as many attributes as our spans have.
async fn bare(collector: &Collector, count: usize) -> anyhow::Result<Duration> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", collector.grpc))
        .build()?;
    let trace = TraceId::from_bytes(uuid::Uuid::new_v4().into_bytes());
    let batches: Vec<Vec<SpanData>> = (0..count)
        .map(|n| span(trace, n))
        .collect::<Vec<_>>()
        .chunks(BATCH)
        .map(<[SpanData]>::to_vec)
        .collect();
    let begun = Instant::now();
    for batch in batches {
        exporter.export(batch).await?;
    }
    Ok(begun.elapsed())
}

fn span(trace: TraceId, n: usize) -> SpanData {
    let attributes = (0..12)
        .map(|at| KeyValue::new(format!("order.attribute.{at}"), format!("value-{n}-{at}")))
        .collect();
    let start = SystemTime::now();
    SpanData {
        span_context: SpanContext::new(
            trace,
            SpanId::from(n as u64 + 1),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "execute_tool search".into(),
        start_time: start,
        end_time: start + Duration::from_millis(1),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("bench").build(),
    }
}

/// A Collector that throws away what it takes.
struct Collector {
    system: Child,
    grpc: String,
    _folder: tempfile::TempDir,
}

impl Collector {
    async fn start(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let grpc = listener.local_addr()?.to_string();
        drop(listener);
        let file = folder.path().join("collector.yaml");
        let settings = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}}}}}}}\n\
             exporters: {{file: {{path: /dev/null}}}}\n\
             service:\n  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}\n  \
             telemetry: {{metrics: {{level: none}}}}\n"
        );
        std::fs::write(&file, settings)?;
        let system = Command::new(program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the Collector does not start")?;
        let collector = Self {
            system,
            grpc,
            _folder: folder,
        };
        let begun = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        while tokio::net::TcpStream::connect(&collector.grpc)
            .await
            .is_err()
        {
            ensure!(begun.elapsed() < PATIENCE, "the Collector does not listen");
            poll.tick().await;
        }
        Ok(collector)
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let settings = Settings::default();
        let mut telemetry = settings.telemetry.clone();
        telemetry.enabled = true;
        telemetry.backends.insert(Backend::Otel);
        telemetry.otlp.protocol = omnitrace::config::OtlpProtocol::Grpc;
        telemetry.otlp.endpoint = Endpoint::parse(&format!("http://{}", self.grpc));
        // What is measured is how fast it goes, not how long it waits.
        telemetry.batching.schedule_delay_ms = 1;
        telemetry.batching.max_queue_size = 1_000_000;
        Ok(settings.with_telemetry(telemetry))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // `Err` means: it has ended by itself.
        let _ = self.system.kill();
        let _ = self.system.wait();
    }
}
