//! Markers, as each SDK writes them.

use std::collections::HashMap;

use temporalio_common::protos::temporal::api::{
    common::v1::{Payload, Payloads},
    history::v1::{MarkerRecordedEventAttributes, history_event::Attributes},
};

use super::*;

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
