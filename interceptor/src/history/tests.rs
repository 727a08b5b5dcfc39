//! Histories made by hand: what other SDKs write, and what is damaged.

use std::collections::HashMap;
use std::sync::Arc;

use omnitrace_store::key::EventKey;
use omnitrace_store::row::{EventRow, Phase, RunKey, Source, Status};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads},
    history::v1::{History, MarkerRecordedEventAttributes, history_event::Attributes},
};

use super::*;
use crate::policy::{Policy, PolicySettings};

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000;

fn at(second: i64) -> Option<i64> {
    Some(START + second * 1_000_000)
}

/// Events as tools write them, one second after the other, ids from 1.
fn document(events: &[(&str, Value)]) -> Value {
    let events = events.iter().enumerate().map(|(i, (kind, attributes))| {
        let field = format!("{}{}EventAttributes", kind[..1].to_lowercase(), &kind[1..]);
        json!({
            "eventId": (i + 1).to_string(),
            "eventTime": format!("2026-01-01T00:{:02}:{:02}Z", (i + 1) / 60, (i + 1) % 60),
            "eventType": kind,
            field: attributes,
        })
    });
    json!({ "events": events.collect::<Vec<_>>() })
}

fn history(events: &[(&str, Value)]) -> Vec<HistoryEvent> {
    parse_json(document(events).to_string().as_bytes()).expect("a history")
}

fn reader() -> Reader {
    let policy = Policy::new(PolicySettings::default());
    Reader::new(RunKey::new("default", "order-1", "run-1"), Arc::new(policy))
}

fn read(events: Vec<HistoryEvent>) -> HistoryRows {
    let mut reader = reader();
    let pushed = events.len() as u64;
    for event in events {
        reader.push(event);
    }
    let rows = reader.finish();
    let skipped: u64 = rows.skipped.values().sum();
    assert_eq!(rows.read + skipped, pushed, "every event is accounted for");
    rows
}

fn row<'a>(rows: &'a HistoryRows, key: &str) -> &'a EventRow {
    let found = rows.events.iter().find(|row| row.event_key == key);
    found.unwrap_or_else(|| panic!("{key} in {:#?}", keys(rows)))
}

fn keys(rows: &HistoryRows) -> Vec<&str> {
    rows.events
        .iter()
        .map(|row| row.event_key.as_str())
        .collect()
}

fn data(row: &EventRow) -> Value {
    serde_json::from_str(row.data_redacted.as_deref().expect("data")).expect("JSON")
}

fn started() -> (&'static str, Value) {
    let started = json!({
        "workflowId": "order-1",
        "originalExecutionRunId": "run-1",
        "firstExecutionRunId": "run-1",
        "workflowType": { "name": "Order" },
        "taskQueue": { "name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL" },
        "attempt": 1,
    });
    ("WorkflowExecutionStarted", started)
}

