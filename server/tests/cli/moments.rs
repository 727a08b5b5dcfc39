//! A run as it stood at its moments, which the web UI's replay works out from the final trace alone. What it
//! must show is what the tracker makes of the history up to that moment: these snapshots, which the tests
//! of the web UI read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Database;

const HISTORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/it/history/fixtures");

#[test]
fn a_run_with_retries_a_child_and_a_signal() {
    assert!(check("order_support") >= 20);
}

#[test]
fn a_run_that_cancels_its_steps() {
    assert!(check("cancellations") > 3);
}

#[test]
fn a_run_of_local_activities_that_back_off() {
    assert!(check("local_activities") > 3);
}

#[test]
fn a_run_with_updates() {
    assert!(check("updates") > 5);
}

/// Compares with the snapshot; says how many moments there are.
fn check(name: &str) -> usize {
    let text = std::fs::read(format!("{HISTORIES}/{name}.json")).unwrap();
    let history: Value = serde_json::from_slice(&text).unwrap();
    let events = history["events"].as_array().unwrap();
    let moments = moments(events);
    let mut lines = String::new();
    writeln!(lines, "{}", without_data(trace(events))).unwrap();
    for at in &moments {
        let cut: Vec<Value> = (events.iter())
            .filter(|event| time(event) <= *at)
            .cloned()
            .collect();
        writeln!(lines, "{}", state(*at, &trace(&cut))).unwrap();
    }
    insta::assert_snapshot!(name, lines);
    moments.len()
}

fn time(event: &Value) -> Timestamp {
    event["eventTime"].as_str().unwrap().parse().unwrap()
}

fn attributes(event: &Value) -> &Map<String, Value> {
    let fields = event.as_object().unwrap();
    let attributes = fields
        .iter()
        .find(|(name, _)| name.ends_with("EventAttributes"));
    attributes.unwrap().1.as_object().unwrap()
}

/// When something happened and no workflow task was under way: what a task does bears the time at which it
/// started, and history knows of it when the task has ended.
fn moments(events: &[Value]) -> Vec<Timestamp> {
    let names_event = |event: &Value, field: &str| {
        let id = attributes(event).get(field).and_then(Value::as_str)?;
        events
            .iter()
            .find(|other| other["eventId"].as_str() == Some(id))
    };
    // From the start of a task to the last event that it led to. Updates do not name the task that took
    // them: it is the one before. A task that asks for the next one at once (a heartbeat, while local
    // activities run) goes on in it.
    let mut tasks: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    let mut last = None;
    let mut goes_on = None;
    let mut begins = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let is = |name: &str| event.get(name).is_some();
        let updates = is("workflowExecutionUpdateAcceptedEventAttributes")
            || is("workflowExecutionUpdateCompletedEventAttributes");
        if is("workflowTaskCompletedEventAttributes") {
            last = Some(event);
        }
        if is("workflowTaskStartedEventAttributes") {
            let from = goes_on.take().unwrap_or_else(|| time(event));
            begins.insert(event["eventId"].as_str(), from);
        }
        let completed = names_event(event, "workflowTaskCompletedEventId");
        let completed = completed.or(last.filter(|_| updates)).unwrap_or(event);
        let started = names_event(completed, "startedEventId");
        let begin = started.and_then(|started| begins.get(&started["eventId"].as_str()));
        let Some(&from) = begin else { continue };
        let until = tasks.entry(from).or_insert_with(|| time(event));
        *until = (*until).max(time(event));
        let next = events.get(at + 1);
        let asks =
            next.is_some_and(|next| next.get("workflowTaskScheduledEventAttributes").is_some());
        if asks && is("workflowTaskCompletedEventAttributes") {
            goes_on = Some(from);
        }
    }
    let under_way = |at: &Timestamp| tasks.iter().any(|(from, to)| from <= at && at < to);
    let all: BTreeSet<Timestamp> = events.iter().map(time).collect();
    all.into_iter().filter(|at| !under_way(at)).collect()
}

/// The trace of a history, as the server tells it.
fn trace(events: &[Value]) -> Value {
    let database = Database::missing();
    let mut command = database.command(&["import", "-"]);
    let mut import = (command.stdin(Stdio::piped()).stdout(Stdio::null()))
        .spawn()
        .unwrap();
    let history = json!({ "events": events }).to_string();
    (import.stdin.take().unwrap())
        .write_all(history.as_bytes())
        .unwrap();
    assert!(import.wait().unwrap().success());
    let listed: Value = serde_json::from_str(&database.stdout(&["list", "--json"])).unwrap();
    let id = listed["execution_id"].as_str().unwrap();
    serde_json::from_str(&database.stdout(&["show", id, "--json"])).unwrap()
}

/// What a trace says without `include=`.
fn without_data(mut trace: Value) -> Value {
    fn strip(node: &mut Value) {
        let fields = node.as_object_mut().unwrap();
        for name in ["data", "prompts", "responses", "artifacts"] {
            fields.remove(name);
        }
        (fields["children"].as_array_mut().unwrap())
            .iter_mut()
            .for_each(strip);
    }
    strip(&mut trace["root"]);
    trace
}

/// The status of everything that is there, and the numbers of the whole.
fn state(at: Timestamp, trace: &Value) -> Value {
    let mut statuses = BTreeMap::new();
    let (mut attempts, mut signals) = (0, 0);
    let mut open = vec![&trace["root"]];
    while let Some(node) = open.pop() {
        // Not what the tree infers from what is around it.
        let status = node.get("reported_status").unwrap_or(&node["status"]);
        statuses.insert(node["event_key"].as_str().unwrap(), status);
        attempts += u32::from(node["role"] == "attempt");
        signals += u32::from(node["kind"] == "signal");
        open.extend(node["children"].as_array().unwrap());
    }
    // As rows have it: to the microsecond, never later.
    let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap();
    json!({
        "at": format!("{at:.6}"),
        "statuses": statuses,
        "attempts": attempts,
        "signals": signals,
        "tokens": trace["root"]["token_usage"],
    })
}
