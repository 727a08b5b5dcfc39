//! The writer's connection to its database: opened late, opened again, tried again.
//!
//! Invariant: nothing here blocks the writer: every call to the database runs as a task of its own,
//! at most one at a time, and a refused batch comes back whole. A database that refused several times
//! in a row is asked with one row before it is offered a batch.

use std::sync::Arc;
use std::time::Duration;

use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Promotion, Store, WriteError, WriteReport};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::breaker::{Breaker, Refusals};

/// How long a write may take, as over a connection that was cut without a word.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// What a finished call brought.
#[derive(Debug)]
pub(crate) enum Done {
    Written(Arc<Batch>, Box<WriteReport>),
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
    pub(crate) refusals: Refusals,
}

impl Link {
    pub(crate) fn new(url: DatabaseUrl, options: OpenOptions) -> Self {
        Self {
            url,
            options,
            store: None,
            running: None,
            writing: Arc::default(),
            refusals: Refusals::none(),
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.refusals.breaker(self.is_busy())
    }

    /// The open store, unless a call is using it.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
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
                Ok(report) => Done::Written(batch, Box::new(report)),
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
            Done::Refused(_, error) => self.refusals.add(error.clone()),
            Done::Written(..) => self.refusals.clear(),
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
