//! Reading the events of a run: all, some, or only which there are.

use super::columns::{Columns, RUN_KEY, event_written, read_event};
use super::read::is_run;
use super::statement::{Statement, Value};
use super::{Reads, scope};
use crate::row::{EventRow, RunKey};
use crate::store::{AccessScope, EventHead, Fingerprint, ReadError};

/// Keys in one statement.
const KEYS: usize = 1000;

fn select<'a>(columns: &str, run: &'a RunKey, allowed: &'a AccessScope) -> Statement<'a> {
    let mut query = Statement::new(format!(
        "SELECT {columns} FROM omnitrace_events AS e WHERE "
    ));
    is_run(&mut query, RUN_KEY, run);
    scope::run_within(&mut query, allowed);
    query
}

pub(crate) async fn all<S: Reads>(
    store: &S,
    run: &RunKey,
    scope: &AccessScope,
) -> Result<Vec<EventRow>, ReadError> {
    let columns = event_written().join(", ");
    let mut query = select(&columns, run, scope);
    query.push(" ORDER BY start_time, event_key");
    store.fetch(query).await?.iter().map(read_event).collect()
}

pub(crate) async fn by_key<S: Reads>(
    store: &S,
    run: &RunKey,
    keys: &[&str],
    scope: &AccessScope,
) -> Result<Vec<EventRow>, ReadError> {
    let columns = event_written().join(", ");
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(KEYS) {
        let mut query = select(&columns, run, scope);
        for (at, key) in keys.iter().enumerate() {
            query.push(if at == 0 { " AND event_key IN (" } else { ", " });
            query.value(Value::text(key));
        }
        query.push(")");
        for row in store.fetch(query).await? {
            found.push(read_event(&row)?);
        }
    }
    Ok(found)
}

pub(crate) async fn heads<S: Reads>(
    store: &S,
    run: &RunKey,
    scope: &AccessScope,
) -> Result<Vec<EventHead>, ReadError> {
    let columns = "event_key, phase, coalesce(scheduled_at, started_at), digest";
    let query = select(columns, run, scope);
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(EventHead {
                key: c.take()?,
                phase: c.phase()?,
                begin: c.take()?,
                digest: c.take()?,
            })
        })
        .collect()
}

pub(crate) async fn fingerprint<S: Reads>(
    store: &S,
    run: &RunKey,
    scope: &AccessScope,
) -> Result<Fingerprint, ReadError> {
    // Of the digest so many bits that a sum of them stays a number.
    let columns = "count(*), CAST(coalesce(sum(digest & 4294967295), 0) AS bigint), \
                   CAST(coalesce(sum(phase * 4 + source), 0) AS bigint)";
    let rows = store.fetch(select(columns, run, scope)).await?;
    let Some(row) = rows.first() else {
        return Ok(Fingerprint::default());
    };
    let c = &mut Columns::new(row);
    Ok(Fingerprint {
        rows: c.take()?,
        content: c.take()?,
        phases: c.take()?,
    })
}
