//! The contract on SQLite, and what can befall its file.

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
mod file;
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
#[path = "../contract/switches.rs"]
mod switches;
#[path = "../contract/usage.rs"]
mod usage;

use omnitrace_store::DatabaseUrl;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::Database;

/// Cases of each property.
const CASES: u32 = 100;

type TestStore = crate::support::TestStore<OwnDatabase>;

/// A file in a folder of its own.
pub(crate) struct OwnDatabase(tempfile::TempDir);

impl OwnDatabase {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("test.db")
    }

    /// Another connection to the same database, past the store.
    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Database for OwnDatabase {
    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> DatabaseUrl {
        DatabaseUrl::Sqlite(self.path())
    }

    async fn first_schema(&self, rows: &str) {
        let mut migrations = sqlx::migrate!("../migrations/sqlite");
        migrations.migrations.to_mut().truncate(1);
        let options = SqliteConnectOptions::new()
            .filename(self.path())
            .create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrations.run_direct(&mut connection).await.unwrap();
        connection.execute(rows).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn rows(&self, table: &str, namespace: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM pragma_table_info(?) WHERE name NOT IN ('namespace', 'span_id') ORDER BY cid",
        )
        .bind(table)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert!(columns.len() > 1, "{columns:?}");
        let quoted: Vec<String> = (columns.iter())
            .map(|c| format!("'{c}=' || quote({c})"))
            .collect();
        let sql = format!(
            "SELECT {} FROM {table} WHERE namespace = ? ORDER BY 1",
            quoted.join(" || ' ' || ")
        );
        let rows = sqlx::query_scalar::<_, String>(&sql).bind(namespace);
        rows.fetch_all(&mut connection).await.unwrap()
    }
}
