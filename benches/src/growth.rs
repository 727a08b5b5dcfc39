//! How writing and importing change with the rows that PostgreSQL already has.

use std::time::Instant;

use anyhow::Context;
use omnitrace_store::Batch;
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Status};
use sqlx::{Executor, PgConnection};

use crate::database::{Bare, Database, Kind};
use crate::series::{Of, Question, Series};
use crate::store::BATCH;
use crate::{Scale, import};

/// Events of a run.
const EVENTS: u32 = 9;

const RATE: &str = "rows_per_s";

/// How many rows are stored already.
const STORED: [&str; 4] = ["1e4_rows", "1e5_rows", "1e6_rows", "1e7_rows"];

/// What the series is asked; what is too large to be measured has no answer.
pub(crate) const QUESTIONS: [Question; 6] = [
    ask("rows written per second: 10^5 stored / 10^4", 1, RATE),
    ask("rows written per second: 10^6 stored / 10^4", 2, RATE),
    ask("rows written per second: 10^7 stored / 10^4", 3, RATE),
    ask(
        "events imported per second: 10^5 stored / 10^4",
        1,
        import::RATE,
    ),
    ask(
        "events imported per second: 10^6 stored / 10^4",
        2,
        import::RATE,
    ),
    ask(
        "events imported per second: 10^7 stored / 10^4",
        3,
        import::RATE,
    ),
];

const fn ask(what: &'static str, of: usize, metric: &'static str) -> Question {
    Question::new(
        what,
        Of::new(STORED[of], metric),
        Of::new(STORED[0], metric),
    )
}

pub(crate) async fn run(scale: &Scale, postgres: &str) -> anyhow::Result<Series> {
    let sizes = &STORED[..scale.sizes];
    let mut databases = Vec::new();
    for (at, _) in sizes.iter().enumerate() {
        let database = Database::make(Kind::Postgres(postgres)).await?;
        fill(&database, 10_u32.pow(at as u32 + 4)).await?;
        databases.push(database);
    }
    let series = Series::measure(scale.rounds, sizes, async |variant| {
        let at = sizes.iter().position(|size| *size == variant);
        let database = &databases[at.context("a size")?];
        let batches = batches(scale.rows);
        let store = database.store().await?;
        let begun = Instant::now();
        for batch in &batches {
            store.write(batch).await?;
        }
        let rate = f64::from(scale.rows) / begun.elapsed().as_secs_f64();
        store.close().await;
        let mut metrics = import::sample(database, scale.events, "200")?;
        metrics.insert(RATE, rate);
        // The table is as it was for the next sample.
        let mut connection = connect(database).await?;
        for table in ["omnitrace_runs", "omnitrace_events", "omnitrace_cuts"] {
            let delete = format!("DELETE FROM {table} WHERE namespace = 'bench'");
            connection.execute(&*delete).await?;
            connection.execute(&*format!("VACUUM {table}")).await?;
        }
        Ok(metrics)
    })
    .await?;
    for database in databases {
        database.drop().await?;
    }
    Ok(series)
}

async fn connect(database: &Database) -> anyhow::Result<PgConnection> {
    match database.connect().await? {
        Bare::Postgres(connection) => Ok(connection),
        Bare::Sqlite(_) => anyhow::bail!("this is measured on PostgreSQL"),
    }
}

/// New runs with so many rows.
fn batches(rows: u32) -> Vec<Batch> {
    let runs: Vec<u32> = (0..rows / (EVENTS + 1)).collect();
    let per_batch = BATCH / (EVENTS as usize + 1);
    let batch = |runs: &[u32]| {
        let mut batch = Batch::default();
        for _ in runs {
            let id = uuid::Uuid::new_v4();
            let run = RunKey::new("bench", format!("order-{id}"), id.to_string());
            let (row, events) = run_rows(run);
            batch.runs.push(row);
            batch.events.extend(events);
        }
        batch
    };
    runs.chunks(per_batch).map(batch).collect()
}

fn run_rows(run: RunKey) -> (RunRow, Vec<EventRow>) {
    let events = (1..=EVENTS).map(|n| {
        let key = EventKey::new("activity", Step::new(&n.to_string()), "Shop::ship", 0);
        EventRow {
            scheduled_at: Some(1_750_000_000_000_000 + i64::from(n)),
            phase: Phase::Closed,
            status: Status::Completed,
            data_redacted: Some(format!(r#"{{"input":["sha256:{:016x}"]}}"#, n).repeat(4)),
            ..EventRow::new(run.clone(), key)
        }
    });
    let events = events.collect();
    let row = RunRow {
        workflow_type: "Order".to_owned(),
        started_at: Some(1_750_000_000_000_000),
        closed_at: Some(1_750_000_001_000_000),
        phase: Phase::Closed,
        status: Status::Completed,
        ..RunRow::new(run)
    };
    (row, events)
}

/// Fills a database with so many rows, all alike but for their ids.
async fn fill(database: &Database, rows: u32) -> anyhow::Result<()> {
    let store = database.store().await?;
    let (run, events) = run_rows(RunKey::new("stored", "order", "run"));
    let batch = Batch {
        runs: vec![run],
        events,
        ..Batch::default()
    };
    store.write(&batch).await?;
    store.close().await;
    let mut connection = connect(database).await?;
    for table in ["omnitrace_runs", "omnitrace_events"] {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1",
        )
        .bind(table)
        .fetch_all(&mut connection)
        .await?;
        let values = columns.iter().map(|column| match column.as_str() {
            "workflow_id" => "'order-' || md5(n::text)".to_owned(),
            "run_id" => "md5('run' || n)".to_owned(),
            "start_time" if table == "omnitrace_runs" => "start_time - n".to_owned(),
            column => column.to_owned(),
        });
        let fill = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {table}, generate_series(1, {}) n",
            columns.join(", "),
            values.collect::<Vec<_>>().join(", "),
            rows / (EVENTS + 1)
        );
        connection.execute(&*fill).await?;
        connection
            .execute(&*format!("VACUUM ANALYZE {table}"))
            .await?;
    }
    Ok(())
}
