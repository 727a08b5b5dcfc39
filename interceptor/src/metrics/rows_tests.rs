use omnitrace_store::key::EventKey;
use omnitrace_store::row::{Identity, Phase};
use opentelemetry_sdk::Resource;

use super::super::prometheus::text;
use super::*;

fn run_key() -> RunKey {
    RunKey::new("default", "order-1", "r1")
}

fn facts() -> RunFacts {
    RunFacts {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        tenant: Some("sha256:ab".to_owned()),
    }
}

fn row(key: &str) -> EventRow {
    EventRow {
        status: Status::Completed,
        phase: Phase::Closed,
        scheduled_at: Some(1_000_000),
        started_at: Some(2_000_000),
        ended_at: Some(4_000_000),
        latency_ms: Some(2_000),
        ..EventRow::new(run_key(), EventKey::parse(key).unwrap())
    }
}

fn failed(row: EventRow, error_type: &str) -> EventRow {
    EventRow {
        status: Status::Failed,
        error_type: Some(error_type.to_owned()),
        ..row
    }
}

fn inside(row: EventRow) -> EventRow {
    EventRow {
        category: Some(row.kind.clone()),
        parent_key: Some("activity:1:Llm::chat:1".to_owned()),
        ..row
    }
}

/// The lines that count, without buckets and what they mean.
fn lines(measure: impl FnOnce(&Registry, &mut Inside)) -> Vec<String> {
    let registry = Registry::new(Resource::builder_empty().build());
    measure(&registry, &mut Inside::default());
    let text = text(&registry.collect());
    let lines = text.lines();
    lines
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"))
        .map(ToOwned::to_owned)
        .collect()
}

fn of_events(rows: &[EventRow]) -> Vec<String> {
    lines(|registry, inside| {
        for row in rows {
            event(registry, inside, row, &facts(), None);
        }
    })
}

