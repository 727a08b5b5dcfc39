//! The SQLite store: one file, opened by any number of processes.
//!
//! Invariant: rows are never written into a file that is no longer at its path. Before each use the
//! file is compared with the one that was opened, and after each commit again; if it was moved or
//! deleted, the store opens anew and the writer offers its rows again.

mod error;
mod open;
mod schema;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::RwLock;

use self::open::Opened;
use crate::sql::{Job, read};
use crate::store::{Migrated, OpenError, OpenOptions, ReadError, StoreStats, WriteError, one_line};

pub(crate) use schema::known as schema_version;

/// An open SQLite file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: OpenOptions,
    state: RwLock<State>,
}

#[derive(Debug)]
enum State {
    Open(Arc<Opened>),
    /// The file went away and could not be opened anew yet.
    Lost,
    /// [`SqliteStore::close`] was called.
    Closed,
}

/// Why there is nothing to read from or write to.
#[derive(Debug, thiserror::Error)]
enum NotOpen {
    #[error("the store is closed")]
    Closed,
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl SqliteStore {
    pub(crate) async fn open(path: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let opened = open::open(path, &options).await?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            options,
            state: RwLock::new(State::Open(Arc::new(opened))),
        })))
    }

    pub(crate) async fn migrate(path: &Path) -> Result<Migrated, OpenError> {
        let opened = open::open(path, &OpenOptions::default()).await?;
        opened.close().await;
        Ok(opened.migrated)
    }

    pub(crate) async fn transact<J: Job>(&self, job: &J) -> Result<J::Report, WriteError> {
        if self.0.options.read_only {
            return Err(WriteError::Retry("it is opened for reading".to_owned()));
        }
        let opened =
            (self.opened().await).map_err(|e| WriteError::Retry(one_line(&e.to_string())))?;
        let mut writer = opened.writer().await;
        let Some(connection) = writer.as_mut() else {
            return Err(WriteError::Retry("it is being closed".to_owned()));
        };
        let report = in_transaction(connection, job, &self.0.options)
            .await
            .map_err(|e| error::write_error(&e))?;
        if !opened.is_in_place(&self.0.path) {
            return Err(WriteError::Retry(
                "its file was moved or deleted during the write".to_owned(),
            ));
        }
        Ok(report)
    }

    pub(crate) async fn probe(path: &Path, patience: Duration) -> Result<(), WriteError> {
        open::probe(path, patience)
            .await
            .map_err(|e| error::write_error(&e))
    }

    pub(crate) async fn stats(&self) -> Result<StoreStats, ReadError> {
        let (runs, events) = read::counts(self).await?;
        let mut connection = self.readers().await?.acquire().await?;
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
            runs,
            events,
            bytes,
            schema_version,
        })
    }

    pub(crate) async fn close(&self) {
        let state = std::mem::replace(&mut *self.0.state.write().await, State::Closed);
        if let State::Open(opened) = state {
            opened.close().await;
        }
    }

    /// Connections to the file that is at the path now.
    async fn opened(&self) -> Result<Arc<Opened>, NotOpen> {
        let path = &self.0.path;
        match &*self.0.state.read().await {
            State::Open(opened) if opened.is_in_place(path) => return Ok(Arc::clone(opened)),
            State::Closed => return Err(NotOpen::Closed),
            State::Open(_) | State::Lost => {}
        }
        let mut state = self.0.state.write().await;
        match &*state {
            State::Open(opened) if opened.is_in_place(path) => return Ok(Arc::clone(opened)),
            State::Closed => return Err(NotOpen::Closed),
            State::Open(opened) => {
                tracing::warn!(path = %path.display(), "the database file was moved or deleted, opening it anew");
                // Before another file is opened at the path: the logs of both have the same name.
                opened.close().await;
            }
            State::Lost => {}
        }
        *state = State::Lost;
        let opened = Arc::new(open::open(path, &self.0.options).await?);
        *state = State::Open(Arc::clone(&opened));
        Ok(opened)
    }

    async fn readers(&self) -> Result<sqlx::SqlitePool, ReadError> {
        match self.opened().await {
            Ok(opened) => Ok(opened.readers.clone()),
            Err(e) => Err(ReadError::Database(one_line(&e.to_string()))),
        }
    }
}

async fn in_transaction<J: Job>(
    connection: &mut SqliteConnection,
    job: &J,
    options: &OpenOptions,
) -> Result<J::Report, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let report = job.run(&mut *transaction, options).await?;
    transaction.commit().await?;
    Ok(report)
}
