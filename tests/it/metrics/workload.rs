//! A workload, and what is measured of it.

use std::time::Duration;

use futures_util::future::join_all;
use omnitrace::policy::Policy;
use omnitrace_tests::unique;
use serde_json::json;
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::MemoValues;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::probes::{Asker, Probes, Trial, Tried, tried};
use crate::workflows::{Acts, options};

struct Books;

#[activities]
impl Books {
    /// Tells of what it does.
    #[activity]
    async fn look_up(_ctx: ActivityContext, _: ()) -> Result<(), ActivityError> {
        let time = Duration::from_millis(250);
        omnitrace::record_event("db", "SELECT books", Some(time), json!({}));
        omnitrace::record_event("db", "SELECT books", None, json!({}));
        omnitrace::record_event("policy", "may read", Some(time), json!({}));
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Reader;

#[workflow_methods]
impl Reader {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, nobody: String) -> WorkflowResult<()> {
        // Nobody takes it, so its step alone tells; and the tasks after replay its end.
        let in_vain = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .schedule_to_start_timeout(Duration::from_millis(100))
            .task_queue(nobody)
            .build();
        let untaken = ctx.execute_activity(Books::look_up, (), in_vain).await;
        assert!(untaken.is_err(), "it timed out");
        ctx.execute_activity(Books::look_up, (), options()).await?;
        Ok(())
    }
}

/// Schedules activities in a queue of nobody's.
#[workflow]
#[derive(Default)]
pub(crate) struct Waiter;

#[workflow_methods]
impl Waiter {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, queue: String) -> WorkflowResult<()> {
        let wait = |_| {
            let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(60))
                .task_queue(queue.clone())
                .build();
            ctx.execute_activity(Acts::echo, String::new(), options)
        };
        // Of more futures at once each would wake by itself, which a workflow must not do.
        let tens = (0..5).map(|_| join_all((0..10).map(wait)));
        join_all(tens).await;
        Ok(())
    }
}

pub(super) fn worker(queue: &str, cached: usize) -> WorkerOptions {
    WorkerOptions::new(queue)
        .max_cached_workflows(cached)
        .register_activities(Acts)
        .register_activities(Books)
        .register_activities(Probes)
        .register_workflow::<Asker>()
        .and_then(|options| options.register_workflow::<Reader>())
        .and_then(|options| options.register_workflow::<Tried>())
        .and_then(|options| options.register_workflow::<Waiter>())
        .expect("workflows")
        .build()
}

/// Runs one of each; gives their workflow ids.
pub(super) async fn workload(client: &Client, queue: &str) -> [String; 4] {
    let good = Trial {
        good: 3,
        attempts: 3,
        ..Trial::default()
    };
    let good = tried(client, queue, good).await;
    let fails = Trial {
        fail: true,
        ..Trial::good()
    };
    let failed = tried(client, queue, fails).await;
    let (asked, looked) = (unique("asker"), unique("reader"));
    let mut memo = MemoValues::new();
    memo.insert("tenant_id", json!("acme"));
    let start = WorkflowStartOptions::new(queue, &asked).memo(memo).build();
    let handle = client.start_workflow(Asker::run, json!({ "prompt": "?" }), start);
    let result = handle.await.expect("started");
    let result = result.get_result(WorkflowGetResultOptions::default());
    result.await.expect("completed");
    let start = WorkflowStartOptions::new(queue, &looked).build();
    let handle = client.start_workflow(Reader::run, nobody(queue), start);
    let result = handle.await.expect("started");
    let result = result.get_result(WorkflowGetResultOptions::default());
    result.await.expect("completed");
    [good, failed, asked, looked]
}

/// A queue without a worker.
fn nobody(queue: &str) -> String {
    format!("{queue}-nobody")
}

