//! Metrics of a known workload, as Prometheus reads them and a collector is sent them.

mod sent;
mod workload;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omnitrace::Counter;
use omnitrace::config::{Backend, DatabaseTarget, Endpoint, Settings};
use omnitrace::metrics::names;
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, assert_accounted, beside, client_with, database,
    eventually, unique,
};
use serde_json::json;
use temporalio_client::{
    ClientOptions, WorkflowExecuteUpdateOptions, WorkflowQueryOptions, WorkflowStartOptions,
};
use temporalio_common::UntypedWorkflow;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use crate::replay::replay_into;
use workload::{Waiter, expected, worker, workload};

/// Settings with metrics at a port of its own.
fn measuring(settings: Settings) -> Settings {
    let mut telemetry = settings.telemetry.clone();
    telemetry.enabled = true;
    telemetry.backends.insert(Backend::Prom);
    telemetry.prom_port = Some(0);
    settings
        .with_telemetry(telemetry)
        .with_categories("model=Probes::chat,Probes::draft;tool=Probes::upstream")
        .expect("rules")
}

/// What is read at the endpoint: values by series, without buckets.
async fn read(recording: &Recording) -> BTreeMap<String, f64> {
    let address = recording
        .omnitrace
        .metrics()
        .address()
        .expect("an endpoint");
    let url = format!("http://{address}/metrics");
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = ureq::get(url).call().expect("an answer");
        answer.body_mut().read_to_string().expect("text")
    });
    let text = asked.await.expect("asked");
    (text.lines())
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// Those that the runs of a workload are measured by, but for how long things took.
fn of_runs(read: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let is_time = |series: &str| series.contains("_sum{") && !series.contains("token_usage");
    let own = ["omnitrace_", "target_info", "queue_depth_total"];
    (read.iter())
        .filter(|(series, _)| !is_time(series) && !own.iter().any(|own| series.starts_with(own)))
        .map(|(series, value)| (series.clone(), *value))
        .collect()
}

/// What these measured together.
async fn measured(recordings: &[&Recording]) -> Vec<(String, f64)> {
    let mut sum = BTreeMap::new();
    for recording in recordings {
        for (series, value) in of_runs(&read(recording).await) {
            *sum.entry(series).or_default() += value;
        }
    }
    sum.into_iter().collect()
}

/// Is asked, and asked to change.
#[workflow]
#[derive(Default)]
struct Oracle {
    told: bool,
}

