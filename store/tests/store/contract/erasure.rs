//! What was erased is nowhere, and stays away, whoever writes it and in whichever order.

use std::collections::BTreeSet;

use omnitrace_store::hourly::HOUR;
use omnitrace_store::row::{Identity, Phase, RunKey, RunRow, SampledBy};
use omnitrace_store::{
    Batch, EraseStep, ErasureRequest, OpenOptions, Promotion, Repair, ReplayRow, ReplayVerdict,
    RunFilter, Scope, Seen, Store, Subject,
};

use super::TestStore;
use crate::support::{attempt, closed_run, events, runs, step};

/// Some hour long ago.
pub(super) const FIRST: i64 = 480_000 * HOUR;

/// After every erasure of these tests.
const LATER: i64 = 1_000_000 * HOUR;

pub(super) const ALICE: &str = "hmac:a11ce00000000000";
pub(super) const BOB: &str = "hmac:b0b0000000000000";

pub(super) fn identity(hash: &str) -> Option<Identity> {
    let hash = hash.to_owned();
    Some(Identity { rank: 2, hash })
}

pub(super) fn key(n: usize) -> RunKey {
    RunKey::new("default", format!("order-{n}"), format!("r{n}"))
}

/// A closed run with two events, all that else is stored of a run, and its user.
pub(super) fn whole(n: usize, user: &str) -> Batch {
    let key = key(n);
    let at = FIRST + n as i64;
    let run = RunRow {
        started_at: Some(at),
        closed_at: Some(at + 1000),
        user: identity(user),
        tenant: identity(user),
        ..closed_run(&key)
    };
    Batch {
        events: vec![step(&key, 1, at), attempt(&key, 1, 1, at)],
        seen: vec![Seen {
            run: key.clone(),
            scope: Scope::Attempts {
                step: "1".to_owned(),
            },
            count: 40,
        }],
        promotions: vec![Promotion {
            run: key,
            reason: SampledBy::Error,
            at,
        }],
        runs: vec![run],
        ..Batch::default()
    }
}

/// Stores it all, and what a replay of it found.
async fn put(test: &TestStore, n: usize, user: &str) {
    test.offer(&whole(n, user)).await;
    test.store.write_replays(&[replay(n)]).await.unwrap();
}

fn replay(n: usize) -> ReplayRow {
    ReplayRow {
        run: key(n),
        build_id: "b1".to_owned(),
        checked_at: FIRST,
        verdict: ReplayVerdict::Parted,
        event_key: None,
        position: None,
        expected: None,
        found: None,
        message: None,
    }
}

pub(super) fn request(subject: Subject) -> ErasureRequest {
    ErasureRequest {
        subject,
        namespace: None,
        by: "someone".to_owned(),
        reason: "asked for it".to_owned(),
    }
}

pub(super) fn of_user(user: &str) -> ErasureRequest {
    request(Subject::User(user.to_owned()))
}

pub(super) async fn finish(store: &Store, id: &str, request: &ErasureRequest) -> Vec<EraseStep> {
    let mut steps = Vec::new();
    loop {
        match store.erase(id, request).await.unwrap() {
            EraseStep::Done => return steps,
            step => steps.push(step),
        }
    }
}

pub(super) async fn erase(test: &TestStore, request: &ErasureRequest) -> Vec<EraseStep> {
    let id = test.store.begin_erasure(request).await.unwrap();
    finish(&test.store, &id, request).await
}

/// Workflow ids of which anything is stored.
pub(super) async fn stored(test: &TestStore) -> BTreeSet<String> {
    let tables = test.tables("default").await;
    let ids = tables
        .iter()
        .flat_map(|row| row.split(['\'', '"', ',', ':']));
    ids.filter(|id| id.starts_with("order-"))
        .map(str::to_owned)
        .collect()
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| format!("order-{n}")).collect()
}

#[tokio::test]
async fn a_user_goes_and_others_stay() {
    let test = TestStore::new().await;
    for n in 0..6 {
        put(&test, n, [ALICE, BOB][n % 2]).await;
    }
    assert_eq!(stored(&test).await, ids(0..6));
    let would = test
        .store
        .erasable(&Subject::User(ALICE.to_owned()), None)
        .await
        .unwrap();
    assert_eq!((would.runs, would.events), (3, 6));
    assert_eq!((would.cuts, would.promotions), (3, 3));
    erase(&test, &of_user(ALICE)).await;
    assert_eq!(stored(&test).await, ids([1, 3, 5]));
    assert!(
        !test
            .tables("default")
            .await
            .iter()
            .any(|row| row.contains(ALICE))
    );

    let kept = test.store.erasures().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].runs, kept[0].events), (3, 6));
    assert_eq!(kept[0].subject, ALICE);
    assert_eq!(kept[0].done_by, "someone");
    assert!(kept[0].done_at >= Some(kept[0].erased_before));
}

