//! What is to be exported as a span: noted where a row closes, read, and marked when it was sent.
//!
//! Invariant: only the database's clock is asked. A row is noted once by whoever closes it, and never
//! again after a collector acknowledged it, however often it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::columns::{
    Columns, EVENT_KEY, RUN_KEY, event_written, key_values, read_event, read_run, run_columns,
};
use super::statement::{Value, select};
use super::write::lock_existing;
use super::{Job, Reads, Tables};
use crate::row::{RunKey, RunRow, TRACEPARENT};
use crate::store::{OpenOptions, ReadError, SpanKey, SpanRows};

/// What waits longer for export is not sent any more.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The columns of a key in `t`, under names of their own: an UPDATE returns those of its table.
const T_KEY: [&str; 4] = ["n", "w", "r", "k"];

fn micros(time: Duration) -> Value<'static> {
    Value::Int(Some(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
}

fn span_values(key: &SpanKey) -> Vec<Value<'_>> {
    let mut row = Vec::from(key_values(&key.run));
    row.push(Value::text(&key.event_key));
    row
}

/// `WHERE` the rows of `t`, of `table`.
fn is_in_t(table: &str, columns: &[&str]) -> String {
    let pairs: Vec<String> = (columns.iter().zip(T_KEY))
        .map(|(column, t)| format!("{table}.{column} = t.{t}"))
        .collect();
    pairs.join(" AND ")
}

/// Notes what closed in this write for export, and returns it. After `grace` any process may send it.
/// When a run closes, what of it never will is noted too, and left to whoever comes by then.
pub(super) async fn note<T: Tables>(
    tables: &mut T,
    grace: Duration,
    events: &[(RunKey, String)],
    runs: &[RunKey],
) -> Result<Vec<SpanKey>, sqlx::Error> {
    let due = format!("export_due = {} + t.grace", T::NOW);
    let columns = [&T_KEY[..], &["grace"]].concat();
    let rows = (events.iter())
        .map(|(run, key)| {
            let mut row = Vec::from(key_values(run));
            row.extend([Value::text(key), micros(grace)]);
            row
        })
        .collect();
    // When a step ended is inferred until its task is accepted; then it is written again.
    let sql = format!(
        "UPDATE omnitrace_events SET {due} FROM t WHERE {} AND phase = 2 \
         AND exported_at IS NULL AND (source > 0 OR status = 'lost') RETURNING {}",
        is_in_t("omnitrace_events", &EVENT_KEY),
        EVENT_KEY.join(", ")
    );
    let mut noted = Vec::new();
    for row in &tables.with_rows(&columns, rows, &sql).await? {
        let c = &mut Columns::new(row);
        noted.push(SpanKey {
            run: c.key()?,
            event_key: c.take()?,
        });
    }

    let columns = [&T_KEY[..3], &["grace"]].concat();
    let row = |run: &RunKey| {
        let mut row: Vec<_> = key_values(run).map(Value::into_owned).into();
        row.push(micros(grace));
        row
    };
    let sql = format!(
        "UPDATE omnitrace_runs SET {due} FROM t WHERE {} AND phase = 2 \
         AND exported_at IS NULL AND export_due IS NULL RETURNING {}",
        is_in_t("omnitrace_runs", &RUN_KEY),
        RUN_KEY.join(", ")
    );
    let closed = tables
        .with_rows(&columns, runs.iter().map(row).collect(), &sql)
        .await?;
    let closed = (closed.iter())
        .map(|row| Columns::new(row).key())
        .collect::<Result<Vec<RunKey>, _>>()?;
    let sql = format!(
        "UPDATE omnitrace_events SET {due} FROM t WHERE {} AND phase > 0 \
         AND exported_at IS NULL AND export_due IS NULL",
        is_in_t("omnitrace_events", &RUN_KEY)
    );
    tables
        .with_rows(&columns, closed.iter().map(row).collect(), &sql)
        .await?;
    noted.extend(closed.into_iter().map(SpanKey::of_run));
    Ok(noted)
}

/// Which rows any process may send now, those that wait longest first.
pub(crate) struct Due {
    pub(crate) limit: u32,
}

impl Job for Due {
    type Report = Vec<SpanKey>;

    async fn run<T: Tables>(
        &self,
        tables: &mut T,
        _: &OpenOptions,
    ) -> Result<Vec<SpanKey>, sqlx::Error> {
        let part = |table: &str, event_key: &str| {
            format!(
                "SELECT x.namespace, x.workflow_id, x.run_id, {event_key}, x.export_due FROM t \
                 JOIN {table} x ON x.export_due <= {now} AND x.export_due > {now} - t.kept",
                now = T::NOW
            )
        };
        // Without its run's row nobody knows the trace of an event, but where an attempt was told it.
        let is_of = |alias: &str| {
            let pairs = RUN_KEY.map(|column| format!("{alias}.{column} = x.{column}"));
            pairs.join(" AND ")
        };
        let sql = format!(
            "{} WHERE EXISTS (SELECT 1 FROM omnitrace_runs r WHERE {}) \
             OR EXISTS (SELECT 1 FROM omnitrace_events e WHERE {}{}) \
             UNION ALL {} ORDER BY 5, 1, 2, 3, 4 LIMIT {}",
            part("omnitrace_events", "x.event_key"),
            is_of("r"),
            is_of("e"),
            was_told("e.data_redacted"),
            part("omnitrace_runs", "''"),
            self.limit
        );
        let rows = tables
            .with_rows(&["kept"], vec![vec![micros(KEPT)]], &sql)
            .await?;
        (rows.iter())
            .map(|row| {
                let c = &mut Columns::new(row);
                Ok(SpanKey {
                    run: c.key()?,
                    event_key: c.take()?,
                })
            })
            .collect()
    }
}

