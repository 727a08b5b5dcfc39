//! Rows as spans, read back from a Jaeger and from what a Collector wrote.

pub(crate) mod collector;
mod export;
pub(crate) mod gate;
mod headers;
mod jaeger;
mod journey;
mod killed;
mod languages;
mod passed_on;
mod propagation;
mod requests;
mod slow;
mod span;
mod trouble;
mod user_code;

use std::collections::BTreeSet;
use std::time::Duration;

use omnitrace::Counter;
use omnitrace::config::{Backend, DatabaseTarget, Endpoint, OtlpProtocol, Settings};
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, Stored, beside, client_with, database, eventually, unique,
};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use temporalio_client::{Client, ClientOptions, WorkflowExecutionInfo, WorkflowHistory};
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use self::collector::Collector;
use self::journey::{Crossing, Journey, Leg, travel};
use self::span::{Span, assert_whole};
use self::user_code::{KEPT, PROVIDER};

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

/// Where spans are read back from.
enum Place<'a> {
    Jaeger,
    File(&'a Collector),
}

impl Place<'_> {
    /// Where it takes spans, `host:port`.
    fn address(&self, protocol: OtlpProtocol) -> String {
        match (self, protocol) {
            (Self::Jaeger, OtlpProtocol::HttpProtobuf) => jaeger::http(),
            (Self::Jaeger, _) => jaeger::grpc(),
            (Self::File(collector), OtlpProtocol::HttpProtobuf) => collector.http.clone(),
            (Self::File(collector), _) => collector.grpc.clone(),
        }
    }

    /// All spans of a trace; none if it does not know it.
    async fn trace(&self, id: &str) -> Vec<Span> {
        match self {
            Self::Jaeger => jaeger::trace(id).await,
            Self::File(collector) => {
                let mut spans = collector.spans();
                spans.retain(|span| span.trace == id);
                spans
            }
        }
    }
}

/// Sends spans of user code, as its own exporter does.
pub(crate) async fn send(spans: &[SpanData], grpc: &str) {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{grpc}"))
        .build()
        .expect("an exporter");
    let service = Resource::builder_empty()
        .with_service_name("guides")
        .build();
    opentelemetry_sdk::trace::SpanExporter::set_resource(&mut exporter, &service);
    let sent = opentelemetry_sdk::trace::SpanExporter::export(&exporter, spans.to_vec());
    sent.await.expect("taken");
}

/// An address where nobody listens.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
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

/// Spans of these runs, when all of their rows are there, and what user code made.
async fn spans(place: &Place<'_>, runs: &[Run], own: &[SpanData]) -> Vec<Vec<Span>> {
    let own: Vec<String> = (own.iter())
        .map(|span| span.span_context.span_id().to_string())
        .collect();
    let expected: BTreeSet<&str> = (runs.iter())
        .flat_map(|(run, events)| {
            let events = events.iter().map(|event| event.span_id.as_str());
            events.chain([run.span_id.as_str()])
        })
        .chain(own.iter().map(String::as_str))
        .collect();
    let traces: BTreeSet<&str> = runs.iter().map(|(run, _)| run.trace_id.as_str()).collect();
    eventually("all spans are there", async || {
        let mut all = Vec::new();
        for trace in &traces {
            all.push(place.trace(trace).await);
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

async fn assert_journey(place: &Place<'_>, runs: &[Run], own: &[SpanData]) {
    let spans = spans(place, runs, own).await;
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
        .and_then(|options| options.register_workflow::<Crossing>())
        .expect("workflows")
        .build();
    let replayer = WorkflowReplayer::new(options).expect("valid options");
    let replayed = replayer.replay_workflow(WorkflowHistory::from(History { events }));
    replayed.await.expect("replayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_is_read_back_whole_and_a_replay_adds_nothing() {
    let collector = Collector::start().await;
    let places = [Place::Jaeger, Place::File(&collector)];
    let protocols = [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc];
    let ways = places
        .iter()
        .flat_map(|place| protocols.map(|protocol| (place, protocol)));
    for (place, protocol) in ways {
        let recording = Recording::with(|settings| {
            let address = place.address(protocol);
            sending(settings, protocol, &address).with_service_name("guides")
        });
        let client = recording.client().await;
        let queue = unique("queue");
        let worker = RunningWorker::start(client.clone(), journey::worker(&queue, 100));
        // As a service does that starts a run for a request.
        let request = PROVIDER.tracer("user").start("POST /journeys");
        let request = Context::new().with_span(request);
        let id = travel(&client, &queue).with_context(request.clone());
        let id = beside(worker, id).await;
        request.span().end();
        let runs = journey(async || recording.stored().await, &id).await;
        let own = KEPT.of(&runs[0].0.trace_id);
        let names: Vec<&str> = own.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["look around", "POST /journeys"]);
        send(&own, &place.address(OtlpProtocol::Grpc)).await;
        assert_journey(place, &runs, &own).await;
        let sent = recording.omnitrace.counter(Counter::SpansExported);

        for (run, _) in &runs {
            replay(&recording, &client, run).await;
        }
        let stopped = recording.omnitrace.shutdown(Duration::from_secs(5)).await;
        stopped.expect("all is stored");
        assert_eq!(recording.omnitrace.counter(Counter::SpansExported), sent);
        assert_journey(place, &runs, &own).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_could_not_send_another_does() {
    let address = free_address();
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
    assert_journey(&Place::Jaeger, &runs, &[]).await;
    eventually("all is marked", async || {
        let sent: usize = runs.iter().map(|(_, events)| events.len() + 1).sum();
        (other.omnitrace.counter(Counter::SpansExported) == sent as u64).then_some(())
    })
    .await;
}
