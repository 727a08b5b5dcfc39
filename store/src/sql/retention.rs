//! Taking out what is too old, in small transactions.
//!
//! Invariant: an hour is aggregated in one transaction before anything of it goes, and once. Rows of a run go
//! under its lock. No transaction takes out more than some hundred rows, so none holds up a writer for long.

use std::collections::BTreeSet;

use super::columns::{
    Columns, EVENT_KEY, RUN_KEY, event_written, key_values, read_event, read_run, run_columns,
};
use super::settle::delete;
use super::statement::{Fields, Statement, Value, select};
use super::write::lock_existing;
use super::{Job, Reads, Tables, Values};
use crate::hourly::{BUCKETS_MS, HOUR, Hourly, HourlyKey, Hours};
use crate::retention::Prunable;
use crate::row::{EventRow, Micros, RunKey, RunRow};
use crate::store::{OpenOptions, ReadError};

/// Events of one transaction.
const EVENTS: u32 = 500;

/// Runs of one transaction.
const RUNS: u32 = 100;

/// Aggregates of one transaction that takes a tenant off them.
const HOURS: u32 = 100;

/// How far retention has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Runs that closed before are in the aggregates.
    pub(crate) sealed_through: Micros,
    /// And have no events any more.
    pub(crate) events_through: Micros,
}

pub(crate) async fn progress<S: Reads>(store: &S) -> Result<Progress, ReadError> {
    let query = "SELECT sealed_through, events_through FROM omnitrace_retention WHERE id = 1";
    let rows = store.fetch(Statement::new(query)).await?;
    let Some(row) = rows.first() else {
        let reason = "omnitrace_retention has lost its row".to_owned();
        return Err(ReadError::Database(reason));
    };
    let c = &mut Columns::new(row);
    Ok(Progress {
        sealed_through: c.take()?,
        events_through: c.take()?,
    })
}

/// When the first run closed that closed at or after a moment.
pub(crate) async fn first_closed<S: Reads>(
    store: &S,
    from: Micros,
) -> Result<Option<Micros>, ReadError> {
    let mut query = Statement::new(
        "SELECT min(closed_at) FROM omnitrace_runs WHERE phase = 2 AND closed_at >= ",
    );
    query.value(Value::int(from));
    let rows = store.fetch(query).await?;
    let first = rows.first().map(|row| Columns::new(row).take());
    Ok(first.transpose()?.flatten())
}

/// Runs that closed within an hour, those after the last one of the page before.
pub(crate) async fn closed_in<S: Reads>(
    store: &S,
    hour: Micros,
    after: Option<&RunRow>,
    limit: u32,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = Statement::new(format!(
        "SELECT {} FROM omnitrace_runs WHERE phase = 2 AND closed_at >= ",
        run_columns()
    ));
    query.value(Value::int(hour));
    query
        .push(" AND closed_at < ")
        .value(Value::int(hour + HOUR));
    if let Some((closed_at, last)) = after.and_then(|run| Some((run.closed_at?, run))) {
        query.push(" AND (closed_at, namespace, workflow_id, run_id) > (");
        query.value(Value::int(closed_at));
        for value in key_values(&last.key) {
            query.push(", ").value(value);
        }
        query.push(")");
    }
    query.push(" ORDER BY closed_at, namespace, workflow_id, run_id LIMIT ");
    query.value(Value::int(limit));
    store.fetch(query).await?.iter().map(read_run).collect()
}

