//! One trace with a worker of another language: Temporal's Python SDK with its own OpenTelemetry
//! integration.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use omnitrace_tests::{Recording, RunningWorker, beside, eventually, server, unique};
use serde_json::{Value, json};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use super::span::{Span, assert_whole};
use super::{by_http, jaeger};
use crate::workflows::Acts;

/// The worker in Python.
struct Python {
    system: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Python {
    fn start(queue: &str) -> Self {
        let python = std::env::var("OMNITRACE_TEST_PYTHON_BIN");
        let python = python.expect("a Python with Temporal's SDK: run `cargo xtask test`");
        let mut system = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/worker.py"))
            .args(["--address", &server(), "--queue", queue])
            .arg("--traces")
            .arg(format!("http://{}/v1/traces", jaeger::http()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut python = Self {
            input: system.stdin.take(),
            output: BufReader::new(system.stdout.take().expect("piped")),
            system,
        };
        assert_eq!(python.line(), "ready");
        python
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// Runs a workflow from there; its trace id and its result.
    fn execute(&mut self, asked: &Value) -> (String, Value) {
        writeln!(self.input.as_mut().expect("open"), "{asked}").expect("it listens");
        let said: Value = serde_json::from_str(&self.line()).expect("JSON");
        let trace_id = said["trace_id"].as_str().expect("a trace id");
        (trace_id.to_owned(), said["result"].clone())
    }

    /// Ends when all its spans are sent.
    fn end(mut self) {
        drop(self.input.take());
        let ended = self.system.wait().expect("a process");
        assert!(ended.success(), "{ended}");
    }
}

/// What Python does, as the workflow here calls it.
struct Abroad;

#[activities]
impl Abroad {
    #[activity(name = "look")]
    async fn look(_ctx: ActivityContext, _place: String) -> Result<String, ActivityError> {
        unreachable!("served by the worker in Python")
    }
}

/// Has its work done in Python.
#[workflow]
#[derive(Default)]
struct Traveller;

#[workflow_methods]
impl Traveller {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, queue: String) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .task_queue(queue)
            .build();
        Ok(ctx
            .execute_activity(Abroad::look, "there".to_owned(), options)
            .await?)
    }
}

/// The spans of a trace, when these names are all there.
async fn complete(trace: &str, names: &[&str]) -> Vec<Span> {
    let spans = eventually("all spans are there", async || {
        let spans = jaeger::trace(trace).await;
        let mut found: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        found.sort_unstable();
        (found == names).then_some(spans)
    })
    .await;
    assert_whole(&spans);
    spans
}

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    named.next().unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_languages_are_in_one_trace() {
    let recording = Recording::with(|settings| by_http(settings).with_service_name("rust"));
    let client = recording.client().await;
    let (here, there) = (unique("here"), unique("there"));
    let options = WorkerOptions::new(&here)
        .register_activities(Acts)
        .register_workflow::<Traveller>()
        .expect("a workflow")
        .build();
    let worker = RunningWorker::start(client, options);
    let (ours, theirs) = (unique("ours"), unique("theirs"));
    let in_python = {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        tokio::task::spawn_blocking(move || {
            let mut python = Python::start(&there);
            let asked =
                json!({ "workflow": "Traveller", "queue": here, "id": ours, "argument": there });
            let first = python.execute(&asked);
            let asked =
                json!({ "workflow": "Tourist", "queue": there, "id": theirs, "argument": here });
            let second = python.execute(&asked);
            python.end();
            (first, second)
        })
    };
    let (first, second) = beside(worker, in_python).await.expect("it ran");

    // A workflow here, an activity there.
    assert_eq!(first.1, "seen there");
    let spans = complete(
        &first.0,
        &[
            "RunActivity:look",
            "RunWorkflow:Traveller",
            "StartActivity:look",
            "StartWorkflow:Traveller",
            "caller",
            "inside look",
        ],
    )
    .await;
    let run = only(&spans, "RunWorkflow:Traveller");
    assert_eq!(
        (run.service.as_str(), &run.tag("workflow.id")),
        ("rust", &ours.as_str())
    );
    let started = only(&spans, "StartWorkflow:Traveller");
    assert_eq!(run.parent.as_ref(), Some(&started.id));
    let attempt = only(&spans, "RunActivity:look");
    assert_eq!(attempt.service, "python");
    assert_eq!(attempt.parent.as_ref(), Some(&run.id));
    let (row, _) = recording.closed(&ours).await;
    assert_eq!(row.trace_id, first.0);

    // A workflow there, an activity here.
    assert_eq!(second.1, 2);
    let spans = complete(
        &second.0,
        &[
            "CompleteWorkflow:Tourist",
            "RunActivity:Acts::flaky",
            "RunActivity:Acts::flaky",
            "RunWorkflow:Tourist",
            "StartActivity:Acts::flaky",
            "StartWorkflow:Tourist",
            "caller",
        ],
    )
    .await;
    let step = only(&spans, "StartActivity:Acts::flaky");
    assert_eq!(step.service, "python");
    let mut attempts: Vec<&Span> = (spans.iter())
        .filter(|span| span.name == "RunActivity:Acts::flaky")
        .collect();
    attempts.sort_by_key(|span| span.tag("omnitrace.event_key"));
    for attempt in &attempts {
        assert_eq!(attempt.service, "rust");
        assert_eq!(attempt.tag("temporalWorkflowID"), theirs);
        assert_eq!(attempt.parent.as_ref(), Some(&step.id));
    }
    let before = (attempts[0].trace.clone(), attempts[0].id.clone());
    assert_eq!(attempts[1].links, [before]);
    assert!(attempts[0].is_error() && !attempts[1].is_error());
}
