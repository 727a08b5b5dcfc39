//! Spans of the rest of the system, from a trace backend.

use omnitrace_store::ids::span_id;
use serde_json::{Value, json};

use super::{Server, eventually};
use crate::Database;
use crate::rows;

/// An address where nobody listens.
const NOBODY: &str = "jaeger:http://127.0.0.1:1";

/// A backend that is down is said, and costs a trace nothing but its spans.
#[tokio::test]
async fn without_the_backend_the_stored_tree_is_served() {
    let server = Server::of(Database::full().await, &["--trace-backend", NOBODY]);
    let trace = server.json("/executions/order-1042/trace");
    let backend = &trace["trace_backend"];
    assert_eq!(backend["name"], "jaeger");
    assert_eq!(backend["available"], false);
    let detail = backend["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("jaeger at http://127.0.0.1:1/ does not answer: "),
        "{detail}"
    );
    let stored = server.json("/executions/order-1042/trace?spans=false");
    assert_eq!(stored["root"], trace["root"]);
    assert_eq!(stored["trace_backend"], Value::Null);

    // What is stored is served all the same, so no replica is taken away for it.
    let ready = server.json("/readyz");
    assert_eq!(ready["ready"], true);
    let checks = ready["checks"].as_array().unwrap();
    assert_eq!(
        (&checks[0]["name"], &checks[0]["ok"]),
        (&json!("database"), &json!(true))
    );
    assert_eq!(
        (&checks[1]["name"], &checks[1]["ok"]),
        (&json!("trace backend"), &json!(false))
    );
    assert!(
        checks[1]["detail"]
            .as_str()
            .unwrap()
            .contains("does not answer")
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_one_line() {
    let database = Database::full().await;
    for (backend, said) in [
        ("zipkin:http://127.0.0.1", "jaeger:URL or tempo:URL"),
        (
            "tempo:http://me:hunter2@127.0.0.1",
            "no place for a password",
        ),
    ] {
        let (code, line) = database.failure(&["serve", "--trace-backend", backend]);
        assert_eq!(code, 2);
        assert!(line.contains(said), "{line}");
    }
}

/// Where a real Jaeger is: its query API, and where it takes spans.
fn jaeger() -> (String, String) {
    let variable = |name| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"))
    };
    let query = variable("OMNITRACE_TEST_JAEGER");
    (query, variable("OMNITRACE_TEST_OTLP_HTTP"))
}

fn span(trace: &str, id: &str, parent: &str, name: &str) -> Value {
    let nanos = |ms: i64| ((rows::at(ms)) * 1000).to_string();
    json!({
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 3,
        "startTimeUnixNano": nanos(4_000), "endTimeUnixNano": nanos(4_250),
        "attributes": [{ "key": "db.system", "value": { "stringValue": "postgresql" } }],
        "status": { "code": 2, "message": "relation is gone" },
    })
}

#[tokio::test]
async fn spans_of_a_real_jaeger_hang_under_the_attempt_that_they_are_part_of() {
    let (query, otlp) = jaeger();
    let mut order = rows::order();
    let trace: String = hex::encode(uuid::Uuid::new_v4().as_bytes());
    order.runs.truncate(1);
    order.runs[0].trace_id.clone_from(&trace);
    order.runs[0].parent_span_id = Some("00000000000000aa".to_owned());
    let attempt = span_id(&order.runs[0].key, "activity:3:Agent::chat:1");
    let server = Server::of(
        Database::with(&[order]).await,
        &["--trace-backend", &format!("jaeger:http://{query}")],
    );
    assert_eq!(server.json("/readyz")["ready"], true);
    let sent = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "catalogue" } }] },
        "scopeSpans": [{ "spans": [
            span(&trace, "00000000000000aa", "", "POST /orders"),
            span(&trace, "00000000000000b1", &attempt, "SELECT products"),
            span(&trace, "00000000000000b2", "00000000000000b1", "fetch"),
        ] }],
    }] });
    let base = if otlp.starts_with("http") {
        otlp
    } else {
        format!("http://{otlp}")
    };
    let url = format!(
        "{}/v1/traces",
        base.trim_end_matches('/').trim_end_matches("/v1/traces")
    );
    ureq::post(&url).send_json(&sent).unwrap();

    // They are there when Jaeger has them, and when what was kept of it is looked up anew.
    let path = "/executions/order-1042/trace?include=attributes";
    let trace = eventually("the backend has the spans", || {
        let trace = server.json(path);
        let backend = &trace["trace_backend"];
        assert_eq!(backend["available"], true, "{backend}");
        (backend["spans"] == 2).then_some(trace)
    });
    let callers = trace["trace_backend"]["callers"].as_array().unwrap();
    assert_eq!(callers.len(), 1);
    assert_eq!(callers[0]["name"], "POST /orders");
    let steps = trace["root"]["children"].as_array().unwrap();
    let chat = steps
        .iter()
        .find(|step| step["name"] == "Agent::chat")
        .unwrap();
    let attempt = chat["children"][0]["children"].as_array().unwrap();
    let select = attempt.iter().find(|node| node["role"] == "span").unwrap();
    assert_eq!(select["name"], "SELECT products");
    assert_eq!(select["service"], "catalogue");
    assert_eq!(select["status"], "failed");
    assert_eq!(select["duration_ms"], 250);
    assert_eq!(select["error"]["message"], "relation is gone");
    assert_eq!(select["data"], json!({ "db.system": "postgresql" }));
    assert_eq!(select["children"][0]["name"], "fetch");
    // What is stored is as it is without.
    let without = server.json("/executions/order-1042/trace?spans=false");
    assert_eq!(
        without["root"]["children"].as_array().unwrap().len(),
        steps.len()
    );
}
