//! The Collector's pipeline: what passes, what is taken out, and which traces are kept.

use std::time::{Duration, SystemTime};

use omnitrace_tests::eventually;
use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::json;

use super::{assert_good, said};
use crate::spans::collector::{Collector, SHIPPED, program};
use crate::spans::send;

#[test]
fn the_collector_accepts_the_configuration() {
    let validate = || {
        let mut command = program();
        command.args(["validate", "--config", SHIPPED]);
        command
    };
    assert_good(&mut validate());
    let wrong = validate().env("OMNITRACE_KEEP_PERCENT", "most").output();
    let wrong = wrong.expect("the Collector");
    assert!(!wrong.status.success());
    assert!(
        said(&wrong).contains("sampling_percentage"),
        "{}",
        said(&wrong)
    );
}

/// The root of a trace of its own.
fn span(n: u64, name: &'static str, attributes: Vec<KeyValue>, status: Status) -> SpanData {
    let start = SystemTime::now();
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(u128::from(n) << 64 | 7),
            SpanId::from(n),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: start,
        end_time: start + Duration::from_millis(1),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::builder("test").build(),
    }
}

/// What must not pass, each with what may stand in its place.
const SECRETS: [(&str, &str); 8] = [
    ("ada@example.com", "[email]"),
    ("Bearer abcdef123456", "[bearer]"),
    ("4111 1111 1111 1111", "[card]"),
    ("378282246310005", "[card]"),
    ("078-05-1120", "[ssn]"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "[jwt]"),
    (
        "postgres://ada:pw@db.example.com/x",
        "postgres://[credentials]@db.example.com/x",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_user_code_do_not_pass() {
    let collector = Collector::start().await;
    let all: Vec<&str> = SECRETS.iter().map(|(secret, _)| *secret).collect();
    let all = all.join(", ");
    let mut secret = span(
        1,
        "secret",
        vec![
            KeyValue::new("note", all.clone()),
            KeyValue::new("api_key", "hunter2"),
            KeyValue::new("http.request.header.authorization", "hunter2"),
            KeyValue::new("db.password", "hunter2"),
            // What OmniTrace itself sends stays.
            KeyValue::new("gen_ai.usage.input_tokens", 17),
            KeyValue::new("tenant.id", "sha256:0011223344556677"),
        ],
        Status::error(all.clone()),
    );
    secret.events.events = vec![Event::new(
        "exception",
        secret.start_time,
        vec![
            KeyValue::new("exception.message", all),
            KeyValue::new("token", "hunter2"),
        ],
        0,
    )];
    send(&[secret], &collector.grpc).await;
    let passed = eventually("it passes", async || collector.spans().into_iter().next()).await;
    let expected: Vec<&str> = SECRETS.iter().map(|(_, stand_in)| *stand_in).collect();
    let expected = expected.join(", ");
    assert_eq!(passed.tag("note"), expected);
    assert_eq!(passed.tag("otel.status_description"), expected);
    assert_eq!(passed.tag("tenant.id"), "sha256:0011223344556677");
    assert!(passed.tags.contains_key("gen_ai.usage.input_tokens"));
    let written = collector.written();
    assert!(!written.contains("hunter2"), "{written}");
    for (secret, _) in SECRETS {
        assert!(!written.contains(secret), "{secret}: {written}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_pass_under_their_own_names() {
    let collector = Collector::start().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_nanos().to_string();
    let point = json!({
        "asDouble": 3, "timeUnixNano": now, "startTimeUnixNano": now,
        "attributes": [{ "key": "job", "value": { "stringValue": "Order" } }],
    });
    let sum = json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] });
    let metrics = json!([{ "name": "traces_total", "sum": sum }]);
    // Two workers of a service, on one machine.
    for pid in [11, 12] {
        let resource = json!({ "attributes": [
            { "key": "service.name", "value": { "stringValue": "orders" } },
            { "key": "host.name", "value": { "stringValue": "host" } },
            { "key": "process.pid", "value": { "intValue": pid } },
        ] });
        let scope = json!([{ "metrics": metrics }]);
        let sent = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": scope }] });
        let taken = ureq::post(format!("http://{}/v1/metrics", collector.http)).send_json(&sent);
        taken.expect("taken");
    }
    let shown = eventually("Prometheus could read it", async || {
        let url = format!("http://{}/metrics", collector.prometheus);
        let mut answer = ureq::get(url).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let lines = text
            .lines()
            .filter(|line| line.starts_with("traces_total{"));
        let lines: Vec<String> = lines.map(ToOwned::to_owned).collect();
        (lines.len() == 2).then_some(lines)
    })
    .await;
    for (line, instance) in shown.iter().zip(["host:11", "host:12"]) {
        for label in [
            r#"job="Order""#,
            r#"service="orders""#,
            &format!(r#"instance="{instance}""#),
        ] {
            assert!(line.contains(label), "{label}: {shown:#?}");
        }
        assert!(line.ends_with(" 3"), "{shown:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ordinary_traces_as_many_as_are_asked_for_are_kept_and_of_others_all() {
    let collector = Collector::keeping(0).await;
    let sampled_by = |why: &'static str| vec![KeyValue::new("workflow.sampled_by", why)];
    let mut slow = span(3, "slow", vec![], Status::Unset);
    slow.end_time = slow.start_time + Duration::from_secs(3);
    let spans = [
        span(1, "ordinary", sampled_by("ratio"), Status::Unset),
        span(2, "failed", sampled_by("ratio"), Status::error("no")),
        slow,
        span(4, "promoted", sampled_by("error"), Status::Unset),
    ];
    send(&spans, &collector.grpc).await;
    let names = || {
        let mut names: Vec<String> = (collector.spans().into_iter())
            .map(|span| span.name)
            .collect();
        names.sort();
        names
    };
    // All of one batch are decided at once.
    eventually("they are decided", async || {
        (names().len() >= 3).then_some(())
    })
    .await;
    assert_eq!(
        names(),
        ["failed", "promoted", "slow"],
        "{}",
        collector.log()
    );
}
