//! What answers of the API cost with few and with many runs stored: lists, searches and a large trace,
//! requests per second and memory, on both databases.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use omnitrace_server::cli::Cli;
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Status};
use omnitrace_store::{Batch, OpenOptions, Store};

use crate::Scale;
use crate::database::{Database, Kind};
use crate::series::{Metrics, Of, Question, Series};

/// Rows of the large trace, a step and an attempt each.
const TRACE_ROWS: i64 = 10_000;
/// Runs of a transaction.
const RUNS: u32 = 1_000;
/// Requests of a kind in a sample, one after the other.
const REQUESTS: usize = 100;
/// Connections at once, and how long, when requests are counted.
const AT_ONCE: usize = 8;
const COUNTED: Duration = Duration::from_secs(3);
/// 2025-06-15, and between two runs.
const START: i64 = 1_750_000_000_000_000;
const APART: i64 = 1_000_000;

const VARIANTS: [&str; 4] = ["sqlite_few", "sqlite_many", "postgres_few", "postgres_many"];

/// What is asked, and the names of its metrics. `{rare}` is found in one run alone.
const ASKED: [(&str, &str, &str); 7] = [
    ("list_p50_s", "list_p99_s", "/executions?limit=50"),
    (
        "failed_p50_s",
        "failed_p99_s",
        "/executions?status=failed,timed_out&limit=50",
    ),
    (
        "type_p50_s",
        "type_p99_s",
        "/executions?type=Type7&limit=50&min_duration_ms=1",
    ),
    (
        "search_p50_s",
        "search_p99_s",
        "/executions?q=order-99&limit=50",
    ),
    ("rare_p50_s", "rare_p99_s", "/executions?q=needle&limit=50"),
    (
        "counts_p50_s",
        "counts_p99_s",
        "/executions?include=counts&limit=50",
    ),
    ("trace_p50_s", "trace_p99_s", "/executions/large/trace"),
];

const PER_SECOND: &str = "requests_per_s";
const MEMORY: &str = "resident_bytes";

/// What the series is asked: what hardly grows with the runs has an index.
pub(crate) const QUESTIONS: [Question; 10] = [
    grows("SQLite: p50 of a list, many runs / few", 0, ASKED[0].0).at_most(3.0),
    grows("SQLite: p50 of failed runs, many / few", 0, ASKED[1].0).at_most(3.0),
    grows("SQLite: p50 of a search, many / few", 0, ASKED[3].0),
    grows(
        "SQLite: p50 of a search for one run, many / few",
        0,
        ASKED[4].0,
    ),
    grows(
        "SQLite: p50 of a trace of 10,000 rows, many / few",
        0,
        ASKED[6].0,
    )
    .at_most(1.5),
    grows("PostgreSQL: p50 of a list, many runs / few", 2, ASKED[0].0).at_most(3.0),
    grows("PostgreSQL: p50 of failed runs, many / few", 2, ASKED[1].0).at_most(3.0),
    grows("PostgreSQL: p50 of a search, many / few", 2, ASKED[3].0),
    grows(
        "PostgreSQL: p50 of a search for one run, many / few",
        2,
        ASKED[4].0,
    ),
    grows(
        "PostgreSQL: p50 of a trace of 10,000 rows, many / few",
        2,
        ASKED[6].0,
    )
    .at_most(1.5),
];

const fn grows(what: &'static str, few: usize, metric: &'static str) -> Question {
    Question::new(
        what,
        Of::new(VARIANTS[few + 1], metric),
        Of::new(VARIANTS[few], metric),
    )
}

pub(crate) async fn run(scale: &Scale, postgres: &str) -> anyhow::Result<Series> {
    let mut servers = Vec::new();
    for variant in VARIANTS {
        let kind = match variant.starts_with("sqlite") {
            true => Kind::Sqlite,
            false => Kind::Postgres(postgres),
        };
        let database = Database::make(kind).await?;
        let runs = match variant.ends_with("few") {
            true => 10_000,
            false => scale.stored_runs,
        };
        fill(&database, runs).await?;
        let server = Server::start(&database)?;
        servers.push((variant, server, database));
    }
    let series = Series::measure(scale.rounds.min(5), &VARIANTS, async |variant| {
        let server = servers.iter().find(|(of, ..)| *of == variant);
        let (_, server, _) = server.context("a server")?;
        sample(server)
    })
    .await?;
    for (_, server, database) in servers {
        drop(server);
        database.drop().await?;
    }
    Ok(series)
}

