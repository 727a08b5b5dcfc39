//! Every order, splitting and repetition of the same writes leaves the same tables, and these are
//! what the pure rule says.

use std::collections::BTreeMap;

use omnitrace_store::merge::{merge_event, merge_run};
use omnitrace_store::row::{
    EventRow, Identity, Micros, Phase, RunKey, RunRow, SampledBy, Source, Status,
};
use omnitrace_store::{ProcessReport, Promotion, RunFilter, Scope, Seen};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::TestStore;
use crate::support::{
    Write, attempt, closed_run, event, events, inner, proposed, run_key, runs, step,
};

fn phase() -> impl Strategy<Value = Phase> {
    select(vec![Phase::Provisional, Phase::Open, Phase::Closed])
}

fn source() -> impl Strategy<Value = Source> {
    select(vec![Source::Inferred, Source::History, Source::Live])
}

fn run() -> impl Strategy<Value = RunKey> {
    select(vec![run_key("r1"), run_key("r2")])
}

fn identity() -> impl Strategy<Value = Option<Identity>> {
    option::of((1u8..=3, select(vec!["sha256:a", "sha256:b", "sha256:c"]))).prop_map(|identity| {
        identity.map(|(rank, hash)| Identity {
            rank,
            hash: hash.to_owned(),
        })
    })
}

fn run_write() -> impl Strategy<Value = Write> {
    let content = (
        run(),
        phase(),
        source(),
        option::of(0..3i64),
        select(Status::ALL),
        option::of(select(vec!["{}", "[1]"])),
        option::of(Just(("root".to_owned(), "r0".to_owned()))),
        option::of(Just(RunKey::new("other", "parent", "r0"))),
    );
    let apart = (identity(), identity(), 0..3i64, 0..9u32, any::<bool>());
    (content, apart).prop_map(|(content, apart)| {
        let (key, phase, source, started_at, status, output, root, parent) = content;
        let (user, tenant, accepted_through, steps_seen, incomplete) = apart;
        Write::Run(RunRow {
            phase,
            source,
            started_at,
            status,
            output_redacted: output.map(str::to_owned),
            root,
            parent,
            user,
            tenant,
            accepted_through,
            steps_seen,
            incomplete,
            ..RunRow::new(key)
        })
    })
}

fn event_write() -> impl Strategy<Value = Write> {
    let content = (
        run(),
        0..7usize,
        phase(),
        source(),
        option::of(0..3i64),
        select(Status::ALL),
        option::of(select(vec!["{}", "{\"a\":1}"])),
    );
    // Quarters, so that sums are exact in any order.
    let used = (option::of(0..5i64), option::of(0..5i64), option::of(0..5u8));
    (content, used).prop_map(|(content, used)| {
        let (run, which, phase, source, started_at, status, data) = content;
        let row = match which {
            0 => step(&run, 1, 0),
            1 => attempt(&run, 1, 1, 0),
            2 => attempt(&run, 1, 2, 0),
            3 => inner(&run, 1, 2, 1, 0),
            4 => inner(&run, 1, 2, 2, 0),
            5 => step(&run, 2, 0),
            _ => event(&run, "timer:3:timer:1", 0),
        };
        Write::Event(EventRow {
            phase,
            source,
            started_at,
            status,
            data_redacted: data.map(str::to_owned),
            input_tokens: used.0,
            output_tokens: used.1,
            cost_usd: used.2.map(|quarters| f64::from(quarters) / 4.0),
            ..row
        })
    })
}

fn seen_write() -> impl Strategy<Value = Write> {
    let scope = select(vec![
        Scope::Attempts {
            step: "1".to_owned(),
        },
        Scope::Inner {
            step: "1".to_owned(),
            attempt: 2,
        },
        Scope::Process {
            id: "p1".to_owned(),
        },
        Scope::Process {
            id: "p2".to_owned(),
        },
    ]);
    (run(), scope, 1..6u32).prop_map(|(run, scope, count)| Write::Seen(Seen { run, scope, count }))
}

fn other_write() -> impl Strategy<Value = Write> {
    let promotion = (run(), select(SampledBy::ALL), 0..3i64)
        .prop_map(|(run, reason, at)| Write::Promotion(Promotion { run, reason, at }));
    let process = (0..3i64, 0..3u64).prop_map(|(updated_at, rows)| {
        Write::Process(ProcessReport {
            id: "p1".to_owned(),
            updated_at,
            counters: BTreeMap::from([("rows".to_owned(), rows)]),
            ..ProcessReport::default()
        })
    });
    prop_oneof![promotion, process]
}

pub(super) fn writes() -> impl Strategy<Value = Vec<Write>> {
    vec(
        prop_oneof![2 => run_write(), 6 => event_write(), 1 => seen_write(), 1 => other_write()],
        1..30,
    )
}

