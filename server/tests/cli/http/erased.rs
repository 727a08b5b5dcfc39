//! What the API says of an erased run: what it says of one that never was.

use std::process::Command;

use serde_json::Value;

use super::Server;
use crate::Database;

/// Every answer in which the run could be.
const PATHS: [&str; 11] = [
    "/executions/order-1042/trace?include=prompts,responses,artifacts,attributes",
    "/executions/order-1042/events",
    "/executions/order-1042/runs",
    "/executions/order-1042/export",
    "/executions/order-1042/export?format=csv",
    "/executions/order-1042/export?format=otlp",
    "/executions/order-1042/trace/stream",
    "/executions",
    "/executions?text=1042&include=counts",
    "/executions?workflow_id=order-1042",
    "/executions?type=Order*",
];

fn erase(server: &Server, args: &[&str]) {
    let mut command: Command = server
        .database
        .command(&[&["erase", "--yes"], args].concat());
    assert!(command.output().unwrap().status.success());
}

#[tokio::test]
async fn an_erased_run_is_in_no_answer() {
    let server = Server::of(Database::full().await, &[]);
    // Asked before, so that whatever is kept in memory has it.
    let before: Vec<String> = (PATHS.iter())
        .filter(|path| !path.contains("stream"))
        .map(|path| server.get(path).text().to_owned())
        .collect();
    assert!(
        before
            .iter()
            .filter(|text| text.contains("order-1042"))
            .count()
            >= 6,
        "{before:?}"
    );
    let started = |stats: &Value| -> u64 {
        let types = stats["types"].as_array().cloned().unwrap_or_default();
        types.iter().filter_map(|one| one["started"].as_u64()).sum()
    };
    let range = "/stats?from=2025-12-31&to=2026-01-03";
    let counted = started(&server.json(range));

    erase(&server, &["--workflow-id", "order-1042"]);
    for path in PATHS {
        let answer = server.get(path);
        let is_of_run = path.starts_with("/executions/");
        assert_eq!(answer.status, if is_of_run { 404 } else { 200 }, "{path}");
        let text = answer.text();
        assert!(is_of_run || !text.contains("order-1042"), "{path}: {text}");
    }
    assert!(started(&server.json(range)) < counted || counted == 0);
}
