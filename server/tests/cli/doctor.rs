//! `omnitrace doctor`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use omnitrace::config::{Backend, Settings};
use omnitrace::metrics::Metrics;
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
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
async fn a_backend_of_telemetry_that_is_not_switched_on_is_a_warning() {
    let database = Database::with(&[rows::order()]).await;
    let mut command = database.command(&["doctor"]);
    let text = database.answer(command.env("TELEMETRY_BACKEND", "otel"));
    let line = text.lines().find(|line| line.contains("telemetry "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.starts_with("! warn") && line.contains("TELEMETRY_ENABLED"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_who_serves_prometheus() {
    let database = Database::with(&[rows::order()]).await;
    let line = |port: u16| {
        let mut command = database.command(&["doctor"]);
        command
            .env("TELEMETRY_ENABLED", "true")
            .env("TELEMETRY_BACKEND", "prom")
            .env("PROM_EXPORT_PORT", port.to_string());
        let text = database.answer(&mut command);
        let line = text.lines().find(|line| line.contains("prometheus"));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    // Something that answers, and is not ours.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let other = thread::spawn(move || {
        let (mut stream, _) = taken.accept().unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nup 1\n").unwrap();
    });
    let said = line(port);
    assert!(
        said.contains("warn") && said.contains("in use by something else"),
        "{said}"
    );
    other.join().unwrap();
    let said = line(port);
    let nobody = format!("nobody serves 127.0.0.1:{port} now");
    assert!(said.contains("warn") && said.contains(&nobody), "{said}");

    let mut settings = Settings::default();
    settings.telemetry.enabled = true;
    settings.telemetry.backends.insert(Backend::Prom);
    settings.telemetry.prom_port = Some(0);
    let metrics = Metrics::start(&settings);
    metrics.trace_fetched(Duration::ZERO);
    let port = metrics.address().unwrap().port();
    let serving = tokio::spawn(metrics.run());
    let said = tokio::task::block_in_place(|| line(port));
    assert!(
        said.contains("✓ ok") && said.contains("serves OmniTrace's metrics"),
        "{said}"
    );
    serving.abort();
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
        stdout.contains("✗ fail database    no database at [folder]/omnitrace.db"),
        "{stdout}"
    );
    assert!(!stdout.contains("ok   database"), "{stdout}");
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
