//! Taking out what is too old, in small transactions.
//!
//! Invariant: an hour is aggregated in one transaction before anything of it goes, and once. Rows of a run go
//! under its lock. No transaction takes out more than some hundred rows, so none holds up a writer for long.

use super::columns::{
    Columns, EVENT_KEY, RUN_KEY, event_written, key_values, read_event, read_run, run_columns,
};
use super::settle::delete;
use super::statement::{Statement, Value, select};
use super::write::lock_existing;
use super::{Job, Reads, Tables, hourly};
use crate::hourly::{HOUR, Hours, hour_of};
use crate::retention::Prunable;
use crate::row::{EventRow, Micros, RunKey, RunRow};
use crate::store::{OpenOptions, ReadError};

/// Events of one transaction.
const EVENTS: u32 = 500;

/// The same where a transaction holds the one lock of the database while it looks for them.
const EVENTS_UNDER_LOCK: u32 = 200;

/// Runs of one transaction.
const RUNS: u32 = 100;

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
        hourly::add(tables, self.hours).await?;
        Ok(true)
    }
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
             WHERE r.phase = 2 AND r.closed_at >= {} AND r.closed_at < {} LIMIT {}",
            EVENT_KEY.map(|c| format!("e.{c}")).join(", "),
            self.hour,
            self.hour + HOUR,
            if T::SHARED { EVENTS } else { EVENTS_UNDER_LOCK },
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

/// Runs that closed at a moment or later have events again, which are to go.
pub(super) async fn events_from<T: Tables>(
    tables: &mut T,
    closed_at: Micros,
) -> Result<(), sqlx::Error> {
    // Unconditional, so that it waits for whoever sets it now.
    let sql = "UPDATE omnitrace_retention SET events_through = \
                 CASE WHEN events_through < t.at THEN events_through ELSE t.at END \
               FROM t WHERE id = 1";
    let row = vec![Value::int(hour_of(closed_at))];
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
