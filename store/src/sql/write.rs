//! Writing a batch: one statement per table, the merge rule in SQL.
//!
//! Invariant: a row replaces the stored one only if (phase, source, start_time, digest) is greater,
//! as in [`crate::merge`]. Rows are written in the order of their keys and runs before all else, so
//! that two writers wait for each other in one direction only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::columns::{
    Columns, RUN_CONTENT, RUN_KEY, event_values, event_written, key_values, run_values, run_written,
};
use super::fates::Fates;
use super::statement::Value;
use super::{Job, Tables, closings, columns, export, settle};
use crate::derive::scope_text;
use crate::row::{EventRow, Micros, Phase, RunKey, RunRow};
use crate::store::{Batch, OpenOptions, ProcessReport, Promotion, WriteReport};

/// The phase of a row that only locks its run, and is gone when the transaction ends. It loses
/// against every other.
const LOCK_PHASE: i64 = -1;

impl Job for Batch {
    type Report = WriteReport;

    async fn run<T: Tables>(
        &self,
        tables: &mut T,
        options: &OpenOptions,
    ) -> Result<WriteReport, sqlx::Error> {
        write(tables, self, options).await
    }
}

async fn write<T: Tables>(
    tables: &mut T,
    batch: &Batch,
    options: &OpenOptions,
) -> Result<WriteReport, sqlx::Error> {
    let touched: BTreeSet<&RunKey> = (batch.runs.iter().map(|row| &row.key))
        .chain(batch.events.iter().map(|row| &row.run))
        .chain(batch.seen.iter().map(|seen| &seen.run))
        .chain(batch.promotions.iter().map(|promotion| &promotion.run))
        .collect();
    let touched: Vec<&RunKey> = touched.into_iter().collect();
    let offered = offered(batch);
    let counts = options.closings && closings::concerns(batch);
    let locked = match counts && T::SHARED {
        true => runs(tables, &[], &touched, &offered).await?,
        false => HashSet::new(),
    };
    let before = match counts {
        true => Some(closings::before(tables, batch).await?),
        false => None,
    };
    let mut changed = runs(tables, &batch.runs, &touched, &offered).await?;
    // Those that were offered have changed as well.
    changed.extend(locked);
    let mut fates = Fates::new(&batch.events);
    events(tables, &batch.events, &mut fates).await?;
    let seen: Vec<(&RunKey, String, u32)> = (batch.seen.iter())
        .map(|seen| (&seen.run, scope_text(&seen.scope), seen.count))
        .collect();
    raise_marks(tables, seen).await?;
    promotions(tables, &batch.promotions).await?;
    if let Some(report) = &batch.process {
        process(tables, report).await?;
    }
    let max = options.max_events_per_run as usize;
    let parents: HashMap<&RunKey, &RunKey> = (batch.runs.iter())
        .filter_map(|row| Some((&row.key, row.parent.as_ref()?)))
        .collect();
    let erased = settle::settle(tables, &touched, &parents, max, &mut fates).await?;
    let erased: HashSet<&RunKey> = erased.into_iter().collect();
    changed.retain(|run| !erased.contains(run));
    if T::SHARED {
        unlock(tables, &batch.runs, &changed).await?;
    }

    let mut report = fates.report();
    // In the order in which they were offered.
    report.changed_runs = (batch.runs.iter())
        .filter_map(|row| changed.take(&row.key))
        .collect();
    let refused = batch.runs.iter().filter(|row| erased.contains(&row.key));
    report.erased_runs = refused.count() as u64;
    let told = report.changed_runs.len() as u64 + report.erased_runs;
    report.unchanged_runs = batch.runs.len() as u64 - told;
    if let Some(grace) = options.export {
        let (events, runs) = (&report.changed_events, &report.changed_runs);
        report.to_export = export::note(tables, grace, events, runs).await?;
    }
    if let Some(before) = before {
        closings::after(tables, batch, before, &mut report).await?;
    }
    Ok(report)
}

/// The row offered is better than the stored one.
fn wins(table: &str) -> String {
    format!(
        "(excluded.phase, excluded.source, excluded.start_time, excluded.digest) > \
         ({table}.phase, {table}.source, {table}.start_time, {table}.digest)"
    )
}

/// The person offered is better known than the stored one, or as well and has the smaller hash.
fn better(person: &str) -> String {
    let (id, rank) = (format!("{person}_id"), format!("{person}_rank"));
    format!(
        "(excluded.{id} IS NOT NULL AND (omnitrace_runs.{id} IS NULL \
          OR excluded.{rank} > omnitrace_runs.{rank} \
          OR (excluded.{rank} = omnitrace_runs.{rank} AND excluded.{id} < omnitrace_runs.{id})))"
    )
}

