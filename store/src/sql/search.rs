//! Lists of runs by what no index answers, as a text somewhere in an id or an error.
//!
//! Invariant: however many runs are stored, a search looks at a bounded number of them. It says where it
//! stopped, and the next one goes on from there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::columns::{Columns, run_columns};
use super::read::{NEWEST_FIRST, PLACE, count_until, list_until, newest, order, page, runs};
use super::statement::{Statement, Value};
use super::{Reads, filter, scope};
use crate::row::{Micros, RunKey, RunRow, Status};
use crate::store::{AccessScope, ReadError, RunFilter};

/// Runs whose id begins with the text and that are looked at for it.
const BEGIN_ALIKE: u32 = 1000;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundRuns {
    /// Newest first. On the first page they may hold older ones than were looked at: those whose workflow
    /// id or run id begins with the text, or whose trace id it is.
    pub runs: Vec<RunRow>,
    /// The last run that was looked at, where there are more and fewer were found than were wanted: the
    /// filter's `after` of a search that goes on.
    pub until: Option<(Micros, RunKey)>,
}

/// How many of the runs that a filter finds have which status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountedRuns {
    /// Those that occur.
    pub by_status: BTreeMap<Status, u64>,
    /// Not all runs were counted.
    pub more: bool,
}

pub(crate) async fn search<S: Reads>(
    store: &S,
    filter: &RunFilter,
    looks: u32,
    allowed: &AccessScope,
) -> Result<FoundRuns, ReadError> {
    let end = end(store, filter, looks, allowed).await?;
    let mut found = list_until(store, filter, end.as_ref(), allowed).await?;
    // A page that is full goes on behind its last run.
    let until = end.filter(|_| found.len() < filter.limit as usize);
    if let Some(text) = &filter.text
        && filter.after.is_none()
        && until.is_some()
    {
        for column in ["workflow_id", "run_id"] {
            found.extend(runs(store, begins::<S>(column, text, filter, allowed)).await?);
        }
        if let Some(trace_id) = filter::trace_id(text) {
            found.extend(runs(store, begins::<S>("trace_id", &trace_id, filter, allowed)).await?);
        }
        found.sort_by(|a, b| place(a).cmp(&place(b)));
        found.dedup_by(|a, b| a.key == b.key);
        found.truncate(filter.limit as usize);
    }
    Ok(FoundRuns { runs: found, until })
}

pub(crate) async fn count<S: Reads>(
    store: &S,
    filter: &RunFilter,
    among: u32,
    looks: u32,
    allowed: &AccessScope,
) -> Result<CountedRuns, ReadError> {
    let all = RunFilter {
        after: None,
        ..filter.clone()
    };
    let end = end(store, &all, looks, allowed).await?;
    let by_status = count_until(store, &all, among, end.as_ref(), allowed).await?;
    let more = by_status.values().sum::<u64>() >= among.into() || end.is_some();
    Ok(CountedRuns { by_status, more })
}

/// The last run that is looked at, found in an index; `None` if there are no more, or an index has the answer.
async fn end<S: Reads>(
    store: &S,
    filter: &RunFilter,
    looks: u32,
    allowed: &AccessScope,
) -> Result<Option<(Micros, RunKey)>, ReadError> {
    if !filter::scans(filter) {
        return Ok(None);
    }
    let mut query = Statement::new("SELECT start_time, namespace, workflow_id, run_id FROM (");
    newest(&mut query, PLACE, filter, allowed, looks, |query| {
        filter::by_index(query, filter, allowed.tenants.is_some());
        page(query, filter);
    });
    query.push(&format!(
        ") AS looked ORDER BY {NEWEST_FIRST} LIMIT 1 OFFSET "
    ));
    query.value(Value::int(looks.saturating_sub(1)));
    let rows = store.fetch(query).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let c = &mut Columns::new(row);
    Ok(Some((c.take()?, c.key()?)))
}

/// Selects runs, however old, whose id begins with the text.
fn begins<'a, S: Reads>(
    column: &str,
    text: &str,
    filter: &'a RunFilter,
    allowed: &'a AccessScope,
) -> Statement<'a> {
    let columns = run_columns();
    // The other conditions are outside, so that no index but that of the id is taken.
    let mut query = Statement::new(format!(
        "SELECT {columns} FROM (SELECT * FROM omnitrace_runs WHERE {column} >= "
    ));
    query.value(Value::text(text).into_owned());
    query.push(&format!(" AND {column} < "));
    // No text that is stored goes on with the last of all characters.
    query.value(Value::text(&format!("{text}\u{10FFFF}")).into_owned());
    query.push(" LIMIT ").value(Value::int(BEGIN_ALIKE));
    query.push(") AS begun WHERE ");
    filter::narrow::<S>(&mut query, filter, true);
    if !filter.statuses.is_empty() {
        query.push(" AND status IN (NULL");
        for status in &filter.statuses {
            query.push(", ").value(Value::text(status.as_str()));
        }
        query.push(")");
    }
    scope::within(&mut query, allowed, true);
    order(&mut query, filter.limit);
    query
}

fn place(run: &RunRow) -> (Reverse<Micros>, &RunKey) {
    (Reverse(run.start_time()), &run.key)
}
