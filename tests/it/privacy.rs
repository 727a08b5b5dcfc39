//! Whatever payloads hold, nothing secret is stored, and nothing fails.

use std::path::Path;

use omnitrace_store::row::{EventRow, RunRow, Status};
use omnitrace_tests::{Recording, RunningWorker, Stored, beside, unique};
use proptest::prelude::*;
use serde_json::{Value, json};
use temporalio_client::{
    WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowSignalOptions,
    WorkflowStartOptions,
};
use temporalio_common::{
    MemoValues, data_converters::RawValue, protos::temporal::api::common::v1::Payload,
};

use crate::probes::{self, CANARY, Carrier};

/// A payload as it is.
pub(crate) fn payload(encoding: &str, data: impl Into<Vec<u8>>) -> RawValue {
    RawValue::new(vec![Payload {
        metadata: [("encoding".to_owned(), encoding.as_bytes().to_vec())].into(),
        data: data.into(),
        ..Payload::default()
    }])
}

/// Payloads that serde would not make, each with the canary in it if there is room.
fn hostile() -> Vec<(&'static str, RawValue)> {
    let text = format!("{CANARY} in a text");
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(10_000), close.repeat(10_000));
        payload("json/plain", format!("{open}\"{text}\"{close}"))
    };
    let names = json!({
        text.as_str(): 1, "": text, "a\0b": text, "__proto__": { "constructor": text },
        "_redaction": text, "_truncated_bytes": text, "\u{202e}id": text, "x".repeat(10_000): text,
        format!("{CANARY}@example.com"): null, "name": text, "id": format!("password={CANARY}"),
    });
    let fields: serde_json::Map<_, _> = (0..180)
        .map(|n| (format!("field_{n}"), json!(format!("{text} {n}"))))
        .collect();
    let fields = Value::Object(fields);
    let large = json!({ "list": vec![text.clone(); 30_000], "id": 7, "password": CANARY });
    vec![
        ("deep arrays", deep("[", "]")),
        ("deep objects", deep("{\"id\":", "}")),
        (
            "unclosed",
            payload("json/plain", "[".repeat(10_000) + &text),
        ),
        (
            "invalid UTF-8",
            payload(
                "json/plain",
                [b"\"\xff\xfe ", text.as_bytes(), b"\""].concat(),
            ),
        ),
        (
            "binary",
            payload("binary/plain", [b"\x00\x01\xff", text.as_bytes()].concat()),
        ),
        ("empty JSON", payload("json/plain", "")),
        ("empty binary", payload("binary/plain", "")),
        ("null", payload("binary/null", "")),
        ("no metadata", RawValue::new(vec![Payload::default()])),
        (
            "duplicate keys",
            payload(
                "json/plain",
                format!(
                    r#"{{"password":"{CANARY}","password":"{CANARY}","a":"{text}","a":"{text}"}}"#
                ),
            ),
        ),
        ("hostile names", payload("json/plain", names.to_string())),
        ("unknown encoding", payload(&text, text.as_bytes())),
        // Once it fits, as input and output of one step it does not.
        ("many fields", payload("json/plain", fields.to_string())),
        ("megabytes", payload("json/plain", large.to_string())),
        (
            "much text",
            payload("json/plain", json!(text.repeat(40_000)).to_string()),
        ),
    ]
}

/// All bytes of the files of a database, also of what was deleted. What is no text is replaced.
fn bytes(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).expect("a folder");
    let texts: Vec<_> = files
        .map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
        .map(|file| String::from_utf8_lossy(&file).into_owned())
        .collect();
    let bytes = texts.concat();
    assert!(!bytes.is_empty(), "there is a database");
    bytes
}

/// Whether the files of a database hold a text anywhere.
pub(crate) fn holds(folder: &Path, text: &str) -> bool {
    bytes(folder).contains(text)
}

/// All texts of rows that hold JSON.
fn documents<'a>(runs: &'a [RunRow], events: &'a [EventRow]) -> impl Iterator<Item = &'a str> {
    let of_runs = runs
        .iter()
        .flat_map(|run| [&run.input_redacted, &run.output_redacted]);
    let of_events = events.iter().map(|event| &event.data_redacted);
    of_runs.chain(of_events).flatten().map(String::as_str)
}

