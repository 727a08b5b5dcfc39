//! `omnitrace doctor`.

use std::fs;

use serde_json::Value;

use crate::Database;
use crate::rows;

/// The report, without what depends on the moment and on the page size of the database.
fn stable(report: &str) -> String {
    let line = |line: &str| {
        let line = match line.split_once("last wrote ") {
            Some((before, _)) => format!("{before}last wrote [ago]"),
            None => line.to_owned(),
        };
        let line = match line.split_once("warn refused     ") {
            Some((before, after)) => {
                let (_, after) = after.split_once(" ago").unwrap_or(("", after));
                format!("{before}warn refused     [ago]{after}")
            }
            None => line,
        };
        match line.split_once(" events, ") {
            Some((before, _)) => format!("{before} events, [bytes]"),
            None => line,
        }
    };
    report.lines().map(|l| line(l) + "\n").collect()
}

#[tokio::test]
async fn what_was_dropped_is_a_warning_with_a_hint() {
    insta::assert_snapshot!(stable(&Database::full().await.stdout(&["doctor"])));
}

#[tokio::test]
async fn a_database_without_a_recorder_says_how_to_get_one() {
    insta::assert_snapshot!(stable(
        &Database::with(&[rows::order()]).await.stdout(&["doctor"])
    ));
}

#[tokio::test]
async fn a_collector_that_does_not_answer_is_a_warning() {
    let database = Database::with(&[rows::order()]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut command = database.command(&["doctor"]);
    command
        .env("TELEMETRY_ENABLED", "true")
        .env("TELEMETRY_BACKEND", "otel")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    let output = command.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("collector"));
    let line = line.unwrap();
    assert!(
        line.contains("warn") && line.contains(&format!("http://{address}")),
        "{line}"
    );
}

#[tokio::test]
async fn json_holds_the_same_checks() {
    let text = Database::full().await.stdout(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["ok"], true);
    let checks = report["checks"].as_array().unwrap();
    let dropped = checks.iter().find(|c| c["name"] == "dropped").unwrap();
    assert_eq!(
        (&dropped["level"], &dropped["text"]),
        (&"warn".into(), &"3 queue_full".into())
    );
}

#[tokio::test]
async fn a_missing_or_damaged_database_fails_the_check_and_is_left_as_it_is() {
    let database = Database::missing();
    let output = database.command(&["doctor"]).output().unwrap();
    let (stdout, _) = database.texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout.contains("✗ fail open        no database at [folder]/omnitrace.db"),
        "{stdout}"
    );
    assert_eq!(
        fs::read_dir(database.folder()).unwrap().count(),
        0,
        "nothing is created"
    );

    let file = database.folder().join("omnitrace.db");
    fs::write(
        &file,
        "this is no database, but it is long enough to look like one",
    )
    .unwrap();
    let output = database.command(&["doctor", "--json"]).output().unwrap();
    let (stdout, _) = database.texts(&output);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("this is no database")
    );
}

#[tokio::test]
async fn recording_to_no_store_is_a_choice() {
    let text = Database::missing().stdout(&["doctor", "--database-url", "none"]);
    assert!(text.contains("\n! warn database    none"), "{text}");
}
