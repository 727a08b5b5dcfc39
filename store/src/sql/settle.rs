//! After the rows of a batch are in: those of erased runs, ghosts, the cap, and what is derived for the runs
//! touched.
//!
//! Invariant: the derived columns of a run are those of its stored events, cuts and row, whichever
//! of them came last.

use std::collections::{BTreeMap, HashMap};

use super::columns::{Columns, EVENT_KEY, RUN_DERIVED, RUN_KEY, key_values, phase};
use super::erasure::{HASHES, forget, hashes, is_erased};
use super::fates::Fates;
use super::retention::events_from;
use super::statement::Value;
use super::write::raise_marks;
use super::{Tables, Values};
use crate::derive::{Candidate, Usage, Used, settle as settle_run, usage};
use crate::row::{Micros, Phase, RunKey};

/// What is stored of a touched run.
#[derive(Default)]
struct Summary {
    /// Phase and steps seen, if its row is here.
    row: Option<(Phase, u32)>,
    stored: Derived,
    confirmed: usize,
    provisional: usize,
    marks: usize,
    /// Rows with tokens or cost.
    used: usize,
    /// Nothing of it may be stored.
    erased: bool,
    /// When it closed, if its hour is aggregated and it has events.
    late: Option<Micros>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Derived {
    event_count: u32,
    dropped_events: u32,
    usage: Usage,
}

/// Reports which of the runs are erased: nothing of them is stored then.
pub(super) async fn settle<'r, T: Tables>(
    tables: &mut T,
    runs: &[&'r RunKey],
    parents: &HashMap<&RunKey, &RunKey>,
    max: usize,
    fates: &mut Fates<'_>,
) -> Result<Vec<&'r RunKey>, sqlx::Error> {
    let mut summaries = summaries(tables, runs, parents).await?;
    let erased = of(runs, &summaries, |s| s.erased);
    let erased: Vec<&RunKey> = (erased.into_iter())
        .map(|(at, run)| {
            summaries[at] = Summary::default();
            fates.erased(run);
            run
        })
        .collect();
    if !erased.is_empty() {
        forget(tables, &erased).await?;
    }

    if let Some(first) = summaries.iter().filter_map(|s| s.late).min() {
        events_from(tables, first).await?;
    }

    let closed = of(runs, &summaries, |s| {
        s.provisional > 0 && s.row.is_some_and(|(phase, _)| phase == Phase::Closed)
    });
    for (at, event_key) in delete_ghosts(tables, &closed).await? {
        fates.ghost(runs[at], &event_key);
        summaries[at].provisional = 0;
    }

    let mut derived: Vec<Derived> = (summaries.iter())
        .map(|summary| Derived {
            event_count: u32::try_from(summary.confirmed.min(max)).unwrap_or(u32::MAX),
            ..Derived::default()
        })
        .collect();
    let to_cap = of(runs, &summaries, |s| {
        s.marks > 0 || s.confirmed > max || s.confirmed + s.provisional > 2 * max
    });
    cap(tables, &to_cap, &summaries, max, &mut derived, fates).await?;

    let with_usage = of(runs, &summaries, |s| s.used > 0 && s.row.is_some());
    for (at, sum) in usages(tables, &with_usage).await? {
        derived[at].usage = sum;
    }

    let updates: Vec<(&RunKey, Derived)> = (runs.iter().zip(&summaries).zip(derived))
        .filter(|((_, summary), now)| summary.row.is_some() && summary.stored != *now)
        .map(|((run, _), now)| (*run, now))
        .collect();
    update(tables, &updates).await?;
    Ok(erased)
}

/// A run and its number among those touched.
pub(super) type Numbered<'a> = (usize, &'a RunKey);

/// The runs whose summary is so.
fn of<'a>(
    runs: &[&'a RunKey],
    summaries: &[Summary],
    is: impl Fn(&Summary) -> bool,
) -> Vec<Numbered<'a>> {
    (runs.iter().zip(summaries).enumerate())
        .filter(|(_, (_, summary))| is(summary))
        .map(|(at, (run, _))| (at, *run))
        .collect()
}

