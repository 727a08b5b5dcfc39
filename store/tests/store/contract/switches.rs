//! Changes of switches.

use omnitrace_store::{NewSwitch, SwitchName, SwitchScope};

use super::TestStore;

#[tokio::test]
async fn changes_are_kept_in_their_order_with_who_and_why() {
    let test = TestStore::new().await;
    let store = &test.store;
    assert!(store.switches().await.unwrap().is_empty());
    let new = |value: Option<&str>, tenant: Option<&str>| NewSwitch {
        name: SwitchName::SampleRate,
        scope: SwitchScope {
            environment: Some("prod".to_owned()),
            tenant: tenant.map(str::to_owned),
            ..SwitchScope::default()
        },
        value: value.map(str::to_owned),
        set_by: "ann".to_owned(),
        reason: "rollout\u{0}?".to_owned(),
    };
    assert_eq!(store.switch(&new(Some("0.05"), None)).await.unwrap(), 1);
    assert_eq!(store.switch(&new(Some("1"), Some("t1"))).await.unwrap(), 2);
    assert_eq!(store.switch(&new(None, None)).await.unwrap(), 3);
    let switches = store.switches().await.unwrap();
    let [back, tenant, first] = switches.history() else {
        panic!("{switches:?}");
    };
    assert_eq!((back.revision, &back.value), (3, &None));
    assert_eq!(tenant.scope.tenant.as_deref(), Some("t1"));
    assert_eq!(tenant.scope.workflow_type, None);
    assert_eq!((first.revision, first.value.as_deref()), (1, Some("0.05")));
    assert_eq!((first.set_by.as_str(), &first.scope), ("ann", &back.scope));
    assert!(back.set_at >= first.set_at && first.set_at > 0);
    assert_eq!(switches.set(), [tenant]);
    assert!(switches.names_tenants());
}

#[tokio::test]
async fn what_was_switched_holds_however_many_changes_come_after() {
    let test = TestStore::new().await;
    let store = &test.store;
    let new = |name, value: &str, tenant: Option<&str>| NewSwitch {
        name,
        scope: SwitchScope {
            tenant: tenant.map(str::to_owned),
            ..SwitchScope::default()
        },
        value: Some(value.to_owned()),
        set_by: "ann".to_owned(),
        reason: "contract".to_owned(),
    };
    let kept = new(SwitchName::Recording, "false", Some("t1"));
    store.switch(&kept).await.unwrap();
    for _ in 0..1001 {
        let other = new(SwitchName::SampleRate, "0.5", None);
        store.switch(&other).await.unwrap();
    }
    let switches = store.switches().await.unwrap();
    assert_eq!(switches.history().len(), 1001);
    let mut holding: Vec<i64> = switches.set().iter().map(|row| row.revision).collect();
    holding.sort_unstable();
    assert_eq!(holding, [1, 1002]);
}
