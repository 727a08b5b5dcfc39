//! The statements that both databases share, as PostgreSQL runs them.
//!
//! Invariant: rows go into a statement as one array per column, so its text does not depend on their
//! number and it is prepared once per connection.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};

use super::PostgresStore;
use crate::sql::filter::escape_like;
use crate::sql::statement::{Fields, Statement, Value};
use crate::sql::{Reads, Tables, Values};
use crate::store::ReadError;

impl Fields for PgRow {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error> {
        self.try_get(at)
    }

    /// Of any width.
    fn int(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get_unchecked(at)
    }

    fn float(&self, at: usize) -> Result<Option<f64>, sqlx::Error> {
        self.try_get(at)
    }

    fn flag(&self, at: usize) -> Result<bool, sqlx::Error> {
        self.try_get(at)
    }
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// The values of one column.
enum Array<'a> {
    Text(Vec<Option<Cow<'a, str>>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Flag(Vec<bool>),
}

impl<'a> Array<'a> {
    /// An array for values of the same kind.
    fn like(value: &Value<'_>, size: usize) -> Self {
        match value {
            Value::Text(_) => Self::Text(Vec::with_capacity(size)),
            Value::Int(_) => Self::Int(Vec::with_capacity(size)),
            Value::Float(_) => Self::Float(Vec::with_capacity(size)),
            Value::Flag(_) => Self::Flag(Vec::with_capacity(size)),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), sqlx::Error> {
        match (self, value) {
            (Self::Text(array), Value::Text(text)) => array.push(text),
            (Self::Int(array), Value::Int(number)) => array.push(number),
            (Self::Float(array), Value::Float(number)) => array.push(number),
            (Self::Flag(array), Value::Flag(flag)) => array.push(flag),
            _ => return Err(sqlx::Error::Encode("a column of two kinds".into())),
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text[]",
            Self::Int(_) => "bigint[]",
            Self::Float(_) => "double precision[]",
            Self::Flag(_) => "boolean[]",
        }
    }

    fn bind<'q>(self, query: Bound<'q>) -> Bound<'q>
    where
        'a: 'q,
    {
        match self {
            Self::Text(array) => query.bind(array),
            Self::Int(array) => query.bind(array),
            Self::Float(array) => query.bind(array),
            Self::Flag(array) => query.bind(array),
        }
    }
}

impl Tables for PgConnection {
    type Row = PgRow;

    const SHARED: bool = true;

    const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

    const NEW_ID: &str = "md5(random()::text || clock_timestamp()::text)";

    async fn once(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::query(sql).persistent(false).fetch_all(self).await
    }

    async fn over(
        &mut self,
        rows: Vec<Values<'_>>,
        sql: impl Fn(&str) -> String + Send + Sync,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let mut arrays: Vec<Array<'_>> = (first.iter())
            .map(|value| Array::like(value, rows.len()))
            .collect();
        for row in rows {
            for (array, value) in arrays.iter_mut().zip(row) {
                array.push(value)?;
            }
        }
        let parameters: Vec<String> = (arrays.iter().enumerate())
            .map(|(at, array)| format!("${}::{}", at + 1, array.kind()))
            .collect();
        let sql = sql(&format!("SELECT * FROM unnest({})", parameters.join(", ")));
        let query = (arrays.into_iter()).fold(sqlx::query(&sql), |query, array| array.bind(query));
        query.fetch_all(self).await
    }
}

impl Reads for PostgresStore {
    type Row = PgRow;

    const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, \
          (t.typcategory = 'S' OR t.typname IN ('json', 'jsonb'))::int::bigint, \
          coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::bigint \
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        JOIN pg_type t ON t.oid = a.atttypid \
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
        WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'omnitrace\\_%' \
          AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, a.attnum";

    const LIKE_ANY_CASE: &str = "ILIKE";

    fn wildcard(pattern: &str) -> (&'static str, String) {
        ("LIKE", escape_like(pattern).replace('*', "%"))
    }

    async fn fetch(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, ReadError> {
        let query = sqlx::query(&statement.text);
        let query = (statement.values.into_iter()).fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Float(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
        });
        Ok(query.fetch_all(self.pool()).await?)
    }
}