fn task() -> [(&'static str, Value); 3] {
    [
        ("WorkflowTaskScheduled", json!({})),
        ("WorkflowTaskStarted", json!({})),
        ("WorkflowTaskCompleted", json!({ "identity": "worker" })),
    ]
}

fn events(parts: &[&[(&'static str, Value)]]) -> Vec<(&'static str, Value)> {
    parts.concat()
}

fn payload(json: Value) -> Payloads {
    let payload = Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: json.to_string().into_bytes(),
        ..Payload::default()
    };
    Payloads {
        payloads: vec![payload],
    }
}

fn marker(name: &str, details: &[(&str, Value)]) -> HistoryEvent {
    let details = details
        .iter()
        .map(|(name, json)| ((*name).to_owned(), payload(json.clone())));
    HistoryEvent {
        attributes: Some(Attributes::MarkerRecordedEventAttributes(
            MarkerRecordedEventAttributes {
                marker_name: name.to_owned(),
                details: details.collect(),
                ..MarkerRecordedEventAttributes::default()
            },
        )),
        ..HistoryEvent::default()
    }
}

/// A run with one task, in which these markers were recorded, and a timer after them.
fn with_markers(markers: Vec<HistoryEvent>) -> HistoryRows {
    let timer = (
        "TimerStarted",
        json!({ "timerId": "t", "startToFireTimeout": "0.02s" }),
    );
    let close = ("WorkflowExecutionCompleted", json!({}));
    let mut all = history(&events(&[&[started()], &task(), &[timer, close]]));
    all.splice(4..4, markers);
    for (i, event) in all.iter_mut().enumerate() {
        event.event_id = i as i64 + 1;
    }
    read(all)
}

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
    assert!(parse(b"\x0a\xff\xff").is_err(), "neither JSON nor protobuf");
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

#[test]
fn nothing_is_missing_where_fields_are() {
    let names = [
        "ActivityTaskScheduled",
        "ActivityTaskStarted",
        "ActivityTaskCompleted",
        "TimerStarted",
        "TimerFired",
        "MarkerRecorded",
        "StartChildWorkflowExecutionInitiated",
        "ChildWorkflowExecutionStarted",
        "ChildWorkflowExecutionFailed",
        "SignalExternalWorkflowExecutionInitiated",
        "ExternalWorkflowExecutionSignaled",
        "RequestCancelExternalWorkflowExecutionInitiated",
        "NexusOperationScheduled",
        "NexusOperationFailed",
        "WorkflowExecutionUpdateAccepted",
        "WorkflowExecutionUpdateCompleted",
        "WorkflowExecutionSignaled",
        "WorkflowExecutionCancelRequested",
        "WorkflowExecutionFailed",
    ];
    let empty: Vec<_> = names.iter().map(|name| (*name, json!({}))).collect();
    let rows = read(history(&events(&[
        &[("WorkflowExecutionStarted", json!({}))],
        &task(),
        &empty,
    ])));
    assert_eq!(rows.run.status, Status::Failed);
    assert!(keys(&rows).contains(&"activity:::0"), "{:?}", keys(&rows));
    let rows = read(history(&empty));
    assert_eq!(
        rows.run.status,
        Status::Running,
        "without a task nothing was answered"
    );
    assert!(rows.run.phase == Phase::Open && rows.events.is_empty());
}

#[test]
fn a_local_activity_of_core_moves_the_clock_and_chains_its_backoffs() {
    let local = |id: &str, second: i64, attempt: u32, index: u64, backoff: Value| {
        let data = json!({
            "seq": 1, "attempt": attempt, "activity_id": id, "activity_type": "L",
            "complete_time": { "seconds": START / 1_000_000 + second, "nanos": 0 },
            "backoff": backoff,
            "original_schedule_time": { "seconds": START / 1_000_000 + 2, "nanos": 5000 },
            "activation_index": index,
        });
        marker(
            "core_local_activity",
            &[("data", data), ("result", json!("good"))],
        )
    };
    let backoff = json!({ "seconds": 0, "nanos": 20_000_000 });
    let rows = with_markers(vec![local("1", 30, 1, 1, backoff)]);
    let first = row(&rows, "activity:1:L:0");
    assert_eq!((first.status, first.ended_at), (Status::Failed, at(30)));
    assert_eq!(data(first)["chain_attempt"], 1);
    let timer = row(&rows, "timer:t:timer:1");
    assert_eq!(data(timer)["la_backoff"], true);
    assert_eq!(timer.scheduled_at, at(30));

    // Two in one activation: both end at the later one's time; a third ends after them.
    let rows = with_markers(vec![
        local("1", 20, 1, 1, Value::Null),
        local("2", 25, 3, 1, Value::Null),
        local("3", 24, 1, 2, Value::Null),
    ]);
    let ended = |key: &str| row(&rows, key).ended_at;
    assert_eq!(ended("activity:1:L:0"), at(25));
    assert_eq!(ended("activity:2:L:0"), at(25));
    assert_eq!(ended("activity:3:L:0"), at(25), "time never goes back");
    assert_eq!(
        row(&rows, "activity:2:L:3").status,
        Status::Completed,
        "the last attempt"
    );
    assert_eq!(rows.run.closed_at, at(25));
    assert!(
        data(row(&rows, "activity:1:L:0"))
            .get("chain_attempt")
            .is_none()
    );
}

#[test]
fn markers_of_go_and_java_are_understood() {
    let go = json!({
        "ActivityID": "7", "ActivityType": "G", "ReplayTime": "2026-01-01T00:00:40Z",
        "Attempt": 2, "Backoff": 20_000_000,
    });
    let rows = with_markers(vec![
        marker("LocalActivity", &[("data", go)]),
        marker(
            "Version",
            &[("change-id", json!("new way")), ("version", json!(1))],
        ),
        marker(
            "SideEffect",
            &[("side-effect-id", json!(1)), ("data", json!("x"))],
        ),
        marker(
            "SideEffect",
            &[("side-effect-id", json!(2)), ("data", json!("y"))],
        ),
    ]);
    let step = row(&rows, "activity:7:G:0");
    assert_eq!((step.status, step.ended_at), (Status::Failed, at(40)));
    assert_eq!(data(step)["backoff_ms"], 20);
    assert_eq!(row(&rows, "patch:new way:patch:1").scheduled_at, at(40));
    assert_eq!(
        row(&rows, "marker:SideEffect:SideEffect:2").status,
        Status::Completed
    );
    assert!(keys(&rows).contains(&"marker:SideEffect:SideEffect:1"));

    let rows = with_markers(vec![
        marker(
            "LocalActivity",
            &[
                ("activityId", json!("j-1")),
                ("type", json!("J")),
                ("time", json!(START / 1000 + 50_000)),
                (
                    "meta",
                    json!({ "firstSkd": START / 1000 + 2000, "atpt": 3 }),
                ),
                ("result", json!("good")),
                ("input", json!("secret")),
            ],
        ),
        marker(
            "Version",
            &[("changeId", json!("java way")), ("version", json!(2))],
        ),
        marker(
            "core_patch",
            &[("patch-data", json!({ "id": "ts way", "deprecated": false }))],
        ),
    ]);
    let step = row(&rows, "activity:j-1:J:0");
    assert_eq!((step.status, step.ended_at), (Status::Completed, at(50)));
    assert!(
        data(step)["input"][0]
            .as_str()
            .expect("text")
            .starts_with("sha256:")
    );
    assert_eq!(row(&rows, "activity:j-1:J:3").status, Status::Completed);
    for patch in ["patch:java way:patch:1", "patch:ts way:patch:1"] {
        assert_eq!(row(&rows, patch).ended_at, at(50));
    }
}

#[test]
fn updates_are_found_by_reference_and_when_they_were_admitted() {
    let request = json!({ "meta": { "updateId": "u1" }, "input": { "name": "change" } });
    let rows = read(history(&events(&[
        &[started()],
        &[(
            "WorkflowExecutionUpdateAdmitted",
            json!({ "request": request }),
        )],
        &[(
            "WorkflowExecutionUpdateAdmitted",
            json!({
            "request": { "meta": { "updateId": "never" }, "input": { "name": "change" } } }),
        )],
        &task(),
        &[(
            "WorkflowExecutionUpdateAccepted",
            json!({ "protocolInstanceId": "u1" }),
        )],
        &[(
            "WorkflowExecutionUpdateAccepted",
            json!({
            "protocolInstanceId": "p2",
            "acceptedRequest": { "meta": { "updateId": "u2" }, "input": { "name": "other" } } }),
        )],
        &task(),
        // By the event that accepted it, and by the update's id.
        &[(
            "WorkflowExecutionUpdateCompleted",
            json!({
            "acceptedEventId": "7", "outcome": { "success": { "payloads": [] } } }),
        )],
        &[(
            "WorkflowExecutionUpdateCompleted",
            json!({
            "meta": { "updateId": "u2" },
            "outcome": { "failure": { "message": "no", "applicationFailureInfo": { "type": "No" } } } }),
        )],
    ])));
    let first = row(&rows, "update:u1:change:1");
    assert_eq!(
        (first.status, first.started_at, first.ended_at),
        (Status::Completed, at(5), at(10))
    );
    let second = row(&rows, "update:u2:other:1");
    assert_eq!(
        (second.status, second.error_type.as_deref()),
        (Status::Failed, Some("No"))
    );
    assert_eq!(rows.skipped["WorkflowExecutionUpdateAdmitted"], 1);
}

#[test]
fn tasks_that_failed_or_were_cut_off_count_for_nothing() {
    let fire = (
        "TimerFired",
        json!({ "timerId": "1", "startedEventId": "5" }),
    );
    let start = (
        "TimerStarted",
        json!({ "timerId": "1", "startToFireTimeout": "1s" }),
    );
    let failed = &task()[..2];
    let timed_out = ("WorkflowTaskTimedOut", json!({}));
    let rows = read(history(&events(&[
        &[started()],
        &task(),
        &[start.clone(), fire.clone()],
        failed,
        &[(
            "WorkflowTaskFailed",
            json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND" }),
        )],
        failed,
        &[timed_out],
        &task(),
    ])));
    // 1 start, 2-4 task, 5-6 timer, 7-9 failed, 10-12 timed out, 13-15 task.
    let timer = row(&rows, "timer:1:timer:1");
    assert_eq!((timer.scheduled_at, timer.ended_at), (at(3), at(14)));
    assert_eq!(
        (timer.phase, timer.source),
        (Phase::Closed, Source::History)
    );

    let ended = ("WorkflowExecutionTerminated", json!({ "reason": "enough" }));
    let rows = read(history(&events(&[
        &[started()],
        &task(),
        &[
            start,
            fire,
            ("WorkflowExecutionSignaled", json!({ "signalName": "s" })),
        ],
        failed,
        &[ended],
    ])));
    let timer = row(&rows, "timer:1:timer:1");
    assert_eq!(
        (timer.phase, timer.source),
        (Phase::Closed, Source::Inferred)
    );
    assert_eq!(keys(&rows), ["timer:1:timer:1"], "nobody took the signal");
    assert_eq!(
        (rows.run.status, rows.run.closed_at),
        (Status::Terminated, at(10))
    );
    assert_eq!(rows.run.error_message.as_deref(), Some("enough"));
    assert_eq!(rows.run.accepted_through, START + 3_000_000);
}

#[test]
fn runs_that_older_servers_continued_ended_for_their_worker() {
    let with = |continued: Value| {
        let close = ("WorkflowExecutionContinuedAsNew", continued);
        read(history(&events(&[&[started()], &task(), &[close]]))).run
    };
    let retry = with(json!({
        "initiator": "Retry", "newExecutionRunId": "run-2",
        "failure": { "message": "no", "applicationFailureInfo": { "type": "No" } } }));
    assert_eq!(
        (retry.status, retry.error_type.as_deref()),
        (Status::Failed, Some("No"))
    );
    assert_eq!(
        with(json!({ "initiator": "CronSchedule" })).status,
        Status::Completed
    );
    assert_eq!(
        with(json!({ "initiator": "Workflow" })).status,
        Status::ContinuedAsNew
    );
}

#[test]
fn attempts_are_as_far_as_history_knows() {
    let schedule =
        json!({ "activityId": "a", "activityType": { "name": "T" }, "taskQueue": { "name": "q" } });
    let with = |attempt: u32| {
        read(history(&events(&[
            &[started()],
            &task(),
            &[("ActivityTaskScheduled", schedule.clone())],
            &[(
                "ActivityTaskStarted",
                json!({
                "scheduledEventId": "5", "identity": "worker", "attempt": attempt,
                "lastFailure": { "message": "down", "applicationFailureInfo": { "type": "Upstream" } } }),
            )],
            &[("ActivityTaskCompleted", json!({ "scheduledEventId": "5" }))],
            &task(),
        ])))
    };
    let rows = with(3);
    assert_eq!(
        keys(&rows),
        ["activity:a:T:0", "activity:a:T:2", "activity:a:T:3"]
    );
    let (before, last) = (row(&rows, "activity:a:T:2"), row(&rows, "activity:a:T:3"));
    assert_eq!(
        (before.status, before.error_type.as_deref()),
        (Status::Failed, Some("Upstream"))
    );
    assert_eq!(
        (before.started_at, before.ended_at, before.latency_ms),
        (None, None, None)
    );
    assert_eq!(
        (last.started_at, last.ended_at, last.latency_ms),
        (at(6), at(7), Some(1000))
    );
    assert_eq!(data(last)["worker"], "worker");
    assert_eq!(last.parent_key.as_deref(), Some("activity:a:T:0"));
    // Attempts beyond the first ones are counted.
    let rows = with(33);
    assert_eq!(keys(&rows), ["activity:a:T:0", "activity:a:T:32"]);
    assert_eq!(rows.seen.len(), 1);
    assert_eq!(rows.seen[0].count, 33);
}

#[test]
fn what_is_kept_does_not_grow_with_the_history() {
    let mut reader = reader();
    let mut id = 0;
    let mut push = |reader: &mut Reader, kind: &str, attributes: Value| {
        id += 1;
        let mut event = history(&[(kind, attributes)]).remove(0);
        event.event_id = id;
        if let Some(time) = &mut event.event_time {
            time.seconds += id;
        }
        reader.push(event);
        id
    };
    let (name, attributes) = started();
    push(&mut reader, name, attributes);
    let mut given = 0;
    let mut last = 0;
    while last < 50_000 {
        for (kind, attributes) in task() {
            push(&mut reader, kind, attributes);
        }
        // One id again and again, as a loop does that names its activity.
        let schedule = json!({ "activityId": "a", "activityType": { "name": "T" } });
        let scheduled = push(&mut reader, "ActivityTaskScheduled", schedule);
        let of = json!({ "scheduledEventId": scheduled.to_string() });
        let timer = push(
            &mut reader,
            "TimerStarted",
            json!({ "timerId": scheduled.to_string() }),
        );
        push(&mut reader, "ActivityTaskStarted", of.clone());
        push(&mut reader, "ActivityTaskCompleted", of);
        last = push(
            &mut reader,
            "TimerFired",
            json!({ "startedEventId": timer.to_string() }),
        );
        assert!(reader.kept() < 10, "{}", reader.kept());
        given += reader.take_closed().len();
        assert!(reader.rows_kept() < 10, "{}", reader.rows_kept());
    }
    let rows = reader.finish();
    assert!(given > 18_000 && rows.events.len() < 10, "{given}");
    assert_eq!(rows.run.steps_seen, 12_500);
}

/// What a random history is made of.
fn shapes() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let id = 1..40_i64;
    let part = (0..16_u8, id.clone(), id).prop_map(|(shape, a, b)| {
        let (a, b) = (a.to_string(), b.to_string());
        match shape {
            0 | 1 => task().to_vec(),
            2 => vec![
                ("WorkflowTaskScheduled", json!({})),
                ("WorkflowTaskStarted", json!({})),
                ("WorkflowTaskFailed", json!({})),
            ],
            3 => vec![(
                "ActivityTaskScheduled",
                json!({ "activityId": a, "activityType": { "name": b } }),
            )],
            4 => vec![(
                "ActivityTaskStarted",
                json!({ "scheduledEventId": a, "attempt": 2, "lastFailure": {} }),
            )],
            5 => vec![("ActivityTaskCompleted", json!({ "scheduledEventId": a }))],
            6 => vec![
                (
                    "ActivityTaskCancelRequested",
                    json!({ "scheduledEventId": a }),
                ),
                ("ActivityTaskCanceled", json!({ "scheduledEventId": b })),
            ],
            7 => vec![
                ("TimerStarted", json!({ "timerId": a })),
                ("TimerFired", json!({ "timerId": a, "startedEventId": b })),
            ],
            8 => vec![(
                "TimerCanceled",
                json!({ "timerId": a, "startedEventId": b }),
            )],
            9 => vec![
                (
                    "StartChildWorkflowExecutionInitiated",
                    json!({ "workflowId": a }),
                ),
                (
                    "RequestCancelExternalWorkflowExecutionInitiated",
                    json!({ "childWorkflowOnly": true, "workflowExecution": { "workflowId": a } }),
                ),
            ],
            10 => vec![
                (
                    "ChildWorkflowExecutionStarted",
                    json!({ "initiatedEventId": a }),
                ),
                (
                    "ChildWorkflowExecutionTerminated",
                    json!({ "initiatedEventId": b }),
                ),
            ],
            11 => vec![
                (
                    "WorkflowExecutionUpdateAdmitted",
                    json!({ "request": { "meta": { "updateId": a }, "input": {} } }),
                ),
                (
                    "WorkflowExecutionUpdateAccepted",
                    json!({ "protocolInstanceId": b }),
                ),
                (
                    "WorkflowExecutionUpdateCompleted",
                    json!({ "acceptedEventId": a, "meta": { "updateId": b } }),
                ),
            ],
            12 => vec![
                ("NexusOperationScheduled", json!({ "endpoint": a })),
                ("NexusOperationCompleted", json!({ "scheduledEventId": b })),
            ],
            13 => vec![
                ("SignalExternalWorkflowExecutionInitiated", json!({})),
                (
                    "SignalExternalWorkflowExecutionFailed",
                    json!({ "initiatedEventId": a }),
                ),
            ],
            14 => vec![
                ("MarkerRecorded", json!({ "markerName": a })),
                ("WorkflowExecutionSignaled", json!({ "signalName": b })),
                ("WorkflowExecutionCancelRequested", json!({})),
            ],
            _ => vec![
                ("UpsertWorkflowSearchAttributes", json!({})),
                ("WorkflowExecutionUnpaused", json!({})),
            ],
        }
    });
    let end = prop_oneof![
        Just(vec![]),
        Just(vec![("WorkflowExecutionCompleted", json!({}))]),
        Just(vec![("WorkflowExecutionTerminated", json!({}))]),
        Just(vec![("WorkflowExecutionTimedOut", json!({}))]),
    ];
    (prop::collection::vec(part, 0..20), end)
        .prop_map(|(parts, end)| events(&[&[started()], &task(), &parts.concat(), &end]))
}

/// One way to damage a history.
#[derive(Clone, Debug)]
enum Damage {
    Drop,
    Repeat,
    Move(prop::sample::Index),
    Renumber(i64),
    /// Cuts or changes a byte of its encoding.
    Byte(prop::sample::Index, Option<u8>),
    Empty,
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Damage)>> {
    let damage = prop_oneof![
        Just(Damage::Drop),
        Just(Damage::Repeat),
        any::<prop::sample::Index>().prop_map(Damage::Move),
        any::<i64>().prop_map(Damage::Renumber),
        any::<(prop::sample::Index, Option<u8>)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        Just(Damage::Empty),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), damage), 0..8)
}

