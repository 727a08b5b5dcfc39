//! The contract on PostgreSQL, and what can befall a server.

#[path = "../contract/cap.rs"]
mod cap;
#[path = "../contract/closings.rs"]
mod closings;
#[path = "../contract/erased_tenant.rs"]
mod erased_tenant;
#[path = "../contract/erasing.rs"]
mod erasing;
#[path = "../contract/erasure.rs"]
mod erasure;
#[path = "../contract/export.rs"]
mod export;
mod guides;
#[path = "../contract/lease.rs"]
mod lease;
#[path = "../contract/merge.rs"]
mod merge;
#[path = "../contract/read.rs"]
mod read;
#[path = "../contract/reader.rs"]
mod reader;
#[path = "../contract/repair.rs"]
mod repair;
#[path = "../contract/replays.rs"]
mod replays;
#[path = "../contract/retention.rs"]
mod retention;
mod schema;
mod server;
#[path = "../contract/switches.rs"]
mod switches;
#[path = "../contract/usage.rs"]
mod usage;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use omnitrace_store::DatabaseUrl;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};

use crate::support::Database;

/// Cases of each property.
const CASES: u32 = 30;

type TestStore = crate::support::TestStore<OwnDatabase>;

/// URL of a server whose role may create databases and roles.
const SERVER_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES";

/// A database of its own on the server.
pub(crate) struct OwnDatabase {
    name: String,
}

fn server() -> String {
    match std::env::var(SERVER_VARIABLE) {
        Ok(url) if !url.is_empty() => url,
        _ => panic!("no PostgreSQL server in {SERVER_VARIABLE}: run `cargo xtask test`"),
    }
}

async fn admin() -> PgConnection {
    let options: PgConnectOptions = server().parse().unwrap();
    options.connect().await.unwrap()
}

impl OwnDatabase {
    /// The URL of this database with another role, password or query.
    fn url_with(&self, change: impl FnOnce(&mut url::Url)) -> DatabaseUrl {
        let mut url: url::Url = server().parse().unwrap();
        url.set_path(&self.name);
        change(&mut url);
        DatabaseUrl::parse(url.as_str(), Path::new("/")).unwrap()
    }

    /// The same with a query.
    fn url_query(&self, query: &str) -> DatabaseUrl {
        self.url_with(|url| url.set_query(Some(query)))
    }

    /// Another connection to the same database, past the store.
    async fn connection(&self) -> PgConnection {
        let options: PgConnectOptions = server().parse().unwrap();
        options.database(&self.name).connect().await.unwrap()
    }
}

impl Database for OwnDatabase {
    async fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("omnitrace_test_{}_{next}", std::process::id());
        let drop = format!("DROP DATABASE IF EXISTS {name}");
        let mut admin = admin().await;
        admin.execute(drop.as_str()).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        admin.execute(create.as_str()).await.unwrap();
        Self { name }
    }

    fn url(&self) -> DatabaseUrl {
        self.url_with(|_| ())
    }

    async fn first_schema(&self, rows: &str) {
        let mut migrations = sqlx::migrate!("../migrations/postgres");
        migrations.migrations.to_mut().truncate(1);
        let mut connection = self.connection().await;
        migrations.run_direct(&mut connection).await.unwrap();
        connection.execute(rows).await.unwrap();
    }

    async fn rows(&self, table: &str, namespace: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_name = $1 AND column_name NOT IN ('namespace', 'span_id') \
             ORDER BY ordinal_position",
        )
        .bind(table)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert!(columns.len() > 1, "{columns:?}");
        let quoted: Vec<String> = (columns.iter())
            .map(|c| format!("format('{c}=%L', {c})"))
            .collect();
        let sql = format!(
            "SELECT {} FROM {table} WHERE namespace = $1 ORDER BY 1",
            quoted.join(" || ' ' || ")
        );
        let rows = sqlx::query_scalar::<_, String>(&sql).bind(namespace);
        rows.fetch_all(&mut connection).await.unwrap()
    }
}

impl Drop for OwnDatabase {
    /// From a thread of its own: a test's runtime may be the one that is being dropped.
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async { admin().await.execute(sql.as_str()).await.unwrap() });
        });
        // A server that is gone has taken the database with it.
        let _ = dropping.join();
    }
}