#[tokio::test]
async fn it_stays_away_whatever_comes_again() {
    let mut options = OpenOptions::default();
    options.closings = true;
    options.export = Some(std::time::Duration::ZERO);
    let test = TestStore::with(options).await;
    for n in 0..2 {
        put(&test, n, [ALICE, BOB][n]).await;
    }
    erase(&test, &of_user(ALICE)).await;
    let batch = whole(0, ALICE);
    let run = batch.runs[0].clone();
    // Nobody says whose it is.
    let nobodys = RunRow {
        user: None,
        tenant: None,
        ..run.clone()
    };
    for again in [
        events(batch.events.clone()),
        runs(vec![nobodys]),
        Batch {
            seen: batch.seen.clone(),
            ..Batch::default()
        },
        Batch {
            promotions: batch.promotions.clone(),
            ..Batch::default()
        },
        batch.clone(),
    ] {
        let report = test.offer(&again).await;
        assert_eq!(report.erased_events, again.events.len() as u64);
        assert_eq!(report.erased_runs, again.runs.len() as u64);
        assert!(report.to_export.is_empty());
        let closings = &report.closings;
        assert!(
            closings.events.is_empty() && closings.runs.is_empty() && closings.facts.is_empty()
        );
        assert_eq!(stored(&test).await, ids([1]));
    }
    let repair = Repair {
        events: batch.events,
        run: run.clone(),
    };
    let repaired = test.store.repair(&repair).await.unwrap();
    assert_eq!(repaired, Default::default());
    test.store.write_replays(&[replay(0)]).await.unwrap();
    assert_eq!(stored(&test).await, ids([1]));
    assert!(test.store.is_erased(&run).await.unwrap());
    let others = &whole(1, BOB).runs[0];
    assert!(!test.store.is_erased(others).await.unwrap());
}

#[tokio::test]
async fn runs_that_start_later_are_recorded() {
    let test = TestStore::new().await;
    test.offer(&whole(0, ALICE)).await;
    erase(&test, &of_user(ALICE)).await;
    let mut batch = whole(1, ALICE);
    batch.runs[0].started_at = Some(LATER);
    let report = test.offer(&batch).await;
    assert_eq!((report.erased_runs, report.erased_events), (0, 0));
    assert_eq!(stored(&test).await, ids([1]));
    // Those that start between two erasures go with the second.
    let begun = test.store.erasures().await.unwrap()[0].erased_before;
    let mut between = whole(2, ALICE);
    between.runs[0].started_at = Some(begun);
    test.offer(&between).await;
    assert_eq!(stored(&test).await, ids([1, 2]));
    erase(&test, &of_user(ALICE)).await;
    assert_eq!(test.store.erasures().await.unwrap().len(), 2);
    assert_eq!(stored(&test).await, ids([1]));
}

#[tokio::test]
async fn a_user_that_is_known_only_later_takes_the_run_away() {
    let test = TestStore::new().await;
    erase(&test, &of_user(ALICE)).await;
    let batch = whole(0, ALICE);
    test.offer(&events(batch.events.clone())).await;
    let started = RunRow {
        phase: Phase::Open,
        user: None,
        tenant: None,
        ..batch.runs[0].clone()
    };
    test.offer(&runs(vec![started.clone()])).await;
    assert_eq!(stored(&test).await, ids([0]));
    test.offer(&runs(vec![batch.runs[0].clone()])).await;
    assert_eq!(stored(&test).await, ids([]));
    // From then on without being told.
    let report = test.offer(&events(batch.events)).await;
    assert_eq!(report.erased_events, 2);
    let report = test.offer(&runs(vec![started])).await;
    assert_eq!(report.erased_runs, 1);
}

#[tokio::test]
async fn runs_that_were_never_there_are_refused_by_each_of_what_tells_them() {
    for subject in [
        Subject::User(ALICE.to_owned()),
        Subject::Tenant(BOB.to_owned()),
        Subject::WorkflowId("order-1".to_owned()),
    ] {
        let test = TestStore::new().await;
        erase(&test, &request(subject.clone())).await;
        let of = |n: usize, user: &str, tenant: &str| {
            let mut batch = whole(n, user);
            batch.runs[0].tenant = identity(tenant);
            batch
        };
        let report = test.offer(&of(1, ALICE, BOB)).await;
        let refused = (report.erased_runs, report.erased_events);
        assert_eq!(refused, (1, 2), "{subject:?}");
        // A user's hash tells no tenant, nor the other way round.
        let report = test.offer(&of(2, BOB, ALICE)).await;
        let refused = (report.erased_runs, report.erased_events);
        assert_eq!(refused, (0, 0), "{subject:?}");
    }
}

