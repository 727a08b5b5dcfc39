//! The store: one enum over the databases, the same contract for each.
//!
//! Invariant: writing a batch twice, or two batches in either order, leaves the same tables.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hourly::Hours;
use crate::postgres::{PostgresStore, PostgresUrl};
use crate::retention::Prunable;
use crate::row::{EventRow, Micros, RunKey, RunRow, SampledBy, Status};
use crate::sql::export::{self, Due, Exported};
use crate::sql::lease::Lease;
use crate::sql::{Job, read, retention};
use crate::sqlite::SqliteStore;

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

/// What is written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Runs, each key at most once.
    pub runs: Vec<RunRow>,
    /// Events, each key at most once.
    pub events: Vec<EventRow>,
    /// High water marks of what was not offered.
    pub seen: Vec<Seen>,
    /// Runs to be recorded after all.
    pub promotions: Vec<Promotion>,
    /// The writing process.
    pub process: Option<ProcessReport>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.events.is_empty()
            && self.seen.is_empty()
            && self.promotions.is_empty()
            && self.process.is_none()
    }
}

/// What a cut is counted against. Each is merged by maximum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Scope {
    /// Highest attempt number of a step, stored or not.
    Attempts {
        /// Encoded step.
        step: String,
    },
    /// Highest number of an inner event of an attempt, stored or not.
    Inner {
        /// Encoded step.
        step: String,
        /// Attempt.
        attempt: u32,
    },
    /// Observations of the run that a process lost.
    Process {
        /// Id of the process.
        id: String,
    },
}

/// A high water mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Run.
    pub run: RunKey,
    /// What is counted.
    pub scope: Scope,
    /// How many were seen (or lost).
    pub count: u32,
}

/// A run that the sampling rate left out and that is recorded after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Run.
    pub run: RunKey,
    /// Why.
    pub reason: SampledBy,
    /// When it was decided, by the clock of the deciding process.
    pub at: Micros,
}

/// What a recording process says of itself, replaced as a whole by that process alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Random id of the process.
    pub id: String,
    /// Service name.
    pub service: String,
    /// Host name.
    pub host: String,
    /// Operating system's process id.
    pub pid: u32,
    /// Version of the plugin.
    pub version: String,
    /// When it started.
    pub started_at: Micros,
    /// When it last reported.
    pub updated_at: Micros,
    /// Counters by name, each only ever growing.
    pub counters: BTreeMap<String, u64>,
    /// Why the database last refused its rows, one line.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When that was.
    #[serde(default)]
    pub last_error_at: Option<Micros>,
}

/// What became of the rows of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// Event keys (with their run) that are now stored with the content offered and were not before.
    pub changed_events: Vec<(RunKey, String)>,
    /// Runs whose row changed, but for what is derived from their events.
    pub changed_runs: Vec<RunKey>,
    /// Event rows whose stored version is at least as good.
    pub unchanged_events: u64,
    /// Run rows whose stored version is at least as good.
    pub unchanged_runs: u64,
    /// Event rows cut by the cap of rows per run: offered now and not kept.
    pub cut_events: u64,
    /// Provisional rows refused because their run is closed.
    pub ghost_events: u64,
    /// Rows that closed in this write and are to be exported; see [`OpenOptions::export`].
    pub to_export: Vec<SpanKey>,
    /// What closed for the first time; see [`OpenOptions::closings`].
    pub closings: Closings,
}

/// What closed for the first time with a write, and what is newly known to have been spent. A row that
/// was closed before is not in it, whoever writes it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closings {
    /// Positions in [`Batch::events`].
    pub events: Vec<usize>,
    /// Positions in [`Batch::runs`].
    pub runs: Vec<usize>,
    /// What was spent beyond what the store knew.
    pub spent: Vec<(RunKey, Spent)>,
    /// Of the runs of all these, those that have a row.
    pub facts: BTreeMap<RunKey, RunFacts>,
}

/// What metrics say of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Workflow type, or the activity type of a standalone activity.
    pub workflow_type: String,
    /// Task queue.
    pub task_queue: String,
    /// Hashed tenant.
    pub tenant: Option<String>,
}

