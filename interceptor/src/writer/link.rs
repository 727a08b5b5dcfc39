//! The writer's connection to its database: opened late, opened again, tried again.
//!
//! Invariant: nothing here blocks the writer: every call to the database runs as a task of its own,
//! at most one at a time, and a refused batch comes back whole.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Promotion, Store, WriteReport};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// What a finished call brought.
#[derive(Debug)]
pub(crate) enum Done {
    Written(WriteReport),
    Refused(Arc<Batch>, String),
    Promotions(Vec<Promotion>),
}

#[derive(Debug)]
pub(crate) struct Link {
    url: DatabaseUrl,
    options: OpenOptions,
    store: Option<Store>,
    running: Option<JoinHandle<(Option<Store>, Done)>>,
    /// What the running call writes, should it be cut off.
    writing: Arc<Batch>,
    backoff: ExponentialBackoff,
    not_before: Option<Instant>,
    /// The last error, until a write succeeds.
    pub(crate) error: Option<String>,
}

impl Link {
    pub(crate) fn new(url: DatabaseUrl, options: OpenOptions) -> Self {
        Self {
            url,
            options,
            store: None,
            running: None,
            writing: Arc::default(),
            backoff: backoff(),
            not_before: None,
            error: None,
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// When the database may be asked again; `None` is now.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Forgets how long to wait, as when someone asks for a flush.
    pub(crate) fn hurry(&mut self) {
        self.not_before = None;
        self.backoff = backoff();
    }

    /// Rows that the running call writes.
    pub(crate) fn rows_writing(&self) -> usize {
        self.writing.runs.len() + self.writing.events.len()
    }

    /// Begins to write a batch.
    pub(crate) fn write(&mut self, batch: Batch) {
        let (url, options, store) = (self.url.clone(), self.options.clone(), self.store.take());
        let batch = Arc::new(batch);
        self.writing = batch.clone();
        self.running = Some(tokio::spawn(async move {
            let store = match store {
                Some(store) => store,
                None => match Store::open(&url, options).await {
                    Ok(store) => store,
                    Err(error) => return (None, Done::Refused(batch, error.to_string())),
                },
            };
            let done = match store.write(&batch).await {
                Ok(report) => Done::Written(report),
                Err(error) => {
                    // Opened anew before the next try: a connection made while the file was
                    // read-only or damaged stays of no use when the file is well again.
                    store.close().await;
                    return (None, Done::Refused(batch, error.to_string()));
                }
            };
            (Some(store), done)
        }));
    }

    /// Whether the database was reached before.
    pub(crate) fn is_open(&self) -> bool {
        self.store.is_some()
    }

    /// Begins to ask which runs were promoted.
    pub(crate) fn poll_promotions(&mut self, since: omnitrace_store::row::Micros) {
        if let Some(store) = self.store.take() {
            self.running = Some(tokio::spawn(async move {
                let found = store.promotions_since(since).await.unwrap_or_default();
                (Some(store), Done::Promotions(found))
            }));
        }
    }

    /// Waits for the running call; for ever if there is none.
    pub(crate) async fn done(&mut self) -> Done {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let joined = running.await;
        self.running = None;
        let (store, done) = match joined {
            Ok(finished) => finished,
            Err(error) => {
                let reason = format!("writing was cut off: {error}");
                (None, Done::Refused(self.writing.clone(), reason))
            }
        };
        self.writing = Arc::default();
        self.store = store;
        match &done {
            Done::Refused(_, error) => {
                // Without end: `without_max_times` below.
                let wait = self.backoff.next().unwrap_or(MAX_BACKOFF);
                self.not_before = Some(Instant::now() + wait);
                self.error = Some(error.clone());
            }
            Done::Written(_) => {
                self.backoff = backoff();
                self.not_before = None;
                self.error = None;
            }
            Done::Promotions(_) => {}
        }
        done
    }

    pub(crate) async fn close(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(MIN_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .with_jitter()
        .without_max_times()
        .build()
}
