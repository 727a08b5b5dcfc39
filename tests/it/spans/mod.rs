//! Rows as spans, read back from a Jaeger.

mod jaeger;
mod journey;
mod propagation;
mod user_code;

use std::collections::BTreeSet;
use std::time::Duration;

use omnitrace::config::{Backend, DatabaseTarget, Endpoint, OtlpProtocol, Settings};
use omnitrace::{Breaker, Counter};
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, Stored, beside, client_with, database, eventually, unique,
};
use temporalio_client::{Client, ClientOptions, WorkflowExecutionInfo, WorkflowHistory};
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use self::jaeger::{Span, assert_whole};
use self::journey::{Journey, Leg, travel};

/// Settings that send spans to this address, soon.
fn sending(settings: Settings, protocol: OtlpProtocol, address: &str) -> Settings {
    let mut telemetry = settings.telemetry.clone();
    telemetry.enabled = true;
    telemetry.backends.insert(Backend::Otel);
    telemetry.otlp.endpoint = Endpoint::parse(&format!("http://{address}"));
    telemetry.otlp.protocol = protocol;
    telemetry.batching.schedule_delay_ms = 50;
    telemetry.batching.export_timeout_ms = 1000;
    settings.with_telemetry(telemetry)
}

fn by_http(settings: Settings) -> Settings {
    sending(settings, OtlpProtocol::HttpProtobuf, &jaeger::http())
}

/// A run and its events.
type Run = (RunRow, Vec<EventRow>);

/// All runs of a journey in the order of their start, when they are closed.
async fn journey(stored: impl AsyncFn() -> Stored, id: &str) -> Vec<Run> {
    eventually("the journey is over", async || {
        let stored = stored().await;
        let mut runs = stored.runs().await;
        runs.retain(|run| run.key.workflow_id.starts_with(id));
        runs.reverse();
        let over = runs.len() == 3 && runs.iter().all(|run| run.closed_at.is_some());
        let mut all = Vec::new();
        for run in runs.into_iter().filter(|_| over) {
            let events = stored.events(&run).await;
            all.push((run, events));
        }
        over.then_some(all)
    })
    .await
}

/// Spans of these runs, when all of their rows are there.
async fn spans(runs: &[Run]) -> Vec<Vec<Span>> {
    let expected: BTreeSet<&str> = (runs.iter())
        .flat_map(|(run, events)| {
            let events = events.iter().map(|event| event.span_id.as_str());
            events.chain([run.span_id.as_str()])
        })
        .collect();
    let traces: BTreeSet<&str> = runs.iter().map(|(run, _)| run.trace_id.as_str()).collect();
    eventually("all spans are there", async || {
        let mut all = Vec::new();
        for trace in &traces {
            all.push(jaeger::trace(trace).await);
        }
        let found: BTreeSet<&str> = all.iter().flatten().map(|span| span.id.as_str()).collect();
        (found == expected).then(|| all.clone())
    })
    .await
}

fn named<'a>(spans: &'a [Vec<Span>], name: &str) -> Vec<&'a Span> {
    let mut named: Vec<&Span> = (spans.iter().flatten())
        .filter(|span| span.name == name)
        .collect();
    named.sort_by_key(|span| span.tag("omnitrace.event_key"));
    named
}

