//! The statements that both databases share, as SQLite runs them.
//!
//! Invariant: rows go into statements in a few sizes, so that each statement is prepared once per
//! connection.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};

use super::SqliteStore;
use crate::sql::statement::{Fields, Statement, Value};
use crate::sql::{Reads, Tables, Values};
use crate::store::ReadError;

/// Rows per statement.
const CHUNKS: [usize; 3] = [64, 8, 1];

impl Fields for SqliteRow {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error> {
        self.try_get(at)
    }

    fn int(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(at)
    }

    fn float(&self, at: usize) -> Result<Option<f64>, sqlx::Error> {
        self.try_get(at)
    }

    fn flag(&self, at: usize) -> Result<bool, sqlx::Error> {
        self.try_get(at)
    }
}

fn query<'q>(
    sql: &'q str,
    values: impl IntoIterator<Item = Value<'q>>,
) -> Query<'q, Sqlite, SqliteArguments<'q>> {
    (values.into_iter()).fold(sqlx::query(sql), |query, value| match value {
        Value::Text(text) => query.bind(text),
        Value::Int(number) => query.bind(number),
        Value::Float(number) => query.bind(number),
        Value::Flag(flag) => query.bind(flag),
    })
}

impl Tables for SqliteConnection {
    type Row = SqliteRow;

    /// A write transaction locks the whole file.
    const SHARED: bool = false;

    const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

    const NEW_ID: &str = "lower(hex(randomblob(16)))";

    async fn once(&mut self, sql: &str) -> Result<Vec<SqliteRow>, sqlx::Error> {
        sqlx::query(sql).persistent(false).fetch_all(self).await
    }

    async fn over(
        &mut self,
        rows: Vec<Values<'_>>,
        sql: impl Fn(&str) -> String + Send + Sync,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        while let Some(size) = CHUNKS.into_iter().find(|size| *size <= left) {
            left -= size;
            let chunk: Vec<Values<'_>> = rows.by_ref().take(size).collect();
            let row = format!("({})", vec!["?"; chunk[0].len()].join(", "));
            let sql = sql(&format!("VALUES {}", vec![row; size].join(", ")));
            let query = query(&sql, chunk.into_iter().flatten());
            found.extend(query.fetch_all(&mut *self).await?);
        }
        Ok(found)
    }
}

impl Reads for SqliteStore {
    type Row = SqliteRow;

    const COLUMNS: &str = "SELECT m.name, p.name, \
          CASE WHEN upper(p.type) IN ('INTEGER', 'REAL') THEN 0 ELSE 1 END, p.pk \
        FROM sqlite_schema m JOIN pragma_table_info(m.name) p \
        WHERE m.type = 'table' AND m.name LIKE 'omnitrace\\_%' ESCAPE '\\' ORDER BY m.name, p.cid";

    const LIKE_ANY_CASE: &str = "LIKE";

    /// LIKE looks at no case here.
    fn wildcard(pattern: &str) -> (&'static str, String) {
        let mut escaped = String::with_capacity(pattern.len());
        for c in pattern.chars() {
            if matches!(c, '?' | '[') {
                escaped.extend(['[', c, ']']);
            } else {
                escaped.push(c);
            }
        }
        ("GLOB", escaped)
    }

    async fn fetch(&self, statement: Statement<'_>) -> Result<Vec<SqliteRow>, ReadError> {
        let readers = self.readers().await?;
        let query = query(&statement.text, statement.values);
        Ok(query.fetch_all(&readers).await?)
    }
}
