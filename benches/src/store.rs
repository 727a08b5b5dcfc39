//! Rows per second from the queue to the commit, and of the store alone, beside the driver's own upsert
//! of the same rows, and COPY.

use std::time::{Duration, Instant};

use anyhow::ensure;
use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_store::{Batch, RunFilter};
use serde_json::json;

use crate::Scale;
use crate::bare::Rows;
use crate::database::{Database, Kind};
use crate::series::{Metrics, Of, Question, Series};

/// Events of a run.
const EVENTS: u32 = 9;
/// Rows of a transaction, as the writer makes them.
pub(crate) const BATCH: usize = 500;
/// The queue holds everything at once.
const QUEUE_BYTES: u64 = 1 << 30;

const RATE: &str = "rows_per_s";

const VARIANTS: [&str; 7] = [
    "sqlite_recording",
    "sqlite_store",
    "sqlite_upsert",
    "postgres_recording",
    "postgres_store",
    "postgres_upsert",
    "postgres_copy",
];

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 6] = [
    rate("SQLite: queue to commit / bare upsert", 0, 2).at_least(0.7),
    rate("SQLite: the store alone / bare upsert", 1, 2),
    rate("PostgreSQL: queue to commit / bare upsert", 3, 5).at_least(0.7),
    rate("PostgreSQL: the store alone / bare upsert", 4, 5),
    rate("PostgreSQL: queue to commit / COPY", 3, 6),
    rate("PostgreSQL: the store alone / COPY", 4, 6),
];

const fn rate(what: &'static str, of: usize, to: usize) -> Question {
    Question::new(
        what,
        Of::new(VARIANTS[of], RATE),
        Of::new(VARIANTS[to], RATE),
    )
}

pub(crate) async fn run(scale: &Scale, postgres: &str) -> anyhow::Result<Series> {
    let recorded = Database::make(Kind::Postgres(postgres)).await?;
    record(&recorded, scale.rows).await?;
    let rows = Rows::read(&recorded).await?;
    let batches = batches(&recorded).await?;
    let series = Series::measure(scale.rounds, &VARIANTS, async |variant| {
        let (kind, how) = variant.split_once('_').unwrap_or_default();
        let kind = match kind {
            "sqlite" => Kind::Sqlite,
            _ => Kind::Postgres(postgres),
        };
        let database = Database::make(kind).await?;
        let seconds = match how {
            "recording" => record(&database, scale.rows).await?,
            "store" => {
                let store = database.store().await?;
                let begun = Instant::now();
                for batch in &batches {
                    store.write(batch).await?;
                }
                let seconds = begun.elapsed();
                store.close().await;
                seconds
            }
            how => {
                let mut bare = database.connect().await?;
                let begun = Instant::now();
                match how {
                    "copy" => rows.copy(&mut bare, BATCH).await?,
                    _ => rows.upsert(&mut bare, BATCH).await?,
                }
                begun.elapsed()
            }
        };
        database.drop().await?;
        let rate = rows.count() as f64 / seconds.as_secs_f64();
        Ok(Metrics::from([(RATE, rate)]))
    })
    .await?;
    recorded.drop().await?;
    Ok(series)
}

/// Tells runs until there are so many rows, and waits until they are committed.
async fn record(database: &Database, rows: u32) -> anyhow::Result<Duration> {
    let settings = Settings::default()
        .with_database(DatabaseTarget::Url(database.url.clone()))
        .with_queue_bytes(QUEUE_BYTES)
        .with_spool_bytes(0);
    let omnitrace = OmniTrace::start(settings);
    // The tables are made with the first row.
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    let first = omnitrace.recorder("order", &trace_id);
    first.record_run_start(None, json!({}));
    first.record_run_complete(json!({}));
    omnitrace.flush().await?;
    let runs = rows / (EVENTS + 1);
    let begun = Instant::now();
    for n in 0..runs {
        let trace_id = uuid::Uuid::new_v4().simple().to_string();
        let recorder = omnitrace.recorder(&format!("order-{n}"), &trace_id);
        let item = json!({ "id": format!("item-{n}"), "name": "a lamp", "price": n });
        recorder.record_run_start(Some("user-17"), json!({ "items": [item, item, item] }));
        for event in 1..=EVENTS {
            let key = format!("tool:{event}:search:1");
            let latency = Some(Duration::from_millis(u64::from(event)));
            let data = json!({ "query": format!("a lamp {event}"), "found": [item, item] });
            recorder.record_event(&key, "tool", "search", latency, data);
        }
        recorder.record_run_complete(json!({ "count": EVENTS }));
    }
    omnitrace.flush().await?;
    let taken = begun.elapsed();
    let counters = omnitrace.counters();
    let lost = counters.keys().any(|name| name.contains("dropped"));
    ensure!(
        !lost,
        "rows were dropped, which makes recording look fast: {counters:?}"
    );
    omnitrace.shutdown(Duration::from_secs(10)).await?;
    Ok(taken)
}

/// What is stored, in batches as the writer makes them.
pub(crate) async fn batches(database: &Database) -> anyhow::Result<Vec<Batch>> {
    let store = database.store().await?;
    let mut runs: Vec<RunRow> = store.list_runs(&RunFilter::default()).await?;
    runs.sort_by(|a, b| a.key.cmp(&b.key));
    let mut batches = vec![Batch::default()];
    for run in runs {
        let events: Vec<EventRow> = store.events(&run.key).await?;
        let full = |batch: &Batch| batch.runs.len() + batch.events.len() + events.len() >= BATCH;
        if batches.last().is_none_or(full) {
            batches.push(Batch::default());
        }
        if let Some(batch) = batches.last_mut() {
            batch.runs.push(run);
            batch.events.extend(events);
        }
    }
    store.close().await;
    Ok(batches)
}