#[test]
fn an_attempt_is_a_job_of_its_own_queue() {
    let own = EventRow {
        data_redacted: Some(r#"{"task_queue": "mail", "input": {}}"#.to_owned()),
        ..row("activity:1:Mail::send:1")
    };
    assert_eq!(
        of_events(&[own, failed(row("activity:2:Mail::send:3"), "Bounced")]),
        [
            r#"queue_job_failures_total{error_type="Bounced",job="Mail::send",queue="orders"} 1"#,
            r#"queue_job_latency_seconds_sum{job="Mail::send",queue="mail"} 3"#,
            r#"queue_job_latency_seconds_count{job="Mail::send",queue="mail"} 1"#,
            r#"queue_job_latency_seconds_sum{job="Mail::send",queue="orders"} 3"#,
            r#"queue_job_latency_seconds_count{job="Mail::send",queue="orders"} 1"#,
        ]
    );
}

#[test]
fn a_step_tells_only_of_timeouts_that_no_attempt_could() {
    let steps = [
        row("activity:1:A::a:0"),
        failed(row("activity:2:A::a:0"), "Bounced"),
        failed(row("activity:3:A::a:0"), "TimeoutFailure.ScheduleToStart"),
        failed(row("activity:4:A::a:0"), "TimeoutFailure.StartToClose"),
        row("timer:1:timer:1"),
        row("child_workflow:c:Child:1"),
    ];
    assert_eq!(
        of_events(&steps),
        [
            r#"queue_job_failures_total{error_type="TimeoutFailure.ScheduleToStart",job="A::a",queue="orders"} 1"#
        ]
    );
}

#[test]
fn a_call_that_is_told_inside_an_attempt_counts_once() {
    let chat = || EventRow {
        category: Some("model".to_owned()),
        model: Some("mini".to_owned()),
        ..row("activity:1:Llm::chat:1")
    };
    let told = EventRow {
        model: Some("mini".to_owned()),
        ..inside(row("model:1.1:mini:1"))
    };
    let calls = |rows: &[EventRow]| {
        let lines = of_events(rows).into_iter();
        lines
            .filter(|line| {
                line.starts_with("external_api_calls") || line.contains("_duration_seconds_count")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        calls(&[told, chat()]),
        [
            r#"external_api_calls_total{category="model",operation="mini"} 1"#,
            r#"external_api_duration_seconds_count{category="model",operation="mini"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="mini"} 1"#,
        ]
    );
    let tool = failed(inside(row("tool:1.1:search:1")), "Refused");
    let policy = inside(row("policy:1.2:limits:1"));
    assert_eq!(
        calls(&[tool, policy, chat()]),
        [
            r#"external_api_calls_total{category="model",operation="Llm::chat"} 1"#,
            r#"external_api_calls_total{category="tool",operation="search"} 1"#,
            r#"external_api_duration_seconds_count{category="model",operation="Llm::chat"} 1"#,
            r#"external_api_duration_seconds_count{category="tool",operation="search"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="mini"} 1"#,
        ]
    );
}

#[test]
fn a_run_tells_its_status_duration_and_queue() {
    let ended = |trigger: &str| RunRow {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        status: Status::TimedOut,
        started_at: Some(1_000_000),
        closed_at: Some(3_500_000),
        trigger: trigger.to_owned(),
        tenant: Some(Identity::default()),
        ..RunRow::new(run_key())
    };
    let traces = [
        r#"traces_duration_sum{job="Order"} 2.5"#,
        r#"traces_duration_count{job="Order"} 1"#,
        r#"traces_total{job="Order",status="timed_out"} 1"#,
    ];
    let jobs = [
        r#"queue_job_failures_total{error_type="timed_out",job="Order",queue="orders"} 1"#,
        r#"queue_job_latency_seconds_sum{job="Order",queue="orders"} 2.5"#,
        r#"queue_job_latency_seconds_count{job="Order",queue="orders"} 1"#,
    ];
    let of_client = lines(|registry, _| run(registry, &ended("client"), None));
    assert_eq!(of_client, [&jobs[..], &traces].concat());
    let standalone = lines(|registry, _| run(registry, &ended("activity"), None));
    assert_eq!(standalone, traces);
}

#[test]
fn what_is_stored_nowhere_costs_once_too() {
    let used = |row: EventRow| EventRow {
        model: Some("mini".to_owned()),
        input_tokens: Some(10),
        output_tokens: Some(5),
        cost_usd: Some(0.25),
        ..row
    };
    let rows = [
        used(inside(row("model:1.1:mini:1"))),
        used(row("activity:1:Llm::chat:1")),
        used(row("activity:1:Llm::chat:0")),
        // The attempt says nothing of tokens, but what happened inside does.
        EventRow {
            parent_key: Some("activity:2:Llm::chat:1".to_owned()),
            ..used(inside(row("model:2.1:mini:1")))
        },
        row("activity:2:Llm::chat:1"),
        // Told by hand.
        used(row("model:3:mini:1")),
    ];
    let lines = lines(|registry, inside| {
        unstored(registry, inside, rows.iter(), &facts(), |_| None);
    });
    let sums: Vec<&str> = (lines.iter().map(String::as_str))
        .filter(|line| line.contains("cost_usd") || line.contains("token_usage_sum"))
        .collect();
    assert_eq!(
        sums,
        [
            r#"gen_ai_client_token_usage_sum{gen_ai_request_model="mini",gen_ai_token_type="input"} 30"#,
            r#"gen_ai_client_token_usage_sum{gen_ai_request_model="mini",gen_ai_token_type="output"} 15"#,
            r#"token_cost_usd{model="mini",tenant="sha256:ab"} 0.75"#,
            r#"workflow_cost_usd{job="Order",tenant="sha256:ab"} 0.75"#,
        ]
    );
}

#[test]
fn a_hundred_thousand_runs_of_random_ids_have_the_series_of_one() {
    let registry = Registry::new(Resource::builder_empty().build());
    let mut inside = Inside::default();
    let mut traces = Traces::default();
    for n in 1..=100_000_u64 {
        // Spread over all numbers, and none twice.
        let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = RunKey::new("default", format!("order-{id:x}"), format!("run-{id:x}"));
        let of_run = |row: EventRow| EventRow {
            run: key.clone(),
            span_id: format!("{id:016x}"),
            ..row
        };
        traces.follow(&key, &format!("{id:032x}"));
        let events = [
            of_run(self::inside(row("db:1.1:SELECT orders:1"))),
            // Of this one the attempt never ends.
            of_run(EventRow {
                parent_key: Some("activity:2:Llm::chat:1".to_owned()),
                ..self::inside(row("tool:2.1:books:1"))
            }),
            of_run(failed(row("activity:1:Llm::chat:1"), "Bounced")),
        ];
        // Of a part of them, which is more than are remembered.
        for row in events.iter().filter(|_| n % 5 == 0) {
            let of = traces.of(&row.run, &row.span_id);
            event(&registry, &mut inside, row, &facts(), of);
        }
        let ended = RunRow {
            workflow_type: "Order".to_owned(),
            task_queue: "orders".to_owned(),
            started_at: Some(1_000_000),
            closed_at: Some(2_000_000),
            status: Status::Failed,
            ..RunRow::new(key)
        };
        run(&registry, &ended, None);
    }
    for metric in ALL {
        // Of a job and a run, or a call and another.
        assert!(registry.series_of(metric) <= 2, "{}", metric.name);
    }
    let kept = registry.exemplars(&QUEUE_JOB_LATENCY);
    assert!(kept.len() <= 2 && inside.attempts.len() <= MAX_OPEN_ATTEMPTS);
    let text = text(&registry.collect());
    assert!(
        text.contains("traces_total{job=\"Order\",status=\"failed\"} 100000\n"),
        "{text}"
    );
}