fn damage(all: &mut Vec<HistoryEvent>, at: &prop::sample::Index, damage: Damage) {
    if all.is_empty() {
        return;
    }
    let at = at.index(all.len());
    match damage {
        Damage::Drop => drop(all.remove(at)),
        Damage::Repeat => all.insert(at, all[at].clone()),
        Damage::Move(to) => {
            let event = all.remove(at);
            all.insert(to.index(all.len() + 1), event);
        }
        Damage::Renumber(id) => all[at].event_id = id,
        Damage::Byte(byte, change) => {
            let mut bytes = all[at].encode_to_vec();
            let place = byte.index(bytes.len().max(1));
            match change {
                Some(change) if place < bytes.len() => bytes[place] = change,
                _ => bytes.truncate(place),
            }
            if let Ok(event) = HistoryEvent::decode(bytes.as_slice()) {
                all[at] = event;
            }
        }
        Damage::Empty => all[at] = HistoryEvent::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_history_makes_no_panic_and_loses_no_event(shapes in shapes(), damages in damages()) {
        let mut all = history(&shapes);
        for (at, how) in damages {
            damage(&mut all, &at, how);
        }
        let rows = read(all);
        for row in &rows.events {
            prop_assert!(row.phase > Phase::Provisional && row.source <= Source::History);
            prop_assert_eq!(EventKey::parse(&row.event_key).map(|key| key.to_string()), Ok(row.event_key.clone()));
        }
    }
}
