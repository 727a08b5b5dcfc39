//! `GET /executions/compare`.

use omnitrace_store::row::{RunKey, Status};
use serde_json::{Value, json};

use super::Server;
use crate::Database;
use crate::rows;

/// The run with all that can go wrong, and the same again where some of it went otherwise.
async fn server() -> Server {
    let mut again = rows::order();
    again.runs.truncate(1);
    let key = RunKey::new("default", "order-1042", "again");
    again.runs[0].key = key.clone();
    again.runs[0].started_at = Some(rows::at(100_000));
    again.runs[0].closed_at = Some(rows::at(114_400));
    for event in &mut again.events {
        event.run = key.clone();
        for time in [
            &mut event.scheduled_at,
            &mut event.started_at,
            &mut event.ended_at,
        ] {
            *time = time.map(|time| time + 100_000_000);
        }
    }
    // The payment went well at once, and took its time.
    let charge = |event: &omnitrace_store::row::EventRow| event.name == "Payments::charge";
    again
        .events
        .retain(|event| !(charge(event) && event.attempt > 1));
    for event in again.events.iter_mut().filter(|event| charge(event)) {
        event.status = Status::Completed;
        event.error_type = None;
        event.error_message = None;
    }
    // The signal came as another event of the history, and nothing was archived.
    again.events.retain(|event| event.name != "Orders::archive");
    let signal = again
        .events
        .iter_mut()
        .find(|event| event.kind == "signal")
        .unwrap();
    signal.event_key = "signal:11:approve:1".to_owned();
    signal.step = "11".to_owned();
    // One step took twice as long.
    for event in &mut again.events {
        if event.kind == "timer" && event.step == "1" {
            event.ended_at = event.ended_at.map(|end| end + 1_800_000);
        }
    }
    Server::of(Database::with(&[rows::order(), again]).await, &[])
}

fn steps<'a>(compared: &'a Value, which: &dyn Fn(&Value) -> bool) -> Vec<&'a str> {
    let steps = compared["steps"].as_array().unwrap();
    (steps.iter().filter(|step| which(step)))
        .map(|step| step["event_key"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_differs_comes_first() {
    let server = server().await;
    let first = rows::order().runs[0].key.run_id.clone();
    let path = format!("/executions/compare?a=order-1042&a_run_id={first}&b=order-1042");
    let compared = server.json(&path);
    assert_eq!(compared["a"]["run_id"], json!(first));
    assert_eq!(compared["b"]["run_id"], "again");
    let all = compared["steps"].as_array().unwrap();
    let differs = |step: &Value| !step["differs"].as_array().unwrap().is_empty();
    let keys = steps(&compared, &differs);
    assert_eq!(
        keys,
        [
            "activity:2:Payments::charge:0",
            "activity:8:Orders::archive:0",
            "timer:1:timer:1"
        ]
    );
    assert_eq!(compared["differing"], 3);
    let charge = &all[0];
    assert_eq!(charge["differs"], json!(["attempts"]));
    assert_eq!(charge["a"]["attempts"], 3);
    assert_eq!(charge["b"]["attempts"], 1);
    assert_eq!(
        charge["a"]["started_offset_ms"],
        charge["b"]["started_offset_ms"]
    );
    let archive = &all[1];
    assert_eq!(archive["differs"], json!(["missing"]));
    assert_eq!(archive["b"], Value::Null);
    let timer = all.iter().find(|step| step["kind"] == "timer").unwrap();
    assert_eq!(timer["differs"], json!(["duration_ms"]));
    // Another history event, the same signal.
    let signal = all.iter().find(|step| step["kind"] == "signal").unwrap();
    assert_eq!(signal["event_key"], "signal:9:approve:1");
    assert_eq!(signal["differs"], json!([]));
    // Turned around, what only the second has stands where it stood.
    let turned = server.json(&format!(
        "/executions/compare?b=order-1042&b_run_id={first}&a=order-1042&a_run_id=again"
    ));
    assert_eq!(turned["differing"], 3);
    assert_eq!(turned["steps"].as_array().unwrap().len(), all.len());
}

#[tokio::test]
async fn a_run_is_as_itself_and_both_must_be_there() {
    let server = server().await;
    let same = server.json("/executions/compare?a=ship-1042&b=ship-1042");
    assert_eq!(
        (&same["differing"], &same["steps"]),
        (&json!(0), &json!([]))
    );
    let (status, detail) = server.problem("/executions/compare?a=order-1042");
    assert_eq!(
        (status, detail.as_str()),
        (400, "b: it must be a workflow id")
    );
    assert_eq!(
        server.problem("/executions/compare?a=order-1042&b=gone").0,
        404
    );
}
