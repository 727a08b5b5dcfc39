//! Leases, runs that are open, and a store of the first schema.

use std::time::Duration;

use omnitrace_store::row::{RunKey, RunRow};
use omnitrace_store::{Batch, OpenOptions, OpenRuns, Promotion, Store};

use super::TestStore;
use crate::support::{Database, closed_run, run_key, runs, step};

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_lease_is_one_holders_until_it_is_given_back_or_ends() {
    let test = TestStore::new().await;
    let other = Store::open(&test.url(), OpenOptions::default())
        .await
        .unwrap();
    let take = async |store: &Store, holder, time| {
        store
            .lease("default", "reconcile", holder, time)
            .await
            .unwrap()
    };
    assert!(take(&test.store, "a", LONG).await);
    assert!(take(&test.store, "a", LONG).await, "it is renewed");
    assert!(!take(&other, "b", LONG).await);
    assert!(other.lease("default", "export", "b", LONG).await.unwrap());
    assert!(other.lease("second", "reconcile", "b", LONG).await.unwrap());
    assert!(!other.release("default", "reconcile", "b").await.unwrap());
    assert!(
        test.store
            .release("default", "reconcile", "a")
            .await
            .unwrap()
    );
    assert!(
        !test
            .store
            .release("default", "reconcile", "a")
            .await
            .unwrap()
    );

    assert!(take(&other, "b", Duration::MAX).await);
    assert!(!take(&test.store, "a", LONG).await);
    assert!(
        take(&other, "b", Duration::ZERO).await,
        "renewed and over at once"
    );
    assert!(take(&test.store, "a", LONG).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_take_a_lease_at_once_one_has_it() {
    let test = TestStore::new().await;
    let taking = (0..8).map(|who| {
        let store = test.store.clone();
        tokio::spawn(async move {
            let holder = format!("p{who}");
            store
                .lease("default", "reconcile", &holder, LONG)
                .await
                .unwrap()
        })
    });
    let taken = futures_util::future::join_all(taking).await;
    assert_eq!(
        taken.into_iter().filter(|t| *t.as_ref().unwrap()).count(),
        1
    );
}

#[tokio::test]
async fn open_and_incomplete_runs_come_oldest_first_and_pages_join_without_a_gap() {
    let test = TestStore::new().await;
    let at = |run_id: &str, at, row: fn(&RunKey) -> RunRow| RunRow {
        started_at: Some(at),
        ..row(&run_key(run_id))
    };
    let open = |key: &RunKey| RunRow::new(key.clone());
    let lost = |key: &RunKey| RunRow {
        incomplete: true,
        ..closed_run(key)
    };
    let mut elsewhere = at("r7", 1, open);
    elsewhere.key.namespace = "other".to_owned();
    test.offer(&runs(vec![
        at("r1", 5, open),
        at("r2", 3, closed_run),
        at("r3", 3, lost),
        at("r4", 3, open),
        at("r5", 1, open),
        at("r6", 9, open),
        elsewhere,
    ]))
    .await;
    let mut which = OpenRuns {
        namespace: "default".to_owned(),
        started_before: Some(9),
        limit: 2,
        ..OpenRuns::default()
    };
    let mut found = Vec::new();
    loop {
        let page = test.store.open_runs(&which).await.unwrap();
        let Some(last) = page.last() else { break };
        which.after = Some((last.started_at.unwrap(), last.key.clone()));
        found.extend(page.into_iter().map(|run| run.key.run_id));
    }
    assert_eq!(found, ["r5", "r3", "r4", "r1"]);
}

/// Rows of a worker that knew the first schema.
const FIRST_ROWS: &str = "
    INSERT INTO omnitrace_runs (namespace, workflow_id, run_id, workflow_type, task_queue, trace_id,
        span_id, status, attempt, trigger, sampled_by, phase, source, start_time, digest, policy_id,
        accepted_through, steps_seen, incomplete, event_count)
    VALUES ('default', 'order', 'r1', 'Order', 'q', 't', 's', 'running', 1, 'client', 'ratio', 1, 2, 0,
        7, 'p', 0, 1, false, 1);
    INSERT INTO omnitrace_events (namespace, workflow_id, run_id, event_key, kind, step, name, attempt,
        status, span_id, phase, source, start_time, digest, policy_id)
    VALUES ('default', 'order', 'r1', 'activity:1:T:0', 'activity', '1', 'T', 0, 'running', 's', 1, 2, 0,
        7, 'p');
    INSERT INTO omnitrace_promotions (namespace, workflow_id, run_id, reason, at)
    VALUES ('default', 'order', 'r1', 'error', 3);
";

#[tokio::test]
async fn a_store_of_the_first_schema_migrates_in_place() {
    let database = super::OwnDatabase::make().await;
    database.first_schema(FIRST_ROWS).await;
    let url = database.url();
    let mut not_migrating = OpenOptions::default();
    not_migrating.migrate = false;
    let error = Store::open(&url, not_migrating.clone()).await.unwrap_err();
    assert!(error.to_string().contains("has schema 1"), "{error}");

    let done = Store::migrate(&url).await.unwrap();
    assert!(done.from == 1 && done.to > 1, "{done:?}");
    let store = Store::open(&url, not_migrating).await.unwrap();
    let run = run_key("r1");
    let which = OpenRuns {
        namespace: "default".to_owned(),
        ..OpenRuns::default()
    };
    let stored = store.open_runs(&which).await.unwrap();
    assert_eq!((stored.len(), stored[0].event_count), (1, 1));
    assert_eq!(
        store.events(&run).await.unwrap()[0].event_key,
        "activity:1:T:0"
    );
    let promotions: Vec<Promotion> = store.promotions_since(0).await.unwrap();
    assert_eq!(promotions[0].at, 3);
    assert!(
        store
            .lease("default", "reconcile", "a", LONG)
            .await
            .unwrap()
    );
    let batch = Batch {
        runs: vec![closed_run(&run)],
        events: vec![step(&run, 2, 1)],
        ..Batch::default()
    };
    let report = store.write(&batch).await.unwrap();
    assert_eq!(
        (report.changed_runs.len(), report.changed_events.len()),
        (1, 1)
    );
    assert_eq!(store.open_runs(&which).await.unwrap(), []);
}