#[tokio::test]
async fn a_workflow_id_goes_with_rows_that_have_no_run_and_in_one_namespace() {
    let test = TestStore::new().await;
    let mut elsewhere = key(7);
    elsewhere.namespace = "other".to_owned();
    for n in [7, 8] {
        test.offer(&whole(n, BOB)).await;
    }
    let without = RunKey::new("default", "order-7", "r-without");
    test.offer(&events(vec![step(&without, 1, FIRST)])).await;
    let run = RunRow {
        started_at: Some(FIRST),
        ..RunRow::new(elsewhere.clone())
    };
    test.offer(&runs(vec![run])).await;
    let request = ErasureRequest {
        namespace: Some("default".to_owned()),
        ..request(Subject::WorkflowId("order-7".to_owned()))
    };
    erase(&test, &request).await;
    assert!(test.store.events(&without).await.unwrap().is_empty());
    assert!(test.store.run(&key(7)).await.unwrap().is_none());
    assert!(test.store.run(&elsewhere).await.unwrap().is_some());
    assert!(test.store.run(&key(8)).await.unwrap().is_some());
    let kept = test.store.erasures().await.unwrap();
    assert!(!format!("{kept:?}").contains("order-7"), "{kept:?}");
    // Another run of it that was never stored, as of a backup.
    let old = RunKey::new("default", "order-7", "r-old");
    let report = test.offer(&events(vec![step(&old, 1, FIRST)])).await;
    assert_eq!(report.erased_events, 1);
    // And one that begins now, whose first rows are of an attempt.
    let new = RunKey::new("default", "order-7", "r-new");
    let report = test.offer(&events(vec![attempt(&new, 1, 1, LATER)])).await;
    assert_eq!(report.erased_events, 0);
    let run = RunRow {
        started_at: Some(LATER),
        ..RunRow::new(new.clone())
    };
    test.offer(&runs(vec![run])).await;
    assert_eq!(test.event_keys(&new).await.len(), 1);
}

#[tokio::test]
async fn children_go_with_their_parent_also_those_that_come_later() {
    let test = TestStore::new().await;
    let child = |n: usize, of: usize| {
        let mut batch = whole(n, BOB);
        batch.runs[0].parent = Some(key(of));
        batch
    };
    test.offer(&whole(0, ALICE)).await;
    test.offer(&child(1, 0)).await;
    test.offer(&child(2, 1)).await;
    test.offer(&whole(3, BOB)).await;
    let would = test
        .store
        .erasable(&Subject::User(ALICE.to_owned()), None)
        .await
        .unwrap();
    assert_eq!((would.runs, would.named_by), (3, 0));
    let of_child = Subject::WorkflowId("order-1".to_owned());
    let would = test.store.erasable(&of_child, None).await.unwrap();
    assert_eq!((would.runs, would.named_by), (2, 1));
    erase(&test, &of_user(ALICE)).await;
    assert_eq!(stored(&test).await, ids([3]));
    let report = test.offer(&child(4, 0)).await;
    assert_eq!((report.erased_runs, report.erased_events), (1, 2));
    let report = test.offer(&child(5, 4)).await;
    assert_eq!((report.erased_runs, report.erased_events), (1, 2));
    assert_eq!(stored(&test).await, ids([3]));
}

/// A run of the chain that run 0 began.
fn of_chain(n: usize, user: Option<&str>) -> Batch {
    let mut batch = whole(n, BOB);
    let key = RunKey::new("default", "order-0", format!("r{n}"));
    for event in &mut batch.events {
        event.run = key.clone();
    }
    let run = &mut batch.runs[0];
    run.user = user.and_then(identity);
    run.first_execution_run_id = Some("r0".to_owned());
    run.continued_from_run_id = n.checked_sub(1).map(|n| format!("r{n}"));
    run.key = key;
    Batch {
        seen: Vec::new(),
        promotions: Vec::new(),
        ..batch
    }
}

#[tokio::test]
async fn runs_that_went_on_from_one_that_alone_tells_the_user_go_with_it() {
    let test = TestStore::new().await;
    // More than one transaction takes; one of them is of somebody else, and one has a child.
    let user = |n| match n {
        1 => Some(ALICE),
        150 => Some(BOB),
        _ => None,
    };
    let mut chain = Batch::default();
    for n in 0..220 {
        let run = of_chain(n, user(n));
        chain.runs.extend(run.runs);
        chain.events.extend(run.events);
    }
    test.offer(&chain).await;
    let mut child = whole(300, BOB);
    child.runs[0].parent = Some(RunKey::new("default", "order-0", "r219"));
    test.offer(&child).await;
    let left = async || {
        let runs = test.store.list_runs(&RunFilter::default()).await.unwrap();
        let ids = runs.into_iter().map(|run| run.key.run_id);
        ids.collect::<BTreeSet<_>>()
    };
    let alice = Subject::User(ALICE.to_owned());
    let would = test.store.erasable(&alice, None).await.unwrap();
    assert_eq!((would.runs, would.named_by), (219, 0));
    let mut later = of_chain(400, None);
    later.runs[0].started_at = Some(LATER);
    test.offer(&later).await;
    erase(&test, &of_user(ALICE)).await;
    let stay = ["r0", "r150", "r400"].map(str::to_owned);
    assert_eq!(left().await, BTreeSet::from(stay.clone()));
    // And they stay away, though they tell of nobody.
    let report = test.offer(&of_chain(7, None)).await;
    assert_eq!((report.erased_runs, report.erased_events), (1, 2));
    assert_eq!(left().await, BTreeSet::from(stay));
}
