//! What a history is read from, and of which run it is.

use prost::Message;
use temporalio_common::protos::temporal::api::history::v1::History;

use super::*;

#[test]
fn both_spellings_of_enums_and_protobuf_are_the_same_history() {
    let short = document(&events(&[
        &[started()],
        &task(),
        &[(
            "ActivityTaskScheduled",
            json!({ "activityId": "1", "activityType": { "name": "T" }, "startToCloseTimeout": "10s" }),
        )],
        &[(
            "ActivityTaskTimedOut",
            json!({
                "scheduledEventId": "5",
                "failure": { "message": "late", "timeoutFailureInfo": { "timeoutType": "StartToClose" } },
            }),
        )],
        &task(),
    ]));
    let long = short
        .to_string()
        .replace("\"StartToClose\"", "\"TIMEOUT_TYPE_START_TO_CLOSE\"")
        .replace(
            "\"ActivityTaskTimedOut\"",
            "\"EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT\"",
        )
        .replace(
            "\"WorkflowTaskStarted\"",
            "\"EVENT_TYPE_WORKFLOW_TASK_STARTED\"",
        );
    let short = parse(short.to_string().as_bytes()).expect("short");
    assert_eq!(short, parse(long.as_bytes()).expect("long"));
    let bare: Value = serde_json::from_str(&long).expect("JSON");
    let bare = format!("\u{feff} {}", bare["events"]);
    assert_eq!(short, parse(bare.as_bytes()).expect("an array"));
    let binary = History {
        events: short.clone(),
    };
    assert_eq!(short, parse(&binary.encode_to_vec()).expect("binary"));
    assert_eq!(
        short[5].event_type().as_str_name(),
        "EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT"
    );

    let rows = read(short);
    let step = row(&rows, "activity:1:T:0");
    assert_eq!(step.status, Status::TimedOut);
    assert_eq!(
        step.error_type.as_deref(),
        Some("TimeoutFailure.StartToClose")
    );
    assert_eq!((step.scheduled_at, step.ended_at), (at(3), at(8)));
    assert_eq!(step.source, Source::History);
}

#[test]
fn what_is_malformed_is_said_with_its_place() {
    for (text, error) in [
        (
            "{",
            "not a history as JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "{}",
            "expected {\"events\": […]} or an array of events, found an object without",
        ),
        (
            "[{}, {\"eventId\": \"x\"}]",
            "event 2 of the history is malformed: ",
        ),
        (
            "[{}, 3]",
            "event 2 of the history is malformed: expected an object",
        ),
    ] {
        let said = parse(text.as_bytes()).expect_err(text).to_string();
        assert!(said.contains(error), "{said}");
    }
    for bytes in [&b"\x0a\xff\xff"[..], b"not a history"] {
        let said = parse(bytes).expect_err("no history").to_string();
        assert!(said.contains("neither JSON"), "{said}");
    }
    for bytes in [&b""[..], b" \n"] {
        let said = parse(bytes).expect_err("nothing").to_string();
        assert_eq!(said, "the history has no events");
    }
}

#[test]
fn a_history_tells_of_which_run_it_is() {
    let all = history(&events(&[
        &[started()],
        &task(),
        &[(
            "WorkflowTaskFailed",
            json!({
                "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW", "baseRunId": "run-1", "newRunId": "run-2",
            }),
        )],
    ]));
    let ids = Ids::default();
    assert_eq!(ids.of(&all[..4]).expect("named").run_id, "run-1");
    assert_eq!(ids.of(&all).expect("named").run_id, "run-2", "a reset run");
    let run = RunKey::new("default", "order-1", "run-2");
    let mut reader = Reader::new(run.clone(), reader().policy);
    all.iter().cloned().for_each(|event| reader.push(event));
    let rows = reader.finish();
    assert_eq!((rows.run.key, rows.run.trigger.as_str()), (run, "reset"));

    let other = Ids {
        workflow_id: Some("order-2".to_owned()),
        ..Ids::default()
    };
    let said = other.of(&all).expect_err("another").to_string();
    assert!(said.contains("\"order-1\", not of \"order-2\""), "{said}");
    assert!(matches!(ids.of(&all[1..]), Err(ImportError::NoStart)));
    assert!(matches!(ids.of(&[]), Err(ImportError::Empty)));
    let old = history(&[("WorkflowExecutionStarted", json!({}))]);
    assert!(matches!(ids.of(&old), Err(ImportError::Unnamed(..))));
    let named = Ids {
        fallback: Some("file".to_owned()),
        run_id: Some("run-9".to_owned()),
        ..Ids::default()
    };
    assert_eq!(
        named.of(&old).expect("named"),
        RunKey::new("default", "file", "run-9")
    );
}

#[test]
fn events_that_are_not_known_are_skipped_and_counted() {
    let mut all = history(&events(&[
        &[started()],
        &task(),
        &[
            ("WorkflowExecutionPaused", json!({})),
            ("WorkflowExecutionFuture", json!({})),
        ],
    ]));
    all.push(HistoryEvent {
        event_type: 999,
        ..HistoryEvent::default()
    });
    let rows = read(all);
    let skipped: Vec<_> = rows
        .skipped
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(
        skipped,
        [
            ("Unspecified", 1),
            ("WorkflowExecutionPaused", 1),
            ("type 999", 1)
        ]
    );
}
