//! What a caller reads who may not see everything, and what only the API reads.

use omnitrace_store::row::{EventRow, Identity, RunKey, RunRow, Status};
use omnitrace_store::{AccessScope, Batch, EventHead, RunFilter, RunStats, StatsFilter, TokenRow};

use super::TestStore;
use crate::support::{attempt, proposed, run_key, step};

/// Runs of tenants, each with an event; one of none.
async fn tenants() -> TestStore {
    let test = TestStore::new().await;
    let run = |namespace: &str, tenant: Option<&str>, at: i64| {
        let run_id = format!("{namespace}-{}", tenant.unwrap_or("none"));
        let mut run = RunRow::new(RunKey::new(namespace, "wf", run_id));
        run.started_at = Some(at);
        run.status = Status::Completed;
        run.closed_at = Some(at + 10);
        run.workflow_type = "Order".to_owned();
        run.parent = Some(run_key("parent"));
        run.continued_from_run_id = Some("before".to_owned());
        run.tenant = tenant.map(|hash| Identity {
            rank: 3,
            hash: hash.to_owned(),
        });
        run
    };
    let runs = vec![
        run("default", Some("a"), 1),
        run("default", Some("b"), 2),
        run("default", None, 3),
        run("other", Some("a"), 4),
    ];
    let events = runs.iter().map(|run| step(&run.key, 1, 5)).collect();
    test.offer(&Batch {
        runs,
        events,
        ..Batch::default()
    })
    .await;
    test
}

fn scope(namespaces: Option<&[&str]>, tenants: Option<&[&str]>) -> AccessScope {
    let list = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect();
    AccessScope {
        namespaces: namespaces.map(list),
        tenants: tenants.map(list),
    }
}

#[tokio::test]
async fn every_read_is_limited_to_what_the_caller_may_see() {
    let test = tenants().await;
    let all = ["other-a", "default-none", "default-b", "default-a"];
    for (scope, expected) in [
        (AccessScope::ALL, all.to_vec()),
        (scope(None, Some(&["a"])), vec!["other-a", "default-a"]),
        (
            scope(None, Some(&["a", "b"])),
            vec!["other-a", "default-b", "default-a"],
        ),
        (scope(Some(&["default"]), None), all[1..].to_vec()),
        (scope(Some(&["default"]), Some(&["a"])), vec!["default-a"]),
        (scope(None, Some(&[])), vec![]),
        (scope(Some(&[]), None), vec![]),
        (scope(None, Some(&["a' OR 'a' = 'a"])), vec![]),
    ] {
        let reader = test.store.seen_by(&scope);
        for statuses in [vec![], vec![Status::Completed, Status::Failed]] {
            let filter = RunFilter {
                statuses,
                ..RunFilter::default()
            };
            let listed = reader.list_runs(&filter).await.unwrap();
            let ids: Vec<_> = listed.iter().map(|run| run.key.run_id.as_str()).collect();
            assert_eq!(ids, expected, "{scope:?}");
            // As the API decides it of a run that it holds.
            assert!(listed.iter().all(|run| scope.has(run)));
            let counted = reader.count_runs(&filter, 100).await.unwrap();
            assert_eq!(counted.values().sum::<u64>(), expected.len() as u64);
        }
        let stats = StatsFilter {
            before: 100,
            limit: 10,
            ..StatsFilter::default()
        };
        let stats = reader.run_stats(&stats).await.unwrap();
        let started: u64 = stats.iter().map(|stats| stats.started).sum();
        assert_eq!(started, expected.len() as u64);
        let children = reader.children(&run_key("parent")).await.unwrap();
        assert_eq!(children.len(), expected.len());
        let before = RunKey::new("default", "wf", "before");
        let next = reader.next_run(&before).await.unwrap();
        let of_namespace = expected.iter().find(|id| id.starts_with("default"));
        assert_eq!(
            next.map(|run| run.key.run_id).as_deref(),
            of_namespace.copied()
        );
        for run_id in all {
            let (namespace, _) = run_id.split_once('-').unwrap();
            let key = RunKey::new(namespace, "wf", run_id);
            let rows = usize::from(expected.contains(&run_id));
            let event = step(&key, 1, 5).event_key;
            assert_eq!(reader.find_run(&key).await.unwrap().is_some(), rows > 0);
            assert_eq!(reader.events(&key).await.unwrap().len(), rows);
            assert_eq!(reader.event_heads(&key).await.unwrap().len(), rows);
            assert_eq!(reader.fingerprint(&key).await.unwrap().rows, rows as u64);
            assert_eq!(
                reader.events_by_key(&key, &[&event]).await.unwrap().len(),
                rows
            );
        }
    }
}

#[tokio::test]
async fn a_fingerprint_is_another_when_any_row_is() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let scope = AccessScope::ALL;
    let reader = test.store.seen_by(&scope);
    let mut seen = vec![reader.fingerprint(&run).await.unwrap()];
    let changed = EventRow {
        error_message: Some("changed".to_owned()),
        ..attempt(&run, 1, 1, 6)
    };
    let rows = [
        proposed(step(&run, 1, 5)),
        step(&run, 1, 5),
        attempt(&run, 1, 1, 6),
        changed,
        step(&run, 2, 7),
    ];
    for event in rows {
        let batch = Batch {
            events: vec![event],
            ..Batch::default()
        };
        let report = test.offer(&batch).await;
        let now = reader.fingerprint(&run).await.unwrap();
        if report.changed_events.is_empty() {
            assert_eq!(Some(&now), seen.last());
        } else {
            assert!(!seen.contains(&now), "{now:?}");
            seen.push(now);
        }
        test.offer(&batch).await;
        assert_eq!(reader.fingerprint(&run).await.unwrap(), now);
    }
    assert!(seen.len() > 3, "{seen:?}");
}

