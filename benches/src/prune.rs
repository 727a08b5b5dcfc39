//! How long writes take while a store of ninety days is pruned.
//!
//! The same writer writes at a steady pace, first alone, then while `omnitrace prune` takes out what is older than
//! two weeks. What is aggregated is compared with sums that the database made of the raw rows before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use omnitrace_server::cli::Cli;
use omnitrace_store::hourly::{BUCKETS_MS, DAY, HOUR, hour_of};
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Identity, Micros, Phase, RunKey, RunRow, Status};
use omnitrace_store::{Batch, Store};
use sqlx::{Executor, Row};

use crate::Scale;
use crate::cpu::Stolen;
use crate::database::{Bare, Database, Kind};
use crate::progress;
use crate::series::{Metrics, Of, Question, Series};

/// Days that stay.
const KEPT: &str = "14";

/// Events of a run.
const EVENTS: i64 = 3;

/// Runs of a write, with their events: some more than a second's worth.
const WRITTEN: usize = 5;

/// Namespace of what is written.
const WRITTEN_IN: &str = "written";

/// Between the beginnings of two writes.
const PACE: Duration = Duration::from_millis(10);

/// Between two looks at who waits for a lock, which a wait is longer than by so much at most.
const LOOK: Duration = Duration::from_millis(10);

const ALONE: &str = "alone";
const PRUNING: &str = "pruning";

const P50: &str = "write_p50_ms";
const P99: &str = "write_p99_ms";
const MAX: &str = "write_max_ms";
/// The longest that a write waited for others, as far as the database tells; else that it took, without what the
/// host took from the machine meanwhile.
const WAITED: &str = "waited_max_ms";
const BYTES: &str = "bytes";
/// The longest that a write may wait for pruning.
const LIMIT: &str = "limit_ms";
const LIMIT_MS: f64 = 100.0;

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 6] = [
    Question::new(
        "longest wait for a lock while pruning / 100 ms",
        Of::new(PRUNING, WAITED),
        Of::new(PRUNING, LIMIT),
    )
    .at_most(1.0),
    Question::new(
        "longest write while pruning / 100 ms",
        Of::new(PRUNING, MAX),
        Of::new(PRUNING, LIMIT),
    ),
    pruning("longest write, pruning / alone", MAX),
    pruning("median of a write, pruning / alone", P50),
    pruning("99 % of writes, pruning / alone", P99),
    pruning(
        "bytes, pruned and vacuumed, without what was written meanwhile / before",
        BYTES,
    )
    .at_most(0.9),
];

const fn pruning(what: &'static str, metric: &'static str) -> Question {
    Question::new(what, Of::new(PRUNING, metric), Of::new(ALONE, metric))
}

/// One round: filling takes minutes, and the distribution is that of thousands of writes.
pub(crate) async fn run(scale: &Scale, kind: Kind<'_>) -> anyhow::Result<Series> {
    let database = Database::make(kind).await?;
    // Whole hours, as they are aggregated.
    let now = hour_of(jiff::Timestamp::now().as_microsecond());
    progress::step("filling");
    fill(&database, now, scale).await?;
    let before = size(&database).await?;
    expect(&database).await?;
    progress::step("writing alone");
    let alone = writing(&database, async |stop| {
        tokio::time::sleep(Duration::from_secs(scale.alone_s.into())).await;
        stop.store(true, Ordering::Relaxed);
        Ok(())
    });
    let mut alone = alone.await?;
    alone.insert(BYTES, before);

    progress::step("pruning");
    let begun = Instant::now();
    let url = database.text.clone();
    let pruning = writing(&database, async |stop| {
        let pruned = tokio::task::spawn_blocking(move || prune(&url)).await;
        stop.store(true, Ordering::Relaxed);
        pruned?
    });
    let mut pruning = pruning.await?;
    pruning.insert("prune_s", begun.elapsed().as_secs_f64());
    compare(&database).await?;
    // As much as pruning took out, in less than an hour.
    for table in ["omnitrace_events", "omnitrace_runs"] {
        execute(
            &database,
            &format!("DELETE FROM {table} WHERE namespace = '{WRITTEN_IN}'"),
        )
        .await?;
    }
    vacuum(&database).await?;
    pruning.insert(BYTES, size(&database).await?);
    pruning.insert(LIMIT, LIMIT_MS);
    database.drop().await?;
    Ok(Series::of_one_round(vec![
        (ALONE, alone),
        (PRUNING, pruning),
    ]))
}

