//! Opening the file, and whether it is still the same file.
//!
//! Invariant: only [`open`] creates a file. Readers are opened later and for reading alone, so none
//! of them leaves an empty file where a deleted one was.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

use super::error::{is_busy, open_reason};
use super::schema;
use crate::sql::PROBE;
use crate::store::{Migrated, OpenError, OpenOptions, one_line, reason};

/// Each connection is a thread.
const MAX_READERS: u32 = 4;
/// What a probe writes, to be taken back.
const PROBE_BYTES: usize = 64 << 10;
/// Between tries to open: switching a new file to a write-ahead log fails at once when another
/// process does it too.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Connections to a file, and which file it is.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) readers: SqlitePool,
    /// `None` when the store is for reading alone, or closed.
    writer: Mutex<Option<SqliteConnection>>,
    file: FileId,
    /// What opening it did to its schema.
    pub(super) migrated: Migrated,
}

impl Opened {
    /// The connection that writes, when nobody else in this process writes.
    pub(super) async fn writer(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.writer.lock().await
    }

    /// Whether the file at the path is the one that was opened.
    pub(super) fn is_in_place(&self, path: &Path) -> bool {
        FileId::of(path).is_ok_and(|id| id == self.file)
    }

    /// Puts all that was written into the file itself, also when it was moved meanwhile, and closes
    /// it. Waits for a write that is under way.
    pub(super) async fn close(&self) {
        let writer = self.writer.lock().await.take();
        // A connection that is given back during `close` may stay open: closing is done when none
        // is left.
        loop {
            self.readers.close().await;
            if self.readers.size() == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let Some(mut writer) = writer else { return };
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
        if let Err(e) = checkpoint.execute(&mut writer).await {
            tracing::warn!(error = %reason(&e), "the last rows are left in the database's log");
        }
        if let Err(e) = writer.close().await {
            tracing::debug!(error = %reason(&e), "the database was not closed properly");
        }
    }
}

/// What tells a file from another that took its path.
#[derive(Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(path)?;
        Ok(Self(meta.dev(), meta.ino()))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> std::io::Result<Self> {
        let created = std::fs::metadata(path)?.created()?;
        let since = created
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self(since.as_secs(), since.subsec_nanos().into()))
    }
}

pub(super) async fn open(path: &Path, options: &OpenOptions) -> Result<Opened, OpenError> {
    let shown = path.display().to_string();
    let unusable = |reason: String| OpenError::Unusable {
        path: shown.clone(),
        reason,
    };
    if !path.is_absolute() {
        return Err(unusable("the path is not absolute".to_owned()));
    }
    if path.is_dir() {
        return Err(unusable("it is a folder, name a file in it".to_owned()));
    }
    let migrate = options.migrate && !options.read_only;
    if !path.exists() {
        if !migrate {
            return Err(OpenError::Missing { path: shown });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
            return Err(unusable(format!(
                "the folder {} does not exist, create it first",
                folder.display()
            )));
        }
    }
    let for_reading = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.busy_timeout)
        .read_only(true);
    let first = if options.read_only {
        for_reading.clone()
    } else {
        (for_reading.clone().read_only(false))
            .create_if_missing(migrate)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
    };
    let mut connection = connect(&first, options.busy_timeout)
        .await
        .map_err(|e| unusable(open_reason(&e)))?;
    let migrated = schema::bring_up(&mut connection, migrate, &shown).await?;
    let file = FileId::of(path).map_err(|e| unusable(one_line(&e.to_string())))?;
    let writer = if options.read_only {
        connection
            .close()
            .await
            .map_err(|e| unusable(open_reason(&e)))?;
        None
    } else {
        Some(connection)
    };
    let readers = SqlitePoolOptions::new()
        .max_connections(MAX_READERS)
        // Longer than a lock is waited for, so that it is the lock that is reported.
        .acquire_timeout(options.busy_timeout * 2 + Duration::from_secs(1))
        .connect_lazy_with(for_reading);
    Ok(Opened {
        readers,
        writer: Mutex::new(writer),
        file,
        migrated,
    })
}

async fn connect(
    options: &SqliteConnectOptions,
    patience: Duration,
) -> Result<SqliteConnection, sqlx::Error> {
    let until = Instant::now() + patience;
    loop {
        match options.connect().await {
            Err(e) if is_busy(&e) && Instant::now() < until => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether a row could be written now: writes one and takes it back.
pub(super) async fn probe(path: &Path, patience: Duration) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(patience)
        // So small that what is written reaches the log before it is taken back.
        .pragma("cache_size", "1")
        .pragma("cache_spill", "1");
    let mut connection = options.connect().await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let written = sqlx::query(PROBE)
        .bind("x".repeat(PROBE_BYTES))
        .execute(&mut *transaction)
        .await;
    // A refused row may have ended the transaction by itself.
    let taken_back = transaction.rollback().await;
    // Whether it closes well is of no interest any more.
    let _ = connection.close().await;
    written.map(drop).and(taken_back)
}
