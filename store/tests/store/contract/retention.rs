//! What is too old goes in small steps, and is in the aggregates before.

use std::collections::{BTreeMap, BTreeSet};

use omnitrace_store::hourly::{BUCKETS_MS, Dimension, HOUR, Hours, SumsFilter};
use omnitrace_store::row::{EventRow, Identity, Phase, RunRow, Status};
use omnitrace_store::{AccessScope, Batch, PruneStep, Retention};

use super::TestStore;
use crate::support::{attempt, closed_run, inner, run_key, step};

/// Some hour long ago.
const FIRST: i64 = 480_000 * HOUR;

/// Hours in which runs close.
const HOURS: i64 = 4;

fn before(hours: i64) -> Retention {
    Retention {
        runs_before: Some(FIRST + hours * HOUR + HOUR / 2),
        ..Retention::default()
    }
}

fn closed(row: EventRow, status: Status, latency_ms: i64) -> EventRow {
    EventRow {
        phase: Phase::Closed,
        status,
        latency_ms: Some(latency_ms),
        ..row
    }
}

/// The n-th run: a model's step with two attempts and what happened in one of them, and another step.
fn nth(n: i64) -> (RunRow, Vec<EventRow>) {
    let key = run_key(&format!("r{n}"));
    let closed_at = FIRST + n % HOURS * HOUR + n * 1000;
    let status = match n % 5 {
        0 => Status::Failed,
        _ => Status::Completed,
    };
    let run = RunRow {
        workflow_type: ["Order", "Mail"][n as usize % 2].to_owned(),
        status,
        started_at: Some(closed_at - n * 7_000_000),
        closed_at: Some(closed_at),
        tenant: (n % 3 == 0).then(|| Identity {
            hash: "sha256:0011223344556677".to_owned(),
            rank: 3,
        }),
        ..closed_run(&key)
    };
    let model = EventRow {
        category: Some("model".to_owned()),
        model: Some("m-1".to_owned()),
        input_tokens: Some(10 * n),
        output_tokens: Some(n),
        cost_usd: Some(0.25),
        ..closed(step(&key, 1, closed_at), status, 40 * n)
    };
    // Tells of the same call.
    let within = EventRow {
        input_tokens: Some(10 * n),
        ..closed(inner(&key, 1, 2, 1, closed_at), status, 30 * n)
    };
    let events = vec![
        model,
        closed(attempt(&key, 1, 1, closed_at), Status::Failed, 1),
        closed(attempt(&key, 1, 2, closed_at), status, 30 * n),
        within,
        closed(step(&key, 2, closed_at), Status::Completed, 5),
    ];
    (run, events)
}

async fn filled(test: &TestStore, runs: i64) {
    let (runs, events): (Vec<_>, Vec<_>) = (0..runs).map(nth).unzip();
    let events = events.into_iter().flatten().collect();
    let batch = Batch {
        runs,
        events,
        ..Batch::default()
    };
    test.offer(&batch).await;
}

async fn prune(test: &TestStore, retention: &Retention) -> Vec<PruneStep> {
    let mut steps = Vec::new();
    loop {
        match test.store.prune(retention).await.unwrap() {
            PruneStep::Done => return steps,
            step => steps.push(step),
        }
    }
}

async fn left(test: &TestStore) -> (u64, u64) {
    let stats = test.store.stats().await.unwrap();
    (stats.runs, stats.events)
}

/// (category, runs or steps, failed, within 500 ms, prompt's tokens, quarters of a dollar), by hour and type.
type Expected = BTreeMap<(i64, &'static str, &'static str), [u64; 5]>;

fn expected(runs: i64, hours: i64) -> Expected {
    let mut expected = Expected::new();
    for n in (0..runs).filter(|n| n % HOURS < hours) {
        let at = (n % HOURS, ["Order", "Mail"][n as usize % 2]);
        let failed = u64::from(n % 5 == 0);
        let number = n.unsigned_abs();
        let of_call = [10 * number, 1];
        let mut add = |category, counts: [u64; 5]| {
            let sum = expected.entry((at.0, at.1, category)).or_default();
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        };
        let quick = u64::from(n * 7000 <= 500);
        add("", [1, failed, quick, of_call[0], of_call[1]]);
        let quick = u64::from(40 * n <= 500);
        add("model", [1, failed, quick, of_call[0], of_call[1]]);
        add("tool", [1, failed, u64::from(30 * n <= 500), 0, 0]);
        add("activity", [1, 0, 1, 0, 0]);
    }
    expected
}

