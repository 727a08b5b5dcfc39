//! Replaying a history of 9,005 events: without a plugin, recording it into SQLite, and with the
//! SDK's own OpenTelemetry plugin, whose spans go nowhere.

use std::path::Path;

use anyhow::{Context, ensure};
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::store::{DatabaseUrl, row::RunKey};
use omnitrace::{Counter, OmniTrace};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use temporalio_client::WorkflowHistory;
use temporalio_sdk::{
    opentelemetry::{OpenTelemetryPlugin, WorkflowIdGenerator, WorkflowSpanProcessor},
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
};

use crate::cpu::{self, Moment};
use crate::series::{Metrics, Of, PLAIN, Question, RECORDING, Series};
use crate::workflows::Long;
use crate::{Scale, history};

pub(crate) const WORKFLOW_ID: &str = "bench-replay";
const NAMESPACE: &str = "bench";

const OPENTELEMETRY: &str = "opentelemetry";

const WALL: &str = "wall_s";
const THREAD: &str = "replaying_thread_cpu_s";
const SDK: &str = "sdk_threads_cpu_s";
const PROCESS: &str = "process_cpu_s";
const WRITER: &str = "writer_cpu_s";
const SQLITE: &str = "sqlite_cpu_s";

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 10] = [
    Question::recording("CPU of the replaying thread, recording / plain", THREAD).at_most(1.02),
    Question::recording("CPU of all the SDK's threads, recording / plain", SDK),
    Question::recording("wall time, recording / plain", WALL),
    opentelemetry(
        "CPU of the replaying thread, SDK's OpenTelemetry / plain",
        THREAD,
    ),
    opentelemetry(
        "CPU of all the SDK's threads, SDK's OpenTelemetry / plain",
        SDK,
    ),
    opentelemetry("wall time, SDK's OpenTelemetry / plain", WALL),
    beside(
        "beside it: CPU of the writer / replaying thread, plain",
        WRITER,
    ),
    beside("beside it: CPU of SQLite / replaying thread, plain", SQLITE),
    Question::recording("CPU of the whole process, recording / plain", PROCESS),
    opentelemetry(
        "CPU of the whole process, SDK's OpenTelemetry / plain",
        PROCESS,
    ),
];

const fn opentelemetry(what: &'static str, metric: &'static str) -> Question {
    Question::new(what, Of::new(OPENTELEMETRY, metric), Of::new(PLAIN, metric))
}

const fn beside(what: &'static str, metric: &'static str) -> Question {
    Question::new(what, Of::new(RECORDING, metric), Of::new(PLAIN, THREAD))
}

pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Series> {
    let recording = Recording::start()?;
    let spans = Spans::start();
    let series = Series::measure(
        scale.rounds,
        &[PLAIN, RECORDING, OPENTELEMETRY],
        async |variant| {
            let run_id = uuid::Uuid::new_v4().to_string();
            let options = options()?;
            let options = match variant {
                RECORDING => options.worker_plugin(recording.omnitrace.replay_plugin(RunKey::new(
                    NAMESPACE,
                    WORKFLOW_ID,
                    &run_id,
                ))),
                OPENTELEMETRY => options.worker_plugin(spans.plugin()),
                _ => options,
            };
            let replayer = WorkflowReplayer::new(options.build())?;
            let history = history::long(WORKFLOW_ID, &run_id, scale.activities)?;
            let background = cpu::background()?;
            let before = Moment::now()?;
            replayer
                .replay_workflow(WorkflowHistory::from(history))
                .await?;
            let replayed = before.elapsed()?;
            recording.settle().await?;
            let settled = before.elapsed()?;
            let after = cpu::background()?;
            let writer = after.writer.saturating_sub(background.writer);
            let sqlite = after.sqlite.saturating_sub(background.sqlite);
            let sdk = settled.process.saturating_sub(writer + sqlite);
            Ok(Metrics::from([
                (WALL, replayed.wall.as_secs_f64()),
                (THREAD, replayed.thread.as_secs_f64()),
                (SDK, sdk.as_secs_f64()),
                (PROCESS, settled.process.as_secs_f64()),
                (WRITER, writer.as_secs_f64()),
                (SQLITE, sqlite.as_secs_f64()),
            ]))
        },
    )
    .await?;
    recording.stop().await?;
    Ok(series)
}

/// Options of a replayer without plugins.
pub(crate) fn options()
-> anyhow::Result<temporalio_sdk::workflow_replayer::WorkflowReplayerOptionsBuilder> {
    Ok(WorkflowReplayerOptions::new().register_workflow::<Long>()?)
}

/// A plugin with the default settings and a database of its own.
pub(crate) struct Recording {
    pub(crate) omnitrace: OmniTrace,
    _folder: Option<tempfile::TempDir>,
}

impl Recording {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let recording = Self::at(&folder.path().join("omnitrace.db"));
        Ok(Self {
            _folder: Some(folder),
            ..recording
        })
    }

    /// Into a database that somebody else deletes.
    pub(crate) fn at(file: &Path) -> Self {
        let url = DatabaseUrl::Sqlite(file.to_owned());
        let settings = Settings::default().with_database(DatabaseTarget::Url(url));
        Self {
            omnitrace: OmniTrace::start(settings),
            _folder: None,
        }
    }

    /// Waits until everything is stored. What was dropped was not paid for, so it spoils a
    /// measurement.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.omnitrace.flush().await?;
        let dropped = [
            Counter::DroppedQueueFull,
            Counter::DroppedPanic,
            Counter::RowsDroppedBufferFull,
            Counter::WriteErrors,
        ];
        ensure!(
            dropped.iter().all(|c| self.omnitrace.counter(*c) == 0),
            "observations were dropped, which makes recording look cheaper than it is: {:?}",
            self.omnitrace.counters()
        );
        Ok(())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let stored = self.omnitrace.counter(Counter::RowsStored);
        ensure!(stored > 0, "nothing was recorded");
        let patience = std::time::Duration::from_secs(10);
        let stopped = self.omnitrace.shutdown(patience).await;
        stopped.context("shutting down")
    }
}

/// OpenTelemetry as the SDK's documentation sets it up.
struct Spans {
    provider: SdkTracerProvider,
}

impl Spans {
    fn start() -> Self {
        let batches = BatchSpanProcessor::builder(Nowhere).build();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(WorkflowIdGenerator::default())
            .with_span_processor(WorkflowSpanProcessor::new(batches))
            .build();
        Self { provider }
    }

    fn plugin(&self) -> temporalio_sdk::SimplePlugin {
        OpenTelemetryPlugin::builder()
            .tracer(self.provider.tracer("bench"))
            .build()
    }
}

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}
