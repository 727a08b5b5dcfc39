//! What `tracing` sees inside an activity: events of the run, and log lines that name the attempt.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use omnitrace_store::row::Status;
use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use serde_json::Value;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tracing::Instrument;
use tracing::field::Empty;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::workflows::options;

/// Keeps lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn of(&self, workflow_id: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("unpoisoned").clone();
        let text = String::from_utf8(bytes).expect("text");
        let own = text.lines().filter(|line| line.contains(workflow_id));
        own.map(ToOwned::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

static JSON: LazyLock<Lines> = LazyLock::new(Lines::default);
static TEXT: LazyLock<Lines> = LazyLock::new(Lines::default);

struct Agents;

#[activities]
impl Agents {
    /// Asks a model, which uses a tool; fails once.
    #[activity]
    async fn answer(ctx: ActivityContext, _: ()) -> Result<(), ActivityError> {
        let json = tracing_subscriber::fmt::layer().json();
        let text = tracing_subscriber::fmt::layer();
        let subscriber = tracing_subscriber::registry()
            .with(omnitrace::layer())
            .with(
                json.map_event_format(omnitrace::logs::json)
                    .with_writer(JSON.clone()),
            )
            .with(
                text.map_event_format(omnitrace::logs::text)
                    .with_writer(TEXT.clone()),
            );
        let chat = async {
            tokio::task::yield_now().await;
            tracing::info_span!("look up", tool.name = "books").in_scope(|| {
                tracing::info!("looking");
                tracing::info!(db.system.name = "sqlite", db.operation.name = "SELECT");
            });
            tracing::Span::current().record("gen_ai.usage.input_tokens", 1000);
            tracing::Span::current().record("gen_ai.usage.output_tokens", 100);
        };
        let span = || {
            tracing::info_span!(
                "chat",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "gpt-4o",
                gen_ai.prompt = "what is in my letters?",
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
            )
        };
        async { chat.instrument(span()).await }
            .with_subscriber(subscriber)
            .await;
        match ctx.info().attempt {
            1 => Err(anyhow::anyhow!("tired").into()),
            _ => Ok(()),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Helper;

#[workflow_methods]
impl Helper {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        ctx.execute_activity(Agents::answer, (), options()).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_traced_inside_an_activity_becomes_events_and_lines_that_name_the_attempt() {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        .register_activities(Agents)
        .register_workflow::<Helper>()
        .expect("a workflow")
        .build();
    let running = RunningWorker::start(client.clone(), options);
    let id = unique("helper");
    let (run, events) = beside(running, async {
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Helper::run, (), start).await;
        let handle = handle.expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        result.expect("completed");
        recording.closed(&id).await
    })
    .await;
    for attempt in 1..=2 {
        let of = format!("activity:1:Agents::answer:{attempt}");
        let [model, tool, db] = [
            format!("model:1.1:gpt-4o:{attempt}"),
            format!("tool:1.2:books:{attempt}"),
            format!("db:1.3:SELECT:{attempt}"),
        ];
        for (key, parent) in [(&model, &of), (&tool, &model), (&db, &tool)] {
            let row = events.iter().find(|row| row.event_key == *key);
            let row = row.unwrap_or_else(|| panic!("no {key} in {events:#?}"));
            assert_eq!(row.parent_key.as_ref(), Some(parent), "{key}");
            assert_eq!(row.status, Status::Completed);
            assert!(row.ended_at >= row.started_at);
        }
        let asked = events.iter().find(|row| row.event_key == model);
        let asked = asked.expect("found above");
        assert_eq!(
            (asked.input_tokens, asked.output_tokens),
            (Some(1000), Some(100))
        );
        assert_eq!(asked.cost_usd, Some(0.0035));
    }
    assert_eq!(run.cost_usd, 0.007, "both attempts asked");
    let stored: String = events
        .iter()
        .filter_map(|row| row.data_redacted.clone())
        .collect();
    assert!(!stored.contains("letters"), "{stored}");

    let attempts: Vec<String> = (1..=2)
        .map(|attempt| {
            let key = format!("activity:1:Agents::answer:{attempt}");
            let row = events.iter().find(|row| row.event_key == key);
            row.expect("an attempt").span_id.clone()
        })
        .collect();
    let json = JSON.of(&id);
    // Two events in each attempt.
    assert_eq!(json.len(), 4, "{json:#?}");
    for (at, line) in json.iter().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["trace_id"], run.trace_id);
        assert_eq!(line["span_id"], attempts[at / 2]);
        assert_eq!(line["run_id"], run.key.run_id);
        assert_eq!(line["activity"], "Agents::answer");
        assert_eq!(line["attempt"], at / 2 + 1);
    }
    let text = TEXT.of(&id);
    assert_eq!(text.len(), 4, "{text:#?}");
    let end = format!(
        " trace_id={} span_id={} workflow_id={id} run_id={} activity=Agents::answer attempt=1",
        run.trace_id, attempts[0], run.key.run_id
    );
    assert!(
        text[0].contains("looking") && text[0].ends_with(&end),
        "{text:#?}"
    );
}
