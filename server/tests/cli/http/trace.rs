//! `GET /executions/{execution_id}/trace` and `…/events`.

use omnitrace_store::row::RunKey;
use serde_json::{Value, json};

use super::Server;
use crate::Database;
use crate::rows::{self, at};

/// As a client writes an id into a path.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Names of a node's children.
fn names(node: &Value) -> Vec<&str> {
    let children = node["children"].as_array().unwrap();
    children
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_trace_with_everything_is_as_the_command_line_has_it() {
    let server = Server::full().await;
    let all = "?include=prompts,responses,artifacts,attributes";
    let trace = server.json(&format!("/executions/order-1042/trace{all}"));
    let shown = server.database.stdout(&["show", "order-1042", "--json"]);
    assert_eq!(trace, serde_json::from_str::<Value>(&shown).unwrap());
}

#[tokio::test]
async fn what_is_not_asked_for_is_left_out() {
    let server = Server::full().await;
    let chat = "event_key=activity:3:Agent::chat:0";
    let root = |include: &str| {
        let path = format!("/executions/order-1042/trace?{chat}&include={include}");
        server.json(&path)["root"].clone()
    };
    let without = root("");
    assert_eq!(without["data"], Value::Null);
    assert_eq!(without["prompts"], json!([]));
    assert_eq!(
        without["redaction"],
        json!({ "dropped": 0, "hashed": 1, "truncated": 0 })
    );
    let prompts = json!([{ "prompt": "sha256:5e884898da280471", "count": 2 }]);
    assert_eq!(root("prompts")["prompts"], prompts);
    assert_eq!(root("prompts")["data"], Value::Null);
    assert_eq!(root("attributes")["data"]["input"], prompts);
    assert_eq!(root("attributes")["prompts"], json!([]));
}

#[tokio::test]
async fn prompts_responses_and_artifacts_of_inner_events_are_found() {
    let mut order = rows::order();
    let run = order.runs[0].clone();
    let mut inner = |kind: &str, name: &str, data: Value| {
        let done = omnitrace_store::row::Status::Completed;
        let times = (None, Some(1), Some(2));
        let mut row = rows::event(&run, (kind, "1.1", name, 1), done, times);
        row.parent_key = Some("activity:1:Orders::reserve:1".to_owned());
        row.data_redacted = Some(data.to_string());
        order.events.push(row);
    };
    inner(
        "model",
        "chat",
        json!({ "data": { "messages": ["hi", "there"], "response": "hello" } }),
    );
    inner(
        "artifact",
        "report",
        json!({ "data": {}, "url": "https://files.example/1" }),
    );
    let server = Server::of(Database::with(&[order]).await, &[]);
    let path = "/executions/order-1042/trace?event_key=activity:1:Orders::reserve:0";
    let trace = server.json(&format!("{path}&include=prompts,responses,artifacts"));
    let artifacts = json!([{ "name": "report", "url": "https://files.example/1" }]);
    assert_eq!(trace["root"]["artifacts"], artifacts);
    let attempt = &trace["root"]["children"][0];
    assert_eq!(attempt["artifacts"], artifacts);
    let chat = attempt["children"].as_array().unwrap();
    let chat = chat.iter().find(|node| node["kind"] == "model").unwrap();
    assert_eq!(chat["prompts"], json!(["hi", "there"]));
    assert_eq!(chat["responses"], json!(["hello"]));
}

#[tokio::test]
async fn a_part_of_a_trace_counts_what_it_leaves_out() {
    let server = Server::full().await;
    let get = |query: &str| server.json(&format!("/executions/import-7/trace?{query}"));
    let root = get("depth=0")["root"].clone();
    assert_eq!(
        (&root["more_children"], &root["children"]),
        (&json!(100), &json!([]))
    );
    let steps = get("depth=1")["root"].clone();
    assert_eq!(steps["more_children"], Value::Null);
    assert_eq!(names(&steps).len(), 100);
    assert_eq!(steps["children"][0]["more_children"], 1);
    let last = get("after=activity:98:Import::page:0&depth=1")["root"].clone();
    assert_eq!(
        last["children"][0]["event_key"],
        "activity:99:Import::page:0"
    );
    assert_eq!(names(&last).len(), 2);
    let attempt = get("event_key=activity:7:Import::page:1")["root"].clone();
    assert_eq!(attempt["role"], "attempt");
    // A link of a chain stands for the whole chain.
    let chain = "/executions/order-1042/trace?event_key=activity:5:Orders::price:0";
    assert_eq!(
        server.json(chain)["root"]["event_key"],
        "activity:4:Orders::price:0"
    );
}

#[tokio::test]
async fn a_trace_of_fifty_thousand_rows_opens_in_parts() {
    const STEPS: u64 = 25_000;
    let mut long = rows::long_run();
    let run = long.runs[0].clone();
    long.events = (0..STEPS)
        .flat_map(|n| {
            let at = i64::try_from(n).unwrap();
            rows::activity(&run, &n.to_string(), "Import::page", at, at + 10)
        })
        .collect();
    let database = Database::missing();
    let url = omnitrace_store::DatabaseUrl::parse("sqlite://omnitrace.db", database.folder());
    let mut options = omnitrace_store::OpenOptions::default();
    options.max_events_per_run = 60_000;
    let store = omnitrace_store::Store::open(&url.unwrap(), options)
        .await
        .unwrap();
    store.write(&long).await.unwrap();
    store.close().await;
    let server = Server::of(database, &[]);
    let (mut steps, mut parts, mut query) = (0, 0, String::new());
    loop {
        let root = server.json(&format!("/executions/import-7/trace{query}"))["root"].clone();
        let children = root["children"].as_array().unwrap();
        steps += children.len() as u64;
        parts += 1;
        let last = children.last().unwrap();
        assert_eq!(
            last["event_key"],
            format!("activity:{}:Import::page:0", steps - 1)
        );
        let Some(more) = root["more_children"].as_u64() else {
            break;
        };
        assert_eq!(steps + more, STEPS);
        query = format!("?after={}", last["event_key"].as_str().unwrap());
    }
    assert_eq!((steps, parts), (STEPS, 5));

    // Each part is known by its tag, without being made again.
    let path = format!("/executions/import-7/trace{query}");
    let part = server.get(&path);
    let again = server.get_with(&path, &[("If-None-Match", part.header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = server.get("/executions/import-7/trace");
    assert_ne!(other.header("etag"), part.header("etag"));

    let (mut rows, mut cursor) = (0, String::new());
    loop {
        let page = server.json(&format!("/executions/import-7/events?limit=5000{cursor}"));
        rows += page["events"].as_array().unwrap().len();
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(rows as u64, 2 * STEPS);
}

#[tokio::test]
async fn a_tree_that_is_kept_is_never_older_than_the_rows() {
    let batch = rows::open_order();
    let run = batch.runs[0].clone();
    let server = Server::of(Database::with(&[batch]).await, &[]);
    let path = "/executions/order-1043/trace";
    let url =
        omnitrace_store::DatabaseUrl::parse("sqlite://omnitrace.db", server.database.folder());
    let options = omnitrace_store::OpenOptions::default();
    let store = omnitrace_store::Store::open(&url.unwrap(), options)
        .await
        .unwrap();
    let first = server.get(path);
    assert_eq!(
        server
            .get_with(path, &[("If-None-Match", first.header("etag"))])
            .status,
        304
    );
    for n in 10..15 {
        let before = server.get(path);
        let events = rows::activity(&run, &n.to_string(), "Orders::late", 4_600, 4_700);
        let batch = omnitrace_store::Batch {
            events,
            ..omnitrace_store::Batch::default()
        };
        store.write(&batch).await.unwrap();
        let after = server.get_with(path, &[("If-None-Match", before.header("etag"))]);
        assert_eq!(after.status, 200);
        let late = format!("activity:{n}:Orders::late:0");
        let children = after.json()["root"]["children"].clone();
        let children = children.as_array().unwrap();
        assert!(children.iter().any(|child| child["event_key"] == *late));
    }
    store.close().await;
}

#[tokio::test]
async fn runs_of_a_chain_are_linked() {
    let mut first = rows::long_run();
    first.events.clear();
    let mut second = first.clone();
    second.runs[0].key.run_id = "second".to_owned();
    second.runs[0].started_at = Some(at(60_000));
    second.runs[0].continued_from_run_id = Some(first.runs[0].key.run_id.clone());
    let first_id = first.runs[0].key.run_id.clone();
    let server = Server::of(Database::with(&[first, second]).await, &[]);
    let newest = server.json("/executions/import-7/trace");
    assert_eq!(newest["run_id"], "second");
    assert_eq!(newest["links"]["previous_run"], json!(first_id));
    assert_eq!(newest["links"]["next_run"], Value::Null);
    let path = format!("/executions/import-7/trace?run_id={first_id}&namespace=default");
    assert_eq!(server.json(&path)["links"]["next_run"], "second");
}

#[tokio::test]
async fn dashboards_of_other_programs_are_linked() {
    let temporal = "temporal=http://127.0.0.1:8233/namespaces/{namespace}/workflows/{workflow_id}";
    let jaeger = "jaeger=http://127.0.0.1:16686/trace/{trace_id}";
    let args = ["--dashboard", temporal, "--dashboard", jaeger];
    let server = Server::of(Database::full().await, &args);
    assert_eq!(
        server.json("/executions/ship-1042/trace")["dashboards"],
        json!({
            "jaeger": "http://127.0.0.1:16686/trace/4bf92f3577b34da6a3ce929d0e0e4736",
            "temporal": "http://127.0.0.1:8233/namespaces/default/workflows/ship-1042",
        })
    );
}

#[tokio::test]
async fn any_id_is_found_by_its_percent_encoding() {
    let ids = [
        "support/03-refund above limit",
        "ünï/çødé/通知",
        "\"quotes\" & 'more'?x=1#y",
        "100%",
        "..",
        "a+b",
        &"x".repeat(1000),
    ];
    let batch = |id: &&str| {
        let mut batch = rows::long_run();
        batch.runs[0].key = RunKey::new("default", *id, "r1");
        batch.events.clear();
        batch
    };
    let batches: Vec<_> = ids.iter().map(batch).collect();
    let server = Server::of(Database::with(&batches).await, &[]);
    for id in ids {
        let trace = server.json(&format!("/executions/{}/trace", encoded(id)));
        assert_eq!(trace["execution_id"], id);
        let events = server.json(&format!("/executions/{}/events", encoded(id)));
        assert_eq!(events["execution_id"], id);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_that_says_what_to_do() {
    let server = Server::full().await;
    for (path, said) in [
        (
            "gone/trace",
            "no run has the workflow id \"gone\": GET /executions lists",
        ),
        ("order-1042/trace?run_id=gone", "and run id \"gone\""),
        ("order-1042/events?namespace=gone", "in namespace \"gone\""),
        (
            "order-1042/trace?event_key=gone",
            "no event with the key \"gone\"",
        ),
        (
            "order-1042/trace?after=gone",
            "no event with the key \"gone\"",
        ),
        (
            "order-1042/events?cursor=gone",
            "no event with the key \"gone\"",
        ),
    ] {
        let (status, detail) = server.problem(&format!("/executions/{path}"));
        assert_eq!(status, 404, "{path}");
        assert!(detail.contains(said), "{path}: {detail}");
    }
    for (path, said) in [
        (
            "order-1042/trace?include=x",
            "must be one or more of prompts,responses,",
        ),
        (
            "order-1042/trace?depth=deep",
            "depth: it is \"deep\" and must be a whole number",
        ),
        (
            "order-1042/events?limit=5001",
            "limit: it is 5001 and must be from 1 to 5000",
        ),
        ("%FF/trace", "UTF-8"),
    ] {
        let (status, detail) = server.problem(&format!("/executions/{path}"));
        assert_eq!(status, 400, "{path}");
        assert!(detail.contains(said), "{path}: {detail}");
    }
}

#[tokio::test]
async fn rows_come_in_pages_without_ghosts() {
    let server = Server::full().await;
    let all = server.json("/executions/order-1043/events");
    let events = all["events"].as_array().unwrap();
    let key = |event: &Value| event["event_key"].as_str().unwrap().to_owned();
    let keys: Vec<_> = events.iter().map(key).collect();
    assert!(!keys.contains(&"activity:5:Orders::never:0".to_owned()));
    let ship = events.iter().find(|e| e["name"] == "Orders::ship").unwrap();
    assert_eq!(ship["provisional"], true);
    let (mut paged, mut query) = (Vec::new(), "?limit=5".to_owned());
    loop {
        let page = server.json(&format!("/executions/order-1043/events{query}"));
        paged.extend(page["events"].as_array().unwrap().iter().map(key));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=5&cursor={}", encoded(cursor));
    }
    assert_eq!(paged, keys);
    insta::assert_snapshot!(serde_json::to_string_pretty(&events[0]).unwrap());
}
