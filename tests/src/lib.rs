//! What the tests against a real Temporal server share.
//!
//! Invariant: nothing sleeps for a fixed time; [`eventually`] waits for a condition. Each test has a
//! database and a task queue of its own, so all of them run side by side on one server.

mod book;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::{Counter, OmniTrace};
use omnitrace_store::row::{EventRow, RunRow};
use omnitrace_store::{DatabaseUrl, OpenOptions, RunFilter, Store};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};

/// Name of the variable that says where the Temporal server of the tests is.
pub const SERVER_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL";

/// Namespace of all tests.
pub const NAMESPACE: &str = "default";

/// Longest wait for anything in a test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Host and port of the Temporal server.
///
/// # Panics
/// When there is none.
pub fn server() -> String {
    std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
        panic!("no Temporal server in {SERVER_VARIABLE}: run `cargo xtask test`")
    })
}

/// A connection to the server.
///
/// # Panics
/// When the server does not answer.
pub async fn connection() -> Connection {
    Connection::connect(connection_options())
        .await
        .expect("a Temporal server that answers")
}

/// How the server is reached.
///
/// # Panics
/// When there is none.
pub fn connection_options() -> ConnectionOptions {
    let url = format!("http://{}", server()).parse::<url::Url>();
    ConnectionOptions::new(url.expect("host:port")).build()
}

/// A client without the plugin.
///
/// # Panics
/// When the server does not answer.
pub async fn client() -> Client {
    client_with(ClientOptions::new(NAMESPACE).build()).await
}

/// A client with options.
///
/// # Panics
/// When the server does not answer.
pub async fn client_with(options: ClientOptions) -> Client {
    Client::new(connection().await, options).expect("valid client options")
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4())
}

/// Settings as in an empty environment, with rows in a file of this folder.
pub fn settings(folder: &Path) -> Settings {
    Settings::default().with_database(DatabaseTarget::Url(database(folder)))
}

/// The database in a folder.
pub fn database(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::Sqlite(folder.join("omnitrace.db"))
}

/// A recording plugin with a database of its own.
#[derive(Debug)]
pub struct Recording {
    /// The plugin.
    pub omnitrace: OmniTrace,
    folder: tempfile::TempDir,
}

impl Recording {
    /// With settings as in an empty environment.
    pub fn start() -> Self {
        Self::with(|settings| settings)
    }

    /// With settings changed.
    ///
    /// # Panics
    /// When there is no room for temporary files.
    pub fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = change(settings(folder.path()));
        Self {
            omnitrace: OmniTrace::start(settings),
            folder,
        }
    }

    /// A client with the plugin.
    pub async fn client(&self) -> Client {
        let plugin = self.omnitrace.plugin();
        client_with(ClientOptions::new(NAMESPACE).plugin(plugin).build()).await
    }

    /// Lets go of the plugin without a shutdown; the folder lives as long as what is given back.
    pub fn release(self) -> impl Drop {
        self.folder
    }

    /// Folder of the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// File of the database.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("omnitrace.db")
    }

    /// What is stored, after everything offered so far was.
    ///
    /// # Panics
    /// When it could not be stored.
    pub async fn stored(&self) -> Stored {
        self.omnitrace.flush().await.expect("rows are stored");
        Stored::open(self.folder()).await
    }

    /// Waits until a run is closed in the store, and gives it with its events.
    pub async fn closed(&self, workflow_id: &str) -> (RunRow, Vec<EventRow>) {
        let what = format!("{workflow_id} is closed in the store");
        eventually(&what, async || {
            let stored = self.stored().await;
            let run = stored.newest(workflow_id).await?;
            run.closed_at?;
            let events = stored.events(&run).await;
            Some((run, events))
        })
        .await
    }

    /// Checks that every row that was offered is accounted for.
    ///
    /// # Panics
    /// When it is not.
    pub async fn assert_accounted(&self) {
        assert_accounted(&self.omnitrace).await;
    }
}

