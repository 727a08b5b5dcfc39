//! A database that is missing, read-only, locked, full or corrupt changes nothing for workflows,
//! and when it comes back, nothing is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::join_all;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::{Breaker, Counter, FlushError, OmniTrace};
use omnitrace_store::row::{EventRow, Phase, RunRow, Status};
use omnitrace_store::{DatabaseUrl, OpenOptions, Store};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, assert_accounted, client_with, eventually, unique,
};
use sqlx::{Connection, SqliteConnection};
use temporalio_client::{Client, ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};

use crate::workflows::{self, Sampler};

/// Runs of each test.
const RUNS: usize = 3;

/// Runs the sampler so often at once, checks the results and gives the workflow ids.
pub(crate) async fn sample(client: &Client, queue: &str, runs: usize) -> Vec<String> {
    join_all((0..runs).map(async |n| {
        let id = unique("sampler");
        let options = WorkflowStartOptions::new(queue, &id).build();
        let handle = client
            .start_workflow(Sampler::run, n.to_string(), options)
            .await
            .expect("started");
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.expect("completed"), n.to_string());
        id
    }))
    .await
}

/// What of a run's rows is the same for each of its kind.
type Shape = (
    Status,
    Phase,
    bool,
    u32,
    BTreeMap<String, (Status, Phase, Option<String>)>,
);

pub(crate) fn shape(run: &RunRow, events: &[EventRow]) -> Shape {
    let events = events
        .iter()
        .map(|e| {
            let said = (e.status, e.phase, e.error_type.clone());
            (e.event_key.clone(), said)
        })
        .collect();
    (
        run.status,
        run.phase,
        run.incomplete,
        run.event_count + run.dropped_events,
        events,
    )
}

/// The shape of an undisturbed run.
async fn undisturbed() -> Shape {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));
    let ids = sample(&client, &queue, 1).await;
    let (run, events) = recording.closed(&ids[0]).await;
    recording.assert_accounted().await;
    stop(worker).await;
    let shape = shape(&run, &events);
    assert_eq!((shape.0, shape.3), (Status::Completed, 9));
    shape
}

async fn stop(worker: RunningWorker) {
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
}

/// A plugin on a database that is out of order.
struct Outage {
    omnitrace: OmniTrace,
    file: PathBuf,
    client: Client,
    queue: String,
    worker: RunningWorker,
}

impl Outage {
    async fn start(file: &Path) -> Self {
        Self::start_with(file, |settings| settings).await
    }

    async fn start_with(file: &Path, change: impl FnOnce(Settings) -> Settings) -> Self {
        let database = DatabaseTarget::Url(DatabaseUrl::Sqlite(file.to_owned()));
        let settings = Settings::default().with_database(database);
        let omnitrace = OmniTrace::start(change(settings));
        let options = ClientOptions::new(NAMESPACE).plugin(omnitrace.plugin());
        let client = client_with(options.build()).await;
        let queue = unique("queue");
        let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));
        Self {
            omnitrace,
            file: file.to_owned(),
            client,
            queue,
            worker,
        }
    }

    /// Runs that complete while nothing can be stored, for this reason; doctor says it too.
    async fn sample(&self, reason: &str) -> Vec<String> {
        let ids = sample(&self.client, &self.queue, RUNS).await;
        let Err(FlushError::Database(said)) = self.omnitrace.flush().await else {
            panic!("rows were stored");
        };
        assert!(said.contains(reason), "{said}");
        assert_eq!(self.omnitrace.counter(Counter::RowsStored), 0);
        let expected = match reason {
            // Only a worker makes a database; for a reader there is none.
            "does not exist, create it first" => "no database at",
            reason => reason,
        };
        let (healthy, said) = doctor(&self.file);
        assert!(!healthy && said.contains(expected), "{said}");
        ids
    }

    /// The database works again: nothing of these runs is missing.
    async fn back(self, ids: &[String]) {
        let expected = undisturbed().await;
        eventually("all runs are closed in the store", async || {
            // `Err` means: not yet.
            self.omnitrace.flush().await.ok()?;
            (self.omnitrace.live_recorders() == 0).then_some(())
        })
        .await;
        stop(self.worker).await;
        let stored = self.omnitrace.shutdown(Duration::from_secs(10)).await;
        stored.expect("everything is stored");
        let store = read(&self.file).await;
        for id in ids {
            let runs = store.runs_of_workflow(None, id).await.expect("readable");
            assert_eq!(runs.len(), 1, "runs of {id}");
            let events = store.events(&runs[0].key).await.expect("readable");
            assert_eq!(shape(&runs[0], &events), expected);
        }
        assert_accounted(&self.omnitrace).await;
        // Who asks later is told that there was trouble, and that nothing was lost.
        let reports = store.processes().await.expect("readable");
        let [report] = &reports[..] else {
            panic!("one process reported, not {}", reports.len());
        };
        assert_eq!(report.counters, self.omnitrace.counters());
        assert!(report.counters["store.write_errors"] > 0);
        let lost: Vec<_> = (report.counters.keys())
            .filter(|name| name.contains("dropped"))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
        let (healthy, said) = doctor(&self.file);
        assert!(healthy && said.contains("dropped     nothing"), "{said}");
        assert!(said.contains("warn refused"), "{said}");
    }
}

