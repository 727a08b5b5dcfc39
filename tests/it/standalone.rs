//! Standalone activities, which a server from 1.32 on serves.

use std::collections::HashMap;

use omnitrace_store::ids;
use omnitrace_store::row::{SampledBy, Status};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, unique};
use temporalio_client::{
    ActivityStartOptions, Client, ClientOptions, Connection, ConnectionOptions,
};
use temporalio_common::protos::temporal::api::common::v1::{Header, Payload};

use crate::workflows::{self, Acts};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Host and port of a server that serves standalone activities.
const VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL_STANDALONE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_activity_is_a_run_of_its_own() {
    let address = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} is not set: run this through `cargo xtask test`"));
    let url = format!("http://{address}").parse::<url::Url>();
    let options = ConnectionOptions::new(url.expect("host:port")).build();
    let connection = Connection::connect(options).await.expect("a server");
    let recording = Recording::start();
    let plugin = recording.omnitrace.plugin();
    let options = ClientOptions::new(NAMESPACE).plugin(plugin).build();
    let client = Client::new(connection, options).expect("valid options");
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));

    let id = unique("standalone");
    let patience = std::time::Duration::from_secs(10);
    let start = ActivityStartOptions::with_start_to_close_timeout(&queue, &id, patience).build();
    let handle = client.start_activity(Acts::flaky, 3_u32, start).await;
    let result = handle.expect("started").result().await;
    assert_eq!(result.expect("completed"), 3);

    let (run, events) = recording.closed(&format!("activity/{id}")).await;
    assert_eq!(run.status, Status::Completed);
    assert_eq!((run.trigger.as_str(), run.attempt), ("activity", 3));
    assert_eq!(run.workflow_type, "Acts::flaky");
    let lines: Vec<_> = events
        .iter()
        .map(|event| format!("{} {}", event.event_key, event.status.as_str()))
        .collect();
    let line = |n: u32, status: &str| format!("activity:{id}:Acts::flaky:{n} {status}");
    assert_eq!(
        lines,
        [line(1, "failed"), line(2, "failed"), line(3, "completed")]
    );
    assert_eq!(
        run.trace_id,
        ids::trace_id(NAMESPACE, &run.key.workflow_id, &run.key.run_id)
    );
    assert_eq!(run.parent_span_id, None);

    // Who starts it may say where it belongs.
    let id = unique("called");
    let mut fields = HashMap::new();
    let payload = Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: format!(r#"{{"traceparent":"00-{TRACE}-{SPAN}-01"}}"#).into_bytes(),
        ..Payload::default()
    };
    fields.insert("_tracer-data".to_owned(), payload);
    let start = ActivityStartOptions::with_start_to_close_timeout(&queue, &id, patience)
        .header(Header { fields })
        .build();
    let handle = client.start_activity(Acts::flaky, 2_u32, start).await;
    let result = handle.expect("started").result().await;
    assert_eq!(result.expect("completed"), 2);
    let (run, events) = recording.closed(&format!("activity/{id}")).await;
    assert_eq!(
        (run.trace_id.as_str(), run.parent_span_id.as_deref()),
        (TRACE, Some(SPAN))
    );
    assert_eq!(run.sampled_by, SampledBy::Parent);
    assert_eq!(events.len(), 2);
    recording.assert_accounted().await;
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
}