impl From<&RunRow> for RunFacts {
    fn from(row: &RunRow) -> Self {
        Self {
            workflow_type: row.workflow_type.clone(),
            task_queue: row.task_queue.clone(),
            tenant: row.tenant.as_ref().map(|tenant| tenant.hash.clone()),
        }
    }
}

/// Tokens of one language model and their cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The model, if it is known.
    pub model: Option<String>,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// US dollars.
    pub cost_usd: f64,
}

/// Names a row that becomes a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanKey {
    /// The run.
    pub run: RunKey,
    /// Key of the event; the run itself has the empty one.
    pub event_key: String,
}

impl SpanKey {
    /// The run itself.
    pub fn of_run(run: RunKey) -> Self {
        Self {
            run,
            event_key: String::new(),
        }
    }

    /// Whether it is the run itself.
    pub fn is_run(&self) -> bool {
        self.event_key.is_empty()
    }
}

/// Rows of one run that are to be exported.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRows {
    /// The run.
    pub run: RunRow,
    /// Whether it is to be exported itself.
    pub itself: bool,
    /// Trace of the run before it in the chain, if that is stored.
    pub continued_from_trace: Option<String>,
    /// Events to be exported.
    pub events: Vec<EventRow>,
}

impl std::ops::AddAssign for WriteReport {
    fn add_assign(&mut self, other: Self) {
        self.changed_events.extend(other.changed_events);
        self.changed_runs.extend(other.changed_runs);
        self.unchanged_events += other.unchanged_events;
        self.unchanged_runs += other.unchanged_runs;
        self.cut_events += other.cut_events;
        self.ghost_events += other.ghost_events;
    }
}

/// All rows of a run, as Temporal's history says them.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The run.
    pub run: RunRow,
    /// Its events, each key once: steps, and the attempts that history tells of.
    pub events: Vec<EventRow>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Whether the run's row was replaced or inserted.
    pub changed_run: bool,
    /// Keys of events that were replaced or inserted.
    pub changed_events: Vec<String>,
    /// Keys of events that history does not have.
    pub deleted_events: Vec<String>,
    /// Events that were stored as history has them, or that a live worker knows better.
    pub unchanged_events: u64,
    /// Of the changed ones, those that the cap of rows per run did not keep.
    pub cut_events: u64,
}

/// Which of the runs to be compared with history are asked for.
#[derive(Clone, Debug, Default)]
pub struct OpenRuns {
    /// Temporal namespace.
    pub namespace: String,
    /// Only runs started before.
    pub started_before: Option<Micros>,
    /// Only runs that began after this one: (start, key) of the last row of the page before.
    pub after: Option<(Micros, RunKey)>,
    /// At most so many; 0 is no limit.
    pub limit: u32,
}

/// Which runs to list; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Temporal namespace.
    pub namespace: Option<String>,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Workflow id, exact.
    pub workflow_id: Option<String>,
    /// Run id, exact.
    pub run_id: Option<String>,
    /// Workflow type, exact, or with `*` for any text.
    pub workflow_type: Option<String>,
    /// Type of the failure, exact, or with `*` for any text.
    pub error_type: Option<String>,
    /// Hashed tenant, exact.
    pub tenant: Option<String>,
    /// Started at or after.
    pub started_from: Option<Micros>,
    /// Started before.
    pub started_before: Option<Micros>,
    /// Closed, and lasted at least so many microseconds.
    pub min_duration: Option<Micros>,
    /// Closed, and lasted at most so many microseconds.
    pub max_duration: Option<Micros>,
    /// Cost at least so many US dollars.
    pub min_cost_usd: Option<f64>,
    /// Cost at most so many US dollars.
    pub max_cost_usd: Option<f64>,
    /// Part of the workflow id, run id, type, error type or error message, case-insensitive.
    pub text: Option<String>,
    /// Only runs that began before this one: (start, key) of the last row of the page before.
    pub after: Option<(Micros, RunKey)>,
    /// At most so many; 0 is no limit.
    pub limit: u32,
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

/// Why an URL names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not one of the known schemes. The URL is not repeated: it may hold a password.
    #[error("a database URL begins with sqlite:// or postgres://")]
    Scheme,
    /// No path.
    #[error(
        "a sqlite:// URL needs a file name, as sqlite://omnitrace.db or sqlite:///var/lib/omnitrace.db"
    )]
    NoPath,
    /// No URL of a PostgreSQL server. What is said repeats nothing of it but names of parameters.
    #[error("not a postgres:// URL, as postgres://user@host:5432/database: {0}")]
    Postgres(String),
}