/// Checks that every observation and row that was offered is accounted for, as soon as the writer is
/// through with them: a worker that stops may still be taking leave of its runs.
///
/// # Panics
/// When it is not.
pub async fn assert_accounted(omnitrace: &OmniTrace) {
    let until = Instant::now() + PATIENCE;
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    while let Some(lacking) = unaccounted(omnitrace) {
        assert!(
            Instant::now() < until,
            "{lacking}: {:#?}",
            omnitrace.counters()
        );
        // What it answers does not matter here: in an outage it is an error.
        let _ = omnitrace.flush().await;
        poll.tick().await;
    }
}

/// What is not accounted for.
fn unaccounted(omnitrace: &OmniTrace) -> Option<String> {
    let counters = omnitrace.counters();
    let sum = |names: &dyn Fn(&str) -> bool| -> u64 {
        let named = counters.iter().filter(|(name, _)| names(name));
        named.map(|(_, n)| n).sum()
    };
    let ended = sum(&|name| {
        let kept = [
            "rows.stored",
            "rows.unchanged",
            "rows.sampled_out",
            "rows.spooled",
        ];
        kept.contains(&name) || name.starts_with("rows.dropped.")
    });
    let offered = omnitrace.counter(Counter::RowsOffered);
    if offered != ended {
        return Some(format!(
            "{offered} rows were offered, {ended} came to an end"
        ));
    }
    let taken = sum(&|name| name == "observations.taken" || name.starts_with("dropped."));
    let taken = taken - omnitrace.counter(Counter::DroppedInvalidKey);
    let offered = omnitrace.counter(Counter::Offered);
    (offered != taken).then(|| format!("{offered} observations were offered, {taken} taken"))
}

/// A store that is read.
#[derive(Debug)]
pub struct Stored {
    /// The store.
    pub store: Store,
}

impl Stored {
    /// Opens the database of a folder for reading.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn open(folder: &Path) -> Self {
        let mut options = OpenOptions::default();
        options.read_only = true;
        let store = Store::open(&database(folder), options).await;
        Self {
            store: store.expect("a database"),
        }
    }

    /// The newest run of a workflow.
    ///
    /// # Panics
    /// When the store can't be read.
    pub async fn newest(&self, workflow_id: &str) -> Option<RunRow> {
        let runs = self.store.runs_of_workflow(None, workflow_id).await;
        runs.expect("readable").into_iter().next()
    }

    /// Rows of a run.
    ///
    /// # Panics
    /// When the store can't be read.
    pub async fn events(&self, run: &RunRow) -> Vec<EventRow> {
        self.store.events(&run.key).await.expect("readable")
    }

    /// All runs, newest first.
    ///
    /// # Panics
    /// When the store can't be read.
    pub async fn runs(&self) -> Vec<RunRow> {
        let runs = self.store.list_runs(&RunFilter::default()).await;
        runs.expect("readable")
    }
}

/// Waits for a condition.
///
/// # Panics
/// When it does not come true within [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    loop {
        poll.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain until {what}");
    }
}

/// A worker on a thread of its own, because it is not `Send`. It stops when this is dropped.
pub struct RunningWorker {
    stop: Box<dyn Fn() + Send>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RunningWorker {
    /// Starts a worker.
    ///
    /// # Panics
    /// When it can't be made, or ends with an error.
    pub fn start(client: Client, options: WorkerOptions) -> Self {
        let (ready, made) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            tokio.block_on(async move {
                let runtime = Runtime::from_current_tokio(Default::default()).expect("a runtime");
                let mut worker = Worker::new(&runtime, client, options).expect("a worker");
                let stop: Box<dyn Fn() + Send> = Box::new(worker.shutdown_handle());
                ready.send(stop).expect("the test waits");
                worker.run().await.expect("the worker ends well");
            });
        });
        Self {
            stop: made.recv().expect("the worker was made"),
            thread: Some(thread),
        }
    }

    /// Stops it and waits until it has.
    ///
    /// # Panics
    /// When it ended with an error.
    pub fn stop(mut self) {
        self.end().expect("the worker ended well");
    }

    fn end(&mut self) -> std::thread::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        (self.stop)();
        thread.join()
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        // Not waited for: its client's connection may be served by this very thread.
        (self.stop)();
    }
}

/// Runs something on the thread of the caller while a worker runs beside it.
pub async fn beside<T>(worker: RunningWorker, future: impl Future<Output = T>) -> T {
    let value = future.await;
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
    value
}
