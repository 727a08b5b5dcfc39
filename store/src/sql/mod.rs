//! What the databases have in common: the statements, and the way of a batch through them.
//!
//! Invariant: the same rows are stored and read whatever the database.

mod closings;
pub(crate) mod columns;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod export;
mod fates;
pub(crate) mod filter;
pub(crate) mod hourly;
pub(crate) mod lease;
pub(crate) mod read;
mod repair;
pub(crate) mod replays;
pub(crate) mod retention;
mod scope;
pub(crate) mod search;
mod settle;
pub(crate) mod statement;
pub(crate) mod stats;
pub(crate) mod switches;
pub(crate) mod text;
pub(crate) mod texts;
pub(crate) mod tokens;
pub(crate) mod write;

use self::statement::{Fields, Statement, Value};
use crate::store::{OpenOptions, ReadError};

/// Writes a row that is then taken back: on a sound database of either kind, with one parameter.
pub(crate) const PROBE: &str = "INSERT INTO omnitrace_processes \
    (id, service, host, pid, version, started_at, updated_at, counters) \
    VALUES ('probe', '', '', 0, '', 0, 0, $1)";

/// A row of values, in the order of some columns.
pub(crate) type Values<'a> = Vec<Value<'a>>;

/// Work of one transaction.
pub(crate) trait Job: Sync {
    type Report: Send;

    /// Whether it waits for the transactions that are under way, and makes others wait until it ends.
    const ALONE: bool = false;

    fn run<T: Tables>(
        &self,
        tables: &mut T,
        options: &OpenOptions,
    ) -> impl Future<Output = Result<Self::Report, sqlx::Error>> + Send;
}

/// An open transaction that writes.
pub(crate) trait Tables: Send {
    type Row: Fields + Send + Sync;

    /// Whether others may write to the same run meanwhile unless its row is locked.
    const SHARED: bool;

    /// The database's clock, in microseconds.
    const NOW: &str;

    /// A text that no other row has.
    const NEW_ID: &str;

    /// Runs a statement over rows, made from what stands for them in SQL.
    fn over(
        &mut self,
        rows: Vec<Values<'_>>,
        sql: impl Fn(&str) -> String + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Runs a statement that is planned for the numbers that stand in it, and forgotten.
    fn once(
        &mut self,
        sql: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// Inserts rows in their order, under a clause for conflicts.
    fn insert(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: Vec<Values<'_>>,
        clause: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send {
        let columns = columns.join(", ");
        self.over(rows, move |rows| {
            format!("INSERT INTO {table} ({columns}) {rows} {clause}")
        })
    }

    /// Runs a statement that joins these rows as `t`.
    fn with_rows(
        &mut self,
        columns: &[&str],
        rows: Vec<Values<'_>>,
        sql: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send {
        let columns = columns.join(", ");
        self.over(rows, move |rows| {
            format!("WITH t({columns}) AS ({rows}) {sql}")
        })
    }
}

/// A store that is read.
pub(crate) trait Reads: Sync {
    type Row: Fields + Send + Sync;

    /// Compares text with a pattern of LIKE, whatever the case of ASCII letters.
    const LIKE_ANY_CASE: &str;

    /// The operator, and the pattern, for text in which `*` is any text and all else itself.
    fn wildcard(pattern: &str) -> (&'static str, String);

    /// Selects table, column, whether it is text, and its place in the primary key or 0, of all tables of ours.
    const COLUMNS: &str;

    fn fetch(
        &self,
        statement: Statement<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Row>, ReadError>> + Send;
}