/// Why a store could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Opened for reading, and it is not there.
    #[error(
        "no database at {path}: run a worker with the plugin first, or set OMNITRACE_DATABASE_URL"
    )]
    Missing {
        /// Absolute path.
        path: String,
    },
    /// Anything else that the database says.
    #[error("cannot open the database at {path}: {reason}")]
    Unusable {
        /// Absolute path, or host without credentials.
        path: String,
        /// One line.
        reason: String,
    },
    /// Its schema is older than this program needs, and was not to be changed.
    #[error(
        "the database at {path} has schema {found}, this program needs {known}: run `omnitrace \
         migrate`, or start a worker with the plugin and OMNITRACE_MIGRATE=true on it"
    )]
    Older {
        /// Absolute path, or host without credentials.
        path: String,
        /// Schema found; 0 is none.
        found: i64,
        /// Schema needed.
        known: i64,
    },
    /// Its schema is newer than this program.
    #[error(
        "the database at {path} has schema {found}, this program knows up to {known}: update OmniTrace"
    )]
    Newer {
        /// Absolute path, or host without credentials.
        path: String,
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
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

/// Why a batch was not written. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Worth trying again: locked, full, read-only, I/O error, …
    #[error("the database did not take the rows, they will be offered again: {0}")]
    Retry(String),
    /// The database file is damaged.
    #[error("the database is damaged ({0}): move it away, OmniTrace makes a new one")]
    Corrupt(String),
}

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What the database said.
    #[error("cannot read the database: {0}")]
    Database(String),
}

/// The text of the database alone, without what wraps it.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => one_line(error.message()),
        None => one_line(&error.to_string()),
    }
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(reason(&error))
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
        either!(self, store => store.transact(batch).await)
    }

    /// Puts history's rows of a run in the place of those that differ, in one transaction. Attempts
    /// and what happened inside them stay where only a live worker knows them.
    ///
    /// # Errors
    /// When the database did not take it; nothing of it is stored then.
    pub async fn repair(&self, repair: &Repair) -> Result<RepairReport, WriteError> {
        either!(self, store => store.transact(repair).await)
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
        either!(self, store => store.transact(&lease).await)
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
        either!(self, store => store.transact(&lease).await)
    }

    /// Rows that wait for export so long that any process may send them, under a lease.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn export_due(&self, limit: u32) -> Result<Vec<SpanKey>, WriteError> {
        let due = Due { limit };
        either!(self, store => store.transact(&due).await)
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
        either!(self, store => store.transact(&exported).await)
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
        either!(self, store => read::list_runs(store, filter).await)
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
        either!(self, store => read::count_runs(store, filter, among).await)
    }

    /// The run that went on where this one ended: a continue-as-new, a retry, the next of a cron.
    ///
    /// # Errors
    /// What the database said.
    pub async fn next_run(&self, run: &RunKey) -> Result<Option<RunRow>, ReadError> {
        either!(self, store => read::next_run(store, run).await)
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
        either!(self, store => read::run(store, run).await)
    }

    /// Runs with this run id: one, but for ids made up by hand.
    ///
    /// # Errors
    /// What the database said.
    pub async fn runs_by_run_id(&self, run_id: &str) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::runs_by_run_id(store, run_id).await)
    }

    /// Runs that this run started as children, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn children(&self, run: &RunKey) -> Result<Vec<RunRow>, ReadError> {
        either!(self, store => read::children(store, run).await)
    }

    /// All rows of a run, in the order of their start.
    ///
    /// # Errors
    /// What the database said.
    pub async fn events(&self, run: &RunKey) -> Result<Vec<EventRow>, ReadError> {
        either!(self, store => read::events(store, run).await)
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
        either!(self, store => retention::hours(store, from, before).await)
    }

    pub(crate) async fn count_prunable(
        &self,
        runs_before: Micros,
        events_before: Micros,
    ) -> Result<Prunable, ReadError> {
        either!(self, store => retention::prunable(store, runs_before, events_before).await)
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
