//! The PostgreSQL store: one database, written by any number of processes.
//!
//! Invariant: whoever changes rows of a run holds the lock of its row in `omnitrace_runs` until the
//! transaction ends, so what is derived of the run is derived of all its rows. Locks are taken in the
//! order of their keys.

mod error;
mod schema;
mod tables;
mod url;

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Acquire, ConnectOptions, Connection, PgPool};

pub use self::url::{
    DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_STATEMENT_TIMEOUT, PostgresUrl,
};
use crate::sql::{Job, PROBE, read};
use crate::store::{Migrated, OpenError, OpenOptions, ReadError, StoreStats, WriteError, reason};

/// Connections of one process: the writer writes one batch at a time, the others are for reading.
pub const MAX_CONNECTIONS: u32 = 4;

/// How often a write is tried before its rows go back to whoever offers them, and the waits between.
const TRIES: usize = 6;
const MIN_WAIT: Duration = Duration::from_millis(10);
const MAX_WAIT: Duration = Duration::from_millis(500);

/// "omniwrit": the lock that every transaction that writes holds until it ends, shared unless it is to be alone.
const GATE: i64 = i64::from_be_bytes(*b"omniwrit");

/// Size of the tables with their indexes.
const BYTES: &str = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint \
    FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relname LIKE 'omnitrace\\_%' \
      AND c.relnamespace = current_schema()::regnamespace";

/// Whether the role may write all tables that a worker writes, on a server that may be written.
const MAY_WRITE: &str = "SELECT NOT pg_is_in_recovery() AND count(*) > 0 AND bool_and( \
      has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
      AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) \
    FROM pg_class c WHERE c.relkind IN ('r', 'p') \
      AND c.relname LIKE 'omnitrace\\_%' AND c.relname <> 'omnitrace_tokens' \
      AND c.relnamespace = current_schema()::regnamespace";

/// An open PostgreSQL database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    options: OpenOptions,
}

/// Why a write failed, before or after it reached the server.
enum Failure {
    Connecting(sqlx::Error),
    Writing(sqlx::Error),
}

impl PostgresStore {
    pub(crate) async fn open(url: &PostgresUrl, options: OpenOptions) -> Result<Self, OpenError> {
        let (driver, _) = bring_up(url, options.migrate, options.read_only).await?;
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(url.connect_timeout())
            .connect_lazy_with(driver);
        Ok(Self { pool, options })
    }

    pub(crate) async fn migrate(url: &PostgresUrl) -> Result<Migrated, OpenError> {
        Ok(bring_up(url, true, false).await?.1)
    }

    pub(crate) async fn probe(url: &PostgresUrl) -> Result<(), WriteError> {
        let probe = async {
            let mut connection = url.driver_options(false)?.connect().await?;
            let mut transaction = Connection::begin(&mut connection).await?;
            let may_write: bool = sqlx::query_scalar(MAY_WRITE)
                .fetch_one(&mut *transaction)
                .await?;
            let probe = sqlx::query(PROBE).bind("{}");
            probe.execute(&mut *transaction).await?;
            transaction.rollback().await?;
            connection.close().await?;
            Ok(may_write)
        };
        let timeout = url.connect_timeout();
        match tokio::time::timeout(timeout, probe).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(WriteError::Retry(
                "its role lacks SELECT, INSERT, UPDATE or DELETE on some table".to_owned(),
            )),
            Ok(Err(error)) => Err(WriteError::Retry(reason(&error))),
            Err(_) => Err(WriteError::Retry(format!(
                "it did not answer within {timeout:?}"
            ))),
        }
    }

    pub(crate) async fn transact<J: Job>(&self, job: &J) -> Result<J::Report, WriteError> {
        if self.options.read_only {
            return Err(WriteError::Retry("it is opened for reading".to_owned()));
        }
        let tries = ExponentialBuilder::default()
            .with_min_delay(MIN_WAIT)
            .with_max_delay(MAX_WAIT)
            .with_max_times(TRIES - 1)
            .with_jitter();
        (|| self.try_once(job))
            .retry(tries)
            .when(|failure| matches!(failure, Failure::Writing(e) if error::passes(e)))
            .await
            .map_err(|(Failure::Connecting(e) | Failure::Writing(e))| WriteError::Retry(reason(&e)))
    }

    async fn try_once<J: Job>(&self, job: &J) -> Result<J::Report, Failure> {
        let mut connection = self.pool.acquire().await.map_err(Failure::Connecting)?;
        let written = async {
            // Whatever the role's default is: each statement must see what was committed before it
            // got its locks.
            let gate = if J::ALONE { "" } else { "_shared" };
            let begin = format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock{gate}({GATE})"
            );
            let mut transaction = connection.begin_with(begin).await?;
            let report = job.run(&mut *transaction, &self.options).await?;
            transaction.commit().await?;
            Ok(report)
        };
        written.await.map_err(Failure::Writing)
    }

    pub(crate) async fn stats(&self) -> Result<StoreStats, ReadError> {
        let (runs, events) = read::counts(self).await?;
        let mut connection = self.pool.acquire().await?;
        let bytes: i64 = sqlx::query_scalar(BYTES)
            .fetch_one(connection.acquire().await?)
            .await?;
        Ok(StoreStats {
            runs,
            events,
            bytes: bytes.unsigned_abs(),
            schema_version: schema::version(&mut connection).await?,
        })
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// Connects once and brings the schema up to date, if that is wanted.
async fn bring_up(
    url: &PostgresUrl,
    migrate: bool,
    read_only: bool,
) -> Result<(PgConnectOptions, Migrated), OpenError> {
    let shown = url.to_string();
    let unusable = |reason: String| OpenError::Unusable {
        path: shown.clone(),
        reason,
    };
    let options = url
        .driver_options(read_only)
        .map_err(|e| unusable(reason(&e)))?;
    let timeout = url.connect_timeout();
    let mut connection = tokio::time::timeout(timeout, options.connect())
        .await
        .map_err(|_| unusable(format!("it did not answer within {timeout:?}")))?
        .map_err(|e| unusable(reason(&e)))?;
    let migrated = schema::bring_up(&mut connection, migrate && !read_only, &shown).await?;
    connection.close().await.map_err(|e| unusable(reason(&e)))?;
    Ok((options, migrated))
}
