//! `GET /stats`.

use omnitrace_store::Batch;
use omnitrace_store::row::{RunKey, Status};
use serde_json::json;

use super::Server;
use crate::Database;
use crate::rows;

#[tokio::test]
async fn runs_are_counted_by_type_and_hour() {
    let run = |n: i64, workflow_type: &str, status: Status, took: Option<i64>| {
        let start = n * 60_000;
        let mut run = rows::run("r", workflow_type, (start, took.map(|took| start + took)));
        run.key = RunKey::new("default", format!("{workflow_type}-{n}"), "r");
        run.status = status;
        run
    };
    // One each minute from 10:00, each a second slower, every fourth of them failed.
    let mut runs: Vec<_> = (0..100)
        .map(|n| {
            let status = if n % 4 == 0 {
                Status::Failed
            } else {
                Status::Completed
            };
            run(n, "Order", status, Some(1000 * (n + 1)))
        })
        .collect();
    runs.push(run(1, "Ship", Status::Running, None));
    runs.push(run(2, "Ship", Status::Canceled, Some(7)));
    let batch = Batch {
        runs,
        ..Batch::default()
    };
    let server = Server::of(Database::with(&[batch]).await, &[]);
    let range = "from=2026-01-01&to=2026-01-02";
    let stats = server.json(&format!("/stats?{range}"));
    assert_eq!(
        stats["types"],
        json!([
            {
                "workflow_type": "Order", "started": 100, "completed": 75, "failed": 25, "other": 0,
                "open": 0, "error_rate": 0.25, "p50_ms": 50_000, "p95_ms": 95_000, "p99_ms": 99_000,
                "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0
            },
            {
                "workflow_type": "Ship", "started": 2, "completed": 0, "failed": 0, "other": 1,
                "open": 1, "error_rate": 0.0, "p50_ms": 7, "p95_ms": 7, "p99_ms": 7,
                "input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0
            },
        ])
    );
    let hours = stats["hours"].as_array().unwrap();
    let of = |at: usize| {
        (
            &hours[at]["hour"],
            &hours[at]["workflow_type"],
            &hours[at]["started"],
        )
    };
    assert_eq!(
        of(0),
        (&json!("2026-01-01T10:00:00Z"), &json!("Order"), &json!(60))
    );
    assert_eq!(
        of(1),
        (&json!("2026-01-01T10:00:00Z"), &json!("Ship"), &json!(2))
    );
    assert_eq!(
        of(2),
        (&json!("2026-01-01T11:00:00Z"), &json!("Order"), &json!(40))
    );
    assert_eq!(hours[0]["p50_ms"], 30_000);
    assert_eq!(stats["more"], false);

    let one = server.json(&format!("/stats?{range}&workflow_type=Ship"));
    assert_eq!(one["types"].as_array().unwrap().len(), 1);
    let none = server.json(&format!("/stats?{range}&namespace=other"));
    assert_eq!(none, json!({ "hours": [], "types": [], "more": false }));
}

#[tokio::test]
async fn tokens_and_cost_are_summed_up() {
    let server = Server::full().await;
    let stats = server.json("/stats?from=2026-01-01&to=2026-01-02&workflow_type=OrderWorkflow");
    let of = &stats["types"][0];
    assert_eq!(of["input_tokens"], 1_834);
    assert_eq!(of["output_tokens"], 240);
    assert_eq!(of["cost_usd"], 0.0123);
}

#[tokio::test]
async fn aggregates_are_added_up_when_their_rows_are_gone() {
    let database = Database::full().await;
    let told = |args: &[&str]| database.stdout(&[&["stats", "--json"], args].concat());
    let by = ["--by", "type,category,model,hour"];
    let (steps, runs) = (told(&by), told(&[]));
    let day = database.stdout(&["stats", "--by", "day"]);
    assert!(
        steps.lines().count() > 3 && runs.lines().count() > 1,
        "{steps}{runs}"
    );
    assert!(day.contains("2026-01-01") && day.contains("$0.01"), "{day}");
    let none = json!({ "sums": [], "through": null, "more": false });
    let server = Server::of(database, &[]);
    assert_eq!(server.json("/aggregates?from=2025-01-01"), none);

    let prune = ["prune", "--runs-days", "30", "--hourly-days", "none"];
    server.database.stdout(&prune);
    let told = |args: &[&str]| {
        server
            .database
            .stdout(&[&["stats", "--json"], args].concat())
    };
    assert_eq!((told(&by), told(&[])), (steps.clone(), runs.clone()));
    for (query, expected) in [("by=type,category,model,hour", steps), ("", runs)] {
        let found = server.json(&format!("/aggregates?from=2025-01-01&{query}"));
        let lines = found["sums"].as_array().unwrap().iter();
        let lines: Vec<String> = lines.map(|sum| sum.to_string()).collect();
        let expected = expected
            .lines()
            .map(|line| line.parse::<serde_json::Value>());
        let expected: Vec<_> = expected.map(|sum| sum.unwrap().to_string()).collect();
        assert_eq!(lines, expected);
        assert!(found["through"].as_str() > Some("2026"), "{found}");
    }
    for narrowed in ["workflow_type=Nobody", "namespace=nowhere", "to=2025-02-01"] {
        let found = server.json(&format!("/aggregates?from=2025-01-01&{narrowed}"));
        assert_eq!(found["sums"], json!([]), "{narrowed}");
    }
    for (query, said) in [
        ("by=colour", "one or more of day,hour"),
        ("from=2026-01-02&to=2026-01-01", "it must be before to"),
    ] {
        let (status, detail) = server.problem(&format!("/aggregates?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(said), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_time_that_cannot_be_is_refused() {
    let server = Server::full().await;
    for (query, said) in [
        ("from=2026-01-02&to=2026-01-01", "it must be before to"),
        ("from=2025-01-01&to=2026-01-01", "more than 31 days"),
        ("from=soon", "must be a time"),
        ("hour=1", "unknown field"),
    ] {
        let (status, detail) = server.problem(&format!("/stats?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(said), "{query}: {detail}");
    }
}
