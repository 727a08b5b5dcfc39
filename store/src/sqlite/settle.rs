//! After the rows of a batch are in: ghosts, the cap, and what is derived for the runs touched.
//!
//! Invariant: the derived columns of a run are those of its stored events, cuts and row, whichever
//! of them came last.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::columns::{Columns, RUN_DERIVED, bind_key};
use super::write::{Fates, chunks, mark, values};
use crate::derive::{Candidate, Usage, Used, settle as settle_run, usage};
use crate::row::{Phase, RunKey};

/// What is stored of a touched run.
struct Summary<'a> {
    run: &'a RunKey,
    /// Phase and steps seen, if its row is here.
    row: Option<(Phase, u32)>,
    stored: Derived,
    confirmed: usize,
    provisional: usize,
    marks: i64,
    /// Rows with tokens or cost.
    used: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Derived {
    event_count: u32,
    dropped_events: u32,
    usage: Usage,
}

pub(super) async fn settle(
    connection: &mut SqliteConnection,
    touched: &[&RunKey],
    max_events_per_run: u32,
    fates: &mut Fates<'_>,
) -> Result<(), sqlx::Error> {
    let max = max_events_per_run as usize;
    for chunk in chunks(touched) {
        let mut derived = Vec::with_capacity(chunk.len());
        let mut with_usage = Vec::new();
        let summaries = summaries(connection, chunk).await?;
        for summary in &summaries {
            let mut provisional = summary.provisional;
            if provisional > 0 && summary.row.is_some_and(|(phase, _)| phase == Phase::Closed) {
                delete_ghosts(connection, summary.run, fates).await?;
                provisional = 0;
            }
            let mut now = Derived {
                event_count: u32::try_from(summary.confirmed.min(max)).unwrap_or(u32::MAX),
                ..Derived::default()
            };
            let over = summary.confirmed > max || summary.confirmed + provisional > 2 * max;
            if over || summary.marks > 0 {
                let steps_seen = summary.row.map_or(0, |(_, steps_seen)| steps_seen);
                now.dropped_events = cap(connection, summary.run, steps_seen, max, fates).await?;
            }
            if summary.used > 0 && summary.row.is_some() {
                with_usage.push((derived.len(), summary.run));
            }
            derived.push(now);
        }
        for part in chunks(&with_usage) {
            let runs: Vec<&RunKey> = part.iter().map(|(_, run)| *run).collect();
            for (sum, (at, _)) in usages(connection, &runs).await?.into_iter().zip(part) {
                derived[*at].usage = sum;
            }
        }
        let updates: Vec<(&RunKey, Derived)> = (summaries.iter().zip(derived))
            .filter(|(summary, now)| summary.row.is_some() && summary.stored != *now)
            .map(|(summary, now)| (summary.run, now))
            .collect();
        for part in chunks(&updates) {
            update(connection, part).await?;
        }
    }
    Ok(())
}

/// `t`: the runs asked about, numbered.
fn with_runs(runs: usize) -> String {
    let rows: Vec<String> = (0..runs).map(|i| format!("({i}, ?, ?, ?)")).collect();
    format!(
        "WITH t(i, namespace, workflow_id, run_id) AS (VALUES {})",
        rows.join(", ")
    )
}

async fn summaries<'a>(
    connection: &mut SqliteConnection,
    runs: &[&'a RunKey],
) -> Result<Vec<Summary<'a>>, sqlx::Error> {
    let derived: Vec<String> = RUN_DERIVED.iter().map(|c| format!("r.{c}")).collect();
    let sql = format!(
        "{} SELECT r.phase, r.steps_seen, {derived}, \
           count(e.event_key) FILTER (WHERE e.phase > 0), \
           count(e.event_key) FILTER (WHERE e.phase = 0), \
           count(coalesce(e.input_tokens, e.output_tokens, e.cost_usd)) FILTER (WHERE e.phase > 0), \
           (SELECT count(*) FROM omnitrace_cuts c WHERE c.namespace = t.namespace \
              AND c.workflow_id = t.workflow_id AND c.run_id = t.run_id) \
         FROM t LEFT JOIN omnitrace_runs r USING (namespace, workflow_id, run_id) \
           LEFT JOIN omnitrace_events e ON e.namespace = t.namespace \
              AND e.workflow_id = t.workflow_id AND e.run_id = t.run_id \
         GROUP BY t.i ORDER BY t.i",
        with_runs(runs.len()),
        derived = derived.join(", "),
    );
    let query = runs
        .iter()
        .fold(sqlx::query(&sql), |q, run| bind_key(q, run));
    let rows = query.fetch_all(connection).await?;
    (runs.iter().zip(&rows))
        .map(|(run, row)| {
            let c = &mut Columns::new(row);
            let phase: Option<u8> = c.take()?;
            let steps_seen: Option<u32> = c.take()?;
            let phase = phase.map(|phase| match phase {
                0 => Phase::Provisional,
                1 => Phase::Open,
                _ => Phase::Closed,
            });
            Ok(Summary {
                run,
                row: Option::zip(phase, steps_seen),
                stored: Derived {
                    event_count: c.or_default()?,
                    dropped_events: c.or_default()?,
                    usage: Usage {
                        input_tokens: c.or_default()?,
                        output_tokens: c.or_default()?,
                        cost_usd: c.or_default()?,
                    },
                },
                confirmed: c.take::<u32>()? as usize,
                provisional: c.take::<u32>()? as usize,
                used: c.take()?,
                marks: c.take()?,
            })
        })
        .collect()
}

