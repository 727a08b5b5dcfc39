//! An HTTP service of the user's own, with the layer around it: a request is the root of the run that it
//! starts.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use omnitrace::Counter;
use omnitrace::config::OtlpProtocol;
use omnitrace_tests::{Recording, RunningWorker, beside, eventually, unique};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use tower::ServiceExt;

use super::collector::Collector;
use super::journey::{Leg, worker};
use super::sending;
use super::span::assert_whole;
use crate::probes::{self, Trial, tried};

/// Runs a leg for a request; one without a name is wrong, and one for nobody fails.
async fn leg(
    State((client, queue)): State<(Client, String)>,
    Path(name): Path<String>,
) -> (StatusCode, String) {
    if name == "nobody" {
        return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    }
    let start = WorkflowStartOptions::new(&queue, &name).build();
    let handle = client.start_workflow(Leg::run, (), start).await;
    let handle = handle.expect("started");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    result.expect("completed");
    (StatusCode::CREATED, name)
}

/// Asks for a leg; the status.
async fn ask(address: &str, name: &str, traceparent: Option<&str>) -> u16 {
    let url = format!("http://{address}/legs/{name}?token=hunter2");
    let traceparent = traceparent.map(str::to_owned);
    let asking = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut request = agent.post(&url);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.send("please").expect("an answer").status().as_u16()
    });
    asking.await.expect("asked")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_the_root_of_the_run_that_it_starts() {
    let collector = Collector::start().await;
    let recording = Recording::with(|settings| {
        sending(settings, OtlpProtocol::Grpc, &collector.grpc).with_service_name("legs")
    });
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue, 100));
    let layer = recording.omnitrace.http_layer().with_route(|extensions| {
        let path = extensions.get::<MatchedPath>()?;
        Some(path.as_str().to_owned())
    });
    let service = Router::new()
        .route("/legs/{name}", post(leg))
        .layer(layer)
        .with_state((client, queue));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });

    let (alone, called) = (unique("leg"), unique("leg"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let asked = async {
        assert_eq!(ask(&address, &alone, None).await, 201);
        assert_eq!(ask(&address, &called, Some(&traceparent)).await, 201);
        assert_eq!(ask(&address, "nobody", None).await, 500);
    };
    beside(running, asked).await;
    serving.abort();
    let (run, events) = recording.closed(&alone).await;
    let (other, _) = recording.closed(&called).await;
    let all = 2 * (events.len() + 2) + 1;
    let spans = eventually("all spans are there", async || {
        let spans = collector.spans();
        assert!(spans.len() <= all, "{spans:#?}");
        (spans.len() == all).then_some(spans)
    })
    .await;
    assert!(!collector.written().contains("hunter2"));

    let of = |trace: &str| -> Vec<_> {
        let spans = spans.iter().filter(|span| span.trace == trace);
        spans.cloned().collect()
    };
    let trace_of_run = of(&run.trace_id);
    assert_whole(&trace_of_run);
    let root = trace_of_run.iter().find(|span| span.parent.is_none());
    let root = root.expect("a root");
    assert_eq!(root.name, "POST /legs/{name}");
    assert_eq!(run.parent_span_id.as_ref(), Some(&root.id));
    assert_eq!(root.tag("http.request.method"), "POST");
    assert_eq!(root.tag("http.route"), "/legs/{name}");
    assert_eq!(root.tag("http.response.status_code"), "201");
    assert_eq!(root.tag("http.request.body.size"), "6");
    assert!(!root.is_error());

    // A caller's own trace goes on.
    assert_eq!(other.trace_id, trace);
    let request = of(trace).into_iter().find(|span| span.name == root.name);
    let request = request.expect("a request");
    assert_eq!(request.parent.as_deref(), Some("00f067aa0ba902b7"));
    assert_eq!(other.parent_span_id, Some(request.id));

    let failed = spans.iter().find(|span| span.is_error());
    let failed = failed.expect("one failed");
    assert_eq!(failed.tag("error.type"), "500");
    assert_eq!(failed.tag("http.response.status_code"), "500");
    let measured = recording.omnitrace.metrics().text();
    for line in [
        r#"http_requests_total{method="POST",route="/legs/{name}",status_class="2xx"} 2"#,
        r#"http_requests_total{method="POST",route="/legs/{name}",status_class="5xx"} 1"#,
        r#"http_request_size_bytes_sum{method="POST",route="/legs/{name}"} 18"#,
    ] {
        assert!(
            measured.contains(&format!("{line}\n")),
            "{line}: {measured}"
        );
    }
    let counted = recording.omnitrace.counter(Counter::SpansExported);
    assert_eq!(counted, all as u64);
    recording.assert_accounted().await;
}

/// Starts a run that fails, for a request.
async fn failing(State((client, queue)): State<(Client, String)>) -> (StatusCode, String) {
    let fails = Trial {
        fail: true,
        ..Trial::good()
    };
    (StatusCode::OK, tried(&client, &queue, fails).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_under_a_request_that_was_left_out_is_a_whole_trace() {
    let collector = Collector::start().await;
    let recording = Recording::with(|settings| {
        sending(settings, OtlpProtocol::HttpProtobuf, &collector.http).with_sample_rate(0.0)
    });
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), probes::worker(&queue));
    let service = Router::new()
        .route("/trials", post(failing))
        .layer(recording.omnitrace.http_layer())
        .with_state((client, queue));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::post("/trials")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"))
        .body(Body::empty())
        .expect("a request");
    let answer = beside(running, service.oneshot(request)).await;
    let answer = answer.expect("an answer").into_body();
    let id = to_bytes(answer, 1000).await.expect("an id");
    let id = std::str::from_utf8(&id).expect("text");
    let (run, events) = recording.closed(id).await;
    assert_eq!(run.trace_id, trace);
    let spans = eventually("all spans are there", async || {
        let spans = collector.spans();
        (spans.len() == events.len() + 1).then_some(spans)
    })
    .await;
    assert_whole(&spans);
    let root = spans.iter().find(|span| span.parent.is_none());
    let root = root.expect("a root");
    assert_eq!(root.id, run.span_id);
    let caller = run.parent_span_id.expect("the request");
    assert_eq!(root.links, [(trace.to_owned(), caller)]);
}