async fn aggregated(test: &TestStore) -> Expected {
    let mut found = Expected::new();
    let within = BUCKETS_MS.iter().position(|bound| *bound == 500).unwrap();
    for (key, hour) in test.store.hours(0, i64::MAX).await.unwrap() {
        let kind = ["Order", "Mail"]
            .into_iter()
            .find(|kind| *kind == key.workflow_type);
        let known = ["", "model", "tool", "activity"];
        let category = known.into_iter().find(|known| *known == key.category);
        assert_eq!(key.model == "m-1", key.category == "model");
        let at = ((key.hour - FIRST) / HOUR, kind.unwrap(), category.unwrap());
        let sum = found.entry(at).or_default();
        let quarters = (hour.cost_usd * 4.0).round() as u64;
        let tokens = hour.input_tokens.unsigned_abs();
        for (sum, count) in sum.iter_mut().zip([
            hour.count,
            hour.failed,
            hour.buckets[within],
            tokens,
            quarters,
        ]) {
            *sum += count;
        }
    }
    found
}

#[tokio::test]
async fn what_goes_is_in_the_aggregates() {
    let test = TestStore::new().await;
    filled(&test, 60).await;
    let would = test.store.prunable(&before(2)).await.unwrap();
    assert_eq!((would.runs, would.events), (30, 150));
    prune(&test, &before(2)).await;
    assert_eq!(left(&test).await, (30, 150));
    assert_eq!(aggregated(&test).await, expected(60, 2));
    prune(&test, &before(HOURS)).await;
    assert_eq!(left(&test).await, (0, 0));
    assert_eq!(aggregated(&test).await, expected(60, HOURS));
    let tenants = test.store.hours(0, i64::MAX).await.unwrap();
    assert!(tenants.keys().any(|key| !key.tenant_id.is_empty()));
}

#[tokio::test]
async fn aggregates_add_up_by_whatever_is_asked_in_the_database_as_outside() {
    let test = TestStore::new().await;
    filled(&test, 60).await;
    let mut hours = Hours::new();
    let mut from = 0;
    while let Some((hour, of_rows)) = test.store.next_hour(from, i64::MAX).await.unwrap() {
        hours.extend(of_rows);
        from = hour + HOUR;
    }
    prune(&test, &before(HOURS)).await;
    assert_eq!(test.store.hours(0, i64::MAX).await.unwrap(), hours);
    let reader = test.store.seen_by(&AccessScope::ALL);
    let mut kinds = BTreeSet::new();
    for subset in 0..1 << Dimension::ALL.len() {
        let chosen =
            (Dimension::ALL.into_iter().enumerate()).filter(|(at, _)| subset >> at & 1 == 1);
        let mut filter = SumsFilter {
            from: FIRST,
            before: FIRST + 3 * HOUR,
            by: chosen.map(|(_, by)| by).collect(),
            limit: 1000,
            ..SumsFilter::default()
        };
        if subset % 3 == 0 {
            filter.workflow_type = Some("Order".to_owned());
        }
        let mut expected = Hours::new();
        filter.add_up(&hours, &mut expected);
        assert_eq!(reader.sums(&filter).await.unwrap(), expected, "{filter:?}");
        kinds.insert(expected.len());
    }
    assert!(kinds.len() > 5, "{kinds:?}");
    let nothing = SumsFilter::default();
    assert!(reader.sums(&nothing).await.unwrap().is_empty());
    let nobody = AccessScope {
        tenants: Some(vec!["sha256:ff".to_owned()]),
        ..AccessScope::ALL
    };
    let all = SumsFilter {
        before: i64::MAX,
        limit: 10,
        ..SumsFilter::default()
    };
    assert_eq!(reader.sums(&all).await.unwrap().len(), 1);
    let seen = test.store.seen_by(&nobody).sums(&all).await.unwrap();
    assert!(seen.is_empty());
}

