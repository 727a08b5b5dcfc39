//! Reading runs and events back.
//!
//! Invariant: what a caller gives is bound or escaped, never part of a statement.

use sqlx::{QueryBuilder, Sqlite};

use super::columns::{Columns, bind_key, event_columns, read_event, read_run, run_columns};
use super::{SqliteStore, schema};
use crate::row::{EventRow, Micros, RunKey, RunRow};
use crate::store::{ProcessReport, Promotion, ReadError, RunFilter, StoreStats};

/// The order of lists of runs.
const NEWEST_FIRST: &str = "start_time DESC, namespace, workflow_id, run_id";

impl SqliteStore {
    pub(crate) async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, ReadError> {
        let mut query = QueryBuilder::<Sqlite>::new(format!(
            "SELECT {} FROM omnitrace_runs WHERE true",
            run_columns()
        ));
        if let Some(namespace) = &filter.namespace {
            query.push(" AND namespace = ").push_bind(namespace);
        }
        if !filter.statuses.is_empty() {
            let mut statuses = query.push(" AND status IN (").separated(", ");
            for status in &filter.statuses {
                statuses.push_bind(status.as_str());
            }
            query.push(")");
        }
        if let Some(pattern) = &filter.workflow_type {
            if pattern.contains('*') {
                query
                    .push(" AND workflow_type GLOB ")
                    .push_bind(glob(pattern));
            } else {
                query.push(" AND workflow_type = ").push_bind(pattern);
            }
        }
        if let Some(from) = filter.started_from {
            query.push(" AND start_time >= ").push_bind(from);
        }
        if let Some(before) = filter.started_before {
            query.push(" AND start_time < ").push_bind(before);
        }
        if let Some(text) = &filter.text {
            let pattern = format!("%{}%", escape_like(text));
            query.push(" AND (false");
            for column in [
                "workflow_id",
                "run_id",
                "workflow_type",
                "error_type",
                "error_message",
            ] {
                query.push(format!(" OR {column} LIKE "));
                query.push_bind(pattern.clone()).push(" ESCAPE '\\'");
            }
            query.push(")");
        }
        if let Some((start, key)) = &filter.after {
            query.push(" AND start_time <= ").push_bind(start);
            query.push(" AND (start_time < ").push_bind(start);
            query.push(" OR (namespace, workflow_id, run_id) > (");
            let mut values = query.separated(", ");
            values.push_bind(&key.namespace);
            values.push_bind(&key.workflow_id);
            values.push_bind(&key.run_id);
            query.push("))");
        }
        query.push(format!(" ORDER BY {NEWEST_FIRST}"));
        if filter.limit > 0 {
            query.push(" LIMIT ").push_bind(filter.limit);
        }
        let rows = query.build().fetch_all(&self.readers().await?).await?;
        rows.iter().map(read_run).collect()
    }

    pub(crate) async fn runs_of_workflow(
        &self,
        namespace: Option<&str>,
        workflow_id: &str,
    ) -> Result<Vec<RunRow>, ReadError> {
        let sql = format!(
            "SELECT {} FROM omnitrace_runs WHERE workflow_id = ?1 AND namespace = coalesce(?2, namespace) \
             ORDER BY {NEWEST_FIRST}",
            run_columns()
        );
        let query = sqlx::query(&sql).bind(workflow_id).bind(namespace);
        let rows = query.fetch_all(&self.readers().await?).await?;
        rows.iter().map(read_run).collect()
    }

    pub(crate) async fn runs_by_run_id(&self, run_id: &str) -> Result<Vec<RunRow>, ReadError> {
        let sql = format!(
            "SELECT {} FROM omnitrace_runs WHERE run_id = ? ORDER BY {NEWEST_FIRST}",
            run_columns()
        );
        let query = sqlx::query(&sql).bind(run_id);
        let rows = query.fetch_all(&self.readers().await?).await?;
        rows.iter().map(read_run).collect()
    }

    pub(crate) async fn children(&self, run: &RunKey) -> Result<Vec<RunRow>, ReadError> {
        let sql = format!(
            "SELECT {} FROM omnitrace_runs \
             WHERE parent_namespace = ? AND parent_workflow_id = ? AND parent_run_id = ? \
             ORDER BY start_time, namespace, workflow_id, run_id",
            run_columns()
        );
        let query = bind_key(sqlx::query(&sql), run);
        let rows = query.fetch_all(&self.readers().await?).await?;
        rows.iter().map(read_run).collect()
    }

    pub(crate) async fn events(&self, run: &RunKey) -> Result<Vec<EventRow>, ReadError> {
        let sql = format!(
            "SELECT {} FROM omnitrace_events WHERE namespace = ? AND workflow_id = ? AND run_id = ? \
             ORDER BY start_time, event_key",
            event_columns()
        );
        let query = bind_key(sqlx::query(&sql), run);
        let rows = query.fetch_all(&self.readers().await?).await?;
        rows.iter().map(read_event).collect()
    }

    pub(crate) async fn promotions_since(&self, at: Micros) -> Result<Vec<Promotion>, ReadError> {
        let sql = "SELECT namespace, workflow_id, run_id, reason, at FROM omnitrace_promotions \
                   WHERE at >= ? ORDER BY at, namespace, workflow_id, run_id";
        let rows = sqlx::query(sql)
            .bind(at)
            .fetch_all(&self.readers().await?)
            .await?;
        (rows.iter())
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

    pub(crate) async fn processes(&self) -> Result<Vec<ProcessReport>, ReadError> {
        let sql = "SELECT id, service, host, pid, version, started_at, updated_at, counters \
                   FROM omnitrace_processes ORDER BY updated_at DESC, id";
        let rows = sqlx::query(sql).fetch_all(&self.readers().await?).await?;
        (rows.iter())
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
                    counters: serde_json::from_str(c.take()?)
                        .map_err(|e| ReadError::Database(format!("counters of a process: {e}")))?,
                })
            })
            .collect()
    }

    pub(crate) async fn stats(&self) -> Result<StoreStats, ReadError> {
        let pool = self.readers().await?;
        let mut connection = pool.acquire().await?;
        let (runs, events): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM omnitrace_runs), (SELECT count(*) FROM omnitrace_events)",
        )
        .fetch_one(&mut *connection)
        .await?;
        let schema_version = schema::version(&mut connection).await?;
        // The write-ahead log and its index lie beside the file while it is in use.
        let bytes = ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| {
                let mut path = self.0.path.clone().into_os_string();
                path.push(suffix);
                std::fs::metadata(path).ok()
            })
            .map(|meta| meta.len())
            .sum();
        Ok(StoreStats {
            runs: runs.unsigned_abs(),
            events: events.unsigned_abs(),
            bytes,
            schema_version,
        })
    }
}

/// Text that LIKE takes as it is, with `\` as the escape.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A GLOB pattern in which only `*` is special.
fn glob(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if matches!(c, '?' | '[') {
            escaped.extend(['[', c, ']']);
        } else {
            escaped.push(c);
        }
    }
    escaped
}