/// Bytes of all tables, as `doctor` tells.
async fn size(database: &Database) -> anyhow::Result<f64> {
    let store = database.store().await?;
    let stats = store.stats().await?;
    store.close().await;
    Ok(stats.bytes as f64)
}

/// In a runtime of its own, as it would be a process of its own.
fn prune(url: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cli = Cli::try_parse_from([
        "omnitrace",
        "--database-url",
        url,
        "prune",
        "--events-days",
        KEPT,
        "--runs-days",
        KEPT,
        // All of them are compared.
        "--hourly-days",
        "none",
    ])?;
    let code = runtime.block_on(omnitrace_server::run(cli));
    // An exit code can't be read, but compared by what it prints.
    ensure!(format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS));
    Ok(())
}

/// Writes at a steady pace until something is done, and says how long the writes took.
async fn writing(
    database: &Database,
    meanwhile: impl AsyncFnOnce(Arc<AtomicBool>) -> anyhow::Result<()>,
) -> anyhow::Result<Metrics> {
    let store = database.store().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(steadily(&store, &stopped))
    });
    let waits = watch(database, &stop).await?;
    let done = meanwhile(Arc::clone(&stop)).await;
    stop.store(true, Ordering::Relaxed);
    let waited = match waits {
        Some(waits) => Some(waits.await??),
        None => None,
    };
    let took = writer.join().ok().context("the writer panicked")??;
    done?;
    let sorted = |of: fn(&Write) -> Duration| {
        let mut ms: Vec<f64> = took.iter().map(|w| of(w).as_secs_f64() * 1000.0).collect();
        ms.sort_by(f64::total_cmp);
        ms
    };
    let (ms, whole) = (sorted(|w| w.took), sorted(Write::whole));
    let at = |part: f64| ms[((ms.len() - 1) as f64 * part).round() as usize];
    let over = |ms: &[f64]| ms.iter().filter(|ms| **ms > LIMIT_MS).count() as f64;
    Ok(Metrics::from([
        (P50, at(0.5)),
        (P99, at(0.99)),
        ("write_p999_ms", at(0.999)),
        (MAX, at(1.0)),
        // SQLite has one lock, and does not tell who waits for it.
        (WAITED, waited.unwrap_or(whole[whole.len() - 1])),
        ("over_limit", over(&ms)),
        ("over_limit_whole", over(&whole)),
        ("writes", ms.len() as f64),
    ]))
}

/// Looks, again and again, how long anyone has waited for a lock; tells the longest wait in milliseconds.
async fn watch(
    database: &Database,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Option<tokio::task::JoinHandle<anyhow::Result<f64>>>> {
    let Bare::Postgres(mut connection) = database.connect().await? else {
        return Ok(None);
    };
    let stop = Arc::clone(stop);
    let waits = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8 * 1000 \
                 FROM pg_locks WHERE NOT granted";
    Ok(Some(tokio::spawn(async move {
        let mut longest = 0.0_f64;
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            let seen: f64 = sqlx::query_scalar(waits).fetch_one(&mut connection).await?;
            longest = longest.max(seen);
        }
        Ok(longest)
    })))
}

/// How long a write took.
struct Write {
    took: Duration,
    /// At least so long one processor was away.
    stolen: Duration,
}

impl Write {
    /// At most so long with the whole machine.
    fn whole(&self) -> Duration {
        self.took.saturating_sub(self.stolen)
    }
}

async fn steadily(store: &Store, stop: &AtomicBool) -> anyhow::Result<Vec<Write>> {
    let mut took = Vec::new();
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let now = jiff::Timestamp::now().as_microsecond();
        let mut batch = Batch::default();
        for _ in 0..WRITTEN {
            let id = uuid::Uuid::new_v4();
            let run = RunKey::new(WRITTEN_IN, format!("order-{id}"), id.to_string());
            let (run, events) = rows(run, now);
            batch.runs.push(run);
            batch.events.extend(events);
        }
        let stolen = Stolen::so_far()?;
        let begun = Instant::now();
        store.write(&batch).await?;
        took.push(Write {
            took: begun.elapsed(),
            stolen: Stolen::so_far()?.since(&stolen),
        });
    }
    store.close().await;
    ensure!(!took.is_empty(), "nothing was written");
    Ok(took)
}

