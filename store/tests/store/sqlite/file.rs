//! What can befall a file.

use std::time::Duration;

use omnitrace_store::row::RunRow;
use omnitrace_store::{DatabaseUrl, OpenError, OpenOptions, ReadError, Store, WriteError};
use sqlx::Executor;

use super::TestStore;
use crate::support::{events, run_key, runs, step};

fn read_only() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.read_only = true;
    options
}

#[tokio::test]
async fn rows_are_there_after_reopening() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    test.offer(&runs(vec![RunRow::new(run.clone())])).await;
    test.store.close().await;
    let again = Store::open(&test.url(), OpenOptions::default())
        .await
        .unwrap();
    assert_eq!(
        again.runs_by_run_id("r1").await.unwrap(),
        [RunRow::new(run)]
    );
}

#[tokio::test]
async fn a_closed_store_says_so_and_makes_no_file() {
    let test = TestStore::new().await;
    test.store.close().await;
    std::fs::remove_file(test.database.path()).unwrap();
    let error = test
        .store
        .write(&runs(vec![RunRow::new(run_key("r1"))]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    assert!(!test.database.path().exists());
}

#[tokio::test]
async fn many_open_a_missing_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("new.db"));
    let opening = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::open(&url, OpenOptions::default()).await })
    });
    for opened in futures_util::future::join_all(opening).await {
        let store = opened.unwrap().unwrap();
        assert_eq!(store.stats().await.unwrap().schema_version, 10);
        store.close().await;
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let test = TestStore::new().await;
    test.store.close().await;
    let sql = "INSERT INTO _sqlx_migrations VALUES (99, 'later', '2030-01-01', true, x'00', 0)";
    test.database.connection().await.execute(sql).await.unwrap();
    for options in [OpenOptions::default(), read_only()] {
        let error = Store::open(&test.url(), options).await.unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Newer {
                    found: 99,
                    known: 10,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_migration_that_is_missing_among_newer_ones_is_made_good() {
    let test = TestStore::new().await;
    let newest = test.store.stats().await.unwrap().schema_version;
    test.store.close().await;
    let sql = "DELETE FROM _sqlx_migrations WHERE version = 5; DROP TABLE omnitrace_tokens; \
               DROP INDEX omnitrace_runs_status; DROP INDEX omnitrace_runs_type; \
               DROP INDEX omnitrace_runs_namespace; DROP INDEX omnitrace_runs_tenant; \
               DROP INDEX omnitrace_runs_error";
    test.database.connection().await.execute(sql).await.unwrap();
    let error = Store::open(&test.url(), read_only()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Older { found: 4, .. }),
        "{error:?}"
    );
    let store = Store::open(&test.url(), OpenOptions::default())
        .await
        .unwrap();
    assert_eq!(store.stats().await.unwrap().schema_version, newest);
    assert!(store.tokens().await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut app = sqlx::ConnectOptions::connect(&options).await.unwrap();
    app.execute("CREATE TABLE _sqlx_migrations (version INTEGER)")
        .await
        .unwrap();
    let error = Store::open(&DatabaseUrl::Sqlite(path), OpenOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_said_in_one_line_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "no database, ".repeat(500)).unwrap();
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    let mut no_migration = OpenOptions::default();
    no_migration.migrate = false;
    for (path, options, part) in [
        (
            garbage.clone(),
            OpenOptions::default(),
            "damaged or no database",
        ),
        (garbage, read_only(), "damaged or no database"),
        (
            folder.path().join("no/such.db"),
            OpenOptions::default(),
            "create it first",
        ),
        (
            folder.path().to_owned(),
            OpenOptions::default(),
            "it is a folder",
        ),
        ("relative.db".into(), OpenOptions::default(), "not absolute"),
        (
            folder.path().join("missing.db"),
            read_only(),
            "no database at",
        ),
        (
            folder.path().join("missing.db"),
            no_migration.clone(),
            "no database at",
        ),
        (empty.clone(), no_migration, "has schema 0"),
        (empty, read_only(), "has schema 0"),
    ] {
        let error = Store::open(&DatabaseUrl::Sqlite(path.clone()), options)
            .await
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(part) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    assert!(!folder.path().join("missing.db").exists());
}

#[tokio::test]
async fn a_store_opened_for_reading_reads_while_another_writes_and_takes_nothing() {
    let test = TestStore::new().await;
    let reader = Store::open(&test.url(), read_only()).await.unwrap();
    let row = RunRow::new(run_key("r1"));
    test.offer(&runs(vec![row.clone()])).await;
    assert_eq!(
        reader.runs_by_run_id("r1").await.unwrap(),
        std::slice::from_ref(&row)
    );
    let error = reader.write(&runs(vec![row])).await.unwrap_err();
    assert!(matches!(error, WriteError::Retry(_)), "{error:?}");
    // Also after the writer has gone.
    test.store.close().await;
    assert_eq!(reader.runs_by_run_id("r1").await.unwrap().len(), 1);
    reader.close().await;
    let reader = Store::open(&test.url(), read_only()).await.unwrap();
    assert_eq!(reader.runs_by_run_id("r1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_locked_database_is_tried_again() {
    let mut options = OpenOptions::default();
    options.busy_timeout = Duration::from_millis(50);
    let test = TestStore::with(options).await;
    let batch = runs(vec![RunRow::new(run_key("r1"))]);
    let mut other = test.database.connection().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = test.store.write(&batch).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Retry(said) if said.contains("locked")),
        "{error:?}"
    );
    assert_eq!(test.store.stats().await.unwrap().runs, 0);
    other.execute("COMMIT").await.unwrap();
    test.offer(&batch).await;
    assert_eq!(test.store.stats().await.unwrap().runs, 1);
}

#[tokio::test]
async fn a_deleted_or_moved_file_is_made_anew() {
    let test = TestStore::new().await;
    let batch = |id: &str| runs(vec![RunRow::new(run_key(id))]);
    test.offer(&batch("r1")).await;
    std::fs::remove_file(test.database.path()).unwrap();
    test.offer(&batch("r2")).await;
    assert_eq!(test.store.stats().await.unwrap().runs, 1);

    let moved = test.database.path().with_extension("old");
    std::fs::rename(test.database.path(), &moved).unwrap();
    // Reading comes first here: it must not look into the file that was moved.
    assert_eq!(test.store.stats().await.unwrap().runs, 0);
    test.offer(&batch("r3")).await;
    test.store.close().await;
    for (path, run_id) in [(test.database.path(), "r3"), (moved, "r2")] {
        let store = Store::open(&DatabaseUrl::Sqlite(path), OpenOptions::default())
            .await
            .unwrap();
        assert_eq!(
            store.runs_by_run_id(run_id).await.unwrap().len(),
            1,
            "{run_id}"
        );
        assert_eq!(store.stats().await.unwrap().runs, 1, "{run_id}");
    }
}

#[tokio::test]
async fn a_folder_that_went_away_is_waited_for() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let url = DatabaseUrl::Sqlite(folder.join("test.db"));
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    let batch = runs(vec![RunRow::new(run_key("r1"))]);
    std::fs::remove_dir_all(&folder).unwrap();
    let error = store.write(&batch).await.unwrap_err();
    assert!(error.to_string().contains("create it first"), "{error}");
    std::fs::create_dir(&folder).unwrap();
    store.write(&batch).await.unwrap();
    assert_eq!(store.stats().await.unwrap().runs, 1);
}

#[tokio::test]
async fn a_file_that_vanished_is_not_made_anew_for_reading() {
    let test = TestStore::new().await;
    let reader = Store::open(&test.url(), read_only()).await.unwrap();
    test.store.close().await;
    std::fs::remove_file(test.database.path()).unwrap();
    let ReadError::Database(said) = reader.stats().await.unwrap_err() else {
        panic!()
    };
    assert!(said.contains("no database at"), "{said}");
    assert!(!test.database.path().exists());
}

#[tokio::test]
async fn damage_is_told_apart_from_what_passes() {
    let test = TestStore::new().await;
    test.offer(&runs(vec![RunRow::new(run_key("r1"))])).await;
    test.store.close().await;
    let store = Store::open(&test.url(), OpenOptions::default())
        .await
        .unwrap();
    // All pages but the first, which holds the schema: the file still opens.
    let mut bytes = std::fs::read(test.database.path()).unwrap();
    bytes[4096..].fill(0xA5);
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(test.database.path())
        .unwrap();
    file.write_all(&bytes).unwrap();
    let error = store
        .write(&runs(vec![RunRow::new(run_key("r2"))]))
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::Corrupt(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_write_at_once_and_lose_nothing() {
    let test = TestStore::new().await;
    let other = Store::open(&test.url(), OpenOptions::default())
        .await
        .unwrap();
    let writing = [test.store.clone(), other]
        .into_iter()
        .enumerate()
        .flat_map(|(who, store)| {
            (0..10u32).map(move |task| {
                let store = store.clone();
                let run = run_key(&format!("r{}", task % 4));
                tokio::spawn(async move {
                    store
                        .write(&runs(vec![RunRow::new(run.clone())]))
                        .await
                        .unwrap();
                    // Half of them by both.
                    let first = task * 10 + if who == 0 { 0 } else { 5 };
                    let rows = (first..first + 10)
                        .map(|id| step(&run, id, id.into()))
                        .collect();
                    store.write(&events(rows)).await.unwrap();
                })
            })
        });
    for written in futures_util::future::join_all(writing).await {
        written.unwrap();
    }
    let all = test.store.list_runs(&Default::default()).await.unwrap();
    let mut stored = 0;
    for run in &all {
        let events = test.store.events(&run.key).await.unwrap();
        assert_eq!(run.event_count as usize, events.len());
        stored += events.len();
    }
    assert_eq!((all.len(), stored), (4, 150));
}