/// Events of runs, without what is large in them.
pub(crate) async fn slim_events<S: Reads>(
    store: &S,
    runs: &[RunRow],
) -> Result<Vec<EventRow>, ReadError> {
    let columns = event_written().into_iter().map(|column| match column {
        "data_redacted" | "error_message" => "CAST(NULL AS text)",
        column => column,
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let keys = runs.iter().map(|run| key_values(&run.key).into());
    let Some(query) = select(&columns, "omnitrace_events", &RUN_KEY, keys) else {
        return Ok(Vec::new());
    };
    store.fetch(query).await?.iter().map(read_event).collect()
}

/// Aggregates of hours that begin within a span of time.
pub(crate) async fn hours<S: Reads>(
    store: &S,
    from: Micros,
    before: Micros,
) -> Result<Hours, ReadError> {
    let mut query = Statement::new(format!(
        "SELECT {} FROM omnitrace_hourly WHERE hour >= ",
        hourly_columns().join(", ")
    ));
    query.value(Value::int(from)).push(" AND hour < ");
    query.value(Value::int(before));
    let rows = store.fetch(query).await?;
    let hours: Result<Hours, sqlx::Error> = rows.iter().map(read_hour).collect();
    Ok(hours?)
}

/// Reads the columns of [`hourly_columns`].
fn read_hour(row: &impl Fields) -> Result<(HourlyKey, Hourly), sqlx::Error> {
    let c = &mut Columns::new(row);
    let key = HourlyKey {
        namespace: c.take()?,
        hour: c.take()?,
        workflow_type: c.take()?,
        category: c.take()?,
        tenant_id: c.take()?,
        model: c.take()?,
    };
    let mut hour = Hourly {
        count: c.take()?,
        failed: c.take()?,
        latency_ms: c.take()?,
        ..Hourly::default()
    };
    for bucket in &mut hour.buckets {
        *bucket = c.take()?;
    }
    hour.input_tokens = c.take()?;
    hour.output_tokens = c.take()?;
    hour.cost_usd = c.take()?;
    Ok((key, hour))
}

/// Values of the columns of [`HOURLY_KEY`].
fn hour_key(key: &HourlyKey) -> Values<'_> {
    vec![
        Value::text(&key.namespace),
        Value::int(key.hour),
        Value::text(&key.workflow_type),
        Value::text(&key.category),
        Value::text(&key.tenant_id),
        Value::text(&key.model),
    ]
}

/// Stores aggregates, under a clause for those that are there.
async fn put_hours<T: Tables>(
    tables: &mut T,
    hours: &Hours,
    clause: &str,
) -> Result<(), sqlx::Error> {
    let rows = (hours.iter())
        .map(|(key, hour)| {
            let mut row = hour_key(key);
            let counts = [hour.count, hour.failed].into_iter();
            row.extend(counts.map(count));
            row.push(Value::int(hour.latency_ms));
            row.extend(hour.buckets.map(count));
            row.extend([
                Value::int(hour.input_tokens),
                Value::int(hour.output_tokens),
                Value::float(Some(hour.cost_usd)),
            ]);
            row
        })
        .collect();
    let columns = hourly_columns();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let clause = format!("ON CONFLICT ({}) {clause}", HOURLY_KEY.join(", "));
    let stored = tables.insert("omnitrace_hourly", &columns, rows, &clause);
    stored.await.map(drop)
}

/// The same without a tenant.
fn nobodys(key: &HourlyKey) -> HourlyKey {
    HourlyKey {
        tenant_id: String::new(),
        ..key.clone()
    }
}

/// Takes the tenant of an erasure off some aggregates: they are added to those of no tenant. Reports how many.
pub(super) async fn strip_tenant<T: Tables>(
    tables: &mut T,
    erasure: &str,
) -> Result<u64, sqlx::Error> {
    let columns = hourly_columns().join(", h.");
    let sql = format!(
        "SELECT h.{columns} FROM t JOIN omnitrace_erasures x ON x.id = t.i \
         JOIN omnitrace_hourly h ON h.tenant_id = x.subject AND h.hour < x.erased_before \
           AND x.namespace IN ('', h.namespace) ORDER BY h.hour LIMIT {HOURS}"
    );
    let row = vec![Value::text(erasure)];
    let named = tables.with_rows(&["i"], vec![row], &sql).await?;
    let named = named.iter().map(read_hour).collect::<Result<Vec<_>, _>>()?;
    let mut sums = Hours::new();
    for (key, hour) in &named {
        *sums.entry(nobodys(key)).or_default() += hour;
    }
    let list = HOURLY_KEY.join(", ");
    let sql = format!("SELECT h.{columns} FROM t JOIN omnitrace_hourly h USING ({list})");
    let rows = sums.keys().map(hour_key).collect();
    for row in &tables.with_rows(&HOURLY_KEY, rows, &sql).await? {
        let (key, hour) = read_hour(row)?;
        *sums.entry(key).or_default() += &hour;
    }
    let set: Vec<String> = (hourly_columns().iter().skip(HOURLY_KEY.len()))
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    let clause = format!("DO UPDATE SET {}", set.join(", "));
    put_hours(tables, &sums, &clause).await?;
    let sql = format!("DELETE FROM omnitrace_hourly WHERE ({list}) IN (SELECT {list} FROM t)");
    let rows = named.iter().map(|(key, _)| hour_key(key)).collect();
    tables.with_rows(&HOURLY_KEY, rows, &sql).await?;
    Ok(named.len() as u64)
}

/// The same of aggregates that are about to be stored, of all tenants that were erased.
async fn without_erased<T: Tables>(tables: &mut T, hours: &Hours) -> Result<Hours, sqlx::Error> {
    let tenants: BTreeSet<&str> = hours.keys().map(|key| key.tenant_id.as_str()).collect();
    let rows = tenants.into_iter().map(|t| vec![Value::text(t)]).collect();
    let sql = "SELECT x.subject, x.namespace, x.erased_before FROM t \
               JOIN omnitrace_erasures x ON x.kind = 'tenant' AND x.subject = t.tenant";
    let mut erased: Vec<(String, String, Micros)> = Vec::new();
    for row in &tables.with_rows(&["tenant"], rows, sql).await? {
        let c = &mut Columns::new(row);
        erased.push((c.take()?, c.take()?, c.take()?));
    }
    let is_erased = |key: &HourlyKey| {
        erased.iter().any(|(tenant, namespace, before)| {
            *tenant == key.tenant_id
                && (namespace.is_empty() || *namespace == key.namespace)
                && key.hour < *before
        })
    };
    let mut left = Hours::new();
    for (key, hour) in hours {
        let key = match is_erased(key) {
            true => nobodys(key),
            false => key.clone(),
        };
        *left.entry(key).or_default() += hour;
    }
    Ok(left)
}

/// How much would go: closed runs and their events, before one moment each.
pub(crate) async fn prunable<S: Reads>(
    store: &S,
    runs_before: Micros,
    events_before: Micros,
) -> Result<Prunable, ReadError> {
    let length = |columns: &[&str]| -> String {
        let length = |c: &&str| format!("coalesce(length({c}), 0)");
        columns.iter().map(length).collect::<Vec<_>>().join(" + ")
    };
    let keys = "r.namespace) + length(r.workflow_id) + length(r.run_id";
    let mut query = Statement::new(format!(
        "SELECT count(*), coalesce(sum({} + length({keys}) + 200), 0) \
         FROM omnitrace_runs r WHERE r.phase = 2 AND r.closed_at < ",
        length(&["r.input_redacted", "r.output_redacted", "r.error_message"])
    ));
    query.value(Value::int(runs_before));
    let of_runs = store.fetch(query).await?;
    let mut query = Statement::new(format!(
        "SELECT count(*), coalesce(sum({} + length({keys}) + 200), 0) \
         FROM omnitrace_runs r JOIN omnitrace_events e USING (namespace, workflow_id, run_id) \
         WHERE r.phase = 2 AND r.closed_at < ",
        length(&["e.event_key", "e.data_redacted", "e.error_message"])
    ));
    query.value(Value::int(events_before));
    let of_events = store.fetch(query).await?;
    let mut found = Prunable::default();
    for (rows, count) in [(of_runs, &mut found.runs), (of_events, &mut found.events)] {
        if let Some(row) = rows.first() {
            let c = &mut Columns::new(row);
            *count = c.take()?;
            found.bytes += c.take::<u64>()?;
        }
    }
    Ok(found)
}

/// Stores the aggregates up to a moment; false where another process was first.
pub(crate) struct Seal<'a> {
    pub(crate) from: Micros,
    pub(crate) through: Micros,
    pub(crate) hours: &'a Hours,
}

