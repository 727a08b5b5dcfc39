//! What the API says of an erased run: what it says of one that never was.

use std::process::Command;

use super::Server;

/// Every answer in which the run could be.
const PATHS: [&str; 12] = [
    "/executions/order-1042/trace?include=prompts,responses,artifacts,attributes",
    "/executions/order-1042/events",
    "/executions/order-1042/export",
    "/executions/order-1042/export?format=csv",
    "/executions/order-1042/export?format=otlp",
    "/executions/order-1042/trace/stream",
    "/executions/compare?a=order-1042&b=order-1043",
    "/executions/compare?a=import-7&b=order-1042",
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
async fn an_erased_run_is_in_no_answer_whatever_it_was_erased_by() {
    for subject in [
        ["--workflow-id", "order-1042"],
        ["--user", "alice"],
        ["--tenant", "east"],
    ] {
        let server = Server::of(crate::erase::of_users().await, &[]);
        // Asked before, so that whatever is kept in memory has it.
        for path in PATHS.iter().filter(|path| !path.contains("stream")) {
            let answer = server.get(path);
            assert_eq!(answer.status, 200, "{path}");
            let text = answer.text();
            let tells = |of: &str| text.contains(of);
            assert!(tells("order-1042") || tells("Orders::reserve"), "{path}");
        }
        let started = || -> u64 {
            let stats = server.json("/stats?from=2025-12-31&to=2026-01-03");
            let types = stats["types"].as_array().unwrap();
            types.iter().filter_map(|one| one["started"].as_u64()).sum()
        };
        assert_eq!(started(), 4);

        erase(&server, &subject);
        for path in PATHS {
            let answer = server.get(path);
            let is_of_run = path.starts_with("/executions/");
            assert_eq!(answer.status, if is_of_run { 404 } else { 200 }, "{path}");
            let text = answer.text();
            assert!(is_of_run || !text.contains("order-1042"), "{path}: {text}");
        }
        // Its child is gone too.
        assert_eq!(started(), 2, "{subject:?}");
    }
}