async fn delete_ghosts(
    connection: &mut SqliteConnection,
    run: &RunKey,
    fates: &mut Fates<'_>,
) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM omnitrace_events \
               WHERE namespace = ? AND workflow_id = ? AND run_id = ? AND phase = 0 \
               RETURNING event_key";
    let rows = bind_key(sqlx::query(sql), run)
        .fetch_all(connection)
        .await?;
    for row in &rows {
        fates.ghost(run, Columns::new(row).take()?);
    }
    Ok(())
}

/// Applies the cap to a run and returns how many of its rows are not stored.
async fn cap(
    connection: &mut SqliteConnection,
    run: &RunKey,
    steps_seen: u32,
    max: usize,
    fates: &mut Fates<'_>,
) -> Result<u32, sqlx::Error> {
    let sql = "SELECT event_key, kind, step, attempt, parent_key, status, phase, source, \
                 coalesce(scheduled_at, started_at, 0) \
               FROM omnitrace_events WHERE namespace = ? AND workflow_id = ? AND run_id = ?";
    let rows = bind_key(sqlx::query(sql), run)
        .fetch_all(&mut *connection)
        .await?;
    let rows = (rows.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(Candidate {
                event_key: c.take()?,
                kind: c.take()?,
                step: c.take()?,
                attempt: c.take()?,
                parent_key: c.take()?,
                status: c.status()?,
                phase: c.phase()?,
                source: c.source()?,
                at: c.take()?,
            })
        })
        .collect::<Result<Vec<_>, crate::store::ReadError>>()
        .map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    let sql = "SELECT scope, count FROM omnitrace_cuts \
               WHERE namespace = ? AND workflow_id = ? AND run_id = ?";
    let marks = bind_key(sqlx::query(sql), run)
        .fetch_all(&mut *connection)
        .await?;
    let marks = (marks.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok((c.take()?, c.take()?))
        })
        .collect::<Result<BTreeMap<String, u32>, sqlx::Error>>()?;

    let settled = settle_run(&rows, &marks, steps_seen, max);
    for part in chunks(&settled.cut) {
        let sql = format!(
            "DELETE FROM omnitrace_events WHERE namespace = ? AND workflow_id = ? AND run_id = ? \
             AND event_key IN {}",
            values(1, part.len()),
        );
        let query = part
            .iter()
            .fold(bind_key(sqlx::query(&sql), run), |q, key| q.bind(key));
        query.execute(&mut *connection).await?;
        for key in part {
            fates.cut(run, key);
        }
    }
    for (scope, count) in &settled.raised {
        mark(connection, run, scope, *count).await?;
    }
    for scope in &settled.forgotten {
        let sql = "DELETE FROM omnitrace_cuts \
                   WHERE namespace = ? AND workflow_id = ? AND run_id = ? AND scope = ?";
        let query = bind_key(sqlx::query(sql), run).bind(scope);
        query.execute(&mut *connection).await?;
    }
    Ok(settled.dropped)
}

async fn usages(
    connection: &mut SqliteConnection,
    runs: &[&RunKey],
) -> Result<Vec<Usage>, sqlx::Error> {
    let sql = format!(
        "{} SELECT t.i, e.event_key, e.kind, e.step, e.attempt, e.parent_key, \
           e.input_tokens, e.output_tokens, e.cost_usd \
         FROM t JOIN omnitrace_events e USING (namespace, workflow_id, run_id) \
         WHERE e.phase > 0 AND (coalesce(e.input_tokens, e.output_tokens, e.cost_usd) IS NOT NULL \
           OR (e.kind <> 'activity' AND e.parent_key IS NOT NULL))",
        with_runs(runs.len()),
    );
    let query = runs
        .iter()
        .fold(sqlx::query(&sql), |q, run| bind_key(q, run));
    let mut by_run = vec![Vec::new(); runs.len()];
    for row in &query.fetch_all(connection).await? {
        let c = &mut Columns::new(row);
        let run: u32 = c.take()?;
        by_run[run as usize].push(Used {
            event_key: c.take()?,
            kind: c.take()?,
            step: c.take()?,
            attempt: c.take()?,
            parent_key: c.take()?,
            input_tokens: c.take()?,
            output_tokens: c.take()?,
            cost_usd: c.take()?,
        });
    }
    Ok(by_run.iter().map(|rows| usage(rows)).collect())
}

async fn update(
    connection: &mut SqliteConnection,
    runs: &[(&RunKey, Derived)],
) -> Result<(), sqlx::Error> {
    let set: Vec<String> = RUN_DERIVED.iter().map(|c| format!("{c} = t.{c}")).collect();
    let sql = format!(
        "WITH t(namespace, workflow_id, run_id, {columns}) AS (VALUES {values}) \
         UPDATE omnitrace_runs AS r SET {set} FROM t \
         WHERE r.namespace = t.namespace AND r.workflow_id = t.workflow_id AND r.run_id = t.run_id",
        columns = RUN_DERIVED.join(", "),
        values = values(runs.len(), 3 + RUN_DERIVED.len()),
        set = set.join(", "),
    );
    let query = (runs.iter()).fold(sqlx::query(&sql), |query, (run, derived)| {
        bind_key(query, run)
            .bind(derived.event_count)
            .bind(derived.dropped_events)
            .bind(derived.usage.input_tokens)
            .bind(derived.usage.output_tokens)
            .bind(derived.usage.cost_usd)
    });
    query.execute(connection).await.map(drop)
}
