//! Reading runs and events back.
//!
//! Invariant: lists of runs come newest first, in the one order that pages continue.

use std::collections::BTreeMap;

use super::columns::{Columns, key_values, read_run, run_columns};
use super::scope::NAMESPACE_NO_INDEX;
use super::statement::{Statement, Value};
use super::{Reads, columns, filter, scope};
use crate::row::{Micros, RunKey, RunRow, Status};
use crate::store::{AccessScope, OpenRuns, ProcessReport, Promotion, ReadError, RunFilter};

/// The order of lists of runs.
pub(super) const NEWEST_FIRST: &str = "start_time DESC, namespace, workflow_id, run_id";

pub(super) async fn runs<S: Reads>(
    store: &S,
    statement: Statement<'_>,
) -> Result<Vec<RunRow>, ReadError> {
    store.fetch(statement).await?.iter().map(read_run).collect()
}

fn select_runs<'a>() -> Statement<'a> {
    Statement::new(format!(
        "SELECT {} FROM omnitrace_runs WHERE ",
        run_columns()
    ))
}

/// `(namespace, workflow_id, run_id) = …` in the columns of these names.
pub(super) fn is_run<'a>(statement: &mut Statement<'a>, columns: [&str; 3], run: &'a RunKey) {
    for (at, (column, value)) in columns.iter().zip(key_values(run)).enumerate() {
        let and = if at > 0 { " AND " } else { "" };
        statement.push(&format!("{and}{column} = ")).value(value);
    }
}

pub(crate) async fn list_runs<S: Reads>(
    store: &S,
    filter: &RunFilter,
    allowed: &AccessScope,
) -> Result<Vec<RunRow>, ReadError> {
    list_until(store, filter, None, allowed).await
}

/// Those that are not behind this place.
pub(super) async fn list_until<S: Reads>(
    store: &S,
    filter: &RunFilter,
    last: Option<&(Micros, RunKey)>,
    allowed: &AccessScope,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = Statement::new("");
    let columns = run_columns();
    newest(
        &mut query,
        &columns,
        filter,
        allowed,
        filter.limit,
        |query| {
            filter::narrow::<S>(query, filter, allowed.tenants.is_some());
            page(query, filter);
            until(query, last);
        },
    );
    runs(store, query).await
}

/// What a list is sorted by.
pub(super) const PLACE: &str = "namespace, workflow_id, run_id, start_time";
/// And counted by.
const COUNTED: &str = "status, namespace, workflow_id, run_id, start_time";

/// Selects the newest runs of a filter's statuses for which `narrow` writes the conditions. Each of several
/// statuses is looked for by itself: an index has the runs of one in order, and of any number of them it
/// takes no more than are wanted. `columns` has what they are sorted by.
pub(super) fn newest<'a>(
    query: &mut Statement<'a>,
    columns: &str,
    filter: &'a RunFilter,
    allowed: &'a AccessScope,
    limit: u32,
    narrow: impl Fn(&mut Statement<'a>),
) {
    let mut statuses: Vec<_> = filter.statuses.iter().copied().map(Some).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        statuses.push(None);
    }
    let several = statuses.len() > 1;
    if several {
        query.push(&format!("SELECT {columns} FROM ("));
    }
    for (at, status) in statuses.iter().enumerate() {
        if several {
            query.push(if at > 0 { " UNION ALL " } else { "" });
            query.push("SELECT * FROM (");
        }
        query.push(&format!("SELECT {columns} FROM omnitrace_runs WHERE "));
        narrow(query);
        if let Some(status) = status {
            query.push(" AND status = ");
            query.value(Value::text(status.as_str()));
        }
        scope::within(query, allowed, filter::narrows(filter));
        order(query, limit);
        if several {
            query.push(&format!(") AS s{at}"));
        }
    }
    if several {
        query.push(") AS any_status");
        order(query, limit);
    }
}

/// Writes the condition of a page that is not the first.
pub(super) fn page<'a>(query: &mut Statement<'a>, filter: &'a RunFilter) {
    let Some((start, key)) = &filter.after else {
        return;
    };
    query.push(" AND start_time <= ").value(Value::int(*start));
    query.push(" AND (start_time < ").value(Value::int(*start));
    query.push(" OR (namespace, workflow_id, run_id) > (");
    for (at, value) in key_values(key).into_iter().enumerate() {
        query.push(if at > 0 { ", " } else { "" }).value(value);
    }
    query.push("))");
}

pub(super) fn order(query: &mut Statement<'_>, limit: u32) {
    query.push(&format!(" ORDER BY {NEWEST_FIRST}"));
    if limit > 0 {
        query.push(" LIMIT ").value(Value::int(limit));
    }
}

/// Writes the condition that a run is not behind this place.
fn until<'a>(query: &mut Statement<'a>, place: Option<&(Micros, RunKey)>) {
    let Some((start, key)) = place else { return };
    query.push(" AND start_time >= ").value(Value::int(*start));
    query.push(" AND (start_time > ").value(Value::int(*start));
    query.push(" OR (namespace, workflow_id, run_id) <= (");
    for (at, value) in key_values(key).into_iter().enumerate() {
        query.push(if at > 0 { ", " } else { "" });
        query.value(value.into_owned());
    }
    query.push("))");
}

pub(crate) async fn count_runs<S: Reads>(
    store: &S,
    filter: &RunFilter,
    among: u32,
    allowed: &AccessScope,
) -> Result<BTreeMap<Status, u64>, ReadError> {
    count_until(store, filter, among, None, allowed).await
}

