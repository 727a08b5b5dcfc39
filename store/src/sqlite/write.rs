//! Writing a batch: one transaction, few statements, the merge rule in SQL.
//!
//! Invariant: a row replaces the stored one only if (phase, source, start_time, digest) is greater,
//! as in [`crate::merge`]; of each offered event exactly one of changed, unchanged, cut and ghost is
//! reported.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{Connection, SqliteConnection};

use super::columns::{
    Bound, Columns, EVENT_CONTENT, EVENT_KEY, RUN_APART, RUN_CONTENT, RUN_KEY, bind_event,
    bind_key, bind_run,
};
use super::settle;
use crate::derive::scope_text;
use crate::row::{EventRow, Phase, RunKey, RunRow};
use crate::store::{Batch, ProcessReport, Promotion, Seen, WriteReport};

/// Rows per statement. Few sizes, so that each statement is prepared once per connection.
const CHUNKS: [usize; 3] = [64, 8, 1];

pub(super) async fn write(
    connection: &mut SqliteConnection,
    batch: &Batch,
    max_events_per_run: u32,
) -> Result<WriteReport, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let connection = &mut *transaction;
    let changed_runs = runs(connection, &batch.runs).await?;
    let mut fates = Fates::new(&batch.events);
    events(connection, &batch.events, &mut fates).await?;
    seen(connection, &batch.seen).await?;
    promotions(connection, &batch.promotions).await?;
    if let Some(report) = &batch.process {
        process(connection, report).await?;
    }
    let touched: BTreeSet<&RunKey> = (batch.runs.iter().map(|row| &row.key))
        .chain(batch.events.iter().map(|row| &row.run))
        .chain(batch.seen.iter().map(|seen| &seen.run))
        .collect();
    let touched: Vec<&RunKey> = touched.into_iter().collect();
    settle::settle(connection, &touched, max_events_per_run, &mut fates).await?;
    transaction.commit().await?;

    let mut report = fates.report();
    report.unchanged_runs = (batch.runs.len() - changed_runs.len()) as u64;
    report.changed_runs = changed_runs;
    Ok(report)
}

/// What becomes of each offered event.
pub(super) struct Fates<'a> {
    events: &'a [EventRow],
    by_key: HashMap<(&'a RunKey, &'a str), usize>,
    fates: Vec<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unchanged,
    Changed,
    Cut,
    Ghost,
}

impl<'a> Fates<'a> {
    fn new(events: &'a [EventRow]) -> Self {
        Self {
            events,
            by_key: (events.iter().enumerate())
                .map(|(at, row)| ((&row.run, row.event_key.as_str()), at))
                .collect(),
            fates: vec![Fate::Unchanged; events.len()],
        }
    }

    fn offered(&self, run: &RunKey, event_key: &str) -> Option<usize> {
        self.by_key.get(&(run, event_key)).copied()
    }

    pub(super) fn cut(&mut self, run: &RunKey, event_key: &str) {
        if let Some(at) = self.offered(run, event_key) {
            self.fates[at] = Fate::Cut;
        }
    }

    /// The stored row was provisional and its run is closed; so the offered one was provisional too,
    /// as it would have stayed otherwise.
    pub(super) fn ghost(&mut self, run: &RunKey, event_key: &str) {
        if let Some(at) = self.offered(run, event_key) {
            debug_assert_eq!(self.events[at].phase, Phase::Provisional);
            self.fates[at] = Fate::Ghost;
        }
    }

    fn report(self) -> WriteReport {
        let count = |fate| self.fates.iter().filter(|f| **f == fate).count() as u64;
        WriteReport {
            unchanged_events: count(Fate::Unchanged),
            cut_events: count(Fate::Cut),
            ghost_events: count(Fate::Ghost),
            changed_events: (self.events.iter().zip(&self.fates))
                .filter(|(_, fate)| **fate == Fate::Changed)
                .map(|(row, _)| (row.run.clone(), row.event_key.clone()))
                .collect(),
            ..WriteReport::default()
        }
    }
}

/// Splits rows into chunks of the few sizes that statements have.
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

/// `(?, ?), (?, ?)`: so many rows of so many values.
pub(super) fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
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
    format!(
        "(excluded.{person}_id IS NOT NULL AND ({person}_id IS NULL \
          OR excluded.{person}_rank > {person}_rank \
          OR (excluded.{person}_rank = {person}_rank AND excluded.{person}_id < {person}_id)))"
    )
}

fn run_upsert(rows: usize) -> String {
    let columns = [&RUN_KEY[..], &RUN_CONTENT, &RUN_APART].concat();
    let wins = wins("omnitrace_runs");
    let (user, tenant) = (better("user"), better("tenant"));
    let mut set: Vec<String> = (RUN_CONTENT.iter())
        .map(|c| format!("{c} = iif({wins}, excluded.{c}, {c})"))
        .collect();
    for (person, better) in [("user", &user), ("tenant", &tenant)] {
        for part in ["id", "rank"] {
            let c = format!("{person}_{part}");
            set.push(format!("{c} = iif({better}, excluded.{c}, {c})"));
        }
    }
    for c in ["accepted_through", "steps_seen", "incomplete"] {
        set.push(format!("{c} = max({c}, excluded.{c})"));
    }
    format!(
        "INSERT INTO omnitrace_runs ({columns}) VALUES {values} \
         ON CONFLICT (namespace, workflow_id, run_id) DO UPDATE SET {set} \
         WHERE {wins} OR {user} OR {tenant} \
            OR excluded.accepted_through > accepted_through \
            OR excluded.steps_seen > steps_seen OR excluded.incomplete > incomplete \
         RETURNING namespace, workflow_id, run_id",
        values = values(rows, columns.len()),
        columns = columns.join(", "),
        set = set.join(", "),
    )
}