fn assert_valid(runs: &[RunRow], events: &[EventRow]) {
    for text in documents(runs, events) {
        assert!(text.len() <= 8192, "{} bytes", text.len());
        let value: Value = serde_json::from_str(text).expect("valid JSON");
        assert!(value["_redaction"]["dropped"].is_u64(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_payloads_fail_nothing_and_leak_nothing() {
    let recording = Recording::with(|settings| settings.with_queue_bytes(256 << 20));
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    beside(worker, async {
        for (what, payload) in hostile() {
            let id = unique("carrier");
            let mut memo = MemoValues::new();
            // The memo is limited by the server.
            if payload.payloads[0].data.len() < 500_000 {
                memo.insert("user_id", payload.clone());
                memo.insert("note", payload.clone());
            }
            let options = WorkflowStartOptions::new(&queue, &id).memo(memo).build();
            let handle = client
                .start_workflow(Carrier::run, payload.clone(), options)
                .await
                .expect(what);
            handle
                .signal(
                    Carrier::put,
                    payload.clone(),
                    WorkflowSignalOptions::default(),
                )
                .await
                .expect(what);
            let options = WorkflowExecuteUpdateOptions::default();
            let swapped = handle
                .execute_update(Carrier::swap, payload.clone(), options)
                .await
                .expect(what);
            assert_eq!(swapped.payloads[0].data, payload.payloads[0].data, "{what}");
            let result = handle.get_result(WorkflowGetResultOptions::default()).await;
            assert!(result.is_err(), "{what}");
            let (run, events) = recording.closed(&id).await;
            assert_eq!(
                (run.status, &*run.workflow_type),
                (Status::Failed, "Carrier")
            );
            assert_eq!(run.error_type.as_deref(), Some("Spill"), "{what}");
            let message = run.error_message.clone().expect("a message");
            assert!(
                message.contains("login of [email] failed"),
                "{what}: {message}"
            );
            let keys: Vec<_> = events.iter().map(|e| e.event_key.as_str()).collect();
            for key in [
                "activity:1:Probes::carry:0",
                "activity:1:Probes::carry:1",
                "activity:2:Probes::carry:0",
                "activity:3:Probes::spill:1",
            ] {
                assert!(keys.contains(&key), "{what}: {key} in {keys:?}");
            }
            for kind in ["signal", "update"] {
                assert!(events.iter().any(|e| e.kind == kind), "{what}: {keys:?}");
            }
            assert_valid(&[run], &events);
        }
    })
    .await;
    recording.stored().await;
    assert!(!holds(recording.folder(), CANARY), "a secret is stored");
    recording.assert_accounted().await;
    // The scan can find something.
    assert!(holds(recording.folder(), "Probes::carry"));
}

/// A secret of a recognisable kind; `tail` makes it unique.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{24}".prop_map(|t| format!("ghp_{t}")),
        "[a-z0-9]{24}".prop_map(|t| format!("sk-ant-{t}")),
        "[A-Z0-9]{16}".prop_map(|t| format!("AKIA{t}")),
        "[a-z0-9]{24}".prop_map(|t| format!("eyJ{t}.eyJ{t}.{t}")),
        "[a-z]{6,9}".prop_map(|t| format!("{t}.{t}@{t}.example.com")),
        Just("4111111111111111".to_owned()),
    ]
}

/// A document with the secret and the canary in random places, also below readable fields.
fn document(secret: String) -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        prop::sample::select(omnitrace::policy::ALLOW_FIELDS).prop_map(str::to_owned),
        "[a-z]{1,8}",
        prop::sample::select(omnitrace::policy::DROP_FIELDS).prop_map(|name| format!("my_{name}")),
        any::<String>(),
        Just(secret.clone()),
    ];
    let inside = secret.clone();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(secret)),
        ("[ a-z(=]{0,9}", "[ )},]{0,5}")
            .prop_map(move |(a, b)| Value::from(format!("{a} {inside} {b}"))),
        Just(json!({ "note": format!("{CANARY} x"), "password": CANARY })),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn secrets_in_random_places_of_random_documents_are_in_no_row() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recordings = [(false, "model"), (true, "tool"), (true, "model")].map(|(capture, kind)| {
        let recording = Recording::with(|settings| {
            settings
                .with_capture_content(capture)
                .with_queue_bytes(256 << 20)
        });
        (recording, kind, capture && kind == "model")
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let mut planted = Vec::new();
    let secrets = std::cell::RefCell::new(&mut planted);
    let case = secret().prop_flat_map(|s| (Just(s.clone()), document(s)));
    runner
        .run(&case, |(secret, document)| {
            let id = unique("told");
            for (recording, kind, _) in &recordings {
                let recorder = recording.omnitrace.recorder(&id, &unique("trace"));
                recorder.record_run_start(Some(&secret), document.clone());
                let key = format!("{kind}:1:probe:1");
                recorder.record_event(&key, kind, "probe", None, document.clone());
                let message = format!("no access with {secret}, password={CANARY}");
                recorder.record_run_failed("Denied", &message);
            }
            secrets.borrow_mut().push((id, secret));
            Ok(())
        })
        .expect("recording fails nothing");
    for (recording, _, readable) in &recordings {
        let stored = runtime.block_on(recording.stored());
        // The canary is no recognisable secret: content that is captured may hold it.
        let bytes = bytes(recording.folder());
        let canary = bytes.contains(CANARY);
        assert_eq!(
            canary, *readable,
            "a canary is stored only where content is captured"
        );
        for (id, secret) in &planted {
            assert!(!bytes.contains(secret), "{secret} is stored");
            let (run, events) = runtime.block_on(rows(&stored, id));
            assert_eq!((run.status, events.len()), (Status::Failed, 1));
            assert_valid(&[run], &events);
        }
        runtime.block_on(recording.assert_accounted());
    }
}

async fn rows(stored: &Stored, id: &str) -> (RunRow, Vec<EventRow>) {
    let run = stored.newest(id).await.expect("a run");
    let events = stored.events(&run).await;
    (run, events)
}
