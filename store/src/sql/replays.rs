//! What replays found.

use super::columns::{Columns, RUN_KEY, key_values};
use super::read::is_run;
use super::statement::{Statement, Value};
use super::{Job, Reads, Tables, scope};
use crate::replays::{ReplayRow, ReplayVerdict};
use crate::row::RunKey;
use crate::store::{AccessScope, OpenOptions, ReadError};

const CONTENT: [&str; 8] = [
    "build_id",
    "checked_at",
    "verdict",
    "event_key",
    "position",
    "expected",
    "found",
    "message",
];

/// Keeps those of runs that are stored, unless a later one is known.
pub(crate) struct Write<'a>(pub(crate) &'a [ReplayRow]);

impl Job for Write<'_> {
    type Report = ();

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<(), sqlx::Error> {
        let rows = (self.0.iter())
            .map(|row| {
                let mut values: Vec<Value<'_>> = key_values(&row.run).into();
                values.extend([
                    Value::text(&row.build_id),
                    Value::int(row.checked_at),
                    Value::text(row.verdict.as_str()),
                    Value::maybe_text(row.event_key.as_deref()),
                    Value::maybe_int(row.position),
                    Value::maybe_text(row.expected.as_deref()),
                    Value::maybe_text(row.found.as_deref()),
                    Value::maybe_text(row.message.as_deref()),
                ]);
                values
            })
            .collect();
        let columns = [&RUN_KEY[..], &CONTENT].concat();
        let key = RUN_KEY.join(", ");
        let set = CONTENT.map(|c| format!("{c} = excluded.{c}")).join(", ");
        let sql = format!(
            "INSERT INTO omnitrace_replays ({list}) SELECT {of_t} FROM t JOIN omnitrace_runs r \
               ON r.namespace = t.namespace AND r.workflow_id = t.workflow_id AND r.run_id = t.run_id \
             WHERE true ON CONFLICT ({key}) DO UPDATE SET {set} \
             WHERE omnitrace_replays.checked_at <= excluded.checked_at",
            list = columns.join(", "),
            of_t = columns
                .iter()
                .map(|c| format!("t.{c}"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        tables.with_rows(&columns, rows, &sql).await.map(drop)
    }
}

pub(crate) async fn read<S: Reads>(
    store: &S,
    run: &RunKey,
    allowed: &AccessScope,
) -> Result<Option<ReplayRow>, ReadError> {
    let columns = CONTENT.join(", ");
    let mut query = Statement::new(format!(
        "SELECT {columns} FROM omnitrace_replays AS e WHERE "
    ));
    is_run(&mut query, RUN_KEY, run);
    scope::run_within(&mut query, allowed);
    let rows = store.fetch(query).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let c = &mut Columns::new(row);
    let (build_id, checked_at, verdict): (_, _, String) = (c.take()?, c.take()?, c.take()?);
    Ok(Some(ReplayRow {
        run: run.clone(),
        build_id,
        checked_at,
        verdict: ReplayVerdict::parse(&verdict)
            .ok_or_else(|| ReadError::Database(format!("unknown verdict {verdict:?}")))?,
        event_key: c.take()?,
        position: c.take()?,
        expected: c.take()?,
        found: c.take()?,
        message: c.take()?,
    }))
}
