//! The API without a socket, for the fuzzers in `fuzz`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::{FutureExt, StreamExt};
use omnitrace::config::Settings;
use omnitrace::metrics::Metrics;
use omnitrace_store::{AccessScope, Batch, DatabaseUrl, OpenOptions, Store, TokenRow};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use super::access::Access;
use super::database::Database;
use super::outlines::Outlines;
use super::router::router;
use super::state::AppState;
use super::watch::Watches;
use crate::tokens::{self, Right};

/// All routes, on a database of their own.
#[derive(Debug)]
pub struct Api {
    runtime: Runtime,
    router: Router,
}

impl Api {
    /// What lets in who may see one tenant alone, and no values.
    pub const AUTHORIZATION: &str = "Bearer omt_fuzzed_0";

    /// Makes an SQLite file at an absolute path, with these rows, and a token for this tenant, hashed.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn new(file: PathBuf, rows: &Batch, tenant: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let url = DatabaseUrl::Sqlite(file);
        let (_, token) = Self::AUTHORIZATION.split_once(' ').expect("a scheme");
        let token = TokenRow {
            id: tokens::id(token).expect("an id").to_owned(),
            name: "fuzzed".to_owned(),
            hash: tokens::hash(token),
            rights: vec![Right::Read.as_str().to_owned()],
            scope: AccessScope {
                tenants: Some(vec![tenant.to_owned()]),
                ..AccessScope::ALL
            },
            created_at: 0,
            expires_at: None,
            revoked_at: None,
        };
        runtime.block_on(async {
            let store = Store::open(&url, OpenOptions::default()).await;
            let store = store.expect("a new database");
            store.write(rows).await.expect("rows are stored");
            let created = store.create_token(&token).await;
            created.expect("the token is stored");
            store.close().await;
        });
        let database = Database::new(url);
        let state = AppState {
            database: database.clone(),
            dashboards: Arc::default(),
            access: Arc::new(Access::new(false, None, None)),
            outlines: Outlines::new(),
            watches: Watches::new(database),
            streams: Arc::default(),
            patience: Duration::from_secs(30),
            metrics: Metrics::measuring(&Settings::default()),
            backend: None,
        };
        Self {
            runtime,
            router: router(state, true, Vec::new()),
        }
    }

    /// Answers a GET; of a stream as much as is there. `None` for what is no HTTP.
    pub fn get(&self, target: &[u8], headers: &[(&[u8], &[u8])]) -> Option<Response<Vec<u8>>> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).ok()?;
        self.runtime.block_on(async {
            let Ok(answer) = self.router.clone().oneshot(request).await;
            let (head, body) = answer.into_parts();
            let streams = (head.headers.get("content-type"))
                .is_some_and(|content| content.as_bytes().starts_with(b"text/event-stream"));
            let (mut body, mut bytes) = (body.into_data_stream(), Vec::new());
            loop {
                let next = match streams {
                    true => body.next().now_or_never().flatten(),
                    false => body.next().await,
                };
                let Some(part) = next else { break };
                bytes.extend_from_slice(&part.ok()?);
            }
            Some(Response::from_parts(head, bytes))
        })
    }
}
