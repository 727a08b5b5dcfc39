use omnitrace_store::row::{EventRow, Status};
use serde_json::json;
use tracing::Instrument;
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::attempt::{self, AttemptSeen};
use crate::policy::{Policy, PolicySettings};
use crate::queue::Observation;

/// Rows of what is traced inside an attempt.
async fn traced(code: impl Future<Output = ()>) -> Vec<EventRow> {
    let (current, mut items) = Current::of_test(Attempt::of_test("order-1"));
    let subscriber = tracing_subscriber::registry().with(layer());
    let guard = tracing::subscriber::set_default(subscriber);
    // Before and after it is outside.
    tracing::info_span!("before", db.system.name = "sqlite").in_scope(|| ());
    current.scope(code).await;
    tracing::info!(tool.name = "after");
    drop(guard);
    let policy = Policy::new(PolicySettings::default());
    let mut rows = Vec::new();
    while let Some(item) = items.try_recv() {
        let Observation::Attempt(of, seen) = item.observation else {
            panic!("only of the attempt");
        };
        assert!(matches!(seen, AttemptSeen::Inner(_)));
        if attempt::offered(&of, &seen) {
            rows.push(attempt::rows(&of, seen, &policy).0);
        }
    }
    rows.sort_by_key(|row| row.step.clone());
    rows
}

fn keys(rows: &[EventRow]) -> Vec<&str> {
    rows.iter().map(|row| row.event_key.as_str()).collect()
}

