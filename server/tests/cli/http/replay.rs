//! What a replay found of a run, in its trace and in the terminal.

use omnitrace_store::{DatabaseUrl, OpenOptions, ReplayRow, ReplayVerdict, Store};
use serde_json::{Value, json};

use super::Server;
use crate::rows;

async fn keep(server: &Server, row: &ReplayRow) {
    let folder = server.database.folder();
    let url = DatabaseUrl::parse("sqlite://omnitrace.db", folder).unwrap();
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    store
        .write_replays(std::slice::from_ref(row))
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_the_latest_replay_found_is_in_the_trace_and_in_the_terminal() {
    let server = Server::full().await;
    let path = "/executions/order-1042/trace";
    let answer = server.get(path);
    assert_eq!(answer.json()["replay"], Value::Null);
    let tag = answer.header("etag").to_owned();
    let show = |args: &[&str]| {
        let mut command = server.database.command(&[&["show"], args].concat());
        server.database.answer(command.env("COLUMNS", "300"))
    };
    assert!(!show(&["order-1042"]).contains("replay"));

    let parted = ReplayRow {
        run: rows::order().runs[0].key.clone(),
        build_id: "b7".to_owned(),
        checked_at: rows::at(20_000),
        verdict: ReplayVerdict::Parted,
        event_key: Some("activity:2:Payments::charge:0".to_owned()),
        position: Some(2),
        expected: Some("activity 2 Payments::charge".to_owned()),
        found: Some("timer 1 of 10 ms".to_owned()),
        message: Some("no command for it".to_owned()),
    };
    keep(&server, &parted).await;
    let told = json!({
        "build_id": "b7",
        "checked_at": "2026-01-01T10:00:20.000000Z",
        "verdict": "parted",
        "event_key": "activity:2:Payments::charge:0",
        "position": 2,
        "expected": "activity 2 Payments::charge",
        "found": "timer 1 of 10 ms",
        "message": "no command for it",
    });
    // Who has the trace of before is given the new one.
    let answer = server.get_with(path, &[("If-None-Match", &tag)]);
    assert_eq!((answer.status, &answer.json()["replay"]), (200, &told));
    // The step that it names is one of the trace.
    let root = &answer.json()["root"];
    let children = root["children"].as_array().unwrap();
    assert!(
        children
            .iter()
            .any(|node| node["event_key"] == told["event_key"]),
        "{root}"
    );
    let shown: Value = serde_json::from_str(&show(&["order-1042", "--json"])).unwrap();
    assert_eq!(shown["replay"], told);
    let text = show(&["order-1042"]);
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("replay"));
    let line: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(
        line.join(" "),
        "replay build b7 parts at step 2, activity:2:Payments::charge:0: expected activity 2 \
         Payments::charge, found timer 1 of 10 ms"
    );

    let passed = ReplayRow {
        build_id: "b8".to_owned(),
        checked_at: rows::at(30_000),
        verdict: ReplayVerdict::Passed,
        event_key: None,
        position: None,
        expected: None,
        found: None,
        message: None,
        ..parted
    };
    keep(&server, &passed).await;
    assert_eq!(server.json(path)["replay"]["verdict"], "passed");
    assert!(show(&["order-1042"]).contains("passes with build b8"));
}