fn rows(key: RunKey, closed_at: Micros) -> (RunRow, Vec<EventRow>) {
    let started_at = closed_at - 1_000_000;
    let events = (1..=EVENTS).map(|n| {
        let step = EventKey::new("activity", Step::new(&n.to_string()), "Shop::ship", 0);
        EventRow {
            category: (n == 1).then(|| "model".to_owned()),
            model: (n == 1).then(|| "m-1".to_owned()),
            input_tokens: (n == 1).then_some(100),
            output_tokens: (n == 1).then_some(10),
            cost_usd: (n == 1).then_some(0.25),
            scheduled_at: Some(started_at + n),
            ended_at: Some(closed_at),
            latency_ms: Some(40),
            phase: Phase::Closed,
            status: Status::Completed,
            data_redacted: Some(format!(r#"{{"input":["sha256:{n:016x}"]}}"#).repeat(4)),
            ..EventRow::new(key.clone(), step)
        }
    });
    let events = events.collect();
    let run = RunRow {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        started_at: Some(started_at),
        closed_at: Some(closed_at),
        tenant: Some(Identity {
            rank: 2,
            hash: "sha256:00".to_owned(),
        }),
        phase: Phase::Closed,
        status: Status::Completed,
        ..RunRow::new(key)
    };
    (run, events)
}

/// Runs one statement.
async fn execute(database: &Database, sql: &str) -> anyhow::Result<()> {
    match &mut database.connect().await? {
        Bare::Sqlite(connection) => connection.execute(sql).await.map(drop)?,
        Bare::Postgres(connection) => connection.execute(sql).await.map(drop)?,
    }
    Ok(())
}

async fn number(database: &Database, sql: &str) -> anyhow::Result<i64> {
    Ok(match &mut database.connect().await? {
        Bare::Sqlite(connection) => connection.fetch_one(sql).await?.try_get(0)?,
        Bare::Postgres(connection) => connection.fetch_one(sql).await?.try_get(0)?,
    })
}

async fn columns(database: &Database, table: &str) -> anyhow::Result<Vec<String>> {
    Ok(match &mut database.connect().await? {
        Bare::Sqlite(connection) => {
            let names = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)");
            names.bind(table).fetch_all(connection).await?
        }
        Bare::Postgres(connection) => {
            let names = sqlx::query_scalar(
                "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 \
                 ORDER BY ordinal_position",
            );
            names.bind(table).fetch_all(connection).await?
        }
    })
}

/// Some days until now with so many runs an hour: one run is written, and copied by the database.
async fn fill(database: &Database, now: Micros, scale: &Scale) -> anyhow::Result<()> {
    let store = database.store().await?;
    let (run, events) = rows(RunKey::new("stored", "order", "run"), now);
    let batch = Batch {
        runs: vec![run],
        events,
        ..Batch::default()
    };
    store.write(&batch).await?;
    store.close().await;
    let is_sqlite = matches!(database.connect().await?, Bare::Sqlite(_));
    let hourly = i64::from(scale.hourly_runs);
    let runs = i64::from(scale.days) * 24 * hourly;
    let apart = HOUR / hourly;
    let (numbers, hash): (String, fn(&str) -> String) = match is_sqlite {
        true => (
            format!(
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {runs}) \
                 SELECT n FROM s)"
            ),
            |text: &str| format!("printf('%016x', {text} * 2654435761)"),
        ),
        false => (
            format!("generate_series(1, {runs}::bigint)"),
            |text: &str| format!("md5(({text})::text)"),
        ),
    };
    for table in ["omnitrace_runs", "omnitrace_events"] {
        let names = columns(database, table).await?;
        let values = names.iter().map(|column| match column.as_str() {
            "workflow_id" => format!("'order-' || {}", hash("n")),
            "run_id" => hash("n + 7"),
            "workflow_type" => "'Order' || (n % 5)".to_owned(),
            "tenant_id" => "'sha256:0' || (n % 3)".to_owned(),
            "status" if table == "omnitrace_runs" => {
                "CASE WHEN n % 20 = 0 THEN 'failed' ELSE 'completed' END".to_owned()
            }
            // Evenly over the hours, all within theirs.
            "started_at" | "closed_at" | "scheduled_at" | "ended_at" | "start_time" => {
                format!("x.{column} - n * {apart} - (n % 4) * 2000")
            }
            column => format!("x.{column}"),
        });
        let from = match is_sqlite {
            true => format!("{table} x, {numbers} AS s"),
            false => format!("{table} x, {numbers} AS s(n)"),
        };
        let fill = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {from} WHERE x.workflow_id = 'order'",
            names.join(", "),
            values.collect::<Vec<_>>().join(", "),
        );
        execute(database, &fill).await?;
        let first = format!("DELETE FROM {table} WHERE workflow_id = 'order'");
        execute(database, &first).await?;
    }
    vacuum(database).await?;
    let stored = number(database, "SELECT count(*) FROM omnitrace_runs").await?;
    ensure!(stored == runs, "{stored} of {runs} runs");
    Ok(())
}

