//! `omnitrace import`.

use std::io::Write;
use std::process::Stdio;

use super::Database;

pub(crate) const HISTORY: &str = r#"{"events": [
  {"eventId": "1", "eventTime": "2026-01-01T00:00:01Z", "eventType": "WorkflowExecutionStarted",
   "workflowExecutionStartedEventAttributes": {"workflowId": "order-1", "originalExecutionRunId": "run-1",
     "workflowType": {"name": "Order"}, "taskQueue": {"name": "orders"}}},
  {"eventId": "2", "eventTime": "2026-01-01T00:00:02Z", "eventType": "WorkflowTaskStarted",
   "workflowTaskStartedEventAttributes": {}},
  {"eventId": "3", "eventTime": "2026-01-01T00:00:03Z", "eventType": "WorkflowTaskCompleted",
   "workflowTaskCompletedEventAttributes": {}},
  {"eventId": "4", "eventTime": "2026-01-01T00:00:03Z", "eventType": "TimerStarted",
   "timerStartedEventAttributes": {"timerId": "1", "startToFireTimeout": "1s"}},
  {"eventId": "5", "eventTime": "2026-01-01T00:00:04Z", "eventType": "WorkflowExecutionPaused",
   "workflowExecutionPausedEventAttributes": {}}
]}"#;

#[test]
fn a_history_is_imported_once() {
    let database = Database::missing();
    std::fs::write(database.folder().join("h.json"), HISTORY).unwrap();
    let skipped = "skipped 1 event: 1 WorkflowExecutionPaused";
    assert_eq!(
        database.stdout(&["import", "h.json"]),
        format!("h.json: order-1 run-1 running, 2 rows stored, 0 unchanged; {skipped}\n")
    );
    assert_eq!(
        database.stdout(&["import", "h.json"]),
        format!("h.json: order-1 run-1 running, 0 rows stored, 2 unchanged; {skipped}\n")
    );
    let listed = database.stdout(&["list"]);
    assert!(
        listed.contains("Order") && listed.contains("order-1"),
        "{listed}"
    );
}

#[test]
fn standard_input_is_read_and_answered_as_json() {
    let database = Database::missing();
    let mut command = database.command(&[
        "import",
        "-",
        "--json",
        "--run-id",
        "run-9",
        "--namespace",
        "n",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(HISTORY.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "file": "standard input", "namespace": "n", "workflow_id": "order-1", "run_id": "run-9",
        "status": "running", "rows_stored": 2, "rows_unchanged": 0, "rows_cut": 0, "erased": false,
        "events_skipped": { "WorkflowExecutionPaused": 1 },
    });
    assert_eq!(said, expected);
}

#[test]
fn a_bad_file_is_one_line_and_the_others_are_imported() {
    let database = Database::missing();
    let folder = database.folder();
    std::fs::write(folder.join("good.json"), HISTORY).unwrap();
    std::fs::write(
        folder.join("bad.json"),
        "{\"events\": [{}, {\"eventId\": []}]}",
    )
    .unwrap();
    let args = ["import", "bad.json", "missing.json", "good.json"];
    let output = database.command(&args).output().unwrap();
    let (stdout, stderr) = database.texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.starts_with("good.json: order-1 run-1"), "{stdout}");
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    let bad = "error: cannot import bad.json: event 2 of the history is malformed: ";
    assert!(lines[0].starts_with(bad), "{stderr}");
    assert!(
        lines[1].starts_with("error: cannot read missing.json: "),
        "{stderr}"
    );
}

#[test]
fn what_is_no_history_or_no_file_is_said() {
    let database = Database::missing();
    let folder = database.folder();
    std::fs::write(folder.join("h.txt"), "not a history").unwrap();
    std::fs::write(folder.join("blank.json"), "\n").unwrap();
    std::fs::create_dir(folder.join("many")).unwrap();
    for (file, said) in [
        (
            "h.txt",
            "cannot import h.txt: not a history: neither JSON (",
        ),
        (
            "blank.json",
            "cannot import blank.json: the history has no events",
        ),
        (
            "many",
            "cannot import many: it is a folder; name the files in it, as many/*.json",
        ),
    ] {
        let (code, line) = database.failure(&["import", file]);
        assert_eq!((code, line.lines().count()), (1, 1), "{line}");
        assert!(line.contains(said), "{line}");
    }
}

#[test]
fn a_setting_that_would_be_more_private_stops_the_import() {
    let database = Database::missing();
    std::fs::write(database.folder().join("h.json"), HISTORY).unwrap();
    let mut command = database.command(&["import", "h.json"]);
    let output = command.env("OMNITRACE_HASH_KEY", "  ").output().unwrap();
    let (stdout, stderr) = database.texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.starts_with("error: nothing is done: OMNITRACE_"),
        "{stderr}"
    );
}
