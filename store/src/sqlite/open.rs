//! Opening the file: connections, schema, and whether it is still the same file.
//!
//! Invariant: a schema is made or changed in one transaction that locks out other writers, so any
//! number of processes may start at once on a missing file.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::error::{is_busy, is_damaged, one_line, reason};
use crate::store::{OpenError, OpenOptions};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// One writer and some readers; each connection is a thread.
const MAX_CONNECTIONS: u32 = 4;
/// Between tries to open: switching a new file to a write-ahead log fails at once when another
/// process does it too.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// A pool and the file that it is on.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) pool: SqlitePool,
    file: FileId,
}

impl Opened {
    /// Whether the file at the path is the one that was opened.
    pub(super) fn is_in_place(&self, path: &Path) -> bool {
        FileId::of(path).is_ok_and(|id| id == self.file)
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
    let creates = options.migrate && !options.read_only;
    if !path.exists() {
        if !creates {
            return Err(OpenError::Missing { path: shown });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
            return Err(unusable(format!(
                "the folder {} does not exist, create it first",
                folder.display()
            )));
        }
    }
    let pool = connect(path, options, creates).await.map_err(|e| {
        unusable(if is_damaged(&e) {
            format!(
                "the file is damaged or no database ({}), move it away",
                reason(&e)
            )
        } else {
            reason(&e)
        })
    })?;
    let ready = ready(&pool, creates, &shown).await;
    let opened = match ready {
        Ok(()) => FileId::of(path).map_err(|e| unusable(one_line(&e.to_string()))),
        Err(e) => Err(e),
    };
    match opened {
        Ok(file) => Ok(Opened { pool, file }),
        Err(e) => {
            pool.close().await;
            Err(e)
        }
    }
}

async fn connect(
    path: &Path,
    options: &OpenOptions,
    creates: bool,
) -> Result<SqlitePool, sqlx::Error> {
    let mut connect = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.busy_timeout)
        .create_if_missing(creates)
        .read_only(options.read_only);
    if !options.read_only {
        connect = connect
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
    }
    let patience = Instant::now() + options.busy_timeout;
    loop {
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            // Longer than a lock is waited for, so that it is the lock that is reported.
            .acquire_timeout(options.busy_timeout * 2 + Duration::from_secs(1))
            .connect_with(connect.clone())
            .await;
        match pool {
            Err(e) if is_busy(&e) && Instant::now() < patience => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Brings the schema up to date, or says why it cannot be used.
async fn ready(pool: &SqlitePool, creates: bool, path: &str) -> Result<(), OpenError> {
    let unusable = |reason: String| OpenError::Unusable {
        path: path.to_owned(),
        reason,
    };
    let said = |e: sqlx::Error| {
        unusable(if is_damaged(&e) {
            format!(
                "the file is damaged or no database ({}), move it away",
                reason(&e)
            )
        } else {
            reason(&e)
        })
    };
    let known = MIGRATIONS
        .iter()
        .map(|m| m.version)
        .max()
        .unwrap_or_default();
    let check = |found: Found| match found {
        Found::Foreign => Err(unusable(
            "it belongs to another program, name another file".to_owned(),
        )),
        Found::Version(found) if found > known => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        }),
        Found::Version(found) => Ok(found),
    };
    let mut connection = pool.acquire().await.map_err(said)?;
    let found = check(found(&mut connection).await.map_err(said)?)?;
    if found == known {
        return Ok(());
    }
    if !creates {
        return Err(unusable(format!(
            "it has schema {found}, this program needs {known}: start a worker with the plugin on it first"
        )));
    }
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(said)?;
    // Another process may have migrated it, even further, since.
    check(self::found(&mut transaction).await.map_err(said)?)?;
    MIGRATIONS
        .run_direct(&mut *transaction)
        .await
        .map_err(|e| unusable(one_line(&e.to_string())))?;
    transaction.commit().await.map_err(said)
}

enum Found {
    /// 0 is a database without tables of OmniTrace.
    Version(i64),
    /// Another program's migrations.
    Foreign,
}

async fn found(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let (ours, migrated): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE name = 'omnitrace_runs'), \
                count(*) FILTER (WHERE name = '_sqlx_migrations') \
         FROM sqlite_schema WHERE type = 'table'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if migrated == 0 && ours == 0 {
        return Ok(Found::Version(0));
    }
    if migrated == 0 || ours == 0 {
        return Ok(Found::Foreign);
    }
    schema_version(connection).await.map(Found::Version)
}

pub(super) async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
}