fn event_upsert(rows: usize) -> String {
    let columns = [&EVENT_KEY[..], &EVENT_CONTENT].concat();
    let set: Vec<String> = (EVENT_CONTENT.iter())
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    format!(
        "INSERT INTO omnitrace_events ({columns}) VALUES {values} \
         ON CONFLICT (namespace, workflow_id, run_id, event_key) DO UPDATE SET {set} \
         WHERE {wins} \
         RETURNING namespace, workflow_id, run_id, event_key",
        values = values(rows, columns.len()),
        columns = columns.join(", "),
        set = set.join(", "),
        wins = wins("omnitrace_events"),
    )
}

async fn runs(
    connection: &mut SqliteConnection,
    rows: &[RunRow],
) -> Result<Vec<RunKey>, sqlx::Error> {
    let mut changed = HashSet::new();
    for chunk in chunks(rows) {
        let sql = run_upsert(chunk.len());
        let query = chunk.iter().fold(sqlx::query(&sql), bind_run);
        for row in query.fetch_all(&mut *connection).await? {
            changed.insert(Columns::new(&row).key()?);
        }
    }
    // In the order in which they were offered.
    Ok(rows
        .iter()
        .filter_map(|row| changed.take(&row.key))
        .collect())
}

async fn events(
    connection: &mut SqliteConnection,
    rows: &[EventRow],
    fates: &mut Fates<'_>,
) -> Result<(), sqlx::Error> {
    for chunk in chunks(rows) {
        let sql = event_upsert(chunk.len());
        let query = chunk.iter().fold(sqlx::query(&sql), bind_event);
        for row in query.fetch_all(&mut *connection).await? {
            let mut columns = Columns::new(&row);
            let run = columns.key()?;
            if let Some(at) = fates.offered(&run, columns.take()?) {
                fates.fates[at] = Fate::Changed;
            }
        }
    }
    Ok(())
}

async fn seen(connection: &mut SqliteConnection, seen: &[Seen]) -> Result<(), sqlx::Error> {
    for seen in seen {
        mark(connection, &seen.run, &scope_text(&seen.scope), seen.count).await?;
    }
    Ok(())
}

/// Raises a mark.
pub(super) async fn mark(
    connection: &mut SqliteConnection,
    run: &RunKey,
    scope: &str,
    count: u32,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO omnitrace_cuts (namespace, workflow_id, run_id, scope, count) \
               VALUES (?, ?, ?, ?, ?) \
               ON CONFLICT (namespace, workflow_id, run_id, scope) \
               DO UPDATE SET count = excluded.count WHERE excluded.count > count";
    let query: Bound<'_> = bind_key(sqlx::query(sql), run).bind(scope).bind(count);
    query.execute(connection).await.map(drop)
}

/// Of two promotions of a run the later one stays: it never moves back behind the moment up to
/// which a process has read.
async fn promotions(
    connection: &mut SqliteConnection,
    promotions: &[Promotion],
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO omnitrace_promotions (namespace, workflow_id, run_id, reason, at) \
               VALUES (?, ?, ?, ?, ?) \
               ON CONFLICT (namespace, workflow_id, run_id) \
               DO UPDATE SET reason = excluded.reason, at = excluded.at \
               WHERE (excluded.at, excluded.reason) > (at, reason)";
    for promotion in promotions {
        bind_key(sqlx::query(sql), &promotion.run)
            .bind(promotion.reason.as_str())
            .bind(promotion.at)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The later report of a process stays.
async fn process(
    connection: &mut SqliteConnection,
    report: &ProcessReport,
) -> Result<(), sqlx::Error> {
    let counters =
        serde_json::to_string(&report.counters).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    let sql = "INSERT INTO omnitrace_processes \
                 (id, service, host, pid, version, started_at, updated_at, counters) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
               ON CONFLICT (id) DO UPDATE SET service = excluded.service, host = excluded.host, \
                 pid = excluded.pid, version = excluded.version, \
                 started_at = excluded.started_at, updated_at = excluded.updated_at, \
                 counters = excluded.counters \
               WHERE (excluded.updated_at, excluded.counters) > (updated_at, counters)";
    sqlx::query(sql)
        .bind(&report.id)
        .bind(&report.service)
        .bind(&report.host)
        .bind(report.pid)
        .bind(&report.version)
        .bind(report.started_at)
        .bind(report.updated_at)
        .bind(counters)
        .execute(connection)
        .await
        .map(drop)
}
