//! The store, opened when it is first needed: a server may start before its database.

use std::sync::Arc;

use omnitrace_store::{DatabaseUrl, OpenError, OpenOptions, Store};
use tokio::sync::OnceCell;

/// A database that may not be there yet. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: DatabaseUrl,
    store: OnceCell<Store>,
}

impl Database {
    pub(super) fn new(url: DatabaseUrl) -> Self {
        Self(Arc::new(Inner {
            url,
            store: OnceCell::new(),
        }))
    }

    /// The store, opened for reading alone. What failed before is tried again.
    pub(super) async fn store(&self) -> Result<&Store, OpenError> {
        let open = async {
            let mut options = OpenOptions::default();
            options.read_only = true;
            options.migrate = false;
            Store::open(&self.0.url, options).await
        };
        self.0.store.get_or_try_init(|| open).await
    }

    /// Where it is, without a password.
    pub(super) fn place(&self) -> String {
        self.0.url.to_string()
    }

    pub(super) async fn close(&self) {
        if let Some(store) = self.0.store.get() {
            store.close().await;
        }
    }
}
