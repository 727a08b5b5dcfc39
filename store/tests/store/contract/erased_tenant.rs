//! An erased tenant is in no aggregate, no token and no switch, and what others have there stays.

use std::collections::BTreeSet;

use omnitrace_store::hourly::{HOUR, hour_of};
use omnitrace_store::{
    AccessScope, Batch, ErasureRequest, NewSwitch, PruneStep, Retention, Subject, SwitchName,
    SwitchScope, TokenRow,
};

use super::TestStore;
use super::erasure::{ALICE, BOB, FIRST, erase, request, whole};

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
}

/// Whoever aggregates an hour in which the tenant was erased has rows of it that began later.
#[tokio::test]
async fn an_hour_that_is_aggregated_later_names_no_tenant_erased_in_it() {
    let test = TestStore::new().await;
    let within = ErasureRequest {
        namespace: Some("elsewhere".to_owned()),
        ..request(Subject::Tenant(ALICE.to_owned()))
    };
    erase(&test, &within).await;
    erase(&test, &request(Subject::Tenant(BOB.to_owned()))).await;
    let erasures = test.store.erasures().await.unwrap();
    let of_bob = erasures.iter().find(|erasure| erasure.subject == BOB);
    let erased = of_bob.unwrap().erased_before;
    let hour = hour_of(erased);
    for n in 0..8 {
        let mut batch = whole(n, [ALICE, BOB][n % 2]);
        // In the hour of the erasure, and in the one after.
        let at = erased + n as i64 / 2 % 2 * HOUR;
        batch.runs[0].started_at = Some(at);
        batch.runs[0].closed_at = Some(at);
        let report = test.offer(&batch).await;
        assert_eq!((report.erased_runs, report.erased_events), (0, 0));
    }
    prune(&test, hour + 2 * HOUR).await;
    assert_eq!(counted(&test).await, 8);
    let hours = test.store.hours(0, i64::MAX).await.unwrap();
    let of_runs = hours.iter().filter(|(key, _)| key.category.is_empty());
    let counts: Vec<_> = of_runs
        .map(|(key, of)| (key.hour, &*key.tenant_id, of.count))
        .collect();
    let expected = [
        (hour, "", 2),
        (hour, ALICE, 2),
        (hour + HOUR, ALICE, 2),
        (hour + HOUR, BOB, 2),
    ];
    assert_eq!(counts, expected);
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
