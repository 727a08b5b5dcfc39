//! A namespace and a database of their own, and the commands on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::history::{Healer, Server};
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_store::{DatabaseUrl, OpenOptions, RunFilter, Store};
use omnitrace_tests::{client, client_with, eventually, server, unique};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest;
use temporalio_client::{Client, ClientOptions};
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollActivityTaskQueueRequest, RegisterNamespaceRequest,
};

/// URL of a PostgreSQL server whose role may create databases.
const POSTGRES_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES";

/// One pass, of runs that have just ended too.
pub(super) const ONCE: [&str; 4] = ["reconcile", "--once", "--settle", "0s"];

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// A namespace and a database.
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) url: String,
    kind: Kind,
    folder: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Place {
    pub(super) async fn new(kind: Kind) -> Self {
        let namespace = unique("namespace");
        let request = RegisterNamespaceRequest {
            namespace: namespace.clone(),
            workflow_execution_retention_period: std::time::Duration::from_secs(24 * 3600)
                .try_into()
                .ok(),
            ..RegisterNamespaceRequest::default()
        };
        let mut client = client().await;
        let made = client.register_namespace(request.into_request()).await;
        made.expect("a namespace");
        Self::of_namespace(namespace, kind).await
    }

    /// Another database for the same namespace.
    pub(super) async fn beside(&self, kind: Kind) -> Self {
        Self::of_namespace(self.namespace.clone(), kind).await
    }

    async fn of_namespace(namespace: String, kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match kind {
            Kind::Sqlite => format!("sqlite://{}/omnitrace.db", folder.path().display()),
            Kind::Postgres => {
                let mut url: url::Url = postgres().parse().expect("a URL");
                url.set_path(&format!("omnitrace_heal_{}", uuid::Uuid::new_v4().simple()));
                url.to_string()
            }
        };
        let place = Self {
            namespace,
            url,
            kind,
            folder,
        };
        if kind == Kind::Postgres {
            place.admin("CREATE DATABASE").await;
        }
        place
    }

    /// Settings as in an empty environment, with this database.
    pub(super) fn settings(&self) -> Settings {
        Settings::default()
            .with_database(DatabaseTarget::Url(self.database()))
            .with_spool_path(self.folder.path().join("spool"))
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// File of the database.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("omnitrace.db")
    }

    fn database(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url, Path::new("/")).expect("a database's URL")
    }

    /// A client of the namespace with these plugins.
    pub(super) async fn client(&self, plugins: &[&OmniTrace]) -> Client {
        let plugins = plugins.iter();
        let options = plugins.fold(ClientOptions::new(&self.namespace), |options, omnitrace| {
            options.plugin(omnitrace.plugin())
        });
        client_with(options.build()).await
    }

    /// Heals as the commands do.
    pub(super) async fn healer(&self) -> Healer {
        let server = Server::new(self.client(&[]).await);
        let store = Store::open(&self.database(), OpenOptions::default()).await;
        Healer::new(server, store.expect("a database"), &self.settings())
    }

    /// For reading, if there is one.
    pub(super) async fn open(&self) -> Option<Store> {
        let mut options = OpenOptions::default();
        options.read_only = true;
        Store::open(&self.database(), options).await.ok()
    }

    /// The command line with nothing in its environment but this place.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omnitrace-under-test"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .env("TEMPORAL_ADDRESS", server())
            .env("TEMPORAL_NAMESPACE", &self.namespace)
            .env("OMNITRACE_DATABASE_URL", &self.url)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments)).await
    }

    /// Runs a command that has to end well, and gives its JSON.
    pub(super) async fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        said.json()
    }

    /// Reconciles until nothing is left to do, which takes one pass once the server's index is up to date.
    pub(super) async fn reconcile(&self) -> Value {
        let pass = self.json(&ONCE).await;
        assert_eq!(
            (&pass["elsewhere"], &pass["failed"]),
            (&json!(false), &json!(0))
        );
        let again = self.json(&ONCE).await;
        assert_eq!(
            (&again["recorded"], &again["healed"]),
            (&json!(0), &json!(0))
        );
        pass
    }

    /// Takes the next attempt of this task queue from the server, and never answers.
    pub(super) async fn take_activity(&self, queue: &str) {
        let request = PollActivityTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(TaskQueue {
                name: queue.to_owned(),
                ..TaskQueue::default()
            }),
            identity: "nobody".to_owned(),
            ..PollActivityTaskQueueRequest::default()
        };
        let mut client = self.client(&[]).await;
        let taken = client
            .poll_activity_task_queue(request.into_request())
            .await;
        let taken = taken.expect("the server answers").into_inner();
        assert!(!taken.task_token.is_empty(), "there was an attempt");
    }

    /// Waits until the server's index has so many runs of the namespace that are over.
    pub(super) async fn indexed(&self, closed: usize) {
        let server = Server::new(self.client(&[]).await);
        eventually("the server has indexed all runs", async || {
            let runs: Vec<_> = futures::StreamExt::collect(server.list("")).await;
            let is_over = |run: &&Result<omnitrace::history::Execution, _>| {
                run.as_ref().is_ok_and(|run| run.closed_at.is_some())
            };
            (runs.iter().filter(is_over).count() == closed).then_some(())
        })
        .await;
    }

    /// Checks that `omnitrace verify` finds so many runs and no difference.
    pub(super) async fn assert_equal(&self, runs: usize) {
        let summary = self.json(&["verify"]).await;
        assert_eq!(summary["runs"], runs, "{summary}");
        assert_eq!(summary["equal"], runs, "{summary}");
        assert_eq!(summary["differences"], Value::Array(Vec::new()));
    }

    /// Every run with its rows, in the order of their keys; none while there is no database.
    pub(super) async fn stored(&self) -> Vec<(RunRow, Vec<EventRow>)> {
        let Some(store) = self.open().await else {
            return Vec::new();
        };
        let runs = store.list_runs(&RunFilter::default()).await;
        let mut runs = runs.expect("readable");
        runs.sort_by(|a, b| a.key.cmp(&b.key));
        let mut stored = Vec::new();
        for run in runs {
            let mut events = store.events(&run.key).await.expect("readable");
            events.sort_by(|a, b| a.event_key.cmp(&b.event_key));
            stored.push((run, events));
        }
        store.close().await;
        stored
    }

    /// The only run of this workflow id.
    pub(super) async fn run_of(&self, workflow_id: &str) -> (RunRow, Vec<EventRow>) {
        let mut stored = self.stored().await;
        stored.retain(|(run, _)| run.key.workflow_id == workflow_id);
        assert_eq!(stored.len(), 1, "runs of {workflow_id}");
        stored.remove(0)
    }

    /// Whether a run of this workflow id is stored.
    pub(super) async fn knows(&self, workflow_id: &str) -> bool {
        let stored = self.stored().await;
        stored
            .iter()
            .any(|(run, _)| run.key.workflow_id == workflow_id)
    }

    /// Changes rows past the store; says how many.
    pub(super) async fn sql(&self, sql: &str) -> u64 {
        let changed = match self.kind {
            Kind::Sqlite => {
                let connection = SqliteConnection::connect(&self.url).await;
                let mut connection = connection.expect("the database");
                let wait = connection.execute("PRAGMA busy_timeout = 30000").await;
                wait.expect("a pragma");
                let done = connection.execute(sql).await;
                connection.close().await.expect("the database is left");
                done.map(|done| done.rows_affected())
            }
            Kind::Postgres => {
                let connection = PgConnection::connect(&self.url).await;
                let done = connection.expect("the database").execute(sql).await;
                done.map(|done| done.rows_affected())
            }
        };
        changed.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// All columns of a table.
    pub(super) async fn columns(&self, table: &str) -> Vec<String> {
        let found = match self.kind {
            Kind::Sqlite => {
                let connection = SqliteConnection::connect(&self.url).await;
                let sql = "SELECT name FROM pragma_table_info($1)";
                let query = sqlx::query_scalar(sql).bind(table);
                query
                    .fetch_all(&mut connection.expect("the database"))
                    .await
            }
            Kind::Postgres => {
                let connection = PgConnection::connect(&self.url).await;
                let sql = "SELECT column_name::text FROM information_schema.columns \
                           WHERE table_name = $1 AND table_schema = current_schema()";
                let query = sqlx::query_scalar(sql).bind(table);
                query
                    .fetch_all(&mut connection.expect("the database"))
                    .await
            }
        };
        found.expect("a table")
    }

    /// Waits until all that was written is in SQLite's file itself: who leaves last does not see to that where he
    /// only reads.
    pub(super) async fn checkpoint(&self) {
        let connection = SqliteConnection::connect(&self.url).await;
        let mut connection = connection.expect("the database");
        eventually("the log is empty", async || {
            let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
            let done = connection.fetch_one(truncate).await.expect("a checkpoint");
            (done.get::<i64, _>(0) == 0).then_some(())
        })
        .await;
        connection.close().await.expect("the database is left");
    }

    /// Deletes the database, whoever uses it.
    pub(super) async fn wipe(&self) {
        match self.kind {
            Kind::Sqlite => {
                for end in ["", "-wal", "-shm"] {
                    // Some are not there.
                    let _ = std::fs::remove_file(format!("{}{end}", self.file().display()));
                }
            }
            Kind::Postgres => {
                self.admin("DROP DATABASE").await;
                self.admin("CREATE DATABASE").await;
            }
        }
    }

    /// Creates or drops this database.
    async fn admin(&self, what: &str) {
        admin(what, &self.url).await;
    }
}

async fn admin(what: &str, url: &str) {
    let url: url::Url = url.parse().expect("a URL");
    let name = url.path().trim_start_matches('/');
    let force = match what {
        "DROP DATABASE" => " WITH (FORCE)",
        _ => "",
    };
    let mut admin = PgConnection::connect(&postgres()).await.expect("a server");
    let done = admin
        .execute(format!("{what} {name}{force}").as_str())
        .await;
    done.expect(what);
}

pub(super) fn postgres() -> String {
    std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
        panic!("no PostgreSQL server in {POSTGRES_VARIABLE}: run `cargo xtask test`")
    })
}

impl Drop for Place {
    /// From a thread of its own: a test's runtime may be the one that is being dropped.
    fn drop(&mut self) {
        if self.kind == Kind::Postgres {
            let url = self.url.clone();
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(admin("DROP DATABASE", &url));
            });
            // The test has failed, or the server is gone.
            let _ = dropping.join();
        }
    }
}

/// Runs a command to its end.
pub(super) async fn said(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it waits").expect("the command line");
    Said {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
