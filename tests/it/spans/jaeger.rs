//! A Jaeger that is asked what it was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One span, as it is read back.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) tags: BTreeMap<String, Value>,
    /// Events, by name.
    pub(crate) events: Vec<String>,
    pub(crate) service: String,
}

impl Span {
    pub(crate) fn is_error(&self) -> bool {
        self.tags.get("error") == Some(&Value::Bool(true))
    }

    pub(crate) fn tag(&self, name: &str) -> &str {
        self.tags.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

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

/// Checks that no span is there twice, that each one's parent is there, and that there is one root.
pub(crate) fn assert_whole(spans: &[Span]) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "no span twice: {spans:#?}");
    for span in spans {
        assert_eq!(span.trace, spans[0].trace);
        let parent = span.parent.as_deref();
        assert!(
            parent.is_none_or(|parent| ids.contains(parent)),
            "{span:#?}"
        );
    }
    let roots = spans.iter().filter(|span| span.parent.is_none());
    assert_eq!(roots.count(), 1, "one root: {spans:#?}");
}
