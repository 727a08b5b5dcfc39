//! What closes for the first time with a write, and what it cost: for those who count.
//!
//! Invariant: what was closed before is never told again, however often it is written and by whom. Both
//! looks are taken in the transaction of the write, with the runs locked.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::columns::{Columns, EVENT_KEY, RUN_KEY, key_values};
use super::settle::used;
use super::statement::Value;
use super::{Tables, Values};
use crate::derive::{added, spent};
use crate::row::{EventRow, Phase, RunKey};
use crate::store::{Batch, Closings, RunFacts, Spent, WriteReport};

/// What is stored before a batch is.
#[derive(Default)]
pub(super) struct Before {
    runs: HashSet<RunKey>,
    events: HashSet<(RunKey, String)>,
    /// Of the runs that the batch tells tokens or cost of.
    spent: BTreeMap<RunKey, Vec<Spent>>,
}

fn is_used(row: &EventRow) -> bool {
    row.input_tokens.is_some() || row.output_tokens.is_some() || row.cost_usd.is_some()
}

/// Whether a batch may close anything, or cost anything.
pub(super) fn concerns(batch: &Batch) -> bool {
    (batch.events.iter()).any(|row| row.is_over() || is_used(row))
        || (batch.runs.iter()).any(|row| row.phase == Phase::Closed)
}

pub(super) async fn before<T: Tables>(
    tables: &mut T,
    batch: &Batch,
) -> Result<Before, sqlx::Error> {
    let mut before = Before::default();
    let runs: Vec<Values<'_>> = (batch.runs.iter())
        .filter(|row| row.phase == Phase::Closed)
        .map(|row| key_values(&row.key).into())
        .collect();
    let sql = "SELECT r.namespace, r.workflow_id, r.run_id FROM t \
               JOIN omnitrace_runs r USING (namespace, workflow_id, run_id) WHERE r.phase = 2";
    for row in &tables.with_rows(&RUN_KEY, runs, sql).await? {
        before.runs.insert(Columns::new(row).key()?);
    }
    let events: Vec<Values<'_>> = (batch.events.iter())
        .filter(|row| row.is_over())
        .map(|row| {
            let mut values = Vec::from(key_values(&row.run));
            values.push(Value::text(&row.event_key));
            values
        })
        .collect();
    let sql = "SELECT e.namespace, e.workflow_id, e.run_id, e.event_key FROM t \
               JOIN omnitrace_events e USING (namespace, workflow_id, run_id, event_key) \
               WHERE e.phase = 2 AND (e.source > 0 OR e.status = 'lost')";
    for row in &tables.with_rows(&EVENT_KEY, events, sql).await? {
        let mut columns = Columns::new(row);
        before.events.insert((columns.key()?, columns.take()?));
    }
    let spending: BTreeSet<&RunKey> = (batch.events.iter())
        .filter(|row| is_used(row))
        .map(|row| &row.run)
        .collect();
    let spending: Vec<&RunKey> = spending.into_iter().collect();
    before.spent = spent_of(tables, &spending).await?;
    Ok(before)
}

/// Tells what is new in the report of a write that is done.
pub(super) async fn after<T: Tables>(
    tables: &mut T,
    batch: &Batch,
    before: Before,
    report: &mut WriteReport,
) -> Result<(), sqlx::Error> {
    let changed: HashSet<(&RunKey, &str)> = (report.changed_events.iter())
        .map(|(run, key)| (run, key.as_str()))
        .collect();
    let is_new = |row: &EventRow| {
        row.is_over()
            && changed.contains(&(&row.run, row.event_key.as_str()))
            && !before
                .events
                .contains(&(row.run.clone(), row.event_key.clone()))
    };
    let changed_runs: HashSet<&RunKey> = report.changed_runs.iter().collect();
    let mut closings = Closings {
        events: positions(&batch.events, is_new),
        runs: positions(&batch.runs, |row| {
            row.phase == Phase::Closed
                && changed_runs.contains(&row.key)
                && !before.runs.contains(&row.key)
        }),
        ..Closings::default()
    };
    let spending: Vec<&RunKey> = before.spent.keys().collect();
    for (run, now) in spent_of(tables, &spending).await? {
        let more = added(&before.spent[&run], &now);
        closings
            .spent
            .extend(more.into_iter().map(|more| (run.clone(), more)));
    }
    let concerned: BTreeSet<&RunKey> = (closings.events.iter().map(|at| &batch.events[*at].run))
        .chain(closings.runs.iter().map(|at| &batch.runs[*at].key))
        .chain(closings.spent.iter().map(|(run, _)| run))
        .collect();
    let rows = (concerned.into_iter())
        .map(|run| key_values(run).into())
        .collect();
    let sql = "SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.task_queue, \
                 r.tenant_id FROM t \
               JOIN omnitrace_runs r USING (namespace, workflow_id, run_id) WHERE r.phase >= 0";
    let facts = tables.with_rows(&RUN_KEY, rows, sql).await?;
    for row in &facts {
        let mut columns = Columns::new(row);
        let run = columns.key()?;
        let facts = RunFacts {
            workflow_type: columns.take()?,
            task_queue: columns.take()?,
            tenant: columns.take()?,
        };
        closings.facts.insert(run, facts);
    }
    report.closings = closings;
    Ok(())
}

fn positions<R>(rows: &[R], is: impl Fn(&R) -> bool) -> Vec<usize> {
    (rows.iter().enumerate())
        .filter(|(_, row)| is(row))
        .map(|(at, _)| at)
        .collect()
}

/// What runs spent by what is stored of them; nothing of a run of which nothing is.
async fn spent_of<T: Tables>(
    tables: &mut T,
    runs: &[&RunKey],
) -> Result<BTreeMap<RunKey, Vec<Spent>>, sqlx::Error> {
    let numbered: Vec<_> = runs.iter().copied().enumerate().collect();
    let mut rows = used(tables, &numbered).await?;
    Ok((numbered.into_iter())
        .map(|(at, run)| (run.clone(), spent(&rows.remove(&at).unwrap_or_default())))
        .collect())
}