#[workflow_methods]
impl Oracle {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        ctx.wait_condition(|oracle| oracle.told).await?;
        Ok(())
    }

    #[query]
    fn ask(&self, _ctx: &WorkflowContextView) -> bool {
        self.told
    }

    #[update]
    fn tell(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _truth: bool) {
        self.told = true;
    }

    #[update_validator(tell)]
    fn validate_tell(
        &self,
        _ctx: &WorkflowContextView,
        truth: &bool,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        truth.then_some(()).ok_or_else(|| "that is no truth".into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_rejected_updates_are_counted_and_no_replay_counts_them_again() {
    let recording = Recording::with(measuring);
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        // Each task replays the run.
        .max_cached_workflows(0)
        .register_workflow::<Oracle>()
        .expect("a workflow")
        .build();
    let running = RunningWorker::start(client.clone(), options);
    let id = unique("oracle");
    beside(running, async {
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Oracle::run, (), start).await;
        let handle = handle.expect("started");
        for _ in 0..3 {
            let query = handle.query(Oracle::ask, (), WorkflowQueryOptions::default());
            assert!(!query.await.expect("answered"));
        }
        let update = |truth| {
            let options = WorkflowExecuteUpdateOptions::default();
            handle.execute_update(Oracle::tell, truth, options)
        };
        assert!(update(false).await.is_err() && update(false).await.is_err());
        update(true).await.expect("told");
        recording.closed(&id).await;
    })
    .await;
    let read = read(&recording).await;
    let of = |name: &str| read.get(&format!(r#"{name}{{job="Oracle"}}"#)).copied();
    assert_eq!(of("omnitrace_queries_total"), Some(3.0));
    assert_eq!(of("omnitrace_updates_rejected_total"), Some(2.0));
    recording.assert_accounted().await;
}

async fn assert_measured(recordings: &[&Recording], queue: &str) {
    let expected = expected(queue);
    eventually("all is measured", async || {
        (measured(recordings).await.len() >= expected.len()).then_some(())
    })
    .await;
    for recording in recordings {
        recording.assert_accounted().await;
    }
    assert_eq!(measured(recordings).await, expected);
}

/// Checks that jobs and runs took as long as their rows say.
async fn assert_durations(recording: &Recording, queue: &str) {
    let stored = recording.stored().await;
    let seconds = |from: Option<i64>, to: Option<i64>| {
        (to.expect("it ended") - from.expect("it began")) as f64 / 1e6
    };
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for run in stored.runs().await {
        let job = &run.workflow_type;
        let took = seconds(run.started_at, run.closed_at);
        let of_run = format!(r#"traces_duration_sum{{job="{job}"}}"#);
        let of_job = format!(r#"queue_job_latency_seconds_sum{{job="{job}",queue="{queue}"}}"#);
        for series in [of_run, of_job] {
            *expected.entry(series).or_default() += took;
        }
        let events = stored.events(&run).await;
        let attempts = events
            .iter()
            .filter(|row| row.kind == "activity" && row.attempt > 0);
        for row in attempts {
            let job = &row.name;
            let took = seconds(row.scheduled_at.or(row.started_at), row.ended_at);
            let series = format!(r#"queue_job_latency_seconds_sum{{job="{job}",queue="{queue}"}}"#);
            *expected.entry(series).or_default() += took;
        }
    }
    let told = r#"external_api_duration_seconds_sum{category="db",operation="SELECT books"}"#;
    expected.insert(told.to_owned(), 0.25);
    let read = read(recording).await;
    for (series, expected) in expected {
        let measured = read[&series];
        assert!(
            (measured - expected).abs() < 1e-6,
            "{series}: {measured}, not {expected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_metric_of_a_known_workload_has_its_value_and_a_replay_adds_nothing() {
    let recording = Recording::with(measuring);
    let client = recording.client().await;
    let queue = unique("queue");
    // Every task is replayed from the beginning.
    let running = RunningWorker::start(client.clone(), worker(&queue, 0));
    let ids = beside(running, workload(&client, &queue)).await;
    for id in &ids {
        recording.closed(id).await;
    }
    assert_measured(&[&recording], &queue).await;
    assert_durations(&recording, &queue).await;
    for id in &ids[..2] {
        replay_into(&recording, &client, id).await;
    }
    assert_measured(&[&recording], &queue).await;

    // And by another process that shares the store.
    let url = DatabaseTarget::Url(database(recording.folder()));
    let other = Recording::with(|settings| measuring(settings).with_database(url));
    for id in &ids[..2] {
        replay_into(&other, &client, id).await;
    }
    other.assert_accounted().await;
    let unchanged = other.omnitrace.counter(Counter::RowsUnchanged);
    assert!(unchanged > 0, "it offered what is stored");
    assert_eq!(of_runs(&read(&other).await), []);

    let read = read(&recording).await;
    let counted = |counter| recording.omnitrace.counter(counter) as f64;
    assert_eq!(read["omnitrace_stored_total"], counted(Counter::RowsStored));
    assert_eq!(
        read["omnitrace_unchanged_total"],
        counted(Counter::RowsUnchanged)
    );
    assert_eq!(read["omnitrace_sampled_out_total"], 0.0);
    assert_eq!(read[r#"omnitrace_dropped_total{reason="queue_full"}"#], 0.0);
    assert_eq!(read["omnitrace_sample_rate_configured"], 1.0);
    assert_eq!(read["omnitrace_sample_rate_actual"], 1.0);
    assert_eq!(read["omnitrace_live_recorders"], 0.0);
    assert_eq!(read[r#"omnitrace_breaker_open{dependency="store"}"#], 0.0);
    assert!(read["omnitrace_flush_seconds_count"] > 0.0);
    assert!(
        !read.contains_key("omnitrace_collector_up"),
        "there is none"
    );
    let offered = read["omnitrace_offered_total"];
    assert_eq!(offered, counted(Counter::RowsOffered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_recorders_that_see_the_same_one_counts_each_row() {
    let one = Recording::with(measuring);
    let url = DatabaseTarget::Url(database(one.folder()));
    let other = Recording::with(|settings| measuring(settings).with_database(url));
    let plugins = ClientOptions::new(NAMESPACE)
        .plugin(one.omnitrace.plugin())
        .plugin(other.omnitrace.plugin());
    let client = client_with(plugins.build()).await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue, 0));
    beside(running, workload(&client, &queue)).await;
    assert_measured(&[&one, &other], &queue).await;
    let stored = |recording: &Recording| recording.omnitrace.counter(Counter::RowsStored);
    assert!(stored(&one) > 0 && stored(&other) > 0, "both recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_has_data_under_its_name() {
    let recording = Recording::with(|settings| {
        let mut settings = measuring(settings);
        settings.telemetry.backends.insert(Backend::Otel);
        settings.telemetry.otlp.endpoint = Endpoint::parse("http://127.0.0.1:1");
        settings.telemetry.batching.schedule_delay_ms = 50;
        settings
    });
    let metrics = recording.omnitrace.metrics();
    metrics.http_request(
        "get",
        "/orders/{id}",
        201,
        Duration::from_millis(20),
        Some(512),
    );
    metrics.http_request("BREW", "/pots", 999, Duration::from_millis(20), None);
    metrics.trace_fetched(Duration::from_millis(3));
    metrics.clients_may_be_cut(&["slow", "stuck"]);
    metrics.client_cut("slow");
    for n in 0..1000 {
        metrics.http_request("GET", &format!("/{n}"), 200, Duration::ZERO, None);
    }
    let client = recording.client().await;
    recording.omnitrace.reconcile(&client);
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue, 100));
    let found = beside(running, async {
        workload(&client, &queue).await;
        let expected: Vec<&str> = names::ALL.iter().map(|metric| metric.name).collect();
        eventually("all of them are there", async || {
            let read = read(&recording).await;
            let has = |name: &&&str| {
                let after = |series: &String| {
                    series.strip_prefix(**name).is_some_and(|rest| {
                        rest.is_empty() || rest.starts_with('{') || rest.starts_with("_count")
                    })
                };
                read.keys().any(after)
            };
            expected.iter().all(|name| has(&name)).then_some(read)
        })
        .await
    })
    .await;
    let series = r#"http_requests_total{method="GET",route="/orders/{id}",status_class="2xx"}"#;
    assert_eq!(found[series], 1.0);
    let other = r#"http_requests_total{method="_OTHER",route="/pots",status_class="other"}"#;
    assert_eq!(found[other], 1.0);
    let size = r#"http_request_size_bytes_sum{method="GET",route="/orders/{id}"}"#;
    assert_eq!(found[size], 512.0);
    let rest = r#"http_requests_total{method="other",route="other",status_class="2xx"}"#;
    assert!(found[rest] > 500.0, "{found:#?}");
    let overflow = r#"omnitrace_series_overflow_total{metric="http_requests_total"}"#;
    assert_eq!(found[overflow], found[rest]);
    let took = r#"http_request_duration_seconds_sum{method="GET",route="/orders/{id}",status_class="2xx"}"#;
    assert_eq!(found[took], 0.02);
    assert_eq!(found["omnitrace_trace_fetch_seconds_count"], 1.0);
    for (reason, cut) in [("slow", 1.0), ("stuck", 0.0)] {
        let series = format!(r#"omnitrace_clients_cut_total{{reason="{reason}"}}"#);
        assert_eq!(found[&series], cut, "{reason}");
    }
    assert_eq!(found["omnitrace_trace_fetch_seconds_sum"], 0.003);
    let down = eventually("the collector does not answer", async || {
        read(&recording)
            .await
            .get("omnitrace_collector_up")
            .copied()
    });
    assert_eq!(down.await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_workers_stopped_the_depth_is_what_waits() {
    let recording = Recording::with(measuring);
    let client = recording.client().await;
    recording.omnitrace.reconcile(&client);
    let (queue, others) = (unique("queue"), unique("others"));
    // It was there, and is gone.
    let gone = RunningWorker::start(client.clone(), worker(&others, 10));
    beside(gone, async {}).await;
    let running = RunningWorker::start(client.clone(), worker(&queue, 10));
    let id = unique("waiter");
    beside(running, async {
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let started = client.start_workflow(Waiter::run, others.clone(), start);
        started.await.expect("started");
        let handle = client.get_workflow_handle::<UntypedWorkflow>(&id);
        eventually("the activities are scheduled", async || {
            let history = handle.fetch_history(Default::default());
            let events = history.into_events().await.ok()?;
            (events.len() >= 50).then_some(())
        })
        .await;
    })
    .await;
    let depth = format!(r#"queue_depth_total{{kind="activity",queue="{others}"}}"#);
    eventually("50 are told to wait", async || {
        (read(&recording).await.get(&depth) == Some(&50.0)).then_some(())
    })
    .await;
    let none = format!(r#"queue_depth_total{{kind="workflow",queue="{others}"}}"#);
    assert_eq!(read(&recording).await[&none], 0.0);
    let handle = client.get_workflow_handle::<UntypedWorkflow>(&id);
    handle
        .terminate(Default::default())
        .await
        .expect("terminated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_are_stored_nowhere_are_measured_all_the_same() {
    let ways: [fn(Settings) -> Settings; 2] = [
        |settings| measuring(settings).with_database(DatabaseTarget::None),
        |settings| {
            measuring(settings)
                .with_sample_rate(0.0)
                .with_slow_ms(60_000)
        },
    ];
    for way in ways {
        let recording = Recording::with(way);
        let client = recording.client().await;
        let queue = unique("queue");
        let running = RunningWorker::start(client.clone(), worker(&queue, 0));
        beside(running, workload(&client, &queue)).await;
        assert_measured(&[&recording], &queue).await;
    }
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_one_warning_and_nothing_else() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let recording = tracing::subscriber::with_default(subscriber, || {
        Recording::with(|settings| {
            let mut settings = measuring(settings);
            settings.telemetry.prom_port = Some(port);
            settings
        })
    });
    let lines = String::from_utf8(written.0.lock().expect("unpoisoned").clone()).expect("text");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.contains("WARN") && lines.contains("PROM_EXPORT_PORT"),
        "{lines}"
    );
    assert!(lines.contains(&port.to_string()), "{lines}");
    let recorder = recording.omnitrace.recorder("told", &"ab".repeat(16));
    recorder.record_run_start(None, json!({}));
    recorder.record_run_complete(json!({}));
    assert_accounted(&recording.omnitrace).await;
    assert_eq!(recording.omnitrace.counter(Counter::RowsStored), 1);
    assert_eq!(recording.omnitrace.metrics().address(), None);
    let text = recording.omnitrace.metrics().text();
    assert!(
        text.contains(r#"traces_total{job="told",status="completed"} 1"#),
        "{text}"
    );
}
