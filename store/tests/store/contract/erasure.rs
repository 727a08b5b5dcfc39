//! What was erased is nowhere, and stays away, whoever writes it and in whichever order.

use std::collections::BTreeSet;

use omnitrace_store::hourly::HOUR;
use omnitrace_store::row::{Identity, Phase, RunKey, RunRow, SampledBy};
use omnitrace_store::{
    AccessScope, Batch, EraseStep, ErasureRequest, NewSwitch, OpenOptions, Promotion, PruneStep,
    Repair, Retention, Scope, Seen, Store, Subject, SwitchName, SwitchScope, TokenRow,
};

use super::TestStore;
use crate::support::{attempt, closed_run, events, runs, step};

/// Some hour long ago.
const FIRST: i64 = 480_000 * HOUR;

/// After every erasure of these tests.
const LATER: i64 = 1_000_000 * HOUR;

const ALICE: &str = "hmac:a11ce00000000000";
const BOB: &str = "hmac:b0b0000000000000";

fn identity(hash: &str) -> Option<Identity> {
    let hash = hash.to_owned();
    Some(Identity { rank: 2, hash })
}

fn key(n: usize) -> RunKey {
    RunKey::new("default", format!("order-{n}"), format!("r{n}"))
}

/// A closed run with two events, all that else is stored of a run, and its user.
fn whole(n: usize, user: &str) -> Batch {
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

fn request(subject: Subject) -> ErasureRequest {
    ErasureRequest {
        subject,
        namespace: None,
        by: "someone".to_owned(),
        reason: "asked for it".to_owned(),
    }
}

fn of_user(user: &str) -> ErasureRequest {
    request(Subject::User(user.to_owned()))
}

async fn finish(store: &Store, id: &str, request: &ErasureRequest) -> Vec<EraseStep> {
    let mut steps = Vec::new();
    loop {
        match store.erase(id, request).await.unwrap() {
            EraseStep::Done => return steps,
            step => steps.push(step),
        }
    }
}

async fn erase(test: &TestStore, request: &ErasureRequest) -> Vec<EraseStep> {
    let id = test.store.begin_erasure(request).await.unwrap();
    finish(&test.store, &id, request).await
}

/// Workflow ids of which anything is stored.
async fn stored(test: &TestStore) -> BTreeSet<String> {
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
        test.offer(&whole(n, [ALICE, BOB][n % 2])).await;
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
        test.offer(&whole(n, [ALICE, BOB][n])).await;
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

/// Runs that count in all aggregates.
async fn counted(test: &TestStore) -> u64 {
    let hours = test.store.hours(0, i64::MAX).await.unwrap();
    let of_runs = hours.iter().filter(|(key, _)| key.category.is_empty());
    of_runs.map(|(_, hour)| hour.count).sum()
}

async fn named(test: &TestStore) -> BTreeSet<String> {
    let hours = test.store.hours(0, i64::MAX).await.unwrap();
    hours.into_keys().map(|key| key.tenant_id).collect()
}

async fn prune(test: &TestStore, before: i64) {
    let retention = Retention {
        runs_before: Some(before),
        ..Retention::default()
    };
    while test.store.prune(&retention).await.unwrap() != PruneStep::Done {}
}

fn in_hour(n: usize, hour: i64, tenant: &str) -> Batch {
    let mut batch = whole(n, tenant);
    batch.runs[0].closed_at = Some(FIRST + hour * HOUR + n as i64);
    batch
}

#[tokio::test]
async fn aggregates_and_tokens_lose_an_erased_tenant() {
    let test = TestStore::new().await;
    for n in 0..8 {
        test.offer(&in_hour(n, n as i64 % 2, [ALICE, BOB][n / 2 % 2]))
            .await;
    }
    let token = |id: &str, tenants: &[&str]| TokenRow {
        id: id.to_owned(),
        name: String::new(),
        hash: String::new(),
        rights: Vec::new(),
        scope: AccessScope {
            namespaces: None,
            tenants: Some(tenants.iter().map(ToString::to_string).collect()),
        },
        created_at: 0,
        expires_at: None,
        revoked_at: None,
    };
    test.store
        .create_token(&token("a", &[ALICE]))
        .await
        .unwrap();
    test.store
        .create_token(&token("b", &[BOB, ALICE]))
        .await
        .unwrap();
    prune(&test, FIRST + 2 * HOUR).await;
    test.offer(&in_hour(8, 3, BOB)).await;
    let subject = Subject::Tenant(ALICE.to_owned());
    let would = test.store.erasable(&subject, None).await.unwrap();
    assert_eq!((would.runs, would.tokens), (0, 2));
    assert!(would.hours > 0);
    assert_eq!(counted(&test).await, 8);
    let before = test.store.hours(0, i64::MAX).await.unwrap();
    erase(&test, &request(subject)).await;
    assert_eq!(counted(&test).await, 8);
    assert_eq!(
        named(&test).await,
        BTreeSet::from([String::new(), BOB.to_owned()])
    );
    let after = test.store.hours(0, i64::MAX).await.unwrap();
    let latency = |hours: &omnitrace_store::hourly::Hours| -> i64 {
        hours.values().map(|hour| hour.latency_ms).sum()
    };
    assert_eq!(latency(&before), latency(&after));
    let tokens = test.store.tokens().await.unwrap();
    let tenants: Vec<_> = tokens
        .iter()
        .map(|token| token.scope.tenants.clone())
        .collect();
    assert_eq!(tenants, [Some(Vec::new()), Some(vec![BOB.to_owned()])]);

    // Whoever aggregates now, from rows that were read before, gets none of it in.
    let other = TestStore::new().await;
    erase(&other, &request(Subject::Tenant(BOB.to_owned()))).await;
    other.offer(&in_hour(1, 0, ALICE)).await;
    prune(&other, FIRST + 2 * HOUR).await;
    assert_eq!(named(&other).await, BTreeSet::from([ALICE.to_owned()]));
}

#[tokio::test]
async fn what_was_switched_for_an_erased_tenant_goes_and_the_rest_holds() {
    let test = TestStore::new().await;
    let store = &test.store;
    for (tenant, value) in [
        (None, Some("0.5")),
        (Some(ALICE), Some("0")),
        (Some(BOB), Some("1")),
        (Some(ALICE), None),
    ] {
        let new = NewSwitch {
            name: SwitchName::SampleRate,
            scope: SwitchScope {
                tenant: tenant.map(str::to_owned),
                ..SwitchScope::default()
            },
            value: value.map(str::to_owned),
            set_by: "ann".to_owned(),
            reason: String::new(),
        };
        store.switch(&new).await.unwrap();
    }
    let subject = Subject::Tenant(ALICE.to_owned());
    let would = async |namespace: Option<&str>| {
        let would = store.erasable(&subject, namespace).await.unwrap();
        would.switches
    };
    // A switch is for all namespaces, so it stays when only one is erased.
    assert_eq!((would(Some("default")).await, would(None).await), (0, 2));
    let everywhere = request(subject.clone());
    let within = ErasureRequest {
        namespace: Some("default".to_owned()),
        ..everywhere.clone()
    };
    erase(&test, &within).await;
    assert_eq!(would(None).await, 2);
    erase(&test, &everywhere).await;
    assert_eq!(would(None).await, 0);
    let switches = store.switches().await.unwrap();
    let left: Vec<_> = (switches.history().iter())
        .map(|row| (row.revision, row.scope.tenant.as_deref()))
        .collect();
    assert_eq!(left, [(3, Some(BOB)), (1, None)]);
    let kept = store.erasures().await.unwrap();
    let kept: Vec<_> = (kept.iter())
        .map(|erasure| (erasure.namespace.as_deref(), erasure.switches))
        .collect();
    assert_eq!(kept, [(Some("default"), 0), (None, 2)]);
}

#[tokio::test]
async fn steps_are_small_and_whoever_stops_goes_on() {
    let test = TestStore::new().await;
    for page in 0..3 {
        let mut all = Batch::default();
        for n in page * 100..(page + 1) * 100 {
            let batch = whole(n, ALICE);
            all.runs.extend(batch.runs);
            all.events.extend(batch.events);
            let run = key(n);
            all.events.extend((2..7).map(|id| step(&run, id, FIRST)));
        }
        test.offer(&all).await;
    }
    let request = of_user(ALICE);
    let id = test.store.begin_erasure(&request).await.unwrap();
    test.store.erase(&id, &request).await.unwrap();
    // Its process is gone.
    assert!(test.store.erasures().await.unwrap()[0].done_at.is_none());
    assert_eq!(test.store.begin_erasure(&request).await.unwrap(), id);
    let steps = finish(&test.store, &id, &request).await;
    assert!(steps.len() > 3);
    for step in steps {
        let EraseStep::Rows { runs, events } = step else {
            panic!("{step:?}");
        };
        assert!(runs <= 100 && events <= 500, "{step:?}");
    }
    let kept = &test.store.erasures().await.unwrap()[0];
    assert_eq!((kept.runs, kept.events), (300, 2100));
    assert!(stored(&test).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_go_on_bring_nothing_back() {
    const WRITERS: usize = 4;
    let test = TestStore::new().await;
    let mut writing = Vec::new();
    let (begun, has_begun) = tokio::sync::watch::channel(false);
    for who in 0..WRITERS {
        let store = Store::open(&test.url(), OpenOptions::default())
            .await
            .unwrap();
        let has_begun = has_begun.clone();
        writing.push(tokio::spawn(async move {
            let mut after = 0;
            let mut refused = 0;
            // Events and runs apart, each run by two writers, and some after the erasure has begun.
            for n in 0.. {
                let batch = whole(n * WRITERS / 2 + who / 2, ALICE);
                for part in [
                    events(batch.events.clone()),
                    runs(batch.runs.clone()),
                    batch,
                ] {
                    let report = store.write(&part).await.unwrap();
                    refused += report.erased_events + report.erased_runs;
                }
                after += usize::from(*has_begun.borrow());
                if after > 5 {
                    break;
                }
            }
            store.close().await;
            refused
        }));
    }
    let request = of_user(ALICE);
    while test.store.stats().await.unwrap().runs < 20 {
        tokio::task::yield_now().await;
    }
    let id = test.store.begin_erasure(&request).await.unwrap();
    begun.send_replace(true);
    finish(&test.store, &id, &request).await;
    for writer in writing {
        assert!(writer.await.unwrap() > 0);
    }
    assert!(stored(&test).await.is_empty(), "{:?}", stored(&test).await);
}
