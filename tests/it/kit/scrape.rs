//! What a real Prometheus has after the demo: the demo's worker, and `omnitrace serve` on its rows, scraped with
//! the configuration of `deploy`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use omnitrace::metrics::names::{ALL, SERIES_OVERFLOW};
use omnitrace_store::{OpenOptions, Store};
use omnitrace_tests::{NAMESPACE, Stored, database, eventually, server, unique};
use serde_json::Value;

use super::{Running, changed, deploy, program};
use crate::spans::collector::Collector;
use crate::spans::free_address;

/// The names that were asked for, each of which somebody looks at.
const WANTED: [&str; 19] = [
    "http_request_duration_seconds_bucket",
    "http_requests_total",
    "http_request_size_bytes_sum",
    "queue_job_latency_seconds_bucket",
    "queue_depth_total",
    "queue_job_failures_total",
    "external_api_calls_total",
    "external_api_duration_seconds_bucket",
    "external_api_errors_total",
    "token_cost_usd",
    "workflow_cost_usd",
    "traces_total",
    "traces_duration_bucket",
    // Emission, availability of the collector, fetching of traces.
    "omnitrace_spans_exported_total",
    "omnitrace_spans_failed_total",
    "omnitrace_export_errors_total",
    "omnitrace_collector_up",
    "omnitrace_trace_fetch_seconds_bucket",
    "target_info",
];

/// Those of which zero would say nothing of a demo.
const MORE_THAN_ZERO: [&str; 12] = [
    "http_requests_total",
    "http_request_size_bytes_sum",
    "queue_job_failures_total",
    "external_api_calls_total",
    "external_api_errors_total",
    "token_cost_usd",
    "workflow_cost_usd",
    "traces_total",
    "omnitrace_stored_total",
    "omnitrace_spans_exported_total",
    "omnitrace_collector_up",
    "omnitrace_trace_fetch_seconds_count",
];

/// What both programs are told.
fn told(command: &mut Command, folder: &Path, prometheus: &str) {
    let port = prometheus.rsplit(':').next().expect("a port");
    let database = folder.join("omnitrace.db");
    command
        .env_clear()
        .env(
            "OMNITRACE_DATABASE_URL",
            format!("sqlite://{}", database.display()),
        )
        .env("TELEMETRY_ENABLED", "true")
        .env("PROM_EXPORT_PORT", port);
}

/// The demo's worker, which handles the demo's mails and goes on.
fn worker(folder: &Path, prometheus: &str, collector: &Collector) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker-example-under-test"));
    told(&mut command, folder, prometheus);
    let example = deploy("../worker-example");
    command
        .env("TELEMETRY_BACKEND", "prom,otel")
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", collector.http),
        )
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_SERVICE_NAME", "support")
        .env("OMNITRACE_PRICES", example.join("prices.json"))
        // As `cargo xtask demo` has them.
        .env(
            "OMNITRACE_CATEGORIES",
            "tool=Search::*;policy=Policy::*;publish=Outbox::*",
        )
        .arg("run")
        .arg(example.join("samples"))
        .args(["--stay", "--approval-timeout", "1", "--address", &server()])
        .args(["--namespace", NAMESPACE, "--task-queue", &unique("support")]);
    Running::start(&mut command)
}

fn serve(folder: &Path, prometheus: &str, listen: &str) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omnitrace-under-test"));
    told(&mut command, folder, prometheus);
    command
        .env("TELEMETRY_BACKEND", "prom")
        .args(["serve", "--listen", listen]);
    Running::start(&mut command)
}

/// Prometheus with the configuration of `deploy`, which scrapes these.
fn prometheus(folder: &Path, address: &str, targets: &str) -> Running {
    let file = folder.join("prometheus.yml");
    changed(
        &deploy("prometheus/prometheus.yml"),
        &file,
        &[
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("127.0.0.1:9464", targets),
        ],
    );
    Running::start(
        program("OMNITRACE_TEST_PROMETHEUS_BIN")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            )),
    )
}

/// The database, once the worker made it.
async fn opened(folder: &Path) -> Option<Stored> {
    let mut options = OpenOptions::default();
    options.read_only = true;
    let store = Store::open(&database(folder), options).await.ok()?;
    Some(Stored { store })
}

/// What is answered, as JSON.
async fn json(url: String, asked: &[(&'static str, &str)]) -> Option<Value> {
    let asked = asked
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let asked: Vec<_> = asked.collect();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = ureq::get(url).query_pairs(asked).call().ok()?;
        answer.body_mut().read_json::<Value>().ok()
    });
    answer.await.expect("asked")
}

