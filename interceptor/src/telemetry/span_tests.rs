use omnitrace_store::key::{EventKey, STEP_KINDS, Step};
use omnitrace_store::row::{Identity, Phase};
use serde_json::json;

use super::*;
use crate::telemetry::{Answer, RequestSeen, request_span};

fn shape() -> SpanShape {
    SpanShape::new(&Settings::default())
}

fn run() -> RunRow {
    RunRow {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        status: Status::Completed,
        phase: Phase::Closed,
        started_at: Some(1_000_000),
        closed_at: Some(9_000_000),
        tenant: Some(Identity {
            rank: 2,
            hash: "sha256:0011223344556677".to_owned(),
        }),
        ..RunRow::new(RunKey::new("default", "order-1", "run-1"))
    }
}

fn row(kind: &str, step: &str, name: &str, attempt: u32) -> EventRow {
    EventRow {
        status: Status::Completed,
        phase: Phase::Closed,
        scheduled_at: Some(2_000_000),
        ended_at: Some(3_000_000),
        latency_ms: Some(1000),
        ..EventRow::new(
            run().key,
            EventKey::new(kind, Step::new(step), name, attempt),
        )
    }
}

fn attempt(n: u32) -> EventRow {
    EventRow {
        parent_key: Some("activity:5:Tools::search:0".to_owned()),
        started_at: Some(2_500_000),
        ..row("activity", "5", "Tools::search", n)
    }
}

fn failed(row: EventRow) -> EventRow {
    EventRow {
        status: Status::Failed,
        error_type: Some("Upstream".to_owned()),
        error_message: Some("no answer".to_owned()),
        ..row
    }
}

fn span(row: &EventRow) -> SpanData {
    event_span(row, (&run()).into(), &shape())
}

/// What of a span a reader of traces sees.
fn text(span: &SpanData) -> String {
    let attributes = |all: &[KeyValue]| -> Vec<String> {
        (all.iter())
            .map(|a| format!("    {} = {}", a.key, a.value))
            .collect()
    };
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut lines = vec![
        format!("{} [{:?}]", span.name, span.span_kind),
        format!(
            "  {} {} under {}",
            span.span_context.trace_id(),
            span.span_context.span_id(),
            span.parent_span_id
        ),
        format!(
            "  {:?} to {:?}, {:?}",
            millis(span.start_time),
            millis(span.end_time),
            span.status
        ),
    ];
    lines.extend(attributes(&span.attributes));
    for event in span.events.iter() {
        lines.push(format!("  event {}", event.name));
        lines.extend(attributes(&event.attributes));
    }
    for link in span.links.iter() {
        let to = &link.span_context;
        lines.push(format!("  link {} {}", to.trace_id(), to.span_id()));
        lines.extend(attributes(&link.attributes));
    }
    lines.join("\n")
}