/// What `omnitrace doctor` says of a database, and whether all is well.
fn doctor(file: &Path) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_omnitrace-under-test"))
        .env_clear()
        .args(["doctor", "--database-url"])
        .arg(format!("sqlite://{}", file.display()))
        .output()
        .expect("the command line");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

async fn read(file: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.read_only = true;
    let url = DatabaseUrl::Sqlite(file.to_owned());
    Store::open(&url, options).await.expect("a database")
}

/// A folder, and the path of a database in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("omnitrace.db");
    (folder, file)
}

/// Makes an empty database.
async fn create(file: &Path) {
    let url = DatabaseUrl::Sqlite(file.to_owned());
    let store = Store::open(&url, OpenOptions::default()).await;
    store.expect("a new database").close().await;
}

#[tokio::test]
async fn a_folder_that_is_missing_and_made_later_costs_no_row() {
    let (folder, _) = folder();
    let file = folder.path().join("later").join("omnitrace.db");
    let outage = Outage::start(&file).await;
    let ids = outage.sample("does not exist, create it first").await;
    std::fs::create_dir(folder.path().join("later")).unwrap();
    outage.back(&ids).await;
}

#[tokio::test]
async fn a_path_that_cannot_be_written_costs_no_row_once_it_can() {
    let (_folder, file) = folder();
    std::fs::create_dir(&file).unwrap();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("it is a folder").await;
    std::fs::remove_dir(&file).unwrap();
    outage.back(&ids).await;
}

/// Where the file says by which version of SQLite it may be written. A greater one than is known
/// makes it read-only for everyone, the superuser too.
const WRITE_VERSION: usize = 18;

pub(crate) fn set_write_version(file: &Path, version: u8) {
    let mut bytes = std::fs::read(file).expect("the database");
    bytes[WRITE_VERSION] = version;
    std::fs::write(file, bytes).expect("the database");
}

#[tokio::test]
async fn a_read_only_file_costs_no_row_once_it_is_writable() {
    let (_folder, file) = folder();
    create(&file).await;
    set_write_version(&file, 9);
    let outage = Outage::start(&file).await;
    let ids = outage.sample("readonly").await;
    set_write_version(&file, 2);
    outage.back(&ids).await;
}

