//! `omnitrace prune`, and the same as a task of `omnitrace serve`.

use std::time::Duration;

use omnitrace_store::{DatabaseUrl, OpenOptions, Store};

use crate::Database;
use crate::http::{Server, eventually};

#[tokio::test]
async fn it_says_what_would_go_and_then_deletes_it() {
    let database = Database::full().await;
    let open = database.stdout(&["list", "--status", "running", "--json"]);
    let told = ["prune", "--events-days", "14", "--runs-days", "30"];
    let dry = database.stdout(&[&told[..], &["--dry-run", "--json"]].concat());
    let would: serde_json::Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(
        (&would["dry_run"], &would["runs"]),
        (&true.into(), &3.into())
    );
    assert!(
        would["events"].as_u64() > Some(10) && would["bytes"].as_u64() > Some(1000),
        "{dry}"
    );
    let file = std::fs::metadata(database.folder().join("omnitrace.db")).unwrap();
    assert!(would["bytes"].as_u64() < Some(file.len()), "{dry}");
    let done = database.stdout(&[&told[..], &["--json"]].concat());
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!(
        (&done["runs"], &done["events"]),
        (&would["runs"], &would["events"])
    );
    assert_eq!(database.stdout(&["list", "--json"]), open);
    let again = database.stdout(&told);
    assert_eq!(
        again,
        "0 runs and 0 events deleted, 0 hours aggregated, 0 old aggregates deleted\n"
    );
}

#[tokio::test]
async fn nothing_is_deleted_that_nobody_said_is_too_old() {
    let database = Database::full().await;
    let before = database.stdout(&["list", "--json"]);
    let (code, line) = database.failure(&["prune"]);
    assert_eq!(code, 1);
    assert!(
        line.starts_with("error: nothing is deleted: everything is kept"),
        "{line}"
    );
    for wrong in ["0", "-1", "1.5", "36501", "ever", ""] {
        let days = format!("--runs-days={wrong}");
        let (code, text) = database.failure(&["prune", &days]);
        assert_eq!(code, 2, "{wrong}");
        assert!(text.contains("from 1 to 36500, or none"), "{text}");
    }
    // A guess would delete.
    let output = database
        .command(&["prune"])
        .env("OMNITRACE_ENV", "production")
        .output()
        .unwrap();
    let (_, stderr) = database.texts(&output);
    assert!(
        stderr.contains("OMNITRACE_ENV") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert_eq!(database.stdout(&["list", "--json"]), before);
}

#[tokio::test]
async fn a_server_deletes_by_its_environment() {
    let database = Database::full().await;
    let open = database.stdout(&["list", "--status", "running", "--json"]);
    assert_ne!(database.stdout(&["list", "--json"]), open);
    let variables = [
        ("OMNITRACE_ENV", "staging"),
        ("OMNITRACE_RETENTION_HOURLY_DAYS", "none"),
    ];
    let server = Server::with(database, &[], &variables);
    eventually("old runs are deleted", || {
        let left = server.database.stdout(&["list", "--json"]);
        (left == open).then_some(())
    });
    let stats = server.database.stdout(&["stats"]);
    assert!(stats.contains("OrderWorkflow"), "{stats}");
}

#[tokio::test]
async fn one_process_at_a_time_deletes() {
    let database = Database::full().await;
    let before = database.stdout(&["list", "--json"]);
    let url = DatabaseUrl::parse("sqlite://omnitrace.db", database.folder()).unwrap();
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    let held = Duration::from_secs(600);
    assert!(
        store
            .lease("", "retention", "somebody", held)
            .await
            .unwrap()
    );
    let output = database.command(&["prune", "--runs-days", "30"]).output();
    let output = output.unwrap();
    let (stdout, stderr) = database.texts(&output);
    let told = "another process is pruning this database\n";
    assert_eq!(
        (output.status.code(), &*stdout, &*stderr),
        (Some(1), told, "")
    );
    assert_eq!(database.stdout(&["list", "--json"]), before);
    store.release("", "retention", "somebody").await.unwrap();
    store.close().await;
    database.stdout(&["prune", "--runs-days", "30"]);
    assert_ne!(database.stdout(&["list", "--json"]), before);
}