async fn vacuum(database: &Database) -> anyhow::Result<()> {
    match database.connect().await? {
        Bare::Sqlite(_) => {
            execute(database, "VACUUM").await?;
            execute(database, "ANALYZE").await?;
            // What it wrote is in the log until then, which counts too.
            execute(database, "PRAGMA wal_checkpoint(TRUNCATE)").await
        }
        Bare::Postgres(_) => {
            for table in ["omnitrace_runs", "omnitrace_events"] {
                execute(database, &format!("VACUUM (FULL, ANALYZE) {table}")).await?;
            }
            Ok(())
        }
    }
}

/// Sums of the raw rows, as the aggregates should have them, by the database alone.
async fn expect(database: &Database) -> anyhow::Result<()> {
    let hour = format!("r.closed_at - r.closed_at % {HOUR}");
    let sums = |status: &str, latency: &str, used: [&str; 3]| {
        let buckets = BUCKETS_MS.map(|bound| {
            format!("sum(CASE WHEN {latency} <= {bound} THEN 1 ELSE 0 END) AS le_{bound}")
        });
        let [input, output, cost] = used;
        format!(
            "count(*) AS count, sum(CASE WHEN {status} = 'failed' THEN 1 ELSE 0 END) AS failed, \
             sum({latency}) AS latency_ms, {}, sum({input}) AS input_tokens, \
             sum({output}) AS output_tokens, sum({cost}) AS cost_usd",
            buckets.join(", "),
        )
    };
    let of_runs = sums(
        "r.status",
        "((r.closed_at - r.started_at) / 1000)",
        ["r.input_tokens", "r.output_tokens", "r.cost_usd"],
    );
    let of_events = sums(
        "e.status",
        "e.latency_ms",
        [
            "coalesce(e.input_tokens, 0)",
            "coalesce(e.output_tokens, 0)",
            "coalesce(e.cost_usd, 0)",
        ],
    );
    let tenant = "coalesce(r.tenant_id, '')";
    let group = format!("GROUP BY r.namespace, {hour}, r.workflow_type, {tenant}");
    execute(
        database,
        &format!(
            "CREATE TABLE expected AS SELECT r.namespace, {hour} AS hour, r.workflow_type, '' AS category, \
               {tenant} AS tenant_id, '' AS model, {of_runs} FROM omnitrace_runs r {group} \
             UNION ALL SELECT r.namespace, {hour}, r.workflow_type, coalesce(e.category, e.kind), {tenant}, \
               coalesce(e.model, ''), {of_events} FROM omnitrace_runs r \
             JOIN omnitrace_events e ON e.namespace = r.namespace AND e.workflow_id = r.workflow_id \
               AND e.run_id = r.run_id {group}, coalesce(e.category, e.kind), coalesce(e.model, '')"
        ),
    )
    .await
}

/// Holds the aggregates against what was expected: they are equal, and there are some.
async fn compare(database: &Database) -> anyhow::Result<()> {
    let sealed = "(SELECT sealed_through FROM omnitrace_retention)";
    let expected = format!("SELECT * FROM expected WHERE hour < {sealed}");
    let found = format!(
        "SELECT {} FROM omnitrace_hourly",
        columns(database, "omnitrace_hourly").await?.join(", ")
    );
    let count = |sql: String| format!("SELECT count(*) FROM ({sql}) AS rows");
    let missing = number(database, &count(format!("{expected} EXCEPT {found}"))).await?;
    let extra = number(database, &count(format!("{found} EXCEPT {expected}"))).await?;
    let all = number(database, &count(expected)).await?;
    ensure!(
        (missing, extra) == (0, 0) && all > 0,
        "of {all} aggregates {missing} are missing or wrong, {extra} are not expected"
    );
    execute(database, "DROP TABLE expected").await?;
    let left = format!("SELECT count(*) FROM omnitrace_runs WHERE closed_at < {sealed} - {DAY}");
    ensure!(number(database, &left).await? == 0, "old runs are left");
    Ok(())
}