#[tokio::test]
async fn a_file_locked_for_30_seconds_costs_no_row() {
    let (_folder, file) = folder();
    create(&file).await;
    let url = format!("sqlite://{}", file.display());
    let mut other = SqliteConnection::connect(&url).await.expect("a connection");
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("the lock");
    let locked_at = Instant::now();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("locked").await;
    eventually("the lock was held for 30 s", async || {
        (locked_at.elapsed() > Duration::from_secs(30)).then_some(())
    })
    .await;
    assert_eq!(outage.omnitrace.counter(Counter::RowsStored), 0);
    other.close().await.expect("the lock is given back");
    outage.back(&ids).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_costs_no_row_once_it_is_moved_away() {
    let (folder, file) = folder();
    std::fs::write(&file, "garbage ".repeat(4096)).unwrap();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("damaged or no database").await;
    std::fs::rename(&file, folder.path().join("away")).unwrap();
    outage.back(&ids).await;
}

#[tokio::test]
async fn a_database_with_garbage_in_its_middle_costs_no_row_once_it_is_moved_away() {
    let (folder, file) = folder();
    create(&file).await;
    let mut bytes = std::fs::read(&file).unwrap();
    // The first page has the schema; all after it holds tables and indexes.
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    for byte in &mut bytes[page..] {
        *byte = 0xa5;
    }
    std::fs::write(&file, bytes).unwrap();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("damaged").await;
    std::fs::rename(&file, folder.path().join("away")).unwrap();
    outage.back(&ids).await;
}

/// Set in the process that has no room on its disk.
const NO_ROOM: &str = "OMNITRACE_TEST_NO_ROOM";

/// Limits the size of each file of this process.
fn limit_files(bytes: u64) {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    setrlimit(Resource::RLIMIT_FSIZE, bytes, RLIM_INFINITY).expect("a limit");
}

/// The limit is of the whole process, so this runs in one of its own. It works for everyone, where
/// a small file system needs rights.
#[tokio::test]
async fn a_full_disk_costs_no_row_once_there_is_room() {
    if std::env::var_os(NO_ROOM).is_none() {
        let test = "outage::a_full_disk_costs_no_row_once_there_is_room";
        let output = std::process::Command::new("sh")
            // Ignored, the signal lets the write fail as on a full disk.
            .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(NO_ROOM, "1")
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let (_folder, file) = folder();
    create(&file).await;
    limit_files(40 << 10);
    let outage = Outage::start(&file).await;
    let mut ids = Vec::new();
    // Some small writes may find room.
    while outage.omnitrace.flush().await.is_ok() {
        ids.extend(sample(&outage.client, &outage.queue, RUNS).await);
        assert!(ids.len() < 1000, "there is room for everything");
    }
    let Err(FlushError::Database(said)) = outage.omnitrace.flush().await else {
        panic!("rows were stored");
    };
    assert!(said.contains("full") || said.contains("I/O"), "{said}");
    let (healthy, said) = doctor(&outage.file);
    assert!(!healthy && said.contains("make room"), "{said}");
    ids.extend(sample(&outage.client, &outage.queue, RUNS).await);
    limit_files(nix::sys::resource::RLIM_INFINITY);
    outage.back(&ids).await;
}

#[tokio::test]
async fn what_a_dead_database_did_not_take_is_counted_at_shutdown() {
    let (_folder, file) = folder();
    std::fs::create_dir(&file).unwrap();
    let outage = Outage::start_with(&file, |settings| settings.with_spool_bytes(0)).await;
    outage.sample("it is a folder").await;
    stop(outage.worker).await;
    let omnitrace = outage.omnitrace;
    let asked = Instant::now();
    let Err(FlushError::Database(said)) = omnitrace.shutdown(Duration::from_secs(1)).await else {
        panic!("rows were stored");
    };
    assert!(asked.elapsed() < Duration::from_secs(2), "{said}");
    assert!(said.contains("it is a folder"), "{said}");
    // 9 events and the run.
    let lost = omnitrace.counter(Counter::RowsDroppedShutdown);
    assert_eq!(lost, RUNS as u64 * 10, "{said}");
    assert!(said.contains(&format!("{lost} rows")), "{said}");
    assert_accounted(&omnitrace).await;
    assert_eq!(omnitrace.live_recorders(), 0);
    assert_eq!(omnitrace.queue_bytes(), 0);
}

#[tokio::test]
async fn what_a_dead_database_did_not_take_is_stored_by_the_next_process() {
    let (folder, file) = folder();
    std::fs::create_dir(&file).unwrap();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("it is a folder").await;
    stop(outage.worker).await;
    let stored = outage.omnitrace.shutdown(Duration::from_secs(1)).await;
    stored.expect("nothing is lost");
    // 9 events and the run.
    let spooled = outage.omnitrace.counter(Counter::RowsSpooled);
    assert_eq!(spooled, RUNS as u64 * 10);
    assert_accounted(&outage.omnitrace).await;
    let spool = folder.path().join("omnitrace.db.spool");
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 1);

    std::fs::remove_dir(&file).unwrap();
    let next = Outage::start(&file).await;
    eventually("the next process stores them", async || {
        (next.omnitrace.counter(Counter::RowsAdopted) == spooled).then_some(())
    })
    .await;
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
    stop(next.worker).await;
    let stored = next.omnitrace.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    assert_accounted(&next.omnitrace).await;
    let expected = undisturbed().await;
    let store = read(&file).await;
    for id in &ids {
        let runs = store.runs_of_workflow(None, id).await.expect("readable");
        let events = store.events(&runs[0].key).await.expect("readable");
        assert_eq!(shape(&runs[0], &events), expected);
    }
}

/// Far more than memory holds: the rest waits on disk, and nothing is missing in the end.
#[tokio::test]
async fn what_finds_no_room_in_memory_waits_on_disk() {
    let (_folder, file) = folder();
    std::fs::create_dir(&file).unwrap();
    let small = |settings: Settings| settings.with_queue_bytes(64 << 10);
    let outage = Outage::start_with(&file, small).await;
    let mut ids = Vec::new();
    eventually("rows are on disk", async || {
        // Few at a time: what the queue has no room for is dropped, and no history knows a failed attempt.
        ids.extend(sample(&outage.client, &outage.queue, RUNS).await);
        // `Err`: the database is away.
        let _ = outage.omnitrace.flush().await;
        (outage.omnitrace.spool_bytes() > 0).then_some(())
    })
    .await;
    assert_eq!(outage.omnitrace.counter(Counter::RowsDroppedBufferFull), 0);
    std::fs::remove_dir(&file).unwrap();
    let omnitrace = outage.omnitrace.clone();
    outage.back(&ids).await;
    assert_eq!(omnitrace.spool_bytes(), 0);
}

/// A database that refuses again and again is asked with one row, until it takes it.
#[tokio::test]
async fn the_breaker_opens_and_closes() {
    let (_folder, file) = folder();
    std::fs::create_dir(&file).unwrap();
    let outage = Outage::start(&file).await;
    let ids = outage.sample("it is a folder").await;
    eventually("the breaker is open", async || {
        (outage.omnitrace.breaker() == Breaker::Open).then_some(())
    })
    .await;
    std::fs::remove_dir(&file).unwrap();
    let omnitrace = outage.omnitrace.clone();
    // Without anybody who hurries it.
    eventually("the breaker is closed", async || {
        (omnitrace.breaker() == Breaker::Closed).then_some(())
    })
    .await;
    outage.back(&ids).await;
}
