//! `omnitrace list`.

use serde_json::Value;

use crate::Database;
use crate::rows::{self, at};

/// Without the running order, whose duration grows.
async fn closed_runs() -> Database {
    Database::with(&[rows::order(), rows::long_run()]).await
}

#[tokio::test]
async fn the_table_fits_eighty_columns() {
    insta::assert_snapshot!(closed_runs().await.stdout(&["list"]));
}

#[tokio::test]
async fn a_wide_terminal_shows_usage_and_errors() {
    let database = closed_runs().await;
    let wide = database.answer(database.command(&["list"]).env("COLUMNS", "140"));
    insta::assert_snapshot!(wide);
}

#[tokio::test]
async fn ids_are_whole_where_the_output_is_no_terminal() {
    let id = format!("order-{}", "x".repeat(100));
    let mut batch = rows::long_run();
    batch.runs[0].key.workflow_id.clone_from(&id);
    batch.events.clear();
    let database = Database::with(&[batch]).await;
    let text = database.answer(database.command(&["list"]).env_remove("COLUMNS"));
    assert!(text.contains(&id), "{text}");
}

#[tokio::test]
async fn json_is_one_object_per_line_newest_first() {
    let text = Database::full().await.stdout(&["list", "--json"]);
    let runs: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(runs[0]["execution_id"], "ship-1042");
    let failed = runs
        .iter()
        .find(|r| r["execution_id"] == "order-1042")
        .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(failed).unwrap());
}

#[tokio::test]
async fn every_option_narrows_the_list() {
    let database = Database::full().await;
    let ids = |args: &[&str]| -> Vec<String> {
        let args = [&["list", "--json"], args].concat();
        let text = database.stdout(&args);
        let id = |line| serde_json::from_str::<Value>(line).unwrap()["execution_id"].clone();
        let mut ids: Vec<_> = text
            .lines()
            .map(|l| id(l).as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(&["--status", "failed,running"]),
        ["order-1042", "order-1043"]
    );
    assert_eq!(ids(&["--status", "failed", "--status", "running"]).len(), 2);
    assert_eq!(ids(&["--type", "Order*"]), ["order-1042", "order-1043"]);
    assert_eq!(ids(&["--text", "not registered"]), ["order-1042"]);
    assert_eq!(ids(&["--since", "2026-01-01T10:00:05"]), ["ship-1042"]);
    assert_eq!(ids(&["--until", "2026-01-01T10:00:05Z"]).len(), 3);
    assert_eq!(ids(&["--namespace", "other"]).len(), 0);
    assert_eq!(ids(&["--limit", "2"]).len(), 2);
    assert_eq!(ids(&["--limit", "0"]).len(), 4);
}

#[tokio::test]
async fn a_cut_list_and_an_empty_one_say_so() {
    let database = Database::full().await;
    let cut = database.stdout(&["list", "--limit", "2"]);
    assert!(
        cut.ends_with("the newest 2 runs; --limit N shows more\n"),
        "{cut}"
    );
    assert_eq!(
        database.stdout(&["list", "--type", "No*"]),
        "no run matches in sqlite://[folder]/omnitrace.db\n"
    );
    assert_eq!(
        Database::with(&[]).await.stdout(&["list"]),
        "no run is recorded yet in sqlite://[folder]/omnitrace.db\n"
    );
}

#[tokio::test]
async fn two_runs_of_an_id_are_two_lines() {
    let mut again = rows::long_run();
    again.events.clear();
    again.runs[0].key.run_id = "again".to_owned();
    again.runs[0].started_at = Some(at(60_000));
    again.runs[0].closed_at = Some(at(61_000));
    let database = Database::with(&[rows::long_run(), again]).await;
    assert_eq!(database.stdout(&["list"]).matches("import-7").count(), 2);
}