impl Job for Seal<'_> {
    type Report = bool;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<bool, sqlx::Error> {
        let row = vec![Value::int(self.from), Value::int(self.through)];
        let sql = "UPDATE omnitrace_retention SET sealed_through = t.new FROM t \
                   WHERE id = 1 AND sealed_through = t.old RETURNING id";
        if (tables.with_rows(&["old", "new"], vec![row], sql).await?).is_empty() {
            return Ok(false);
        }
        let hours = without_erased(tables, self.hours).await?;
        put_hours(tables, &hours, "DO NOTHING").await?;
        Ok(true)
    }
}

const HOURLY_KEY: [&str; 6] = [
    "namespace",
    "hour",
    "workflow_type",
    "category",
    "tenant_id",
    "model",
];

/// In the order in which they are written and read.
fn hourly_columns() -> Vec<String> {
    let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    [
        named(&HOURLY_KEY),
        named(&["count", "failed", "latency_ms"]),
        BUCKETS_MS.map(|bound| format!("le_{bound}")).to_vec(),
        named(&["input_tokens", "output_tokens", "cost_usd"]),
    ]
    .concat()
}

fn count<'a>(number: u64) -> Value<'a> {
    Value::Int(i64::try_from(number).ok())
}

/// Takes out some events of runs that closed within an hour; reports how many. With the last of them
/// the hour is done.
pub(crate) struct DropEvents {
    pub(crate) hour: Micros,
}

