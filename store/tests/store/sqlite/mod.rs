//! The contract on SQLite, and what can befall its file.

#[path = "../contract/cap.rs"]
mod cap;
mod file;
#[path = "../contract/merge.rs"]
mod merge;
#[path = "../contract/read.rs"]
mod read;
#[path = "../contract/usage.rs"]
mod usage;

use omnitrace_store::DatabaseUrl;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::support::Database;

/// Cases of each property.
const CASES: u32 = 100;

type TestStore = crate::support::TestStore<File>;

/// A file in a folder of its own.
pub(crate) struct File(tempfile::TempDir);

impl File {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("test.db")
    }

    /// Another connection to the same database, past the store.
    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Database for File {
    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> DatabaseUrl {
        DatabaseUrl::Sqlite(self.path())
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