/// The writes, two other orders of them with repetitions, and batch sizes.
fn orders() -> impl Strategy<Value = (Vec<Write>, Vec<Vec<Write>>, Vec<usize>)> {
    writes().prop_flat_map(|writes| {
        let twice = [writes.clone(), writes.clone()].concat();
        (
            Just(writes.clone()),
            (Just(writes).prop_shuffle(), Just(twice).prop_shuffle())
                .prop_map(|(once, twice)| vec![once, twice]),
            vec(1..9usize, 1..5),
        )
    })
}

/// The tables as the pure rule makes them.
#[derive(Debug, Default, PartialEq)]
struct Model {
    runs: BTreeMap<RunKey, RunRow>,
    events: BTreeMap<(RunKey, String), EventRow>,
    promotions: BTreeMap<RunKey, (Micros, SampledBy)>,
    marks: BTreeMap<(RunKey, Scope), u32>,
}

impl Model {
    fn of(writes: &[Write]) -> Self {
        let mut model = Self::default();
        for write in writes {
            match write.clone() {
                Write::Run(row) => {
                    let stored = model.runs.remove(&row.key).unwrap_or_else(|| row.clone());
                    model.runs.insert(row.key.clone(), merge_run(stored, row));
                }
                Write::Event(row) => {
                    let key = (row.run.clone(), row.event_key.clone());
                    let stored = model.events.remove(&key).unwrap_or_else(|| row.clone());
                    model.events.insert(key, merge_event(stored, row));
                }
                Write::Seen(seen) => {
                    let mark = model.marks.entry((seen.run, seen.scope)).or_default();
                    *mark = seen.count.max(*mark);
                }
                Write::Promotion(Promotion { run, reason, at }) => {
                    let offered = (at, reason);
                    let rank = |(at, reason): &(Micros, SampledBy)| (*at, reason.as_str());
                    let stored = model.promotions.entry(run).or_insert(offered);
                    if rank(&offered) > rank(stored) {
                        *stored = offered;
                    }
                }
                Write::Process(_) => {}
            }
        }
        let closed: Vec<&RunKey> = (model.runs.values())
            .filter(|run| run.phase == Phase::Closed)
            .map(|run| &run.key)
            .collect();
        (model.events)
            .retain(|(run, _), row| row.phase > Phase::Provisional || !closed.contains(&run));
        for run in model.runs.values_mut() {
            let rows: Vec<&EventRow> = (model.events.values())
                .filter(|row| row.run == run.key && row.phase > Phase::Provisional)
                .collect();
            run.event_count = rows.len() as u32;
            run.input_tokens = top(&rows, |row| row.input_tokens).iter().sum();
            run.output_tokens = top(&rows, |row| row.output_tokens).iter().sum();
            // From +0: the sum of no floats is -0, which prints otherwise.
            run.cost_usd = top(&rows, |row| row.cost_usd)
                .iter()
                .fold(0.0, |a, b| a + b);
            run.dropped_events = (model.marks.iter())
                .filter(|((of, _), _)| *of == run.key)
                .map(|((_, scope), mark)| missing(scope, *mark, &rows))
                .sum();
        }
        model
    }
}

/// The values of the only activity with attempts here, each where it stands highest, and of all else.
fn top<T>(rows: &[&EventRow], value: impl Fn(&EventRow) -> Option<T>) -> Vec<T> {
    let get = |key: &str| {
        rows.iter()
            .find(|row| row.event_key == key)
            .and_then(|row| value(row))
    };
    let own = ["activity:2:T:0", "timer:3:timer:1"]
        .into_iter()
        .filter_map(get);
    let second = || match get("activity:1:T:2") {
        Some(value) => vec![value],
        None => ["tool:1.1:search:2", "tool:1.2:search:2"]
            .into_iter()
            .filter_map(get)
            .collect(),
    };
    let first = match get("activity:1:T:0") {
        Some(value) => vec![value],
        None => get("activity:1:T:1").into_iter().chain(second()).collect(),
    };
    first.into_iter().chain(own).collect()
}

fn missing(scope: &Scope, mark: u32, rows: &[&EventRow]) -> u32 {
    let numbers: Vec<u32> = (rows.iter())
        .filter_map(|row| match scope {
            Scope::Attempts { .. } => {
                (row.kind == "activity" && row.step == "1").then_some(row.attempt)
            }
            Scope::Inner { .. } => row.step.strip_prefix("1.").and_then(|n| n.parse().ok()),
            _ => None,
        })
        .filter(|n| *n > 0)
        .collect();
    let highest = numbers.iter().copied().max().unwrap_or_default();
    mark.max(highest) - numbers.len() as u32
}

async fn stored(test: &TestStore, namespace: &str) -> Model {
    let mut model = Model::default();
    let filter = RunFilter {
        namespace: Some(namespace.to_owned()),
        ..RunFilter::default()
    };
    for run in test.store.list_runs(&filter).await.unwrap() {
        model.runs.insert(run.key.clone(), run);
    }
    for run_id in ["r1", "r2"] {
        for row in test
            .store
            .events(&RunKey::new(namespace, "order", run_id))
            .await
            .unwrap()
        {
            model
                .events
                .insert((row.run.clone(), row.event_key.clone()), row);
        }
    }
    for promotion in test.store.promotions_since(0).await.unwrap() {
        if promotion.run.namespace == namespace {
            model
                .promotions
                .insert(promotion.run, (promotion.at, promotion.reason));
        }
    }
    model
}

