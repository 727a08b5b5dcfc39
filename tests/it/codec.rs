//! With a payload codec, and with interceptors registered one by one, the rows are the same.

use futures::future::BoxFuture;
use omnitrace_store::row::{EventRow, RunRow, Status};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, beside, client_with, unique};
use temporalio_client::{
    Client, ClientOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::{
    MemoValues,
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError,
        PayloadConverter, SerializationContextData,
    },
    protos::temporal::api::common::v1::Payload,
};
use temporalio_sdk::WorkerOptions;

use crate::privacy::{holds, payload};
use crate::probes::{self, CANARY, Carrier, Probes};

/// Hides payloads, as an encrypting codec does.
pub(crate) struct Xor;

const ENCODING: &[u8] = b"binary/xor";

impl Xor {
    fn data(data: &[u8]) -> Vec<u8> {
        data.iter().map(|byte| byte ^ 0x5A).collect()
    }
}

impl PayloadCodec for Xor {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let hidden = payloads
            .into_iter()
            .map(|payload| {
                // The encoding is hidden, too.
                let encoding = payload
                    .metadata
                    .get("encoding")
                    .cloned()
                    .unwrap_or_default();
                Payload {
                    metadata: [
                        ("encoding".to_owned(), ENCODING.to_vec()),
                        ("inner".to_owned(), Self::data(&encoding)),
                    ]
                    .into(),
                    data: Self::data(&payload.data),
                    ..Payload::default()
                }
            })
            .collect();
        Box::pin(async { Ok(hidden) })
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let shown = payloads
            .into_iter()
            .map(|payload| match payload.metadata.get("encoding") {
                Some(encoding) if encoding == ENCODING => Payload {
                    metadata: [(
                        "encoding".to_owned(),
                        Self::data(&payload.metadata["inner"]),
                    )]
                    .into(),
                    data: Self::data(&payload.data),
                    ..Payload::default()
                },
                _ => payload,
            })
            .collect();
        Box::pin(async { Ok(shown) })
    }
}

pub(crate) fn converter() -> DataConverter {
    DataConverter::new(
        PayloadConverter::default(),
        DefaultFailureConverter::default(),
        Xor,
    )
}

/// Runs a carrier and gives its rows.
async fn carry(recording: &Recording, client: &Client, options: WorkerOptions) -> Rows {
    let queue = options.task_queue.clone();
    let worker = RunningWorker::start(client.clone(), options);
    let id = unique("carrier");
    beside(worker, async {
        let document = serde_json::json!({ "id": "order-7", "note": format!("{CANARY} x") });
        let payload = payload("json/plain", document.to_string());
        let mut memo = MemoValues::new();
        memo.insert("user_id", "alice".to_owned());
        let start = WorkflowStartOptions::new(&queue, &id).memo(memo).build();
        let handle = client.start_workflow(Carrier::run, payload.clone(), start);
        let handle = handle.await.expect("started");
        let signal = WorkflowSignalOptions::default();
        handle
            .signal(Carrier::put, payload.clone(), signal)
            .await
            .expect("signaled");
        let update = WorkflowExecuteUpdateOptions::default();
        handle
            .execute_update(Carrier::swap, payload, update)
            .await
            .expect("updated");
        let get = WorkflowGetResultOptions::default();
        handle.get_result(get).await.expect_err("it fails");
        let (run, events) = recording.closed(&id).await;
        Rows::of(run, events)
    })
    .await
}

/// What rows say, without what differs from run to run.
#[derive(Debug, PartialEq)]
struct Rows {
    run: (
        Status,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
    ),
    events: Vec<(String, Status, Option<serde_json::Value>, Option<String>)>,
}

impl Rows {
    fn of(run: RunRow, events: Vec<EventRow>) -> Self {
        let mut events: Vec<_> = events
            .into_iter()
            .map(|event| {
                let data = event.data_redacted.map(|data| {
                    let mut data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
                    // The task queue differs, and the worker.
                    let parts = ["input", "output", "stack", "_redaction"];
                    let fields = data.as_object_mut().expect("an object");
                    fields.retain(|name, _| parts.contains(&name.as_str()));
                    data
                });
                // Ids of signals and updates differ.
                let key = match event.kind.as_str() {
                    "activity" => event.event_key,
                    kind => kind.to_owned(),
                };
                (key, event.status, data, event.error_message)
            })
            .collect();
        events.sort_by(|a, b| a.0.cmp(&b.0));
        let user = run.user.map(|user| user.hash);
        Self {
            run: (
                run.status,
                run.input_redacted,
                user,
                run.error_type,
                run.error_message,
            ),
            events,
        }
    }

    /// Inputs and outputs as they are stored.
    fn payloads(&self, part: &str) -> Vec<&serde_json::Value> {
        let data = self
            .events
            .iter()
            .filter_map(|(_, _, data, _)| data.as_ref());
        data.filter_map(|data| data.get(part)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_a_codec_equal_those_without_one() {
    let recording = Recording::start();
    let plain = recording.client().await;
    let options = ClientOptions::new(NAMESPACE)
        .data_converter(converter())
        .plugin(recording.omnitrace.plugin())
        .build();
    let coded = client_with(options).await;
    let plain = carry(&recording, &plain, probes::worker(&unique("queue"))).await;
    let coded = carry(&recording, &coded, probes::worker(&unique("queue"))).await;
    assert_eq!(coded, plain);
    assert!(plain.payloads("input").len() >= 4, "{plain:#?}");
    assert_eq!(plain.payloads("input")[0][0]["id"], "order-7");
    assert!(!holds(recording.folder(), CANARY));
    assert!(
        !recording
            .omnitrace
            .counters()
            .contains_key("codec.undecodable")
    );
    recording.assert_accounted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interceptors_registered_one_by_one_record_the_same_without_a_codec() {
    let recording = Recording::start();
    let with_plugin = recording.client().await;
    let one_by_one = |queue: &str| {
        let omnitrace = &recording.omnitrace;
        probes::workflows_only(queue)
            .register_activities(Probes)
            .worker_interceptor(omnitrace.worker_interceptor(NAMESPACE).expect("recording"))
            .activity_inbound_interceptor(omnitrace.activity_interceptor().expect("recording"))
            .workflow_interceptor(omnitrace.workflow_interceptor().expect("recording"))
            .build()
    };
    let plugin = carry(&recording, &with_plugin, probes::worker(&unique("queue"))).await;
    let client = omnitrace_tests::client().await;
    let single = carry(&recording, &client, one_by_one(&unique("queue"))).await;
    assert_eq!(single, plugin);

    // With one, what workflows send stays as the codec left it; what reaches them does not.
    let options = ClientOptions::new(NAMESPACE)
        .data_converter(converter())
        .build();
    let client = client_with(options).await;
    let coded = carry(&recording, &client, one_by_one(&unique("queue"))).await;
    assert_eq!(coded.run, plugin.run);
    let keys = |rows: &Rows| -> Vec<_> {
        let events = rows.events.iter();
        events
            .map(|(key, status, _, error)| (key.clone(), *status, error.clone()))
            .collect()
    };
    assert_eq!(keys(&coded), keys(&plugin));
    assert_eq!(coded.payloads("input")[0][0]["encoding"], "binary/xor");
    assert!(!holds(recording.folder(), CANARY));
    recording.assert_accounted().await;
}
