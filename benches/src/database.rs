//! Databases of a measurement: new ones with the product's tables, gone with it.

use std::path::Path;

use anyhow::Context;
use omnitrace_store::{DatabaseUrl, OpenOptions, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

/// Which database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Sqlite,
    /// A server, by the URL of a role that may create databases.
    Postgres(&'a str),
}

/// A database of its own.
pub(crate) struct Database {
    pub(crate) url: DatabaseUrl,
    /// The same as text.
    pub(crate) text: String,
    place: Place,
}

enum Place {
    File(tempfile::TempDir),
    Server { admin: String, name: String },
}

impl Database {
    /// An empty one, with tables.
    pub(crate) async fn make(kind: Kind<'_>) -> anyhow::Result<Self> {
        let (place, text) = match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir()?;
                let text = format!("sqlite://{}/omnitrace.db", folder.path().display());
                (Place::File(folder), text)
            }
            Kind::Postgres(admin) => {
                let name = format!("omnitrace_bench_{}", uuid::Uuid::new_v4().simple());
                let mut url: url::Url = admin.parse().context("the URL of PostgreSQL")?;
                url.set_path(&name);
                let mut server = PgConnection::connect(admin).await?;
                server.execute(&*format!("CREATE DATABASE {name}")).await?;
                let admin = admin.to_owned();
                (Place::Server { admin, name }, url.to_string())
            }
        };
        let url = DatabaseUrl::parse(&text, Path::new("/"))?;
        let database = Self { url, text, place };
        database.store().await?.close().await;
        Ok(database)
    }

    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.url, OpenOptions::default()).await?)
    }

    /// A connection past the store, with the same settings.
    pub(crate) async fn connect(&self) -> anyhow::Result<Bare> {
        Ok(match &self.place {
            Place::File(folder) => {
                let options = SqliteConnectOptions::new()
                    .filename(folder.path().join("omnitrace.db"))
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                Bare::Sqlite(options.connect().await?)
            }
            Place::Server { .. } => Bare::Postgres(PgConnection::connect(&self.text).await?),
        })
    }

    /// Deletes it.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        if let Place::Server { admin, name } = &self.place {
            let mut server = PgConnection::connect(admin).await?;
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            server.execute(&*drop).await?;
        }
        Ok(())
    }
}

/// A connection of the driver alone.
pub(crate) enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}