fn sample(server: &Server) -> anyhow::Result<Metrics> {
    let mut metrics = Metrics::new();
    let agent = ureq::agent();
    for (p50, p99, path) in ASKED {
        let url = format!("{}{path}", server.address);
        let mut took = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            ask(&agent, &url)?;
            took.push(begun.elapsed().as_secs_f64());
        }
        took.sort_by(f64::total_cmp);
        metrics.insert(p50, took[REQUESTS / 2]);
        metrics.insert(p99, took[REQUESTS * 99 / 100]);
    }
    let url = format!("{}{}", server.address, ASKED[0].2);
    let until = Instant::now() + COUNTED;
    let count = || {
        let agent = ureq::agent();
        let mut count = 0_u32;
        while Instant::now() < until {
            ask(&agent, &url)?;
            count += 1;
        }
        anyhow::Ok(count)
    };
    let counted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(count)).collect();
        let counts = threads.into_iter().map(|thread| thread.join());
        counts
            .map(|count| count.unwrap_or(Ok(0)))
            .sum::<anyhow::Result<u32>>()
    })?;
    metrics.insert(PER_SECOND, f64::from(counted) / COUNTED.as_secs_f64());
    metrics.insert(MEMORY, server.resident()?);
    Ok(metrics)
}

fn ask(agent: &ureq::Agent, url: &str) -> anyhow::Result<()> {
    let mut response = agent.get(url).call()?;
    let body = response
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()?;
    ensure!(!body.is_empty(), "an empty answer");
    Ok(())
}

/// `omnitrace serve` as a process of its own, with as many threads as it has by itself: this program's has
/// one.
pub(crate) fn serve(database_url: &str) -> anyhow::Result<()> {
    let args = [
        "omnitrace",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        database_url,
    ];
    let cli = Cli::parse_from(args);
    let serving = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(omnitrace_server::run(cli));
        anyhow::Ok(())
    });
    serving.join().unwrap_or(Ok(()))
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(database: &Database) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("serve")
            .args(["--database-url", &database.text]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.split(' ').find(|part| part.starts_with("http://"));
        let address = address.context("its address")?.to_owned();
        Ok(Self { child, address })
    }

    fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("its memory")?.parse::<f64>()? * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn fill(database: &Database, runs: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::default();
    options.max_events_per_run = 100_000;
    let store = Store::open(&database.url, options).await?;
    for first in (0..runs).step_by(RUNS as usize) {
        let batch = Batch {
            runs: (first..runs.min(first + RUNS)).map(run_row).collect(),
            ..Batch::default()
        };
        store.write(&batch).await?;
    }
    store.write(&large()).await?;
    store.close().await;
    Ok(())
}

/// Of a hundred types; every fiftieth failed, one alone is the needle.
fn run_row(n: u32) -> RunRow {
    let key = RunKey::new("default", format!("order-{n}"), format!("run-{n:08}"));
    let mut run = RunRow::new(key);
    let start = START + i64::from(n) * APART;
    run.workflow_type = format!("Type{}", n % 100);
    run.task_queue = "orders".to_owned();
    run.started_at = Some(start);
    run.closed_at = Some(start + i64::from(n % 977) * 1000);
    run.phase = Phase::Closed;
    run.status = Status::Completed;
    run.input_redacted = Some(format!(
        "{{\"id\":\"order-{n}\",\"text\":\"{}\"}}",
        "x".repeat(400)
    ));
    if n.is_multiple_of(50) {
        run.status = Status::Failed;
        run.error_type = Some("CardError".to_owned());
        run.error_message = Some("the bank did not answer".to_owned());
    }
    if n == 5_000 {
        run.error_message = Some("a needle".to_owned());
    }
    run
}

/// A run of many rows.
fn large() -> Batch {
    let mut run = run_row(1);
    run.key = RunKey::new("default", "large", "run-large");
    let events = (0..TRACE_ROWS).map(|n| {
        let step = Step::new(&(n / 2).to_string());
        let key = EventKey::new("activity", step, "Import::page", u32::from(n % 2 == 1));
        EventRow {
            status: Status::Completed,
            phase: Phase::Closed,
            scheduled_at: Some(START + n),
            started_at: (n % 2 == 1).then_some(START + n),
            ended_at: Some(START + n + 10),
            data_redacted: Some("{\"input\":[{\"page\":\"sha256:0011223344556677\"}]}".to_owned()),
            ..EventRow::new(run.key.clone(), key)
        }
    });
    Batch {
        events: events.collect(),
        runs: vec![run],
        ..Batch::default()
    }
}