/// What the workload says, once.
pub(super) fn expected(queue: &str) -> Vec<(String, f64)> {
    let tenant = Policy::new(Default::default()).identity("acme");
    let mut expected = vec![
        (r#"external_api_calls_total{category="db",operation="SELECT books"}"#.to_owned(), 2.0),
        (r#"external_api_calls_total{category="model",operation="Probes::chat"}"#.to_owned(), 1.0),
        (r#"external_api_calls_total{category="model",operation="Probes::draft"}"#.to_owned(), 1.0),
        (r#"external_api_calls_total{category="tool",operation="Probes::upstream"}"#.to_owned(), 4.0),
        (r#"external_api_duration_seconds_count{category="db",operation="SELECT books"}"#.to_owned(), 1.0),
        (r#"external_api_duration_seconds_count{category="model",operation="Probes::chat"}"#.to_owned(), 1.0),
        (r#"external_api_duration_seconds_count{category="model",operation="Probes::draft"}"#.to_owned(), 1.0),
        (r#"external_api_duration_seconds_count{category="tool",operation="Probes::upstream"}"#.to_owned(), 4.0),
        (r#"external_api_errors_total{category="tool",error_type="Upstream",operation="Probes::upstream"}"#.to_owned(), 2.0),
        (r#"gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="gpt-4o"}"#.to_owned(), 1.0),
        (r#"gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="unknown"}"#.to_owned(), 1.0),
        (r#"gen_ai_client_token_usage_count{gen_ai_request_model="gpt-4o",gen_ai_token_type="input"}"#.to_owned(), 1.0),
        (r#"gen_ai_client_token_usage_count{gen_ai_request_model="gpt-4o",gen_ai_token_type="output"}"#.to_owned(), 1.0),
        (r#"gen_ai_client_token_usage_sum{gen_ai_request_model="gpt-4o",gen_ai_token_type="input"}"#.to_owned(), 1000.0),
        (r#"gen_ai_client_token_usage_sum{gen_ai_request_model="gpt-4o",gen_ai_token_type="output"}"#.to_owned(), 100.0),
        (format!(r#"queue_job_failures_total{{error_type="Told",job="Tried",queue="{queue}"}}"#), 1.0),
        (format!(r#"queue_job_failures_total{{error_type="Upstream",job="Probes::upstream",queue="{queue}"}}"#), 2.0),
        (r#"traces_duration_count{job="Asker"}"#.to_owned(), 1.0),
        (r#"traces_duration_count{job="Reader"}"#.to_owned(), 1.0),
        (r#"traces_duration_count{job="Tried"}"#.to_owned(), 2.0),
        (r#"traces_total{job="Asker",status="completed"}"#.to_owned(), 1.0),
        (r#"traces_total{job="Reader",status="completed"}"#.to_owned(), 1.0),
        (r#"traces_total{job="Tried",status="completed"}"#.to_owned(), 1.0),
        (r#"traces_total{job="Tried",status="failed"}"#.to_owned(), 1.0),
        // 1000 tokens at 2.50 and 100 at 10 dollars a million.
        (format!(r#"token_cost_usd{{model="gpt-4o",tenant="{tenant}"}}"#), 0.0035),
        (format!(r#"workflow_cost_usd{{job="Asker",tenant="{tenant}"}}"#), 0.0035),
    ];
    let untaken = nobody(queue);
    let untaken = format!(
        r#"queue_job_failures_total{{error_type="TimeoutFailure.ScheduleToStart",job="Books::look_up",queue="{untaken}"}}"#
    );
    expected.push((untaken, 1.0));
    for (job, jobs) in [
        ("Asker", 1.0),
        ("Books::look_up", 1.0),
        ("Probes::chat", 1.0),
        ("Probes::draft", 1.0),
        ("Probes::upstream", 4.0),
        ("Reader", 1.0),
        ("Tried", 2.0),
    ] {
        let series = format!(r#"queue_job_latency_seconds_count{{job="{job}",queue="{queue}"}}"#);
        expected.push((series, jobs));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    expected
}
