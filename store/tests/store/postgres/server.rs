//! What can befall a connection to a server.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use omnitrace_store::row::RunRow;
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Store, WriteError};
use sqlx::{Connection, Executor, PgConnection};

use super::TestStore;
use crate::support::{events, run_key, runs, step};

#[tokio::test]
async fn a_closed_store_says_so() {
    let test = TestStore::new().await;
    test.store.close().await;
    let error = (test.store.write(&runs(vec![RunRow::new(run_key("r1"))])))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_line_without_the_password() {
    // Nobody listens on port 1.
    let url = "postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=2";
    let url = DatabaseUrl::parse(url, Path::new("/")).unwrap();
    let error = Store::open(&url, OpenOptions::default()).await.unwrap_err();
    for text in [error.to_string(), format!("{error:?} {url:?}")] {
        assert!(
            text.contains("127.0.0.1:1/db") && !text.contains("hunter2"),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_the_same_runs_lose_nothing_and_do_not_block_each_other() {
    const RUNS: u32 = 5;
    const ROWS: u32 = 24;
    let test = TestStore::new().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(
            Store::open(&test.url(), OpenOptions::default())
                .await
                .unwrap(),
        );
    }
    let writing = stores.into_iter().enumerate().map(|(who, store)| {
        tokio::spawn(async move {
            for at in 0..ROWS {
                // Each in another order; rows of events before, with and after those of their runs.
                let order = (0..RUNS).map(|n| (n * (who as u32 + 1) + at) % RUNS);
                let keys: Vec<_> = order.map(|n| run_key(&format!("r{n}"))).collect();
                let rows = keys.iter().flat_map(|run| {
                    // Half of them by two writers.
                    [at * 4 + who as u32, at * 4 + (who as u32 + 1) % 4].map(|id| step(run, id, 1))
                });
                let mut batch = events(rows.collect());
                if at % 3 == who as u32 % 3 {
                    batch.runs = keys.iter().cloned().map(RunRow::new).collect();
                }
                store.write(&batch).await.unwrap();
            }
        })
    });
    for written in join_all(writing).await {
        written.unwrap();
    }
    for n in 0..RUNS {
        let run = run_key(&format!("r{n}"));
        assert_eq!(test.event_keys(&run).await.len(), 96);
        assert_eq!(test.run(&run).await.event_count, 96);
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let mut connection = test.database.connection().await;
    let deadlocks: i64 = sqlx::query_scalar(deadlocks)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(deadlocks, 0);
}

#[tokio::test]
async fn a_run_and_its_events_written_at_once_by_two_count_each_other() {
    let test = TestStore::new().await;
    for round in 0..20 {
        let run = run_key(&format!("r{round}"));
        let (row, rows) = (
            runs(vec![RunRow::new(run.clone())]),
            events(vec![step(&run, 1, 1)]),
        );
        let both = tokio::join!(test.store.write(&row), test.store.write(&rows));
        both.0.and(both.1).unwrap();
        assert_eq!(test.run(&run).await.event_count, 1, "{run:?}");
    }
    let only_locks = "SELECT count(*) FROM omnitrace_runs WHERE phase < 0";
    let mut connection = test.database.connection().await;
    let left: i64 = sqlx::query_scalar(only_locks)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// Makes the next inserts into events fail, so many times, as this `RAISE` does.
async fn fail_inserts(connection: &mut PgConnection, times: u32, raise: &str) {
    let sql = format!(
        "CREATE SEQUENCE failures;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('failures') <= {times} THEN {raise}; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fail BEFORE INSERT ON omnitrace_events
             FOR EACH ROW EXECUTE FUNCTION fail();"
    );
    connection.execute(sql.as_str()).await.unwrap();
}

fn one_step() -> Batch {
    let run = run_key("r1");
    Batch {
        runs: vec![RunRow::new(run.clone())],
        ..events(vec![step(&run, 1, 1)])
    }
}

#[tokio::test]
async fn serialization_failures_and_deadlocks_are_tried_again_within_bounds() {
    for state in ["40001", "40P01"] {
        let raise = format!("RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'");
        let test = TestStore::new().await;
        let mut connection = test.database.connection().await;
        fail_inserts(&mut connection, 3, &raise).await;
        let report = test.offer(&one_step()).await;
        assert_eq!(
            (report.changed_events.len(), report.changed_runs.len()),
            (1, 1)
        );

        let test = TestStore::new().await;
        let mut connection = test.database.connection().await;
        fail_inserts(&mut connection, 1000, &raise).await;
        let error = test.store.write(&one_step()).await.unwrap_err();
        assert!(
            matches!(&error, WriteError::Retry(said) if said.contains("not now")),
            "{error:?}"
        );
        assert_eq!(test.store.stats().await.unwrap().runs, 0);
    }
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let test = TestStore::new().await;
    let mut connection = test.database.connection().await;
    fail_inserts(&mut connection, 1000, "RAISE EXCEPTION 'never'").await;
    test.store.write(&one_step()).await.unwrap_err();
    let tries: i64 = sqlx::query_scalar("SELECT last_value FROM failures")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tries, 1);
}

/// A trigger that runs at the commit ends its own session: the commit's answer never comes.
#[tokio::test]
async fn a_connection_cut_in_the_commit_is_written_again() {
    let test = TestStore::new().await;
    let mut connection = test.database.connection().await;
    let sql = "CREATE SEQUENCE cuts;
        CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('cuts') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON omnitrace_events
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();";
    connection.execute(sql).await.unwrap();
    test.offer(&one_step()).await;
    let cuts: i64 = sqlx::query_scalar("SELECT last_value FROM cuts")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(cuts, 3);
    assert_eq!(test.run(&run_key("r1")).await.event_count, 1);
}

#[tokio::test]
async fn a_session_that_another_one_ended_is_replaced() {
    let test = TestStore::new().await;
    test.offer(&one_step()).await;
    let mut connection = test.database.connection().await;
    let ended: Vec<bool> = sqlx::query_scalar(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() \
           AND application_name = 'omnitrace'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(!ended.is_empty());
    let report = test.offer(&one_step()).await;
    assert_eq!(report.unchanged_events, 1);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_gives_the_rows_back() {
    let test = TestStore::new().await;
    test.offer(&one_step()).await;
    let url = test
        .database
        .url_query("options=-c%20statement_timeout%3D100");
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    let mut other = test.database.connection().await;
    let mut holding = other.begin().await.unwrap();
    let lock = "SELECT 1 FROM omnitrace_runs FOR UPDATE";
    holding.execute(lock).await.unwrap();
    let error = store.write(&one_step()).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Retry(said) if said.contains("statement timeout")),
        "{error:?}"
    );
    holding.rollback().await.unwrap();
    assert_eq!(store.write(&one_step()).await.unwrap().unchanged_events, 1);
}

#[tokio::test]
async fn a_full_pool_is_waited_for_no_longer_than_a_connection() {
    let test = TestStore::new().await;
    test.offer(&one_step()).await;
    let url = test.database.url_query("connect_timeout=1");
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    let mut other = test.database.connection().await;
    let mut holding = other.begin().await.unwrap();
    let lock = "SELECT 1 FROM omnitrace_runs FOR UPDATE";
    holding.execute(lock).await.unwrap();
    let writing: Vec<_> = (0..omnitrace_store::MAX_CONNECTIONS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.write(&one_step()).await })
        })
        .collect();
    // All of them have a connection when they wait for the lock.
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut watch = test.database.connection().await;
    let all_wait = async {
        let mut now = 0i64;
        while now != i64::from(omnitrace_store::MAX_CONNECTIONS) {
            let asked = sqlx::query_scalar(waiting).fetch_one(&mut watch);
            now = asked.await.unwrap();
        }
    };
    let all_wait = tokio::time::timeout(Duration::from_secs(30), all_wait);
    all_wait.await.expect("they wait for the lock");
    let error = store.write(&one_step()).await.unwrap_err();
    assert!(matches!(&error, WriteError::Retry(_)), "{error:?}");
    holding.rollback().await.unwrap();
    for written in join_all(writing).await {
        written.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_store_opened_for_reading_takes_nothing() {
    let test = TestStore::new().await;
    test.offer(&one_step()).await;
    let mut options = OpenOptions::default();
    options.read_only = true;
    let reader = Store::open(&test.url(), options).await.unwrap();
    assert_eq!(reader.runs_by_run_id("r1").await.unwrap().len(), 1);
    let error = reader.write(&one_step()).await.unwrap_err();
    assert!(matches!(error, WriteError::Retry(_)), "{error:?}");
}

/// The server must have a certificate for 127.0.0.1, made by the authority in this variable.
const AUTHORITY_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES_CA";

#[tokio::test]
async fn tls_is_used_and_the_server_is_checked() {
    let Ok(authority) = std::env::var(AUTHORITY_VARIABLE) else {
        eprintln!("not tried: no certificate in {AUTHORITY_VARIABLE}");
        return;
    };
    let test = TestStore::new().await;
    let good = format!("sslmode=verify-full&sslrootcert={authority}");
    let url = test.database.url_query(&good);
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    store.write(&one_step()).await.unwrap();
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE datname = current_database() AND application_name = 'omnitrace'";
    let mut connection = test.database.connection().await;
    test.store.close().await;
    let encrypted: Option<bool> = sqlx::query_scalar(encrypted)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(encrypted, Some(true));
    for bad in ["sslmode=verify-full", "sslrootcert=system"] {
        let url = test.database.url_query(bad);
        let error = Store::open(&url, OpenOptions::default()).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("certificate"), "{bad}: {error}");
    }
}