#[test]
fn any_order_of_writes_leaves_what_the_pure_rule_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let test = runtime.block_on(TestStore::new());
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: super::CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&orders(), |(writes, others, sizes)| {
        runtime.block_on(async {
            case.set(case.get() + 1);
            let mut tables = Vec::new();
            for (i, order) in std::iter::once(&writes).chain(&others).enumerate() {
                let namespace = format!("n{}-{i}", case.get());
                let order: Vec<Write> = order
                    .iter()
                    .map(|write| write.clone().within(&namespace))
                    .collect();
                test.write_all(&order, &sizes).await;
                let mut expected = Model::of(&order);
                expected.marks.clear();
                prop_assert_eq!(stored(&test, &namespace).await, expected);
                tables.push(test.tables(&namespace).await);

                for report in test.write_all(&order, &[100]).await {
                    prop_assert_eq!(report.changed_events, []);
                    prop_assert_eq!(report.changed_runs, []);
                }
                prop_assert_eq!(test.tables(&namespace).await, tables[i].clone());
            }
            prop_assert_eq!(&tables[1], &tables[0]);
            prop_assert_eq!(&tables[2], &tables[0]);
            Ok(())
        })
    });
    result.unwrap();
}

#[tokio::test]
async fn the_latest_report_of_a_process_stays() {
    let test = TestStore::new().await;
    let report = |updated_at: i64, rows: u64| ProcessReport {
        id: "p1".to_owned(),
        service: "orders".to_owned(),
        host: "host".to_owned(),
        pid: 7,
        version: "0.1.0".to_owned(),
        started_at: 1,
        updated_at,
        counters: BTreeMap::from([("rows".to_owned(), rows)]),
        last_error: (rows > 5).then(|| "database is locked".to_owned()),
        last_error_at: (rows > 5).then_some(updated_at),
    };
    for (updated_at, rows) in [(2, 5), (3, 9), (1, 1)] {
        test.write_all(&[Write::Process(report(updated_at, rows))], &[1])
            .await;
    }
    assert_eq!(test.store.processes().await.unwrap(), [report(3, 9)]);
}

#[tokio::test]
async fn a_ghost_goes_when_its_run_closes_and_does_not_come_back() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let rows = vec![proposed(step(&run, 1, 1)), step(&run, 2, 1)];
    let report = test.offer(&events(rows.clone())).await;
    assert_eq!(report.changed_events.len(), 2);
    test.offer(&runs(vec![RunRow::new(run.clone())])).await;
    assert_eq!(test.event_keys(&run).await.len(), 2);
    assert_eq!(test.run(&run).await.event_count, 1);

    test.offer(&runs(vec![closed_run(&run)])).await;
    assert_eq!(test.event_keys(&run).await, ["activity:2:T:0"]);

    let report = test.offer(&events(rows)).await;
    assert_eq!((report.ghost_events, report.unchanged_events), (1, 1));
    assert_eq!(test.event_keys(&run).await, ["activity:2:T:0"]);
}

#[tokio::test]
async fn events_that_come_before_their_run_are_counted_when_it_comes() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let row = EventRow {
        input_tokens: Some(7),
        cost_usd: Some(0.25),
        ..step(&run, 1, 1)
    };
    test.offer(&events(vec![row])).await;
    assert_eq!(test.store.runs_by_run_id("r1").await.unwrap(), []);
    test.offer(&runs(vec![RunRow::new(run.clone())])).await;
    let stored = test.run(&run).await;
    assert_eq!(
        (stored.event_count, stored.input_tokens, stored.cost_usd),
        (1, 7, 0.25)
    );
}

#[tokio::test]
async fn a_report_names_only_what_changed() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let first = RunRow::new(run.clone());
    let report = test.offer(&runs(vec![first.clone()])).await;
    assert_eq!(report.changed_runs, std::slice::from_ref(&run));
    assert_eq!(
        test.offer(&runs(vec![first.clone()])).await.unchanged_runs,
        1
    );
    // Only a field that is merged apart, in a row that does not win.
    let worse = RunRow {
        source: Source::History,
        incomplete: true,
        ..first.clone()
    };
    assert_eq!(
        test.offer(&runs(vec![worse.clone()]))
            .await
            .changed_runs
            .len(),
        1
    );
    assert_eq!(test.offer(&runs(vec![worse])).await.unchanged_runs, 1);
    let stored = test.run(&run).await;
    assert!(stored.incomplete);
    assert_eq!(stored.source, Source::Live);
    // An event changes counts of the run, which are no part of what was offered.
    let report = test.offer(&events(vec![step(&run, 1, 1)])).await;
    assert_eq!(report.changed_events, [(run, "activity:1:T:0".to_owned())]);
    assert_eq!(report.changed_runs, []);
}
