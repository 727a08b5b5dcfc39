//! `GET /executions`.

use serde_json::json;

use super::Server;
use crate::Database;
use crate::rows::{self, at};

fn ids(server: &Server, query: &str) -> Vec<String> {
    let page = server.json(&format!("/executions{query}"));
    let id = |run: &serde_json::Value| run["execution_id"].as_str().unwrap().to_owned();
    page["executions"]
        .as_array()
        .unwrap()
        .iter()
        .map(id)
        .collect()
}

#[tokio::test]
async fn a_run_in_the_list_is_as_the_command_line_has_it() {
    let server = Server::full().await;
    let page = server.json("/executions?text=1042&type=Order*");
    let line = (server.database).stdout(&["list", "--json", "--text", "1042", "--type", "Order*"]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        page,
        json!({ "executions": [line], "next_cursor": null, "looked_until": null })
    );
}

#[tokio::test]
async fn every_parameter_narrows_the_list() {
    let mut other = rows::long_run();
    other.runs[0].key.namespace = "other".to_owned();
    other.runs[0].tenant = Some(omnitrace_store::row::Identity {
        rank: 3,
        hash: "sha256:0011223344556677".to_owned(),
    });
    other.runs[0].started_at = Some(at(-1));
    let batches = [rows::order(), rows::open_order(), rows::long_run(), other];
    let server = Server::of(Database::with(&batches).await, &[]);
    for (query, expected) in [
        ("?namespace=other", vec!["import-7"]),
        ("?workflow_id=order-1043", vec!["order-1043"]),
        ("?status=failed,running", vec!["order-1042", "order-1043"]),
        ("?type=Ship*", vec!["ship-1042"]),
        ("?error_type=Not*", vec!["order-1042"]),
        ("?tenant=sha256:0011223344556677", vec!["import-7"]),
        ("?text=NOT%20registered", vec!["order-1042"]),
        ("?since=2026-01-01T10:00:05", vec!["ship-1042"]),
        ("?until=2026-01-01T10:00:00Z", vec!["import-7"]),
        (
            "?min_duration_ms=14400&max_duration_ms=14400",
            vec!["order-1042"],
        ),
        ("?max_duration_ms=14399", vec!["ship-1042"]),
        ("?min_cost_usd=0.01", vec!["order-1042"]),
        ("?max_cost_usd=0&type=Order*", vec!["order-1043"]),
        // A form sends fields that nobody filled in.
        ("?status=&since=&min_cost_usd=&limit=1", vec!["ship-1042"]),
    ] {
        assert_eq!(ids(&server, query), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_join_without_a_gap() {
    let server = Server::full().await;
    let all = ids(&server, "");
    assert_eq!(all.len(), 4);
    let (mut paged, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        paged.extend(ids(&server, &query));
        let page = server.json(&format!("/executions{query}"));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=3&cursor={cursor}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn statuses_are_counted_whichever_are_shown() {
    let server = Server::full().await;
    let page = server.json("/executions?include=counts&status=failed&limit=1");
    assert_eq!(
        page["counts"],
        json!({ "by_status": { "running": 1, "completed": 2, "failed": 1 }, "more": false })
    );
    let page = server.json("/executions?include=counts&text=ship");
    assert_eq!(page["counts"]["by_status"], json!({ "completed": 1 }));
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_is_allowed() {
    let server = Server::full().await;
    for (query, said) in [
        (
            "status=fine",
            "status: it is \"fine\" and must be one or more of scheduled,running,",
        ),
        (
            "since=yesterday",
            "since: it is \"yesterday\" and must be a time, as 30m,",
        ),
        (
            "min_duration_ms=-1",
            "min_duration_ms: it is \"-1\" and must be a whole number",
        ),
        (
            "max_cost_usd=NaN",
            "max_cost_usd: it is \"NaN\" and must be an amount of dollars",
        ),
        (
            "include=all",
            "include: it is \"all\" and must be one or more of counts",
        ),
        ("limit=0", "limit: it is 0 and must be from 1 to 500"),
        ("limit=501", "limit: it is 501 and must be from 1 to 500"),
        (
            "cursor=x",
            "cursor: it must be next_cursor of the page before",
        ),
        (
            "stauts=failed",
            "unknown field `stauts`, expected one of `namespace`,",
        ),
    ] {
        let (status, detail) = server.problem(&format!("/executions?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(detail.contains(said), "{query}: {detail}");
    }
}