/// A collector acknowledged these.
pub(crate) struct Exported<'a>(pub(crate) &'a [SpanKey]);

impl Job for Exported<'_> {
    type Report = ();

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<(), sqlx::Error> {
        lock_existing(tables, self.0.iter().map(|key| &key.run)).await?;
        let (runs, events): (Vec<_>, Vec<_>) = self.0.iter().partition(|key| key.is_run());
        let set = format!("SET exported_at = {}, export_due = NULL", T::NOW);
        let sql = format!(
            "UPDATE omnitrace_events {set} FROM t WHERE {}",
            is_in_t("omnitrace_events", &EVENT_KEY)
        );
        let rows = events.into_iter().map(span_values).collect();
        tables.with_rows(&T_KEY, rows, &sql).await?;
        let sql = format!(
            "UPDATE omnitrace_runs {set} FROM t WHERE {}",
            is_in_t("omnitrace_runs", &RUN_KEY)
        );
        let rows = (runs.into_iter())
            .map(|key| key_values(&key.run).into())
            .collect();
        tables.with_rows(&T_KEY[..3], rows, &sql).await.map(drop)
    }
}

/// Reads the rows of these keys that were not exported, by run. Those whose run has no row are left out,
/// but where an attempt was told its trace.
pub(crate) async fn unexported<S: Reads>(
    store: &S,
    keys: &[SpanKey],
) -> Result<Vec<SpanRows>, ReadError> {
    let mut found = BTreeMap::new();
    let of_runs: BTreeSet<&RunKey> = keys.iter().map(|key| &key.run).collect();
    let Some(query) = select(
        &format!(
            "{}, exported_at IS NULL, (SELECT p.trace_id FROM omnitrace_runs p \
               WHERE p.namespace = omnitrace_runs.namespace \
               AND p.workflow_id = omnitrace_runs.workflow_id \
               AND p.run_id = omnitrace_runs.continued_from_run_id)",
            run_columns()
        ),
        "omnitrace_runs",
        &RUN_KEY,
        of_runs.iter().map(|run| key_values(run).into()),
    ) else {
        return Ok(Vec::new());
    };
    let itself: Vec<&RunKey> = (keys.iter().filter(|key| key.is_run()))
        .map(|key| &key.run)
        .collect();
    let read = run_columns().split(", ").count();
    for row in &store.fetch(query).await? {
        let run = read_run(row)?;
        let c = &mut Columns::at(row, read);
        let unsent: bool = c.take()?;
        let rows = SpanRows {
            itself: unsent && itself.contains(&&run.key),
            continued_from_trace: c.take()?,
            events: Vec::new(),
            run,
        };
        found.insert(rows.run.key.clone(), rows);
    }
    let strangers = of_runs.iter().filter(|run| !found.contains_key(**run));
    let strangers: Vec<Vec<Value<'_>>> = strangers.map(|run| key_values(run).into()).collect();
    if let Some(mut query) = select(
        &format!("{}, data_redacted", RUN_KEY.join(", ")),
        "omnitrace_events",
        &RUN_KEY,
        strangers.into_iter(),
    ) {
        query.push(&was_told("data_redacted"));
        for row in &store.fetch(query).await? {
            let c = &mut Columns::new(row);
            let (run, data): (RunKey, String) = (c.key()?, c.take()?);
            let Some(trace_id) = told_trace(&data) else {
                continue;
            };
            let rows = SpanRows {
                run: RunRow {
                    trace_id,
                    ..RunRow::new(run.clone())
                },
                itself: false,
                continued_from_trace: None,
                events: Vec::new(),
            };
            found.insert(run, rows);
        }
    }
    let events = keys.iter().filter(|key| !key.is_run()).map(span_values);
    if let Some(mut query) = select(
        &event_written().join(", "),
        "omnitrace_events",
        &EVENT_KEY,
        events,
    ) {
        query.push(" AND exported_at IS NULL ORDER BY start_time, event_key");
        for row in &store.fetch(query).await? {
            let event = read_event(row)?;
            if let Some(rows) = found.get_mut(&event.run) {
                rows.events.push(event);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// `AND` an attempt of a workflow that nobody records was told its trace.
fn was_told(data: &str) -> String {
    format!(" AND {data} LIKE '%\"{TRACEPARENT}\":\"%'")
}

/// The trace that such an attempt was told.
fn told_trace(data: &str) -> Option<String> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    let mut parts = data.get(TRACEPARENT)?.as_str()?.split('-');
    let trace_id = parts.nth(1).filter(|id| id.len() == 32)?;
    Some(trace_id.to_owned())
}