/// The sum of what a query finds, if it finds anything.
async fn sum(prometheus: &str, query: &str) -> Option<f64> {
    let url = format!("http://{prometheus}/api/v1/query");
    let answer = json(url, &[("query", query)]).await?;
    let series = answer["data"]["result"].as_array()?;
    let values = (series.iter()).filter_map(|series| series["value"][1].as_str()?.parse().ok());
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// Trace and span of each exemplar of a histogram.
async fn exemplars(prometheus: &str, name: &str) -> Vec<(String, String)> {
    let url = format!("http://{prometheus}/api/v1/query_exemplars");
    let bucket = format!("{name}_bucket");
    let asked = [
        ("query", bucket.as_str()),
        ("start", "0"),
        ("end", "9999999999"),
    ];
    let answer = json(url, &asked).await;
    let answer = answer.unwrap_or_default();
    let series = answer["data"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (series.iter())
        .flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default())
        .map(|exemplar| {
            let labels = &exemplar["labels"];
            (text(&labels["trace_id"]), text(&labels["span_id"]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_demo_every_name_has_data_and_exemplars_lead_to_its_traces() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let collector = Collector::start().await;
    let [of_worker, of_server, listen, prometheus_at] = [(); 4].map(|()| free_address());
    let _worker = worker(folder.path(), &of_worker, &collector);
    let runs = eventually("all mails are handled", async || {
        let stored = opened(folder.path()).await?;
        let runs = stored.runs().await;
        let mails = runs
            .iter()
            .filter(|run| run.workflow_type == "OrderSupport");
        let closed = mails.filter(|run| run.closed_at.is_some()).count();
        (closed == 13).then_some(runs)
    })
    .await;
    let _server = serve(folder.path(), &of_server, &listen);
    let id = runs[0].key.workflow_id.replace('/', "%2F");
    let url = format!("http://{listen}/executions/{id}/trace");
    eventually("a trace is fetched", async || json(url.clone(), &[]).await).await;
    let targets = format!("{of_worker}, {of_server}");
    let _prometheus = prometheus(folder.path(), &prometheus_at, &targets);

    let mut names: BTreeSet<String> = WANTED.map(str::to_owned).into();
    names.extend(MORE_THAN_ZERO.map(str::to_owned));
    // Nothing flows over in a demo.
    let all = ALL.iter().filter(|metric| **metric != &SERIES_OVERFLOW);
    names.extend(all.map(|metric| match metric.kind.prometheus() {
        "histogram" => format!("{}_count", metric.name),
        _ => metric.name.to_owned(),
    }));
    for name in &names {
        let at_least = match MORE_THAN_ZERO.contains(&name.as_str()) {
            true => f64::MIN_POSITIVE,
            false => 0.0,
        };
        eventually(&format!("{name} has data"), async || {
            let sum = sum(&prometheus_at, name).await?;
            (sum >= at_least).then_some(())
        })
        .await;
    }
    let mails = r#"http_requests_total{method="POST",route="/tickets",status_class="2xx"}"#;
    assert_eq!(sum(&prometheus_at, mails).await, Some(13.0));

    // From a graph to a trace: of a mail that came in, of a job, of a whole run.
    let stored = Stored::open(folder.path()).await;
    let (mut traces, mut spans) = (BTreeSet::new(), BTreeSet::new());
    for run in stored.runs().await {
        for row in stored.events(&run).await {
            spans.insert((run.trace_id.clone(), row.span_id));
        }
        traces.insert(run.trace_id.clone());
        spans.insert((run.trace_id, run.span_id));
    }
    for name in [
        "http_request_duration_seconds",
        "queue_job_latency_seconds",
        "traces_duration",
    ] {
        let found = eventually(&format!("{name} has exemplars"), async || {
            let found = exemplars(&prometheus_at, name).await;
            (!found.is_empty()).then_some(found)
        })
        .await;
        for (trace, span) in found {
            assert!(traces.contains(&trace), "{name}: no trace {trace}");
            // Spans of requests are sent, and not stored.
            let is_request = name.starts_with("http_");
            assert!(
                is_request || spans.contains(&(trace, span.clone())),
                "{name}: no span {span}"
            );
        }
    }
    let sent: BTreeSet<String> = collector
        .spans()
        .into_iter()
        .map(|span| span.trace)
        .collect();
    assert!(
        traces.is_subset(&sent),
        "each of them is in the backend too"
    );
}