async fn assert_journey(runs: &[Run]) {
    let spans = spans(runs).await;
    for trace in &spans {
        assert_whole(trace);
    }
    let by_key = |name, key: &str| {
        let spans = named(&spans, name);
        let found = spans
            .into_iter()
            .find(|span| span.tag("omnitrace.event_key") == key);
        found.unwrap_or_else(|| panic!("no {key}")).clone()
    };
    let step = by_key("StartActivity:Acts::flaky", "activity:1:Acts::flaky:0");
    let attempts = named(&spans, "RunActivity:Acts::flaky");
    assert_eq!(attempts.len(), 3);
    for (at, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt.parent.as_ref(), Some(&step.id));
        let before: Vec<_> = (at.checked_sub(1).into_iter())
            .map(|before| (attempt.trace.clone(), attempts[before].id.clone()))
            .collect();
        assert_eq!(attempt.links, before);
        let fails = at < 2;
        assert_eq!(attempt.is_error(), fails);
        let expected: &[&str] = if fails { &["exception"] } else { &[] };
        assert_eq!(attempt.events, expected);
    }
    assert!(!step.is_error());
    let inner = by_key("execute_tool map", "tool:2.1:map:1");
    let attempt = by_key("RunActivity:Guide::look", "activity:2:Guide::look:1");
    assert_eq!(inner.parent, Some(attempt.id));
    let local = by_key("StartActivity:Acts::echo", "activity:3:Acts::echo:0");
    let attempt = by_key("RunActivity:Acts::echo", "activity:3:Acts::echo:1");
    assert_eq!(attempt.parent, Some(local.id));

    let journeys = named(&spans, "RunWorkflow:Journey");
    let of = |run: &Run| {
        let found = journeys.iter().find(|span| span.id == run.0.span_id);
        *found.expect("the run's span")
    };
    let (first, second) = (of(&runs[0]), of(&runs[2]));
    assert_eq!(first.tag("workflow.status"), "continued_as_new");
    assert!(!first.is_error() && !second.is_error());
    assert_ne!(first.trace, second.trace);
    assert_eq!(second.links, [(first.trace.clone(), first.id.clone())]);
    let signal = named(&spans, "HandleSignal:call");
    assert_eq!(signal[0].parent.as_ref(), Some(&first.id));
    let leg = named(&spans, "RunWorkflow:Leg");
    let started = named(&spans, "StartChildWorkflow:Leg");
    assert_eq!((leg.len(), started.len()), (1, 1));
    assert_eq!(leg[0].parent.as_ref(), Some(&started[0].id));
    assert_eq!(
        (&leg[0].trace, &started[0].trace),
        (&first.trace, &first.trace)
    );
    assert!(spans.iter().flatten().all(|span| span.service == "guides"));
}