#[test]
fn every_kind_of_span() {
    let mut spans = vec![run_span(&run(), None, &shape())];
    let retried = RunRow {
        status: Status::Failed,
        error_type: Some("Upstream".to_owned()),
        trigger: "retry".to_owned(),
        attempt: 2,
        continued_from_run_id: Some("run-0".to_owned()),
        ..run()
    };
    spans.push(run_span(&retried, Some(&run().trace_id), &shape()));
    let continued = RunRow {
        status: Status::ContinuedAsNew,
        trigger: "continue_as_new".to_owned(),
        ..retried.clone()
    };
    let before = "0af7651916cd43dd8448eb211c80319c";
    spans.push(run_span(&continued, Some(before), &shape()));
    // In one trace with the run before it.
    spans.push(run_span(&continued, Some(&run().trace_id), &shape()));

    let data = |data: Value| Some(data.to_string());
    let rows = [
        EventRow {
            category: Some("tool".to_owned()),
            data_redacted: data(json!({ "task_queue": "tools", "output": ["sha256:0"] })),
            ..row("activity", "5", "Tools::search", 0)
        },
        EventRow {
            data_redacted: data(json!({ "worker": "7@host", "local": true })),
            ..failed(attempt(2))
        },
        EventRow {
            status: Status::Running,
            phase: Phase::Open,
            ended_at: None,
            latency_ms: None,
            ..attempt(3)
        },
        EventRow {
            data_redacted: data(json!({ "backoff_ms": 70000, "chain_attempt": 1 })),
            ..failed(row("activity", "6", "Tools::search", 0))
        },
        EventRow {
            parent_key: Some("activity:5:Tools::search:2".to_owned()),
            category: Some("model".to_owned()),
            model: Some("gpt-4o".to_owned()),
            input_tokens: Some(1000),
            output_tokens: Some(100),
            cost_usd: Some(0.5),
            ..row("model", "5.1", "answer", 2)
        },
        EventRow {
            category: Some("policy".to_owned()),
            ..row("policy", "5.2", "refunds", 2)
        },
        row("cache", "5.3", "lookup", 2),
        EventRow {
            data_redacted: data(json!({ "duration_ms": 1000 })),
            ..row("timer", "1", "timer", 1)
        },
        EventRow {
            data_redacted: data(json!({ "workflow_id": "pay-1", "run_id": "r9" })),
            ..row("child_workflow", "pay-1", "Payment", 1)
        },
        failed(row("child_workflow", "pay-2", "Payment", 1)),
        EventRow {
            category: Some("approval".to_owned()),
            data_redacted: data(json!({
                "_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            })),
            ..row("signal", "17", "approve", 1)
        },
        row("signal_external", "other", "approve", 1),
        row("cancel_external", "other", "cancel", 1),
        row("update", "u-1", "amend", 1),
        row("nexus_operation", "billing/Bills", "charge", 1),
        EventRow {
            data_redacted: data(json!({ "local": true })),
            ..row("activity", "7", "Tools::count", 0)
        },
        EventRow {
            status: Status::Canceled,
            error_type: Some("CanceledFailure".to_owned()),
            ..row("activity", "8", "Tools::search", 0)
        },
        row("cancel_request", "run", "cancel_requested", 1),
        row("patch", "v2", "patch", 1),
        row("marker", "Version", "Version", 1),
        // As `tracing` tells them.
        inner(
            "db",
            "SELECT orders",
            json!({ "db.system.name": "postgresql", "db.operation.name": "SELECT",
                "db.collection.name": "orders", "db_query_text": "sha256:0" }),
        ),
        failed(inner(
            "http",
            "POST /charges/{id}",
            json!({ "http.request.method": "POST", "url.template": "/charges/{id}",
                "server.address": "pay.example.com", "http.response.status_code": 503 }),
        )),
        inner(
            "publish",
            "send receipts",
            json!({ "messaging.system": "kafka", "messaging.operation.name": "send",
                "messaging.operation.type": "send", "messaging.destination.name": "receipts" }),
        ),
        inner(
            "messaging",
            "poll receipts",
            json!({ "messaging.system": "kafka", "messaging.operation.name": "poll" }),
        ),
        inner(
            "tool",
            "web.search",
            json!({ "tool.name": "web.search", "tool_query": "sha256:0" }),
        ),
        inner(
            "agent",
            "planner",
            json!({ "gen_ai.operation.name": "invoke_agent" }),
        ),
        inner("policy", "limits", json!({ "policy.decision": "allow" })),
    ];
    for kind in KINDS.iter().map(|(kind, ..)| *kind).chain(STEP_KINDS) {
        assert!(rows.iter().any(|row| row.kind == kind), "no {kind}");
    }
    spans.extend(rows.iter().map(span));
    let readable = SpanShape {
        content: true,
        ..shape()
    };
    let asked = inner(
        "model",
        "gpt-4o",
        json!({ "input": "Why?", "output": "So." }),
    );
    spans.push(event_span(&asked, (&run()).into(), &readable));
    let told = inner(
        "model",
        "claude",
        json!({ "data": { "messages": ["Why?"], "completion": "So.", "usage": {} } }),
    );
    spans.push(event_span(&told, (&run()).into(), &readable));
    spans.extend(requests());
    let texts: Vec<String> = spans.iter().map(text).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

/// What happens inside an attempt.
fn inner(kind: &str, name: &str, data: Value) -> EventRow {
    EventRow {
        parent_key: Some("activity:5:Tools::search:2".to_owned()),
        category: Some(kind.to_owned()),
        data_redacted: Some(data.to_string()),
        ..row(kind, "5.4", name, 2)
    }
}

/// Requests to a service with our layer: one that was answered, one that failed, one that nobody waited for.
fn requests() -> impl Iterator<Item = SpanData> {
    let own = context(trace_id(&run().trace_id), "00f067aa0ba902b7");
    let route = Some("/orders/{id}".to_owned());
    let answers = [
        (Answer::Status(201), route.clone()),
        (Answer::Status(503), route),
        (Answer::Error, None),
        (Answer::Gone, None),
    ];
    answers.into_iter().map(move |(answer, route)| {
        let seen = RequestSeen {
            span: own.clone(),
            parent: Some(SpanId::from(7)),
            method: "POST",
            route,
            bytes: Some(512),
            started_at: 2_000_000,
            latency: Duration::from_secs(1),
            answer,
        };
        request_span(&seen, &shape())
    })
}

#[test]
fn an_attempt_links_to_the_last_one_before_it_that_is_exported() {
    let linked = |n| {
        let span = span(&attempt(n));
        span.links.first().map(|link| link.span_context.span_id())
    };
    let id = |n: u32| {
        let key = format!("activity:5:Tools::search:{n}");
        SpanId::from_hex(&ids::span_id(&run().key, &key)).ok()
    };
    assert_eq!(linked(1), None);
    assert_eq!(linked(2), id(1));
    assert_eq!(linked(20), id(19));
    assert_eq!(linked(32), id(20));
    assert_eq!(linked(64), id(32));
}

#[test]
fn what_happens_in_an_attempt_that_is_not_exported_lies_under_its_step() {
    let inner = EventRow {
        parent_key: Some("activity:5:Tools::search:21".to_owned()),
        ..row("tool", "5.1", "search", 21)
    };
    let step = ids::span_id(&run().key, "activity:5:Tools::search:0");
    assert_eq!(span(&inner).parent_span_id.to_string(), step);
}

#[test]
fn an_attempt_that_a_stranger_called_lies_under_its_span() {
    let told = EventRow {
        data_redacted: Some(
            json!({ "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" })
                .to_string(),
        ),
        ..attempt(2)
    };
    assert_eq!(span(&told).parent_span_id.to_string(), "00f067aa0ba902b7");
    // What is no context says nothing.
    let wrong = EventRow {
        data_redacted: Some(json!({ "traceparent": "00-4bf9" }).to_string()),
        ..attempt(2)
    };
    assert_eq!(
        span(&wrong).parent_span_id,
        span(&attempt(2)).parent_span_id
    );
}

#[test]
fn a_run_that_was_called_lies_under_its_caller() {
    let called = RunRow {
        parent_span_id: Some("00f067aa0ba902b7".to_owned()),
        sampled_by: SampledBy::Parent,
        trigger: "retry".to_owned(),
        continued_from_run_id: Some("run-0".to_owned()),
        ..run()
    };
    let span = run_span(&called, Some(&called.trace_id), &shape());
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(span.links.len(), 1);
}

#[test]
fn a_caller_that_was_not_sampled_is_linked_and_no_parent() {
    let called = |trigger: &str| RunRow {
        parent_span_id: Some("00f067aa0ba902b7".to_owned()),
        sampled_by: SampledBy::Error,
        trigger: trigger.to_owned(),
        ..run()
    };
    let span = run_span(&called("client"), None, &shape());
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    let link = &span.links[0];
    assert_eq!(link.span_context.span_id().to_string(), "00f067aa0ba902b7");
    assert_eq!(link.attributes, [KeyValue::new(LINK, LINK_CALLED_BY)]);

    // What is tried again lies under what failed, which was recorded after all.
    let retried = RunRow {
        continued_from_run_id: Some("run-0".to_owned()),
        ..called("retry")
    };
    let before = ids::span_id(&RunKey::new("default", "order-1", "run-0"), "");
    let span = run_span(&retried, Some(&retried.trace_id), &shape());
    assert_eq!(span.parent_span_id.to_string(), before);

    // A workflow that called may be recorded after all as well, and most often is.
    let child = RunRow {
        parent: Some(RunKey::new("default", "order-0", "run-0")),
        ..called("parent")
    };
    let span = run_span(&child, None, &shape());
    assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
}

#[test]
fn a_reset_run_lies_under_the_first_one() {
    let reset = RunRow {
        trigger: "reset".to_owned(),
        first_execution_run_id: Some("run-0".to_owned()),
        ..run()
    };
    let first = ids::span_id(&RunKey::new("default", "order-1", "run-0"), "");
    let span = run_span(&reset, None, &shape());
    assert_eq!(span.parent_span_id.to_string(), first);
}

#[test]
fn a_trace_id_that_is_any_text_is_hashed() {
    let id = |text: &str| trace_id(text).to_string();
    assert_eq!(id(&run().trace_id), run().trace_id);
    // `printf order-7 | sha256sum`
    assert_eq!(id("order-7"), "df8cf80227ec3237922df0ecd88385c5");
    assert_ne!(id(&"0".repeat(32)), "0".repeat(32));
    assert_eq!(id("+bf92f3577b34da6a3ce929d0e0e4736").len(), 32);
}

#[test]
fn prompts_and_responses_are_an_event_where_they_are_readable() {
    let row = EventRow {
        category: Some("model".to_owned()),
        data_redacted: Some(json!({ "input": [{ "prompt": "hi" }], "output": "ho" }).to_string()),
        ..row("model", "5.1", "answer", 2)
    };
    assert_eq!(span(&row).events.len(), 0);
    let shape = SpanShape {
        content: true,
        ..shape()
    };
    let span = event_span(&row, (&run()).into(), &shape);
    let event = &span.events[0];
    let values: Vec<String> = (event.attributes.iter())
        .map(|a| a.value.to_string())
        .collect();
    assert_eq!(values, [r#"[{"prompt":"hi"}]"#, r#""ho""#]);
}

#[test]
fn limits_cut_and_count() {
    let mut shape = shape();
    shape.limits.attributes = 3;
    shape.limits.value_length = Some(2);
    shape.limits.events = 0;
    shape.limits.links = 0;
    let row = failed(attempt(2));
    let whole = span(&row);
    let cut = event_span(&row, (&run()).into(), &shape);
    assert_eq!(cut.attributes.len(), 3);
    let all = u32::try_from(whole.attributes.len()).unwrap_or_default();
    assert_eq!(cut.dropped_attributes_count, all - 3);
    assert_eq!(cut.attributes[0].value.to_string(), "or");
    assert_eq!((cut.events.len(), cut.events.dropped_count), (0, 1));
    assert_eq!((cut.links.len(), cut.links.dropped_count), (0, 1));
}

#[test]
fn a_span_never_ends_before_it_begins() {
    let row = EventRow {
        started_at: Some(4_000_000),
        ..attempt(1)
    };
    let span = span(&row);
    assert_eq!(span.start_time, span.end_time);
}
