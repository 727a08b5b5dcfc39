//! A Jaeger that is asked what it was sent.

use std::collections::BTreeMap;

use serde_json::Value;

use super::span::Span;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no Jaeger in {name}: run `cargo xtask test`"))
}

/// Where it takes spans by HTTP, `host:port`.
pub(crate) fn http() -> String {
    variable("OMNITRACE_TEST_OTLP_HTTP")
}

/// Where it takes spans by gRPC, `host:port`.
pub(crate) fn grpc() -> String {
    variable("OMNITRACE_TEST_OTLP_GRPC")
}

/// All spans of a trace; none if it does not know it.
pub(crate) async fn trace(id: &str) -> Vec<Span> {
    let url = format!(
        "http://{}/api/traces/{id}",
        variable("OMNITRACE_TEST_JAEGER")
    );
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut answer = agent.get(&url).call().expect("Jaeger answers");
        answer.body_mut().read_json::<Value>().expect("JSON")
    });
    let answer = asked.await.expect("asked");
    let data = &answer["data"][0];
    let spans = data["spans"].as_array().cloned().unwrap_or_default();
    spans.iter().map(|span| read(span, data)).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read(span: &Value, data: &Value) -> Span {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let references = list(&span["references"]);
    let of = |kind: &str| -> Vec<(String, String)> {
        (references.iter())
            .filter(|reference| reference["refType"] == *kind)
            .map(|reference| (text(&reference["traceID"]), text(&reference["spanID"])))
            .collect()
    };
    let tags = |value: &Value| -> BTreeMap<String, Value> {
        (list(value).iter())
            .map(|tag| (text(&tag["key"]), tag["value"].clone()))
            .collect()
    };
    let parents = of("CHILD_OF");
    assert!(parents.len() <= 1, "{span:#}");
    let process = &data["processes"][text(&span["processID"])];
    Span {
        trace: text(&span["traceID"]),
        id: text(&span["spanID"]),
        name: text(&span["operationName"]),
        parent: parents.into_iter().next().map(|(_, id)| id),
        links: of("FOLLOWS_FROM"),
        tags: tags(&span["tags"]),
        events: (list(&span["logs"]).iter())
            .map(|log| text(&tags(&log["fields"])["event"]))
            .collect(),
        service: text(&process["serviceName"]),
    }
}
