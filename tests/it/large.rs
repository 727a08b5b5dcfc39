//! Payloads larger than any server takes: they reach a replayer from a history.

use omnitrace_store::row::Status;
use omnitrace_tests::{Recording, RunningWorker, beside, client, unique};
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::{
    common::v1::Payloads, history::v1::history_event::Attributes,
};

use crate::privacy::{holds, payload};
use crate::probes::{CANARY, secret_message};
use crate::replay::{history, live_runs, options, replay, run_key, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_of_five_megabytes_are_replayed_and_recorded_within_the_byte_cap() {
    let queue = unique("queue");
    let client = client().await;
    let running = RunningWorker::start(client.clone(), worker(&queue));
    let ids = beside(running, live_runs(&client, &queue)).await;
    let id = &ids[1];
    let mut history = history(&client, id).await;
    let bytes = 5 << 20;
    let text = format!("{CANARY} x ").repeat(bytes / (CANARY.len() + 3));
    let items = format!("{{\"id\":\"{CANARY} y\",\"password\":\"{CANARY}\"}},");
    let items = items.repeat(bytes / items.len());
    let documents = [
        json!({ "id": 7, "text": text }).to_string(),
        format!("{{\"list\":[{items}0],\"id\":7}}"),
        text,
    ];
    let mut changed = 0;
    let mut large = || {
        let encoding = ["json/plain", "json/plain", "binary/plain"][changed % 3];
        changed += 1;
        let payload = payload(encoding, documents[(changed - 1) % 3].as_str());
        Some(Payloads {
            payloads: payload.payloads,
        })
    };
    for event in &mut history.events {
        match event.attributes.as_mut().expect("attributes") {
            Attributes::WorkflowExecutionStartedEventAttributes(e) => e.input = large(),
            Attributes::ActivityTaskCompletedEventAttributes(e) => e.result = large(),
            Attributes::WorkflowExecutionSignaledEventAttributes(e) => e.input = large(),
            Attributes::ActivityTaskFailedEventAttributes(e) => {
                let failure = e.failure.as_mut().expect("a failure");
                failure.message = format!("{} {}", secret_message(), "é ".repeat(bytes / 3));
                failure.stack_trace =
                    format!("{} {}", "at x\n".repeat(bytes / 5), secret_message());
            }
            Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(e) => {
                let input = e.accepted_request.as_mut().and_then(|r| r.input.as_mut());
                input.expect("an input").args = large();
            }
            _ => {}
        }
    }
    assert_eq!(changed, 4);
    let recording = Recording::with(|settings| settings.with_queue_bytes(512 << 20));
    let plugin = recording.omnitrace.replay_plugin(run_key(id, &history));
    replay(&history, options(&queue, Some(plugin)))
        .await
        .0
        .expect("replayed");
    let stored = recording.stored().await;
    let run = stored.newest(id).await.expect("recorded");
    let events = stored.events(&run).await;
    let keys: Vec<_> = events
        .iter()
        .map(|event| event.event_key.as_str())
        .collect();
    for kind in ["activity", "signal", "update"] {
        assert!(
            events.iter().any(|event| event.kind == kind),
            "{kind} in {keys:?}"
        );
    }
    let texts = events
        .iter()
        .filter_map(|event| event.data_redacted.as_ref());
    for text in texts.chain(&run.input_redacted) {
        assert!(text.len() <= 8192, "{} bytes", text.len());
        let value: Value = serde_json::from_str(text).expect("valid JSON");
        assert!(value["_redaction"]["dropped"].is_u64(), "{text}");
    }
    let failed = events.iter().find(|event| event.status == Status::Failed);
    let message = failed
        .and_then(|event| event.error_message.clone())
        .expect("a message");
    assert!(
        message.starts_with("login of [email] failed: password=[redacted]"),
        "{message}"
    );
    assert!(!holds(recording.folder(), CANARY), "a secret is stored");
    recording.assert_accounted().await;
}
