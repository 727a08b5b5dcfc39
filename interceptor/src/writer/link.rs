//! The writer's connection to its database: opened late, opened again, tried again.
//!
//! Invariant: nothing here blocks the writer: every call to the database runs as a task of its own,
//! at most one at a time, and a refused batch comes back whole. A database that refused several times
//! in a row is asked with one row before it is offered a batch.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Promotion, Store, WriteError, WriteReport};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Refusals in a row after which the database is asked with something small first.
const TRIPS_AFTER: u32 = 5;

/// How long a write may take, as over a connection that was cut without a word.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// A circuit breaker's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breaker {
    /// The database takes rows.
    #[default]
    Closed,
    /// It refused several times in a row, and is left alone for a while.
    Open,
    /// It is asked whether it takes one row.
    HalfOpen,
}

impl Breaker {
    /// As it is reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

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
    /// Refusals since the last success.
    refusals: u32,
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
            refusals: 0,
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

    /// Whether the database is to be asked with something small.
    pub(crate) fn is_tripped(&self) -> bool {
        self.refusals >= TRIPS_AFTER
    }

    pub(crate) fn breaker(&self) -> Breaker {
        match (self.is_tripped(), self.is_busy()) {
            (false, _) => Breaker::Closed,
            (true, false) => Breaker::Open,
            (true, true) => Breaker::HalfOpen,
        }
    }

    /// What the running call writes; whether the database takes it will never be known.
    pub(crate) fn cut_off(&mut self) -> Batch {
        if let Some(running) = self.running.take() {
            running.abort();
        }
        Arc::unwrap_or_clone(std::mem::take(&mut self.writing))
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
            let written = timeout(WRITE_LIMIT, store.write(&batch)).await;
            let written = written.unwrap_or_else(|_| {
                let limit = WRITE_LIMIT.as_secs();
                Err(WriteError::Retry(format!("no answer within {limit} s")))
            });
            let done = match written {
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
                self.refusals = self.refusals.saturating_add(1);
            }
            Done::Written(_) => {
                self.backoff = backoff();
                self.not_before = None;
                self.error = None;
                self.refusals = 0;
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