fn data(row: &EventRow) -> Value {
    serde_json::from_str(row.data_redacted.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn spans_of_the_conventions_become_events_and_lie_where_they_lay() {
    let rows = traced(async {
        let chat = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o",
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.input.messages = r#"[{"role":"user","content":"secret question"}]"#,
        );
        let answered = chat.clone();
        async {
            // What is not understood lies between and is not there.
            let between = tracing::info_span!("between", n = 1);
            async {
                tracing::info_span!(
                    "search",
                    tool.name = "web.search",
                    tool.query = "my password"
                )
                .in_scope(|| tracing::info!(policy.name = "limits", policy.decision = "allow"));
                tokio::task::yield_now().await;
            }
            .instrument(between)
            .await;
            answered.record("gen_ai.usage.input_tokens", 1000);
            answered.record("gen_ai.usage.output_tokens", 100);
        }
        .instrument(chat)
        .await;
        drop(answered);
        tracing::info_span!(
            "query",
            db.operation.name = "SELECT",
            db.collection.name = "orders"
        )
        .in_scope(|| ());
        tracing::info_span!("own", omnitrace.kind = "cache", key = 5).in_scope(|| ());
    })
    .await;
    assert_eq!(
        keys(&rows),
        [
            "model:7.1:gpt-4o:2",
            "tool:7.2:web.search:2",
            "policy:7.3:limits:2",
            "db:7.4:SELECT orders:2",
            "cache:7.5:own:2",
        ]
    );
    let attempt = Some("activity:7:Tools::search:2");
    let parents: Vec<Option<&str>> = rows.iter().map(|row| row.parent_key.as_deref()).collect();
    assert_eq!(
        parents,
        [
            attempt,
            Some(keys(&rows)[0]),
            Some(keys(&rows)[1]),
            attempt,
            attempt
        ]
    );
    let model = &rows[0];
    assert_eq!(model.model.as_deref(), Some("gpt-4o"));
    assert_eq!(
        (model.input_tokens, model.output_tokens),
        (Some(1000), Some(100))
    );
    assert_eq!(model.cost_usd, Some(0.0035));
    assert!(rows.iter().all(|row| row.status == Status::Completed));
    // An event takes no time.
    assert_eq!(
        rows.iter().filter(|row| row.latency_ms.is_none()).count(),
        1
    );
    let all: String = rows
        .iter()
        .filter_map(|row| row.data_redacted.clone())
        .collect();
    assert!(
        !all.contains("secret question") && !all.contains("my password"),
        "{all}"
    );
    assert_eq!(data(&rows[2])["policy.decision"], "allow");
    assert_eq!(data(&rows[3])["db.collection.name"], "orders");
    assert!(
        data(&rows[1])["data"]["tool_query"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
}

#[tokio::test]
async fn what_failed_says_why() {
    let rows = traced(async {
        let span = tracing::info_span!(
            "GET",
            http.request.method = "GET",
            server.address = "shop.example",
            http.response.status_code = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        span.record("http.response.status_code", 503);
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", "no answer for bob@example.com");
        drop(span);
        tracing::error!(messaging.system = "nats", messaging.operation.name = "publish", error.type = "Timeout");
    })
    .await;
    assert_eq!(
        keys(&rows),
        ["http:7.1:GET shop.example:2", "publish:7.2:publish:2"]
    );
    assert!(rows.iter().all(|row| row.status == Status::Failed));
    assert_eq!(rows[0].error_type.as_deref(), Some("error"));
    let message = rows[0].error_message.as_deref().unwrap();
    assert!(
        message.starts_with("no answer for ") && !message.contains("bob@"),
        "{message}"
    );
    assert_eq!(data(&rows[0])["http.response.status_code"], 503);
    assert_eq!(
        (rows[1].error_type.as_deref(), &rows[1].error_message),
        (Some("Timeout"), &None)
    );
}

#[tokio::test]
async fn an_attempt_has_its_number_of_events_and_no_more() {
    let rows = traced(async {
        for n in 0..200 {
            tracing::info_span!("call", tool.name = "t", n).in_scope(|| ());
        }
    })
    .await;
    assert_eq!(rows.len(), 50);
}

#[tokio::test]
async fn nothing_but_what_is_understood_is_touched_and_no_panic_gets_out() {
    struct Wild;
    impl std::fmt::Debug for Wild {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("wild")
        }
    }
    let rows = traced(async {
        tracing::info_span!("plain", n = 1).in_scope(|| tracing::info!(n = 2, "plain"));
        tracing::info!(tool.name = "t", wild = ?Wild);
        tracing::info!(omnitrace.kind = "Not a kind", "x");
        let name = "a@b.example";
        tracing::info!(tool.name = name, big = "x".repeat(MAX_FIELD_BYTES));
    })
    .await;
    let found: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.kind, &*row.name)).collect();
    assert_eq!(found[0], ("tool", "t"));
    assert_eq!(found[1].0, "span");
    // An address is no name; the event's own stands for it.
    assert!(
        found[2].0 == "tool" && !found[2].1.contains('@'),
        "{found:?}"
    );
    assert_eq!(found.len(), 3);
}

#[test]
fn kinds_and_names_come_from_the_first_convention_that_is_understood() {
    let identity = |fields: Value| {
        let Value::Object(fields) = fields else {
            panic!("an object")
        };
        conventions::identity("own", &fields)
    };
    for (fields, kind, name) in [
        (
            json!({ "gen_ai.tool.name": "calc", "db.system": "x" }),
            "tool",
            "calc",
        ),
        (
            json!({ "gen_ai.operation.name": "invoke_agent" }),
            "agent",
            "own",
        ),
        (json!({ "gen_ai.system": "openai" }), "model", "own"),
        (
            json!({ "db.query.summary": "SELECT orders" }),
            "db",
            "SELECT orders",
        ),
        (
            json!({ "db.system.name": "sqlite", "otel.name": "lookup" }),
            "db",
            "lookup",
        ),
        (
            json!({ "messaging.operation.type": "send", "messaging.destination.name": "mail" }),
            "publish",
            "mail",
        ),
        (
            json!({ "messaging.operation.type": "receive" }),
            "messaging",
            "own",
        ),
        (
            json!({ "http.request.method": "GET", "url.template": "/orders/{id}" }),
            "http",
            "GET /orders/{id}",
        ),
        (
            json!({ "omnitrace.kind": "approval", "tool.name": "t" }),
            "approval",
            "own",
        ),
    ] {
        assert_eq!(
            identity(fields.clone()),
            (kind.to_owned(), name.to_owned()),
            "{fields}"
        );
    }
}
