//! Repairing a run: what [`crate::repair`] plans, in one transaction under the run's lock.

use super::columns::{
    Columns, RUN_KEY, event_values, event_written, key_values, read_event, read_run, run_columns,
    run_values, run_written,
};
use super::export::note;
use super::fates::Fates;
use super::settle::{delete, settle, unreadable};
use super::write::lock;
use super::{Job, Tables};
use crate::repair::plan;
use crate::row::RunKey;
use crate::store::{OpenOptions, Repair, RepairReport};

impl Job for Repair {
    type Report = RepairReport;

    async fn run<T: Tables>(
        &self,
        tables: &mut T,
        options: &OpenOptions,
    ) -> Result<RepairReport, sqlx::Error> {
        let run = &self.run.key;
        lock(tables, &[run]).await?;
        let stored = rows(tables, run, &run_columns(), "omnitrace_runs", "phase >= 0").await?;
        let stored = (stored.first().map(read_run).transpose()).map_err(unreadable)?;
        let events = rows(
            tables,
            run,
            &event_written().join(", "),
            "omnitrace_events",
            "true",
        )
        .await?;
        let events =
            (events.iter().map(read_event).collect::<Result<Vec<_>, _>>()).map_err(unreadable)?;

        let plan = plan(stored.as_ref(), &events, self);
        let keys = plan.delete.iter().map(|key| (run, key.as_str()));
        delete(tables, "omnitrace_events", "event_key", keys).await?;
        let values = plan.put.iter().map(event_values).collect();
        let clause = replace(
            "namespace, workflow_id, run_id, event_key",
            &event_written(),
        );
        tables
            .insert("omnitrace_events", &event_written(), values, &clause)
            .await?;
        let values = plan.run.iter().map(run_values).collect();
        let clause = replace(&RUN_KEY.join(", "), &run_written());
        tables
            .insert("omnitrace_runs", &run_written(), values, &clause)
            .await?;
        forget_losses(tables, run).await?;
        let mut fates = Fates::new(&plan.put);
        let max = options.max_events_per_run as usize;
        let parents = self.run.parent.iter().map(|parent| (run, parent)).collect();
        if !(settle(tables, &[run], &parents, max, &mut fates).await?).is_empty() {
            return Ok(RepairReport::default());
        }

        if let Some(grace) = options.export {
            let events: Vec<_> = (plan.put.iter())
                .map(|row| (row.run.clone(), row.event_key.clone()))
                .collect();
            let runs: Vec<_> = plan.run.iter().map(|row| row.key.clone()).collect();
            // Left to whoever comes by when it is due.
            note(tables, grace, &events, &runs).await?;
        }
        let cut_events = fates.report().cut_events;
        Ok(RepairReport {
            changed_run: plan.run.is_some(),
            unchanged_events: (self.events.len() - plan.put.len()) as u64,
            changed_events: plan.put.into_iter().map(|row| row.event_key).collect(),
            deleted_events: plan.delete,
            cut_events,
        })
    }
}

/// Whatever is stored.
fn replace(key: &str, columns: &[&str]) -> String {
    let set: Vec<String> = (columns.iter())
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    format!("ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", "))
}

/// Rows of the run in a table.
async fn rows<T: Tables>(
    tables: &mut T,
    run: &RunKey,
    columns: &str,
    table: &str,
    condition: &str,
) -> Result<Vec<T::Row>, sqlx::Error> {
    let sql = format!(
        "SELECT {columns} FROM t JOIN {table} USING (namespace, workflow_id, run_id) WHERE {condition}"
    );
    tables
        .with_rows(&RUN_KEY, vec![key_values(run).into()], &sql)
        .await
}

/// Observations that processes lost are made good.
async fn forget_losses<T: Tables>(tables: &mut T, run: &RunKey) -> Result<(), sqlx::Error> {
    let marks = rows(
        tables,
        run,
        "scope",
        "omnitrace_cuts",
        "scope LIKE 'process:%'",
    )
    .await?;
    let scopes = (marks.iter())
        .map(|row| Columns::new(row).take())
        .collect::<Result<Vec<String>, _>>()?;
    let keys = scopes.iter().map(|scope| (run, scope.as_str()));
    delete(tables, "omnitrace_cuts", "scope", keys).await
}
