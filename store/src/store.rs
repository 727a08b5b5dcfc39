//! The store: one enum over the databases, the same contract for each.
//!
//! Invariant: writing a batch twice, or two batches in either order, leaves the same tables.

mod batch;
mod errors;
mod query;
mod reader;
mod report;
mod spans;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::erasure::{Erasable, Erasure, Subject};
use crate::hourly::Hours;
use crate::postgres::{PostgresStore, PostgresUrl};
use crate::retention::Prunable;
use crate::row::{EventRow, Micros, RunKey, RunRow, Status};
use crate::sql::export::{self, Due, Exported};
use crate::sql::lease::Lease;
use crate::sql::tokens::{Create, Revoke};
use crate::sql::{Job, erasure, events, hourly, read, retention, texts, tokens};
use crate::sqlite::SqliteStore;
use crate::texts::{TextRow, TextTable};

pub use batch::{Batch, ProcessReport, Promotion, Scope, Seen};
pub use errors::{OpenError, ReadError, UrlError, WriteError};
pub(crate) use errors::{one_line, reason};
pub use query::{AccessScope, EventHead, Fingerprint, OpenRuns, RunFilter, RunStats, StatsFilter};
pub use reader::Reader;
pub use report::{Closings, Repair, RepairReport, RunFacts, Spent, WriteReport};
pub use spans::{SpanKey, SpanRows};

/// Event rows that are stored of one run, unless configured otherwise.
pub const DEFAULT_MAX_EVENTS_PER_RUN: u32 = 200;