#[tokio::test]
async fn heads_are_those_of_the_rows_and_rows_are_found_by_their_keys() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let events: Vec<_> = (1..=30)
        .flat_map(|n| [step(&run, n, 5), attempt(&run, n, 1, 6)])
        .collect();
    test.offer(&Batch {
        events,
        ..Batch::default()
    })
    .await;
    let scope = AccessScope::ALL;
    let reader = test.store.seen_by(&scope);
    let mut heads = reader.event_heads(&run).await.unwrap();
    heads.sort_by(|a, b| a.key.cmp(&b.key));
    let mut events = reader.events(&run).await.unwrap();
    events.sort_by(|a, b| a.event_key.cmp(&b.event_key));
    let of_rows: Vec<_> = (events.iter())
        .map(|event| EventHead {
            key: event.event_key.clone(),
            phase: event.phase,
            begin: event.scheduled_at.or(event.started_at),
            digest: event.digest(),
        })
        .collect();
    assert_eq!(heads, of_rows);
    let mut keys: Vec<_> = events
        .iter()
        .map(|event| event.event_key.as_str())
        .collect();
    let some = [keys[3], "gone", keys[7]];
    assert_eq!(reader.events_by_key(&run, &some).await.unwrap().len(), 2);
    assert!(reader.events_by_key(&run, &[]).await.unwrap().is_empty());
    // More than one statement takes.
    let many: Vec<String> = (0..2_500).map(|n| format!("gone-{n}")).collect();
    keys.extend(many.iter().map(String::as_str));
    assert_eq!(reader.events_by_key(&run, &keys).await.unwrap().len(), 60);
}

#[tokio::test]
async fn runs_are_counted_by_hour_and_type() {
    const HOUR: i64 = 3_600_000_000;
    let test = TestStore::new().await;
    let runs = (0..10).map(|n| {
        let mut run = RunRow::new(run_key(&format!("r{n}")));
        run.started_at = Some(HOUR * (1 + n / 5));
        run.closed_at = Some(HOUR * (1 + n / 5) + n);
        run.workflow_type = "Order".to_owned();
        run.status = if n == 9 {
            Status::TimedOut
        } else {
            Status::Completed
        };
        run
    });
    test.offer(&Batch {
        runs: runs.collect(),
        ..Batch::default()
    })
    .await;
    let scope = AccessScope::ALL;
    let reader = test.store.seen_by(&scope);
    let filter = StatsFilter {
        from: HOUR,
        before: 3 * HOUR,
        hourly: true,
        limit: 10,
        ..StatsFilter::default()
    };
    let stats = |hour: i64, completed, failed, p50, p99| RunStats {
        hour: hour * HOUR,
        workflow_type: "Order".to_owned(),
        started: completed + failed,
        completed,
        failed,
        p50: Some(p50),
        p95: Some(p99),
        p99: Some(p99),
        ..RunStats::default()
    };
    let hours = reader.run_stats(&filter).await.unwrap();
    assert_eq!(hours, [stats(1, 5, 0, 2, 4), stats(2, 4, 1, 7, 9)]);
    let whole = StatsFilter {
        hourly: false,
        ..filter.clone()
    };
    assert_eq!(
        reader.run_stats(&whole).await.unwrap(),
        [stats(0, 9, 1, 4, 9)]
    );
    let first = StatsFilter {
        before: 2 * HOUR,
        ..filter
    };
    assert_eq!(reader.run_stats(&first).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_taken_back_and_then_too() {
    let test = TestStore::new().await;
    let token = TokenRow {
        id: "one".to_owned(),
        name: "some 'body'".to_owned(),
        hash: "0f".to_owned(),
        rights: vec!["read".to_owned()],
        scope: scope(None, Some(&["a", "b"])),
        created_at: 1,
        expires_at: Some(9),
        revoked_at: None,
    };
    let other = TokenRow {
        id: "other".to_owned(),
        created_at: 2,
        expires_at: None,
        scope: AccessScope::ALL,
        ..token.clone()
    };
    test.store.create_token(&other).await.unwrap();
    test.store.create_token(&token).await.unwrap();
    assert!(test.store.create_token(&token).await.is_err());
    assert_eq!(test.store.tokens().await.unwrap(), [token.clone(), other]);
    assert_eq!(test.store.token("one").await.unwrap(), Some(token.clone()));
    assert_eq!(test.store.token("gone").await.unwrap(), None);
    assert!(!test.store.revoke_token("gone", 5).await.unwrap());
    assert!(test.store.revoke_token("one", 5).await.unwrap());
    assert!(!test.store.revoke_token("one", 6).await.unwrap());
    let revoked = TokenRow {
        revoked_at: Some(5),
        ..token
    };
    assert_eq!(test.store.token("one").await.unwrap(), Some(revoked));
}