fn run_clause() -> String {
    let wins = wins("omnitrace_runs");
    let (user, tenant) = (better("user"), better("tenant"));
    let choose = |c: &str, better: &str| {
        format!("{c} = CASE WHEN {better} THEN excluded.{c} ELSE omnitrace_runs.{c} END")
    };
    let higher = |c: &str| format!("excluded.{c} > omnitrace_runs.{c}");
    let mut set: Vec<String> = RUN_CONTENT.iter().map(|c| choose(c, &wins)).collect();
    for (person, better) in [("user", &user), ("tenant", &tenant)] {
        for part in ["id", "rank"] {
            set.push(choose(&format!("{person}_{part}"), better));
        }
    }
    let highest = ["accepted_through", "steps_seen", "incomplete"];
    set.extend(highest.iter().map(|c| choose(c, &higher(c))));
    format!(
        "ON CONFLICT (namespace, workflow_id, run_id) DO UPDATE SET {set} \
         WHERE {wins} OR {user} OR {tenant} OR {higher} \
         RETURNING namespace, workflow_id, run_id",
        set = set.join(", "),
        higher = highest.map(higher).join(" OR "),
    )
}

fn event_clause() -> String {
    let set: Vec<String> = (columns::EVENT_CONTENT.iter())
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    format!(
        "ON CONFLICT (namespace, workflow_id, run_id, event_key) DO UPDATE SET {set} WHERE {wins} \
         RETURNING namespace, workflow_id, run_id, event_key",
        set = set.join(", "),
        wins = wins("omnitrace_events"),
    )
}

/// How many events that are not provisional a batch has of each run: most often the `event_count` of a
/// run that is new in it, so that its row need not be written twice.
fn offered(batch: &Batch) -> HashMap<&RunKey, u32> {
    let mut counts = HashMap::new();
    for row in batch
        .events
        .iter()
        .filter(|row| row.phase > Phase::Provisional)
    {
        *counts.entry(&row.run).or_default() += 1;
    }
    counts
}

/// Merges run rows, and returns which of them changed. Where the database is shared, the rows of all
/// touched runs are locked by it: a run without a row gets one that nobody else will see.
async fn runs<T: Tables>(
    tables: &mut T,
    rows: &[RunRow],
    touched: &[&RunKey],
    event_counts: &HashMap<&RunKey, u32>,
) -> Result<HashSet<RunKey>, sqlx::Error> {
    let events = |run| Value::int(event_counts.get(run).copied().unwrap_or_default());
    let mut by_key: BTreeMap<&RunKey, Vec<Value<'_>>> = (rows.iter())
        .map(|row| {
            let mut values = run_values(row);
            values.push(events(&row.key));
            (&row.key, values)
        })
        .collect();
    if T::SHARED {
        let phase = RUN_KEY.len() + RUN_CONTENT.iter().take_while(|c| **c != "phase").count();
        let nobody = RunRow {
            accepted_through: Micros::MIN,
            ..RunRow::new(RunKey::new("", "", ""))
        };
        let mut lock: Vec<Value<'static>> = (run_values(&nobody).into_iter())
            .map(Value::into_owned)
            .collect();
        lock[phase] = Value::int(LOCK_PHASE);
        for run in touched {
            by_key.entry(run).or_insert_with(|| {
                let mut row: Vec<Value<'_>> = lock.clone();
                row.splice(..RUN_KEY.len(), key_values(run));
                row.push(events(run));
                row
            });
        }
    }
    let rows = by_key.into_values().collect();
    let columns = [&run_written()[..], &["event_count"]].concat();
    let changed = tables
        .insert("omnitrace_runs", &columns, rows, &run_clause())
        .await?;
    changed.iter().map(|row| Columns::new(row).key()).collect()
}

/// Locks runs until the transaction ends. Those without a row get one, which the caller replaces.
pub(super) async fn lock<T: Tables>(
    tables: &mut T,
    touched: &[&RunKey],
) -> Result<(), sqlx::Error> {
    runs(tables, &[], touched, &HashMap::new()).await.map(drop)
}

/// Locks those runs that have a row, where the database is shared.
pub(super) async fn lock_existing<'a, T: Tables>(
    tables: &mut T,
    keys: impl Iterator<Item = &'a RunKey>,
) -> Result<(), sqlx::Error> {
    if !T::SHARED {
        return Ok(());
    }
    let touched: BTreeSet<&RunKey> = keys.collect();
    let touched: Vec<&RunKey> = touched.into_iter().collect();
    let inserted = runs(tables, &[], &touched, &HashMap::new()).await?;
    unlock(tables, &[], &inserted).await
}