/// How long a write waits for another process, unless configured otherwise.
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the rows are kept, parsed from `OMNITRACE_DATABASE_URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// A file, as an absolute path.
    Sqlite(std::path::PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

/// How a store is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Event rows that are stored of one run.
    pub max_events_per_run: u32,
    /// Whether a missing database is created and an older schema migrated.
    pub migrate: bool,
    /// Open for reading alone: nothing is created, migrated or written.
    pub read_only: bool,
    /// How long a write waits for another process that holds an SQLite file.
    pub busy_timeout: Duration,
    /// Rows that close are noted for export as spans; after so long any process may send them. `None`
    /// notes none.
    pub export: Option<Duration>,
    /// Whether a write reports what closed for the first time, and what it cost.
    pub closings: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            max_events_per_run: DEFAULT_MAX_EVENTS_PER_RUN,
            migrate: true,
            read_only: false,
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
            export: None,
            closings: false,
        }
    }
}

/// What opens the API to someone. The token itself is nowhere: it cannot be had from its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Names it, and is its first part.
    pub id: String,
    /// Whom it is for.
    pub name: String,
    /// SHA-256 of the token, as hex.
    pub hash: String,
    /// Names of rights, in order.
    pub rights: Vec<String>,
    /// What it shows.
    pub scope: AccessScope,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Option<Micros>,
    /// When it was taken back.
    pub revoked_at: Option<Micros>,
}

/// Rows and bytes of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Rows of `omnitrace_runs`.
    pub runs: u64,
    /// Rows of `omnitrace_events`.
    pub events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Version of the schema.
    pub schema_version: i64,
}

/// What became of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Version before; 0 is no schema.
    pub from: i64,
    /// Version now.
    pub to: i64,
}

impl Migrated {
    pub(crate) fn none(version: i64) -> Self {
        Self {
            from: version,
            to: version,
        }
    }
}

/// An open store. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Store {
    /// SQLite.
    Sqlite(SqliteStore),
    /// PostgreSQL.
    Postgres(PostgresStore),
}

/// The same on whichever database it is.
macro_rules! either {
    ($self:ident, $store:ident => $do:expr) => {
        match $self {
            Self::Sqlite($store) => $do,
            Self::Postgres($store) => $do,
        }
    };
}

impl Store {
    /// Opens a store; creates and migrates it unless the options say otherwise.
    ///
    /// # Errors
    /// When the database is missing (read-only), unusable, or newer than this program.
    pub async fn open(url: &DatabaseUrl, options: OpenOptions) -> Result<Self, OpenError> {
        match url {
            DatabaseUrl::Sqlite(path) => SqliteStore::open(path, options).await.map(Self::Sqlite),
            DatabaseUrl::Postgres(url) => {
                PostgresStore::open(url, options).await.map(Self::Postgres)
            }
        }
    }

    /// Creates a missing database's tables, or brings older ones up to date.
    ///
    /// # Errors
    /// When the database is unusable, newer than this program, or may not be changed.
    pub async fn migrate(url: &DatabaseUrl) -> Result<Migrated, OpenError> {
        match url {
            DatabaseUrl::Sqlite(path) => SqliteStore::migrate(path).await,
            DatabaseUrl::Postgres(url) => PostgresStore::migrate(url).await,
        }
    }

    /// Whether a row could be written now: one is written and taken back, so nothing changes. Waits so
    /// long for another process that writes.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn probe(url: &DatabaseUrl, patience: Duration) -> Result<(), WriteError> {
        match url {
            DatabaseUrl::Sqlite(path) => SqliteStore::probe(path, patience).await,
            DatabaseUrl::Postgres(url) => PostgresStore::probe(url).await,
        }
    }

    /// Writes a batch in one transaction, by the merge rule.
    ///
    /// # Errors
    /// When the database did not take it; nothing of it is stored then.
    pub async fn write(&self, batch: &Batch) -> Result<WriteReport, WriteError> {
        if batch.is_empty() {
            return Ok(WriteReport::default());
        }
        self.transact(batch).await
    }

    /// Puts history's rows of a run in the place of those that differ, in one transaction. Attempts
    /// and what happened inside them stay where only a live worker knows them.
    ///
    /// # Errors
    /// When the database did not take it; nothing of it is stored then.
    pub async fn repair(&self, repair: &Repair) -> Result<RepairReport, WriteError> {
        self.transact(repair).await
    }

    /// Takes or renews a lease for a time by the database's clock; false where another holds it.
    ///
    /// # Errors
    /// When the database did not take it.
    pub async fn lease(
        &self,
        namespace: &str,
        name: &str,
        holder: &str,
        time: Duration,
    ) -> Result<bool, WriteError> {
        let time = Some(time);
        let lease = Lease {
            namespace,
            name,
            holder,
            time,
        };
        self.transact(&lease).await
    }

    /// Gives a lease back; false where another holds it, or nobody.
    ///
    /// # Errors
    /// When the database did not take it.
    pub async fn release(
        &self,
        namespace: &str,
        name: &str,
        holder: &str,
    ) -> Result<bool, WriteError> {
        let lease = Lease {
            namespace,
            name,
            holder,
            time: None,
        };
        self.transact(&lease).await
    }

    /// Rows that wait for export so long that any process may send them, under a lease.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn export_due(&self, limit: u32) -> Result<Vec<SpanKey>, WriteError> {
        let due = Due { limit };
        self.transact(&due).await
    }

    /// Those rows of these keys that were not exported, and whose run is stored.
    ///
    /// # Errors
    /// What the database said.
    pub async fn unexported(&self, keys: &[SpanKey]) -> Result<Vec<SpanRows>, ReadError> {
        either!(self, store => export::unexported(store, keys).await)
    }

    /// Marks rows as exported.
    ///
    /// # Errors
    /// When the database did not take it; they may be sent again then.
    pub async fn exported(&self, keys: &[SpanKey]) -> Result<(), WriteError> {
        let exported = Exported(keys);
        self.transact(&exported).await
    }

    /// Runs that are stored as open or incomplete, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn open_runs(&self, which: &OpenRuns) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::open_runs(store, which).await)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::list_runs(store, filter, &AccessScope::ALL).await)
    }

    /// How many of the newest `among` runs that the filter finds have which status. The filter's page
    /// (`after`, `limit`) is left aside.
    ///
    /// # Errors
    /// What the database said.
    pub async fn count_runs(
        &self,
        filter: &RunFilter,
        among: u32,
    ) -> Result<BTreeMap<Status, u64>, ReadError> {
        either!(self, store => read::count_runs(store, filter, among, &AccessScope::ALL).await)
    }

    /// The run that went on where this one ended: a continue-as-new, a retry, the next of a cron.
    ///
    /// # Errors
    /// What the database said.
    pub async fn next_run(&self, run: &RunKey) -> Result<Option<RunRow>, ReadError> {
        either!(self, store => read::next_run(store, run, &AccessScope::ALL).await)
    }

    /// Runs with this workflow id, newest first, in one namespace or in any.
    ///
    /// # Errors
    /// What the database said.
    pub async fn runs_of_workflow(
        &self,
        namespace: Option<&str>,
        workflow_id: &str,
    ) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::runs_of_workflow(store, namespace, workflow_id).await)
    }

    /// One run.
    ///
    /// # Errors
    /// What the database said.
    pub async fn run(&self, run: &RunKey) -> Result<Option<RunRow>, ReadError> {
        either!(self, store => read::run(store, run, &AccessScope::ALL).await)
    }

    /// Runs with this run id: one, but for ids made up by hand.
    ///
    /// # Errors
    /// What the database said.
    pub async fn runs_by_run_id(&self, run_id: &str) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::runs_by_run_id(store, run_id).await)
    }

    /// Runs that are part of this trace, newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn runs_by_trace_id(&self, trace_id: &str) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::runs_by_trace_id(store, trace_id).await)
    }

    /// Runs that this run started as children, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn children(&self, run: &RunKey) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::children(store, run, &AccessScope::ALL).await)
    }

    /// All rows of a run, in the order of their start.
    ///
    /// # Errors
    /// What the database said.
    pub async fn events(&self, run: &RunKey) -> Result<Vec<EventRow>, ReadError> {
        either!(self, store => events::all(store, run, &AccessScope::ALL).await)
    }

    /// Runs of a namespace promoted at or after a moment.
    ///
    /// # Errors
    /// What the database said.
    pub async fn promotions_since(&self, at: Micros) -> Result<Vec<Promotion>, ReadError> {
        either!(self, store => read::promotions_since(store, at).await)
    }

    /// What the recording processes said of themselves, newest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn processes(&self) -> Result<Vec<ProcessReport>, ReadError> {
        either!(self, store => read::processes(store).await)
    }

    pub(crate) async fn transact<J: Job>(&self, job: &J) -> Result<J::Report, WriteError> {
        either!(self, store => store.transact(job).await)
    }

    pub(crate) async fn retention(&self) -> Result<retention::Progress, ReadError> {
        either!(self, store => retention::progress(store).await)
    }

    pub(crate) async fn first_closed(&self, from: Micros) -> Result<Option<Micros>, ReadError> {
        either!(self, store => retention::first_closed(store, from).await)
    }

    pub(crate) async fn closed_in(
        &self,
        hour: Micros,
        after: Option<&RunRow>,
        limit: u32,
    ) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => retention::closed_in(store, hour, after, limit).await)
    }

    pub(crate) async fn slim_events(&self, runs: &[RunRow]) -> Result<Vec<EventRow>, ReadError> {
        either!(self, store => retention::slim_events(store, runs).await)
    }

    /// Aggregates of hours that begin at or after a moment, and before another.
    ///
    /// # Errors
    /// What the database said.
    pub async fn hours(&self, from: Micros, before: Micros) -> Result<Hours, ReadError> {
        either!(self, store => hourly::hours(store, from, before).await)
    }

    pub(crate) async fn count_prunable(
        &self,
        runs_before: Micros,
        events_before: Micros,
    ) -> Result<Prunable, ReadError> {
        either!(self, store => retention::prunable(store, runs_before, events_before).await)
    }

    pub(crate) async fn count_erasable(
        &self,
        subject: &Subject,
        namespace: Option<&str>,
    ) -> Result<Erasable, ReadError> {
        either!(self, store => erasure::count(store, subject, namespace).await)
    }

    pub(crate) async fn all_erasures(&self) -> Result<Vec<Erasure>, ReadError> {
        either!(self, store => erasure::all(store).await)
    }

    pub(crate) async fn find_erased(&self, run: &RunRow) -> Result<bool, ReadError> {
        either!(self, store => erasure::find(store, run).await)
    }

    pub(crate) async fn all_text_tables(&self) -> Result<Vec<TextTable>, ReadError> {
        either!(self, store => texts::tables(store).await)
    }

    pub(crate) async fn page_of_texts(
        &self,
        table: &TextTable,
        after: Option<&[String]>,
        since: Option<Micros>,
        limit: u32,
    ) -> Result<Vec<TextRow>, ReadError> {
        either!(self, store => texts::rows(store, table, after, since, limit).await)
    }

    /// How many runs each policy made, most first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn policies(&self) -> Result<Vec<(String, u64)>, ReadError> {
        either!(self, store => erasure::policies(store).await)
    }

    /// The store as a caller sees it who may see this.
    pub fn seen_by<'a>(&'a self, scope: &'a AccessScope) -> Reader<'a> {
        Reader { store: self, scope }
    }

    /// Keeps a new token.
    ///
    /// # Errors
    /// When the database did not take it.
    pub async fn create_token(&self, token: &TokenRow) -> Result<(), WriteError> {
        let create = Create(token);
        self.transact(&create).await
    }

    /// Takes a token back; false where there is none with this id, or it was taken back before.
    ///
    /// # Errors
    /// When the database did not take it.
    pub async fn revoke_token(&self, id: &str, at: Micros) -> Result<bool, WriteError> {
        let revoke = Revoke { id, at };
        self.transact(&revoke).await
    }

    /// All tokens, oldest first, those that were taken back included.
    ///
    /// # Errors
    /// What the database said.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, ReadError> {
        either!(self, store => tokens::read(store, None).await)
    }

    /// One token.
    ///
    /// # Errors
    /// What the database said.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRow>, ReadError> {
        let found = either!(self, store => tokens::read(store, Some(id)).await);
        Ok(found?.pop())
    }

    /// Rows and bytes.
    ///
    /// # Errors
    /// What the database said.
    pub async fn stats(&self) -> Result<StoreStats, ReadError> {
        either!(self, store => store.stats().await)
    }

    /// Writes what is pending to disk and closes all connections.
    pub async fn close(&self) {
        either!(self, store => store.close().await)
    }
}