impl Job for DropEvents {
    type Report = u64;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<u64, sqlx::Error> {
        // PostgreSQL takes a range that it does not know for a part of all runs, and reads all of them.
        let sql = format!(
            "SELECT {} FROM omnitrace_runs r JOIN omnitrace_events e \
               ON e.namespace = r.namespace AND e.workflow_id = r.workflow_id AND e.run_id = r.run_id \
             WHERE r.phase = 2 AND r.closed_at >= {} AND r.closed_at < {} LIMIT {EVENTS}",
            EVENT_KEY.map(|c| format!("e.{c}")).join(", "),
            self.hour,
            self.hour + HOUR,
        );
        let found = tables.once(&sql).await?;
        let keys = (found.iter())
            .map(|row| {
                let c = &mut Columns::new(row);
                Ok((c.key()?, c.take()?))
            })
            .collect::<Result<Vec<(RunKey, String)>, sqlx::Error>>()?;
        lock_existing(tables, keys.iter().map(|(run, _)| run)).await?;
        let each = keys.iter().map(|(run, key)| (run, key.as_str()));
        delete(tables, "omnitrace_events", "event_key", each).await?;
        if keys.is_empty() {
            through(tables, self.hour + HOUR).await?;
        }
        Ok(keys.len() as u64)
    }
}

/// Nothing closed before has events any more.
pub(crate) struct EventsThrough(pub(crate) Micros);

impl Job for EventsThrough {
    type Report = ();

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<(), sqlx::Error> {
        through(tables, self.0).await
    }
}

async fn through<T: Tables>(tables: &mut T, at: Micros) -> Result<(), sqlx::Error> {
    let sql = "UPDATE omnitrace_retention SET events_through = t.at FROM t \
               WHERE id = 1 AND events_through < t.at";
    let row = vec![Value::int(at)];
    tables.with_rows(&["at"], vec![row], sql).await.map(drop)
}

/// Takes out some runs that closed before a moment, with all that is left of them; reports how many.
pub(crate) struct DropRuns {
    pub(crate) before: Micros,
}

impl Job for DropRuns {
    type Report = u64;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<u64, sqlx::Error> {
        let sql = format!(
            "SELECT {} FROM omnitrace_runs WHERE phase = 2 AND closed_at < {} \
             ORDER BY closed_at LIMIT {RUNS}",
            RUN_KEY.join(", "),
            self.before,
        );
        let found = tables.once(&sql).await?;
        let runs = (found.iter())
            .map(|row| Columns::new(row).key())
            .collect::<Result<Vec<RunKey>, sqlx::Error>>()?;
        lock_existing(tables, runs.iter()).await?;
        for table in [
            "omnitrace_events",
            "omnitrace_cuts",
            "omnitrace_promotions",
            "omnitrace_runs",
        ] {
            let list = RUN_KEY.join(", ");
            let sql = format!("DELETE FROM {table} WHERE ({list}) IN (SELECT {list} FROM t)");
            let rows = runs.iter().map(|run| key_values(run).into()).collect();
            tables.with_rows(&RUN_KEY, rows, &sql).await?;
        }
        Ok(runs.len() as u64)
    }
}

/// Takes out the aggregates of the oldest hour before a moment, and what processes said of themselves
/// before it; reports how many aggregates.
pub(crate) struct DropHours {
    pub(crate) before: Micros,
}

impl Job for DropHours {
    type Report = u64;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<u64, sqlx::Error> {
        let before = || vec![vec![Value::int(self.before)]];
        let sql = "DELETE FROM omnitrace_hourly WHERE hour < (SELECT before FROM t) \
                   AND hour = (SELECT min(hour) FROM omnitrace_hourly) RETURNING hour";
        let gone = tables.with_rows(&["before"], before(), sql).await?;
        let sql = "DELETE FROM omnitrace_processes WHERE updated_at < (SELECT before FROM t)";
        tables.with_rows(&["before"], before(), sql).await?;
        Ok(gone.len() as u64)
    }
}
