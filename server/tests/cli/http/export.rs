//! `GET /executions/{execution_id}/export`.

use std::collections::BTreeSet;

use super::Server;

#[tokio::test]
async fn a_run_is_taken_away_as_json() {
    let server = Server::full().await;
    let answer = server.get("/executions/order-1042/export");
    assert_eq!(answer.header("content-type"), "application/json");
    let disposition = answer.header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename=\"order-1042-0197d6a8.json\""),
        "{disposition}"
    );
    let export = answer.json();
    let listed = server.json("/executions/order-1042/events");
    assert_eq!(export["events"], listed["events"]);
    let run = server.json("/executions?workflow_id=order-1042")["executions"][0].clone();
    assert_eq!(export["run"], run);
    assert_eq!(export["input"]["id"], "order-1042");
}

#[tokio::test]
async fn a_run_is_taken_away_as_lines() {
    let server = Server::full().await;
    let answer = server.get("/executions/import-7/export?format=csv");
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let text = answer.text();
    let lines: Vec<_> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("event_key,kind,category,step,name,attempt,status,"));
    // A header, two hundred rows, and what follows the last line.
    assert_eq!(lines.len(), 202);
    assert!(lines[1].starts_with("activity:1:Import::page:0,activity,,1,Import::page,0,completed,2026-01-01T10:00:00.000000Z,"));
}

#[tokio::test]
async fn a_run_is_taken_away_as_spans_that_hang_together() {
    let server = Server::full().await;
    let export = server.json("/executions/order-1042/export?format=otlp");
    let spans = export["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    let events = server.json("/executions/order-1042/events");
    assert_eq!(spans.len(), events["events"].as_array().unwrap().len() + 1);
    let ids: BTreeSet<_> = spans
        .iter()
        .map(|span| span["spanId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), spans.len());
    for span in spans {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        let parent = span["parentSpanId"].as_str().unwrap_or_default();
        assert!(parent.is_empty() || ids.contains(parent), "{span}");
    }
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"RunWorkflow:OrderWorkflow"), "{names:?}");
}

#[tokio::test]
async fn another_format_is_refused() {
    let server = Server::full().await;
    let (status, detail) = server.problem("/executions/order-1042/export?format=xml");
    assert_eq!(status, 400);
    assert!(detail.contains("one of json, csv, otlp"), "{detail}");
}
