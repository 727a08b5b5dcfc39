//! The SQLite store: one file, opened by any number of processes.
//!
//! Invariant: rows are never written into a file that is no longer at its path. Before each use the
//! file is compared with the one that was opened, and after each commit again; if it was moved or
//! deleted, the store opens anew and the writer offers its rows again.

mod columns;
mod error;
mod open;
mod read;
mod settle;
mod url;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::RwLock;

use crate::store::{Batch, OpenError, OpenOptions, ReadError, WriteError, WriteReport};

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
    Open(open::Opened),
    /// The file went away and could not be opened anew yet.
    Lost,
    /// [`SqliteStore::close`] was called.
    Closed,
}

/// Why there is no pool.
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
            state: RwLock::new(State::Open(opened)),
        })))
    }

    pub(crate) async fn write(&self, batch: &Batch) -> Result<WriteReport, WriteError> {
        if self.0.options.read_only {
            return Err(WriteError::Retry("it is opened for reading".to_owned()));
        }
        if batch.is_empty() {
            return Ok(WriteReport::default());
        }
        let pool = self
            .pool()
            .await
            .map_err(|e| WriteError::Retry(error::one_line(&e.to_string())))?;
        let report = write::write(&pool, batch, self.0.options.max_events_per_run)
            .await
            .map_err(|e| error::write_error(&e))?;
        if !self.is_in_place(&pool).await {
            return Err(WriteError::Retry(
                "its file was moved or deleted during the write".to_owned(),
            ));
        }
        Ok(report)
    }

    pub(crate) async fn close(&self) {
        let state = std::mem::replace(&mut *self.0.state.write().await, State::Closed);
        if let State::Open(opened) = state {
            opened.pool.close().await;
        }
    }

    /// A pool on the file that is at the path now.
    async fn pool(&self) -> Result<SqlitePool, NotOpen> {
        match &*self.0.state.read().await {
            State::Open(opened) if opened.is_in_place(&self.0.path) => {
                return Ok(opened.pool.clone());
            }
            State::Closed => return Err(NotOpen::Closed),
            State::Open(_) | State::Lost => {}
        }
        let mut state = self.0.state.write().await;
        match &*state {
            State::Open(opened) if opened.is_in_place(&self.0.path) => {
                return Ok(opened.pool.clone());
            }
            State::Closed => return Err(NotOpen::Closed),
            // Closed before the new file is opened: its journal has the same name.
            State::Open(opened) => opened.pool.close().await,
            State::Lost => {}
        }
        *state = State::Lost;
        let path = &self.0.path;
        tracing::warn!(path = %path.display(), "the database file was moved or deleted, opening it anew");
        let opened = open::open(path, &self.0.options).await?;
        let pool = opened.pool.clone();
        *state = State::Open(opened);
        Ok(pool)
    }

    /// Whether this pool still is that of the file at the path.
    async fn is_in_place(&self, pool: &SqlitePool) -> bool {
        !pool.is_closed()
            && matches!(&*self.0.state.read().await, State::Open(o) if o.is_in_place(&self.0.path))
    }

    async fn reading(&self) -> Result<SqlitePool, ReadError> {
        self.pool()
            .await
            .map_err(|e| ReadError::Database(error::one_line(&e.to_string())))
    }
}
