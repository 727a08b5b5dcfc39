//! Histories made by hand: what their events become.

mod damaged;
mod format;
mod markers;

use std::sync::Arc;

use omnitrace_store::row::{EventRow, Phase, RunKey, Source, Status};
use serde_json::{Value, json};

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