/// Runs a statement that joins runs as `t` and returns their number first.
async fn with_runs<T: Tables>(
    tables: &mut T,
    runs: &[Numbered<'_>],
    sql: &str,
) -> Result<Vec<T::Row>, sqlx::Error> {
    let rows = (runs.iter())
        .map(|(at, run)| {
            let mut row = vec![Value::Int(Some(*at as i64))];
            row.extend(key_values(run));
            row
        })
        .collect();
    let columns = ["i", "namespace", "workflow_id", "run_id"];
    tables.with_rows(&columns, rows, sql).await
}

/// Reads the number that comes first.
fn numbered<R: super::Fields>(row: &R) -> Result<(usize, Columns<'_, R>), sqlx::Error> {
    let mut columns = Columns::new(row);
    let at: u64 = columns.take()?;
    Ok((at as usize, columns))
}

async fn summaries<T: Tables>(
    tables: &mut T,
    runs: &[&RunKey],
    parents: &HashMap<&RunKey, &RunKey>,
) -> Result<Vec<Summary>, sqlx::Error> {
    let mut summaries: Vec<Summary> = runs.iter().map(|_| Summary::default()).collect();
    let rows = (runs.iter().enumerate())
        .map(|(at, run)| {
            let mut row = vec![Value::Int(Some(at as i64))];
            row.extend(key_values(run));
            row.extend(hashes(run, parents.get(run).copied()));
            row
        })
        .collect();
    // A row that only locks is none.
    let start = "coalesce(nullif(CASE WHEN r.phase >= 0 THEN r.start_time END, 0), e.began)";
    let erased = is_erased("r.user_id", "r.tenant_id", start);
    // One statement: each is a round trip that holds the locks.
    let sql = format!(
        "SELECT t.i, coalesce(r.phase, -1), coalesce(r.steps_seen, 0), {}, \
           coalesce(e.confirmed, 0), coalesce(e.provisional, 0), coalesce(e.used, 0), \
           coalesce(c.marks, 0), CASE WHEN {erased} THEN 1 ELSE 0 END, \
           CASE WHEN r.phase = 2 AND e.i IS NOT NULL AND r.closed_at < \
             (SELECT sealed_through FROM omnitrace_retention WHERE id = 1) THEN r.closed_at END \
         FROM t LEFT JOIN omnitrace_runs r USING (namespace, workflow_id, run_id) \
         LEFT JOIN (SELECT t.i, \
             min(nullif(e.start_time, 0)) AS began, \
             count(*) FILTER (WHERE e.phase > 0) AS confirmed, \
             count(*) FILTER (WHERE e.phase = 0) AS provisional, \
             count(*) FILTER (WHERE e.phase > 0 AND (e.input_tokens IS NOT NULL \
               OR e.output_tokens IS NOT NULL OR e.cost_usd IS NOT NULL)) AS used \
           FROM t JOIN omnitrace_events e USING (namespace, workflow_id, run_id) \
           GROUP BY t.i) e ON e.i = t.i \
         LEFT JOIN (SELECT t.i, count(*) AS marks \
           FROM t JOIN omnitrace_cuts c USING (namespace, workflow_id, run_id) \
           GROUP BY t.i) c ON c.i = t.i",
        RUN_DERIVED
            .map(|c| match c {
                // SQLite would make an integer of it where there is no row.
                "cost_usd" => format!("CAST(coalesce(r.{c}, 0) AS double precision)"),
                c => format!("coalesce(r.{c}, 0)"),
            })
            .join(", ")
    );
    let columns = [&["i"], &RUN_KEY[..], &HASHES].concat();
    for row in &tables.with_rows(&columns, rows, &sql).await? {
        let (at, mut c) = numbered(row)?;
        let summary = &mut summaries[at];
        let number: i64 = c.take()?;
        let steps_seen = c.take()?;
        summary.row = phase(number).map(|phase| (phase, steps_seen));
        summary.stored = Derived {
            event_count: c.take()?,
            dropped_events: c.take()?,
            usage: Usage {
                input_tokens: c.take()?,
                output_tokens: c.take()?,
                cost_usd: c.take()?,
            },
        };
        for count in [
            &mut summary.confirmed,
            &mut summary.provisional,
            &mut summary.used,
            &mut summary.marks,
        ] {
            *count = c.take::<u64>()? as usize;
        }
        summary.erased = c.take::<u64>()? > 0;
        summary.late = c.take()?;
    }
    Ok(summaries)
}

pub(super) fn unreadable(error: crate::store::ReadError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

async fn delete_ghosts<T: Tables>(
    tables: &mut T,
    runs: &[Numbered<'_>],
) -> Result<Vec<(usize, String)>, sqlx::Error> {
    let sql = "SELECT t.i, e.event_key \
               FROM t JOIN omnitrace_events e USING (namespace, workflow_id, run_id) \
               WHERE e.phase = 0";
    let ghosts = (with_runs(tables, runs, sql).await?.iter())
        .map(|row| {
            let (at, mut c) = numbered(row)?;
            Ok((at, c.take()?))
        })
        .collect::<Result<Vec<(usize, String)>, sqlx::Error>>()?;
    let by_number: BTreeMap<usize, &RunKey> = runs.iter().copied().collect();
    let keys = ghosts.iter().map(|(at, key)| (by_number[at], key.as_str()));
    delete(tables, "omnitrace_events", "event_key", keys).await?;
    Ok(ghosts)
}

/// Deletes rows by their run and one more column of their key.
pub(super) async fn delete<'a, T: Tables>(
    tables: &mut T,
    table: &str,
    column: &str,
    keys: impl Iterator<Item = (&'a RunKey, &'a str)>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<Values<'_>> = keys
        .map(|(run, key)| {
            let mut row = Vec::from(key_values(run));
            row.push(Value::text(key));
            row
        })
        .collect();
    let [namespace, workflow_id, run_id, _] = EVENT_KEY;
    let columns = [namespace, workflow_id, run_id, column];
    let list = columns.join(", ");
    let sql = format!("DELETE FROM {table} WHERE ({list}) IN (SELECT {list} FROM t)");
    tables.with_rows(&columns, rows, &sql).await.map(drop)
}

/// Applies the cap to runs, and counts how many of their rows are not stored.
async fn cap<T: Tables>(
    tables: &mut T,
    runs: &[Numbered<'_>],
    summaries: &[Summary],
    max: usize,
    derived: &mut [Derived],
    fates: &mut Fates<'_>,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT t.i, e.event_key, e.kind, e.step, e.attempt, e.parent_key, e.status, \
                 e.phase, e.source, coalesce(e.scheduled_at, e.started_at, 0) \
               FROM t JOIN omnitrace_events e USING (namespace, workflow_id, run_id)";
    let mut rows: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
    for row in &with_runs(tables, runs, sql).await? {
        let (at, mut c) = numbered(row)?;
        rows.entry(at).or_default().push(Candidate {
            event_key: c.take()?,
            kind: c.take()?,
            step: c.take()?,
            attempt: c.take()?,
            parent_key: c.take()?,
            status: c.status().map_err(unreadable)?,
            phase: c.phase().map_err(unreadable)?,
            source: c.source().map_err(unreadable)?,
            at: c.take()?,
        });
    }
    let sql = "SELECT t.i, c.scope, c.count \
               FROM t JOIN omnitrace_cuts c USING (namespace, workflow_id, run_id)";
    let mut marks: BTreeMap<usize, BTreeMap<String, u32>> = BTreeMap::new();
    for row in &with_runs(tables, runs, sql).await? {
        let (at, mut c) = numbered(row)?;
        marks.entry(at).or_default().insert(c.take()?, c.take()?);
    }

    let (mut cut, mut raised, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for &(at, run) in runs {
        let steps_seen = summaries[at].row.map_or(0, |(_, steps_seen)| steps_seen);
        let rows = rows.remove(&at).unwrap_or_default();
        let marks = marks.remove(&at).unwrap_or_default();
        let settled = settle_run(&rows, &marks, steps_seen, max);
        derived[at].dropped_events = settled.dropped;
        cut.extend(settled.cut.into_iter().map(|key| (run, key)));
        forgotten.extend(settled.forgotten.into_iter().map(|scope| (run, scope)));
        raised.extend((settled.raised.into_iter()).map(|(scope, count)| (run, scope, count)));
    }
    let keys = cut.iter().map(|(run, key)| (*run, key.as_str()));
    delete(tables, "omnitrace_events", "event_key", keys).await?;
    for (run, key) in &cut {
        fates.cut(run, key);
    }
    raise_marks(tables, raised).await?;
    let scopes = (forgotten.iter()).map(|(run, scope)| (*run, scope.as_str()));
    delete(tables, "omnitrace_cuts", "scope", scopes).await
}

async fn usages<T: Tables>(
    tables: &mut T,
    runs: &[Numbered<'_>],
) -> Result<Vec<(usize, Usage)>, sqlx::Error> {
    let rows = used(tables, runs).await?;
    Ok((rows.into_iter())
        .map(|(at, rows)| (at, usage(&rows)))
        .collect())
}

/// What rows of runs tell of tokens and cost, and all of their inner events.
pub(super) async fn used<T: Tables>(
    tables: &mut T,
    runs: &[Numbered<'_>],
) -> Result<BTreeMap<usize, Vec<Used>>, sqlx::Error> {
    let sql = "SELECT t.i, e.event_key, e.kind, e.step, e.attempt, e.parent_key, \
                 e.model, e.input_tokens, e.output_tokens, e.cost_usd \
               FROM t JOIN omnitrace_events e USING (namespace, workflow_id, run_id) \
               WHERE e.phase > 0 AND (e.input_tokens IS NOT NULL OR e.output_tokens IS NOT NULL \
                 OR e.cost_usd IS NOT NULL OR (e.kind <> 'activity' AND e.parent_key IS NOT NULL))";
    let mut by_run: BTreeMap<usize, Vec<Used>> = BTreeMap::new();
    for row in &with_runs(tables, runs, sql).await? {
        let (at, mut c) = numbered(row)?;
        by_run.entry(at).or_default().push(Used {
            event_key: c.take()?,
            kind: c.take()?,
            step: c.take()?,
            attempt: c.take()?,
            parent_key: c.take()?,
            model: c.take()?,
            input_tokens: c.take()?,
            output_tokens: c.take()?,
            cost_usd: c.take()?,
        });
    }
    Ok(by_run)
}

async fn update<T: Tables>(tables: &mut T, runs: &[(&RunKey, Derived)]) -> Result<(), sqlx::Error> {
    let rows = (runs.iter())
        .map(|(run, derived)| {
            let mut row = Vec::from(key_values(run));
            row.extend([
                Value::int(derived.event_count),
                Value::int(derived.dropped_events),
                Value::int(derived.usage.input_tokens),
                Value::int(derived.usage.output_tokens),
                Value::float(Some(derived.usage.cost_usd)),
            ]);
            row
        })
        .collect();
    let [namespace, workflow_id, run_id, _] = EVENT_KEY;
    let columns = [&[namespace, workflow_id, run_id][..], &RUN_DERIVED].concat();
    let sql = format!(
        "UPDATE omnitrace_runs AS r SET {} FROM t \
         WHERE r.namespace = t.namespace AND r.workflow_id = t.workflow_id AND r.run_id = t.run_id",
        RUN_DERIVED.map(|c| format!("{c} = t.{c}")).join(", ")
    );
    tables.with_rows(&columns, rows, &sql).await.map(drop)
}