/// Of those that are not behind this place.
pub(super) async fn count_until<S: Reads>(
    store: &S,
    filter: &RunFilter,
    among: u32,
    last: Option<&(Micros, RunKey)>,
    allowed: &AccessScope,
) -> Result<BTreeMap<Status, u64>, ReadError> {
    let mut query = Statement::new("SELECT status, count(*) FROM (");
    newest(&mut query, COUNTED, filter, allowed, among, |query| {
        filter::narrow::<S>(query, filter, allowed.tenants.is_some());
        until(query, last);
    });
    query.push(") AS newest GROUP BY status");
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok((c.status()?, c.take()?))
        })
        .collect()
}

pub(crate) async fn next_run<S: Reads>(
    store: &S,
    run: &RunKey,
    allowed: &AccessScope,
) -> Result<Option<RunRow>, ReadError> {
    let mut query = select_runs();
    let previous = [NAMESPACE_NO_INDEX, "workflow_id", "continued_from_run_id"];
    is_run(&mut query, previous, run);
    scope::within(&mut query, allowed, true);
    query.push(&format!(" ORDER BY {NEWEST_FIRST} LIMIT 1"));
    Ok(runs(store, query).await?.pop())
}

pub(crate) async fn runs_of_workflow<S: Reads>(
    store: &S,
    namespace: Option<&str>,
    workflow_id: &str,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = select_runs();
    query.push("workflow_id = ").value(Value::text(workflow_id));
    query.and_equal(NAMESPACE_NO_INDEX, namespace);
    query.push(&format!(" ORDER BY {NEWEST_FIRST}"));
    runs(store, query).await
}

pub(crate) async fn run<S: Reads>(
    store: &S,
    run: &RunKey,
    allowed: &AccessScope,
) -> Result<Option<RunRow>, ReadError> {
    let mut query = select_runs();
    is_run(&mut query, columns::RUN_KEY, run);
    scope::within(&mut query, allowed, true);
    Ok(runs(store, query).await?.pop())
}

pub(crate) async fn runs_by_run_id<S: Reads>(
    store: &S,
    run_id: &str,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = select_runs();
    query.push("run_id = ").value(Value::text(run_id));
    query.push(&format!(" ORDER BY {NEWEST_FIRST}"));
    runs(store, query).await
}

pub(crate) async fn runs_by_trace_id<S: Reads>(
    store: &S,
    trace_id: &str,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = select_runs();
    query.push("trace_id = ").value(Value::text(trace_id));
    query.push(&format!(" ORDER BY {NEWEST_FIRST}"));
    runs(store, query).await
}

pub(crate) async fn open_runs<S: Reads>(
    store: &S,
    which: &OpenRuns,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = select_runs();
    query
        // As the index has it.
        .push("(phase < 2 OR incomplete) AND namespace = ")
        .value(Value::text(&which.namespace));
    if let Some(before) = which.started_before {
        query.push(" AND start_time < ").value(Value::int(before));
    }
    if let Some((start, key)) = &which.after {
        query.push(" AND (start_time, workflow_id, run_id) > (");
        query.value(Value::int(*start));
        query.push(", ").value(Value::text(&key.workflow_id));
        query.push(", ").value(Value::text(&key.run_id)).push(")");
    }
    query.push(" ORDER BY start_time, workflow_id, run_id");
    if which.limit > 0 {
        query.push(" LIMIT ").value(Value::int(which.limit));
    }
    runs(store, query).await
}

pub(crate) async fn children<S: Reads>(
    store: &S,
    run: &RunKey,
    allowed: &AccessScope,
) -> Result<Vec<RunRow>, ReadError> {
    let mut query = select_runs();
    let parent = ["parent_namespace", "parent_workflow_id", "parent_run_id"];
    is_run(&mut query, parent, run);
    scope::within(&mut query, allowed, true);
    query.push(" ORDER BY start_time, namespace, workflow_id, run_id");
    runs(store, query).await
}

pub(crate) async fn promotions_since<S: Reads>(
    store: &S,
    at: Micros,
) -> Result<Vec<Promotion>, ReadError> {
    let mut query = Statement::new(
        "SELECT namespace, workflow_id, run_id, reason, at FROM omnitrace_promotions WHERE at >= ",
    );
    query
        .value(Value::int(at))
        .push(" ORDER BY at, namespace, workflow_id, run_id");
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(Promotion {
                run: c.key()?,
                reason: c.sampled_by()?,
                at: c.take()?,
            })
        })
        .collect()
}

pub(crate) async fn processes<S: Reads>(store: &S) -> Result<Vec<ProcessReport>, ReadError> {
    let query = Statement::new(format!(
        "SELECT {} FROM omnitrace_processes ORDER BY updated_at DESC, id",
        columns::PROCESS.join(", ")
    ));
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(ProcessReport {
                id: c.take()?,
                service: c.take()?,
                host: c.take()?,
                pid: c.take()?,
                version: c.take()?,
                started_at: c.take()?,
                updated_at: c.take()?,
                counters: serde_json::from_str(&c.take::<String>()?)
                    .map_err(|e| ReadError::Database(format!("counters of a process: {e}")))?,
                last_error: c.take()?,
                last_error_at: c.take()?,
            })
        })
        .collect()
}

/// Rows of runs and of events.
pub(crate) async fn counts<S: Reads>(store: &S) -> Result<(u64, u64), ReadError> {
    let query = Statement::new(
        "SELECT (SELECT count(*) FROM omnitrace_runs), (SELECT count(*) FROM omnitrace_events)",
    );
    let rows = store.fetch(query).await?;
    let Some(row) = rows.first() else {
        return Ok((0, 0));
    };
    let c = &mut Columns::new(row);
    Ok((c.take()?, c.take()?))
}