/// Deletes the rows that only locked a run. The lock itself lasts until the transaction ends.
async fn unlock<T: Tables>(
    tables: &mut T,
    offered: &[RunRow],
    inserted: &HashSet<RunKey>,
) -> Result<(), sqlx::Error> {
    let offered: HashSet<&RunKey> = offered.iter().map(|row| &row.key).collect();
    let locks = (inserted.iter())
        .filter(|run| !offered.contains(run))
        .map(|run| key_values(run).into())
        .collect();
    let sql = format!(
        "DELETE FROM omnitrace_runs WHERE phase = {LOCK_PHASE} \
         AND (namespace, workflow_id, run_id) IN (SELECT namespace, workflow_id, run_id FROM t)"
    );
    tables.with_rows(&RUN_KEY, locks, &sql).await.map(drop)
}

async fn events<T: Tables>(
    tables: &mut T,
    rows: &[EventRow],
    fates: &mut Fates<'_>,
) -> Result<(), sqlx::Error> {
    let mut sorted: Vec<&EventRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (&row.run, &row.event_key));
    let values = sorted.into_iter().map(event_values).collect();
    let changed = tables
        .insert(
            "omnitrace_events",
            &event_written(),
            values,
            &event_clause(),
        )
        .await?;
    for row in &changed {
        let mut columns = Columns::new(row);
        let run = columns.key()?;
        fates.changed(&run, &columns.take::<String>()?);
    }
    Ok(())
}

/// Raises marks.
pub(super) async fn raise_marks<T: Tables>(
    tables: &mut T,
    mut marks: Vec<(&RunKey, String, u32)>,
) -> Result<(), sqlx::Error> {
    marks.sort();
    let rows = (marks.iter())
        .map(|(run, scope, count)| {
            let mut row = Vec::from(key_values(run));
            row.extend([Value::text(scope), Value::int(*count)]);
            row
        })
        .collect();
    let columns = ["namespace", "workflow_id", "run_id", "scope", "count"];
    let clause = "ON CONFLICT (namespace, workflow_id, run_id, scope) \
                  DO UPDATE SET count = excluded.count \
                  WHERE excluded.count > omnitrace_cuts.count";
    tables
        .insert("omnitrace_cuts", &columns, rows, clause)
        .await
        .map(drop)
}

/// Of two promotions of a run the later one stays: it never moves back behind the moment up to
/// which a process has read.
async fn promotions<T: Tables>(
    tables: &mut T,
    promotions: &[Promotion],
) -> Result<(), sqlx::Error> {
    let mut sorted: Vec<&Promotion> = promotions.iter().collect();
    sorted.sort_by_key(|promotion| &promotion.run);
    let rows = (sorted.into_iter())
        .map(|promotion| {
            let mut row = Vec::from(key_values(&promotion.run));
            row.extend([
                Value::text(promotion.reason.as_str()),
                Value::int(promotion.at),
            ]);
            row
        })
        .collect();
    let columns = ["namespace", "workflow_id", "run_id", "reason", "at"];
    let clause = "ON CONFLICT (namespace, workflow_id, run_id) \
                  DO UPDATE SET reason = excluded.reason, at = excluded.at \
                  WHERE (excluded.at, excluded.reason) > \
                        (omnitrace_promotions.at, omnitrace_promotions.reason)";
    tables
        .insert("omnitrace_promotions", &columns, rows, clause)
        .await
        .map(drop)
}

/// The later report of a process stays.
async fn process<T: Tables>(tables: &mut T, report: &ProcessReport) -> Result<(), sqlx::Error> {
    let counters =
        serde_json::to_string(&report.counters).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    let row = vec![
        Value::text(&report.id),
        Value::text(&report.service),
        Value::text(&report.host),
        Value::int(report.pid),
        Value::text(&report.version),
        Value::int(report.started_at),
        Value::int(report.updated_at),
        Value::text(&counters),
        Value::maybe_text(report.last_error.as_deref()),
        Value::maybe_int(report.last_error_at),
    ];
    let set: Vec<String> = (columns::PROCESS[1..].iter())
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    let clause = format!(
        "ON CONFLICT (id) DO UPDATE SET {} WHERE (excluded.updated_at, excluded.counters) > \
           (omnitrace_processes.updated_at, omnitrace_processes.counters)",
        set.join(", ")
    );
    tables
        .insert("omnitrace_processes", &columns::PROCESS, vec![row], &clause)
        .await
        .map(drop)
}
