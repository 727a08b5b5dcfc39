//! The database of the rows: how workers reach it, how it is taken away from them, and what is in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use crate::plan::OutageKind;
use crate::proxy::Proxy;

/// Name of the database on the server, made anew.
const NAME: &str = "omnitrace_chaos";

#[derive(Debug)]
pub(crate) struct Store {
    place: Place,
    /// Held during an outage: there is one at a time.
    weather: Arc<Mutex<()>>,
}

#[derive(Debug)]
enum Place {
    Sqlite(PathBuf),
    Postgres { admin: Url, proxy: Box<Proxy> },
}

/// An outage that goes on until [`Outage::end`].
#[must_use]
pub(crate) struct Outage<'a> {
    store: &'a Store,
    lock: Option<SqliteConnection>,
    _weather: MutexGuard<'a, ()>,
}

/// What is in the store.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Rows {
    pub(crate) runs: i64,
    pub(crate) events: i64,
    /// Attempts of activities that are not there although a later one of their step is.
    pub(crate) lost_attempts: i64,
}

const COUNT_RUNS: &str = "SELECT COUNT(*) FROM omnitrace_runs";
const COUNT_EVENTS: &str = "SELECT COUNT(*) FROM omnitrace_events WHERE phase > 0";
const COUNT_LOST: &str = "\
SELECT CAST(COALESCE(SUM(steps.last - steps.known), 0) AS BIGINT) FROM (
  SELECT MAX(attempt) AS last, COUNT(*) AS known FROM omnitrace_events
  WHERE kind = 'activity' AND attempt > 0 AND phase > 0
  GROUP BY namespace, workflow_id, run_id, step, name
) AS steps";

impl Store {
    /// An empty one in a file of `folder`.
    pub(crate) fn sqlite(folder: &Path) -> Self {
        Self::at(Place::Sqlite(folder.join("omnitrace.db")))
    }

    /// An empty database on the server of this URL, reached through a proxy.
    pub(crate) async fn postgres(
        url: &str,
        toxiproxy: &Path,
        folder: &Path,
        seed: u64,
    ) -> anyhow::Result<Self> {
        // The URL is not shown: it may hold a password.
        let admin: Url = url.parse().context("the URL of PostgreSQL is none")?;
        let host = admin.host_str().unwrap_or("127.0.0.1");
        let upstream = format!("{host}:{}", admin.port().unwrap_or(5432));
        let proxy = Box::new(Proxy::start(toxiproxy, folder, seed, &upstream).await?);
        let store = Self::at(Place::Postgres { admin, proxy });
        store.wipe().await?;
        Ok(store)
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            weather: Arc::default(),
        }
    }

    /// The URL for workers, through the proxy where there is one.
    pub(crate) fn url_for_workers(&self) -> String {
        match &self.place {
            Place::Sqlite(file) => format!("sqlite://{}", file.display()),
            Place::Postgres { admin, proxy } => {
                let mut url = database(admin);
                // Both can be set on a URL with a host.
                let _ = url.set_host(Some("127.0.0.1"));
                let _ = url.set_port(Some(proxy.port()));
                url.into()
            }
        }
    }

    /// The URL for what comes after, which nothing disturbs.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Sqlite(_) => self.url_for_workers(),
            Place::Postgres { admin, .. } => database(admin).into(),
        }
    }

    /// Begins an outage once the one before is over.
    pub(crate) async fn outage(&self, kind: OutageKind) -> anyhow::Result<Outage<'_>> {
        let weather = self.weather.lock().await;
        let lock = match &self.place {
            Place::Postgres { proxy, .. } => {
                proxy.begin(kind).await?;
                None
            }
            Place::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file);
                let options = options.busy_timeout(Duration::from_secs(60));
                let mut connection = SqliteConnection::connect_with(&options).await?;
                connection.execute("BEGIN EXCLUSIVE").await?;
                Some(connection)
            }
        };
        Ok(Outage {
            store: self,
            lock,
            _weather: weather,
        })
    }

    /// The kind in which nothing can be stored.
    pub(crate) fn blackout(&self) -> OutageKind {
        match self.place {
            Place::Sqlite(_) => OutageKind::Lock,
            Place::Postgres { .. } => OutageKind::Cut,
        }
    }

    /// Deletes everything.
    pub(crate) async fn wipe(&self) -> anyhow::Result<()> {
        match &self.place {
            Place::Sqlite(file) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut path = file.clone().into_os_string();
                    path.push(suffix);
                    match std::fs::remove_file(&path) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(error).context("cannot delete the database");
                        }
                        _ => {}
                    }
                }
            }
            Place::Postgres { admin, .. } => {
                let mut connection = PgConnection::connect(admin.as_str()).await?;
                let drop = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
                connection.execute(drop.as_str()).await?;
                let create = format!("CREATE DATABASE {NAME}");
                connection.execute(create.as_str()).await?;
            }
        }
        Ok(())
    }

    /// Counts.
    pub(crate) async fn rows(&self) -> anyhow::Result<Rows> {
        let [runs, events, lost_attempts] = match &self.place {
            Place::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection = SqliteConnection::connect_with(&options).await?;
                let mut counts = [0; 3];
                for (count, sql) in counts
                    .iter_mut()
                    .zip([COUNT_RUNS, COUNT_EVENTS, COUNT_LOST])
                {
                    *count = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
                }
                counts
            }
            Place::Postgres { .. } => {
                let mut connection = PgConnection::connect(&self.url()).await?;
                let mut counts = [0; 3];
                for (count, sql) in counts
                    .iter_mut()
                    .zip([COUNT_RUNS, COUNT_EVENTS, COUNT_LOST])
                {
                    *count = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
                }
                counts
            }
        };
        Ok(Rows {
            runs,
            events,
            lost_attempts,
        })
    }
}

impl Outage<'_> {
    /// Ends it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        if let Some(mut connection) = self.lock {
            connection.execute("ROLLBACK").await?;
            connection.close().await?;
        }
        match &self.store.place {
            Place::Postgres { proxy, .. } => proxy.end().await,
            Place::Sqlite(_) => Ok(()),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Place::Postgres { admin, .. } => {
                let mut shown = database(admin);
                // A URL with a host can be without one.
                let _ = shown.set_password(None);
                shown.fmt(f)
            }
        }
    }
}

/// The URL of our database on the server of this one.
fn database(admin: &Url) -> Url {
    let mut url = admin.clone();
    url.set_path(NAME);
    url
}