#[tokio::test]
async fn steps_are_small_and_whoever_stops_leaves_nothing_half_done() {
    let test = TestStore::new().await;
    filled(&test, 600).await;
    // A step, and then nobody for a while: others write on.
    for n in 0..200 {
        let step = test.store.prune(&before(HOURS)).await.unwrap();
        match step {
            PruneStep::Events(rows) => assert!(rows <= 500),
            PruneStep::Runs(rows) => assert!(rows <= 100),
            PruneStep::Done => break,
            _ => {}
        }
        assert!(n < 199, "it does not end");
        let open = RunRow::new(run_key(&format!("open-{n}")));
        let runs = vec![open];
        test.offer(&Batch {
            runs,
            ..Batch::default()
        })
        .await;
    }
    let open = test.store.list_runs(&Default::default()).await.unwrap();
    assert!(open.iter().all(|run| run.phase == Phase::Open));
    assert!(open.len() > 5);
    assert_eq!(aggregated(&test).await, expected(600, HOURS));
}

#[tokio::test]
async fn rows_that_come_again_go_again_and_are_not_counted_twice() {
    let test = TestStore::new().await;
    filled(&test, 20).await;
    prune(&test, &before(HOURS)).await;
    filled(&test, 20).await;
    assert_eq!(left(&test).await, (20, 100));
    prune(&test, &before(HOURS)).await;
    assert_eq!(left(&test).await, (0, 0));
    assert_eq!(aggregated(&test).await, expected(20, HOURS));
    assert!(test.store.sealed_through().await.unwrap() >= FIRST + HOURS * HOUR);
}

#[tokio::test]
async fn events_that_come_again_go_again_where_their_runs_stay() {
    let test = TestStore::new().await;
    filled(&test, 20).await;
    let events = Retention {
        events_before: before(2).runs_before,
        ..Retention::default()
    };
    prune(&test, &events).await;
    assert_eq!(left(&test).await, (20, 50));
    let at = test.store.sealed_through().await.unwrap();
    filled(&test, 20).await;
    assert_eq!(left(&test).await, (20, 100));
    prune(&test, &events).await;
    assert_eq!(left(&test).await, (20, 50));
    assert_eq!(test.store.sealed_through().await.unwrap(), at);
    assert_eq!(aggregated(&test).await, expected(20, 2));
    // Nothing is left to be done for events that were not there.
    assert_eq!(prune(&test, &events).await, []);
}

#[tokio::test]
async fn events_go_before_their_runs_and_aggregates_last() {
    let test = TestStore::new().await;
    filled(&test, 20).await;
    let mut retention = before(1);
    retention.events_before = Some(FIRST + 3 * HOUR);
    prune(&test, &retention).await;
    assert_eq!(left(&test).await, (15, 25));
    let kept: RunRow = test.run(&run_key("r1")).await;
    assert_eq!(kept.event_count, 5, "what there was is still said");
    retention.hours_before = Some(FIRST + 2 * HOUR);
    prune(&test, &retention).await;
    let hours = test.store.hours(0, i64::MAX).await.unwrap();
    assert!(hours.keys().all(|key| key.hour >= FIRST + 2 * HOUR));
    assert!(!hours.is_empty());
}

#[tokio::test]
async fn a_cost_that_is_no_number_keeps_no_hour_from_being_aggregated() {
    let test = TestStore::new().await;
    let (run, mut events) = nth(1);
    for (event, cost) in events.iter_mut().zip([f64::INFINITY, f64::NEG_INFINITY]) {
        event.parent_key = None;
        event.cost_usd = Some(cost);
    }
    events[4].cost_usd = Some(f64::NEG_INFINITY);
    let batch = Batch {
        runs: vec![run],
        events,
        ..Batch::default()
    };
    test.offer(&batch).await;
    prune(&test, &before(HOURS)).await;
    assert_eq!(left(&test).await, (0, 0));
    let hours = test.store.hours(0, i64::MAX).await.unwrap();
    let costs: Vec<f64> = hours.values().map(|hour| hour.cost_usd).collect();
    assert!(costs.iter().all(|cost| *cost == 0.0), "{costs:?}");
    assert!(hours.values().any(|hour| hour.input_tokens == 10));
}

#[tokio::test]
async fn nothing_is_too_old_where_nothing_is_said() {
    let test = TestStore::new().await;
    filled(&test, 8).await;
    assert_eq!(prune(&test, &Retention::default()).await, []);
    assert_eq!(left(&test).await, (8, 40));
    let would = test.store.prunable(&Retention::default()).await.unwrap();
    assert_eq!((would.runs, would.events, would.bytes), (0, 0, 0));
}