async fn replay(recording: &Recording, client: &Client, run: &RunRow) {
    let handle = WorkflowExecutionInfo::builder()
        .namespace(NAMESPACE)
        .workflow_id(run.key.workflow_id.clone())
        .run_id(run.key.run_id.clone())
        .build()
        .bind_untyped(client.clone());
    let history = handle.fetch_history(Default::default()).into_events().await;
    let events = history.expect("a history");
    let plugin = recording.omnitrace.replay_plugin(run.key.clone());
    let options = WorkflowReplayerOptions::new()
        .worker_plugin(plugin)
        .register_workflow::<Journey>()
        .and_then(|options| options.register_workflow::<Leg>())
        .expect("workflows")
        .build();
    let replayer = WorkflowReplayer::new(options).expect("valid options");
    let replayed = replayer.replay_workflow(WorkflowHistory::from(History { events }));
    replayed.await.expect("replayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_is_read_back_whole_and_a_replay_adds_nothing() {
    let ways = [
        (OtlpProtocol::HttpProtobuf, jaeger::http()),
        (OtlpProtocol::Grpc, jaeger::grpc()),
    ];
    for (protocol, address) in ways {
        let recording = Recording::with(|settings| {
            sending(settings, protocol, &address).with_service_name("guides")
        });
        let client = recording.client().await;
        let queue = unique("queue");
        let worker = RunningWorker::start(client.clone(), journey::worker(&queue, 100));
        let id = beside(worker, travel(&client, &queue)).await;
        let runs = journey(async || recording.stored().await, &id).await;
        assert_journey(&runs).await;
        let sent = recording.omnitrace.counter(Counter::SpansExported);

        for (run, _) in &runs {
            replay(&recording, &client, run).await;
        }
        let stopped = recording.omnitrace.shutdown(Duration::from_secs(5)).await;
        stopped.expect("all is stored");
        assert_eq!(recording.omnitrace.counter(Counter::SpansExported), sent);
        assert_journey(&runs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_store_spans_come_once_though_every_task_is_replayed() {
    // What is stored tells what there is.
    let storing = Recording::start();
    let recording = Recording::with(|settings| {
        by_http(settings)
            .with_database(DatabaseTarget::None)
            .with_service_name("guides")
    });
    let plugins = ClientOptions::new(NAMESPACE)
        .plugin(storing.omnitrace.plugin())
        .plugin(recording.omnitrace.plugin());
    let client = client_with(plugins.build()).await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), journey::worker(&queue, 0));
    let id = beside(worker, travel(&client, &queue)).await;
    let runs = journey(async || storing.stored().await, &id).await;
    let stopped = recording.omnitrace.shutdown(Duration::from_secs(5)).await;
    stopped.expect("nothing is lost");
    let mut rows = BTreeSet::new();
    for (run, events) in &runs {
        rows.insert(run.span_id.clone());
        rows.extend(events.iter().map(|event| event.span_id.clone()));
    }
    let traces: BTreeSet<&str> = runs.iter().map(|(run, _)| run.trace_id.as_str()).collect();
    for trace in traces {
        let spans = eventually("the trace is there", async || {
            let spans = jaeger::trace(trace).await;
            (!spans.is_empty()).then_some(spans)
        })
        .await;
        assert_whole(&spans);
        for span in spans {
            // What is told inside an attempt reaches one of both plugins.
            let inner = span.name == "execute_tool map";
            assert!(rows.remove(&span.id) || inner, "{span:#?}");
        }
    }
    assert_eq!(rows, BTreeSet::new(), "all rows are there");
}

/// Lets connections through to Jaeger from now on.
async fn let_through(listener: TcpListener) {
    loop {
        let (mut near, _) = listener.accept().await.expect("a connection");
        tokio::spawn(async move {
            let mut far = TcpStream::connect(jaeger::http()).await.expect("Jaeger");
            // `Err` means: one of both has gone.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// An address where nobody answers, until somebody binds it.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_away_gets_all_spans_once_when_it_is_back() {
    let address = nobody().await;
    let recording = Recording::with(|settings| {
        sending(settings, OtlpProtocol::HttpProtobuf, &address).with_service_name("guides")
    });
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), journey::worker(&queue, 100));
    let id = beside(worker, travel(&client, &queue)).await;
    let runs = journey(async || recording.stored().await, &id).await;
    eventually("it is left alone", async || {
        (recording.omnitrace.export_breaker() != Breaker::Closed).then_some(())
    })
    .await;
    assert_eq!(recording.omnitrace.breaker(), Breaker::Closed);
    assert_eq!(recording.omnitrace.counter(Counter::SpansExported), 0);
    assert!(recording.omnitrace.counter(Counter::ExportErrors) > 0);
    let listener = TcpListener::bind(&address).await.expect("still free");
    let through = tokio::spawn(let_through(listener));
    assert_journey(&runs).await;
    eventually("it is asked again", async || {
        (recording.omnitrace.export_breaker() == Breaker::Closed).then_some(())
    })
    .await;
    recording.assert_accounted().await;
    through.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_could_not_send_another_does() {
    let address = nobody().await;
    let gone = Recording::with(|settings| sending(settings, OtlpProtocol::HttpProtobuf, &address));
    let client = gone.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), journey::worker(&queue, 100));
    let id = beside(worker, travel(&client, &queue)).await;
    let runs = journey(async || gone.stored().await, &id).await;
    let stopped = gone.omnitrace.shutdown(Duration::from_secs(5)).await;
    stopped.expect("all is stored");
    let url = DatabaseTarget::Url(database(gone.folder()));
    let other = Recording::with(|settings| {
        by_http(settings)
            .with_database(url)
            .with_service_name("guides")
    });
    assert_journey(&runs).await;
    eventually("all is marked", async || {
        let sent: usize = runs.iter().map(|(_, events)| events.len() + 1).sum();
        (other.omnitrace.counter(Counter::SpansExported) == sent as u64).then_some(())
    })
    .await;
}
