//! Compares what a worker recorded of a run with what its history says.

use std::collections::BTreeMap;
use std::sync::Arc;

use omnitrace::config::Settings;
use omnitrace::history::{HistoryEvent, HistoryRows, Ids, Reader};
use omnitrace_store::compare::compare;
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use serde_json::Value;
use temporalio_common::protos::temporal::api::{
    common::v1::Header, history::v1::history_event::Attributes,
};

/// Reads a history as a run.
pub(crate) fn read(run: &RunKey, events: Vec<HistoryEvent>) -> HistoryRows {
    let policy = Arc::new(Settings::default().policy());
    let mut reader = Reader::new(run.clone(), policy);
    for event in events {
        reader.push(event);
    }
    reader.finish()
}

/// Checks that a history says the same as the rows that a worker recorded: run and steps in every field
/// but source and counts, the attempts that both know in every field but their times.
pub(crate) fn assert_same(run: &RunRow, events: &[EventRow], history: Vec<HistoryEvent>) {
    let found = Ids::default()
        .of(&history)
        .expect("it says of which run it is");
    assert_eq!(found, run.key);
    let abandoned = abandoned(&history);
    let imported = read(&run.key, history);
    assert!(imported.skipped.is_empty(), "{:?}", imported.skipped);
    assert_eq!(bare_run(&imported.run), bare_run(run));
    assert_same_steps(run, events, &imported, &abandoned);
}

/// Checks the steps and attempts alone. The ends of those that the workflow abandoned are nowhere in
/// history.
fn assert_same_steps(
    run: &RunRow,
    events: &[EventRow],
    imported: &HistoryRows,
    abandoned: &[String],
) {
    let of_history = |row: &EventRow| assert_eq!(row.source, Source::History, "{row:?}");
    imported.events.iter().for_each(of_history);
    let bare = |rows: &[EventRow]| {
        let mut steps = steps(run, rows);
        for step in steps
            .values_mut()
            .filter(|row| abandoned.contains(&row.step))
        {
            *step = EventRow {
                status: Status::Scheduled,
                ended_at: None,
                latency_ms: None,
                error_type: None,
                phase: Phase::Open,
                ..step.clone()
            };
        }
        steps
    };
    assert_rows(&bare(&imported.events), &bare(events), "step");

    // The product's own comparison, which is not laxer about attempts but for their workers.
    let differences = compare(run, events, &imported.run, &imported.events);
    assert_eq!(differences, Ok(Vec::new()));
    for attempt in imported.events.iter().filter(|row| !is_step(row)) {
        let seen = events.iter().find(|row| row.event_key == attempt.event_key);
        let worker = |row: &EventRow| data(row).get("worker").cloned();
        if attempt.status != Status::TimedOut && worker(attempt).is_some() {
            assert_eq!(seen.and_then(worker), worker(attempt), "{attempt:?}");
        }
    }
}

/// Ids of activities and children that, if they are cancelled, the workflow does not wait for, and tells
/// nobody.
fn abandoned(history: &[HistoryEvent]) -> Vec<String> {
    let abandons = |header: &Option<Header>| {
        let payload = header
            .as_ref()
            .and_then(|header| header.fields.get("omnitrace"));
        payload.is_some_and(|payload| String::from_utf8_lossy(&payload.data).contains("abandon"))
    };
    let events = history.iter().filter_map(|event| event.attributes.as_ref());
    events
        .filter_map(|event| match event {
            Attributes::ActivityTaskScheduledEventAttributes(a) if abandons(&a.header) => {
                Some(a.activity_id.clone())
            }
            Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(a)
                if abandons(&a.header) =>
            {
                Some(a.workflow_id.clone())
            }
            _ => None,
        })
        .collect()
}

/// What is compared of a run: everything but who said it, and what is counted in the store.
fn bare_run(run: &RunRow) -> RunRow {
    RunRow {
        source: Source::Live,
        event_count: 0,
        dropped_events: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_usd: 0.0,
        ..run.clone()
    }
}

type Rows = BTreeMap<String, EventRow>;

fn assert_rows(rows: &Rows, expected: &Rows, what: &str) {
    for (key, row) in expected {
        let other = rows.get(key).map(|row| format!("{row:?}"));
        assert_eq!(
            other.unwrap_or_default(),
            format!("{row:?}"),
            "{what} {key}"
        );
    }
    let new: Vec<_> = rows
        .keys()
        .filter(|key| !expected.contains_key(*key))
        .collect();
    assert!(new.is_empty(), "known to history alone: {new:?}");
}

fn is_step(row: &EventRow) -> bool {
    row.parent_key.is_none() && (row.kind != "activity" || row.attempt == 0)
}

/// Steps, without what is known live alone: what was never accepted, and of a local activity when it
/// was scheduled and with which arguments.
fn steps(run: &RunRow, events: &[EventRow]) -> Rows {
    let is_ghost = |row: &EventRow| {
        row.phase == Phase::Provisional && row.scheduled_at <= Some(run.accepted_through)
    };
    let steps = events.iter().filter(|row| is_step(row) && !is_ghost(row));
    let steps = steps.filter(|row| data(row).get("rejected").is_none());
    by_key(steps.map(|row| {
        let mut row = row.clone();
        row.source = Source::Live;
        let mut data = data(&row);
        if data.get("local").is_some() {
            row.scheduled_at = None;
            row.latency_ms = None;
            data.as_object_mut().expect("an object").remove("input");
            data.as_object_mut()
                .expect("an object")
                .remove("_redaction");
            row.data_redacted = Some(data.to_string());
        }
        row
    }))
}

fn by_key(rows: impl Iterator<Item = EventRow>) -> Rows {
    rows.map(|row| (row.event_key.clone(), row)).collect()
}

fn data(row: &EventRow) -> Value {
    let data = row.data_redacted.as_deref();
    data.map_or(Value::Null, |data| {
        serde_json::from_str(data).expect("JSON")
    })
}
