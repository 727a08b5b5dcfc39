//! The cap of rows per run: which stay, that the order of arrival does not matter, and that every
//! row that is not stored is counted.

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use omnitrace_store::{Batch, Scope, Seen};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::TestStore;
use crate::support::{
    Write, attempt, closed_run, events, failed, inner, proposed, run_key, runs, step,
};

fn run_with_steps(key: &RunKey, steps_seen: u32) -> RunRow {
    RunRow {
        steps_seen,
        ..RunRow::new(key.clone())
    }
}

#[tokio::test]
async fn failed_rows_stay_first_then_steps_then_attempts_then_inner_events() {
    let run = run_key("r1");
    let rows = vec![
        failed(inner(&run, 1, 1, 2, 90)),
        step(&run, 1, 10),
        step(&run, 2, 20),
        attempt(&run, 1, 1, 5),
        attempt(&run, 2, 1, 6),
        inner(&run, 1, 1, 1, 1),
    ];
    let order: Vec<String> = rows.iter().map(|row| row.event_key.clone()).collect();
    for max in 1..=6 {
        let test = TestStore::capped(max).await;
        test.offer(&runs(vec![run_with_steps(&run, 2)])).await;
        let mut reversed = rows.clone();
        reversed.reverse();
        let report = test.offer(&events(reversed)).await;
        assert_eq!(report.cut_events, 6 - u64::from(max));
        let mut expected = order[..max as usize].to_vec();
        expected.sort();
        assert_eq!(test.event_keys(&run).await, expected, "{max}");
        let stored = test.run(&run).await;
        assert_eq!(
            (stored.event_count, stored.dropped_events),
            (max, 6 - max),
            "{max}"
        );
    }
}

#[tokio::test]
async fn what_is_only_inferred_to_have_failed_does_not_go_first() {
    let test = TestStore::capped(1).await;
    let run = run_key("r1");
    let lost = EventRow {
        status: Status::Lost,
        source: Source::Inferred,
        ..attempt(&run, 1, 1, 1)
    };
    test.offer(&events(vec![lost, step(&run, 1, 5)])).await;
    assert_eq!(test.event_keys(&run).await, ["activity:1:T:0"]);
}

#[tokio::test]
async fn a_row_that_was_cut_comes_back_when_it_fails() {
    let test = TestStore::capped(2).await;
    let run = run_key("r1");
    test.offer(&runs(vec![run_with_steps(&run, 3)])).await;
    test.offer(&events((1..=3).map(|n| step(&run, n, n.into())).collect()))
        .await;
    assert_eq!(
        test.event_keys(&run).await,
        ["activity:1:T:0", "activity:2:T:0"]
    );
    let report = test.offer(&events(vec![failed(step(&run, 3, 3))])).await;
    assert_eq!((report.changed_events.len(), report.cut_events), (1, 0));
    assert_eq!(
        test.event_keys(&run).await,
        ["activity:1:T:0", "activity:3:T:0"]
    );
    assert_eq!(test.run(&run).await.dropped_events, 1);
}

#[tokio::test]
async fn attempts_and_inner_events_that_were_not_offered_are_counted() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let mut rows: Vec<EventRow> = (1..=20).map(|n| attempt(&run, 1, n, n.into())).collect();
    rows.push(attempt(&run, 1, 32, 32));
    rows.extend((1..=50).map(|n| inner(&run, 1, 32, n, n.into())));
    let seen = |scope, count| Seen {
        run: run.clone(),
        scope,
        count,
    };
    let attempts = || Scope::Attempts {
        step: "1".to_owned(),
    };
    let inner = Scope::Inner {
        step: "1".to_owned(),
        attempt: 32,
    };
    test.offer(&Batch {
        runs: vec![RunRow::new(run.clone())],
        events: rows,
        seen: vec![
            seen(attempts(), 40),
            seen(inner, 60),
            seen(Scope::Process { id: "p".to_owned() }, 3),
        ],
        ..Batch::default()
    })
    .await;
    assert_eq!(test.run(&run).await.dropped_events, 19 + 10 + 3);
    // A stored attempt beyond the mark tells of those before it.
    test.offer(&events(vec![attempt(&run, 1, 64, 64)])).await;
    assert_eq!(test.run(&run).await.dropped_events, 42 + 10 + 3);
    let late = seen(attempts(), 50);
    test.offer(&Batch {
        seen: vec![late],
        ..Batch::default()
    })
    .await;
    assert_eq!(test.run(&run).await.dropped_events, 42 + 10 + 3);
}

#[tokio::test]
async fn proposed_rows_are_bounded_and_yield_to_accepted_ones() {
    let test = TestStore::capped(3).await;
    let run = run_key("r1");
    test.offer(&runs(vec![run_with_steps(&run, 9)])).await;
    let proposals = (1..=9).map(|n| proposed(step(&run, n, n.into()))).collect();
    assert_eq!(test.offer(&events(proposals)).await.cut_events, 3);
    let stored = test.run(&run).await;
    assert_eq!((stored.event_count, stored.dropped_events), (0, 0));
    assert_eq!(test.event_keys(&run).await.len(), 6);

    test.offer(&events(vec![step(&run, 9, 9)])).await;
    assert_eq!(test.run(&run).await.event_count, 1);
    assert_eq!(test.event_keys(&run).await.len(), 6);
    // Once more than three were accepted, nothing that is proposed stays.
    test.offer(&events((1..=4).map(|n| step(&run, n, n.into())).collect()))
        .await;
    let stored = test.run(&run).await;
    assert_eq!((stored.event_count, stored.dropped_events), (3, 6));
    let keys = ["activity:1:T:0", "activity:2:T:0", "activity:3:T:0"];
    assert_eq!(test.event_keys(&run).await, keys);
}

#[tokio::test]
async fn marks_of_a_run_are_bounded() {
    let test = TestStore::capped(2).await;
    let run = run_key("r1");
    let attempts = (1..=50).map(|n| attempt(&run, n, 1, n.into())).collect();
    test.offer(&Batch {
        runs: vec![closed_run(&run)],
        events: attempts,
        ..Batch::default()
    })
    .await;
    let marks: Vec<String> = test.tables("default").await;
    let marks = marks
        .iter()
        .filter(|row| row.starts_with("omnitrace_cuts: "))
        .count();
    assert_eq!(marks, 2 * 10 + 1);
    let dropped = test.run(&run).await.dropped_events;
    assert!((18..=48).contains(&dropped), "{dropped}");
}

/// One key whose rows only ever get further: proposed, open, closed; once failed, failed.
#[derive(Clone, Debug)]
struct Life {
    row: EventRow,
    phases: Vec<Phase>,
    fails: bool,
}

impl Life {
    fn versions(&self) -> impl Iterator<Item = EventRow> {
        self.phases.iter().map(|phase| {
            let closed = *phase == Phase::Closed;
            let status = match (closed, self.fails) {
                (true, true) => Status::Failed,
                (true, false) => Status::Completed,
                _ => Status::Running,
            };
            EventRow {
                phase: *phase,
                status,
                // What is known of the start comes late and must not change the place.
                started_at: closed.then_some(1000),
                ..self.row.clone()
            }
        })
    }
}

fn life() -> impl Strategy<Value = (usize, Vec<Phase>, bool)> {
    let phases = select(vec![
        vec![Phase::Provisional],
        vec![Phase::Provisional, Phase::Open],
        vec![Phase::Provisional, Phase::Closed],
        vec![Phase::Open],
        vec![Phase::Open, Phase::Closed],
        vec![Phase::Closed],
    ]);
    (0..30usize, phases, prop::bool::weighted(0.2))
}

fn key(which: usize, run: &RunKey) -> EventRow {
    let at = (which * 7 % 11) as i64;
    let which = which as u32;
    let id = which % 3 + 1;
    match which % 5 {
        0 => step(run, which, at),
        1 => attempt(run, id, which / 10 + 1, at),
        2 => inner(run, id, 1, which / 10 + 1, at),
        3 => inner(run, id, 2, which / 5 + 1, at),
        _ => attempt(run, id, which, at),
    }
}

/// The rows that stay and how many are missing, from all that was ever offered.
fn expected(lives: &[Life], closed: bool, steps_seen: u32, max: usize) -> (Vec<String>, u32) {
    let last = |life: &Life| life.versions().last().unwrap();
    let mut rows: Vec<EventRow> = lives.iter().map(last).collect();
    rows.sort_by_key(|row| {
        let class = match (row.kind.as_str(), row.attempt) {
            ("activity", 0) => 0,
            ("activity", _) => 1,
            _ => 2,
        };
        let proposed = row.phase == Phase::Provisional;
        (
            proposed,
            row.status != Status::Failed,
            class,
            row.scheduled_at,
            row.event_key.clone(),
        )
    });
    let accepted = rows
        .iter()
        .filter(|row| row.phase > Phase::Provisional)
        .count();
    let mut missing = 0;
    if accepted > max {
        let (kept, all) = (&rows[..max], &rows[..accepted]);
        let steps = |rows: &[EventRow]| {
            rows.iter()
                .filter(|r| r.event_key.ends_with(":T:0"))
                .count() as u32
        };
        missing += steps_seen.saturating_sub(steps(kept));
        // By activity and, inside an attempt, by attempt: numbers up to the highest one offered.
        let place = |row: &EventRow| match row.step.split_once('.') {
            None => ((row.step.clone(), 0), row.attempt),
            Some((step, n)) => ((step.to_owned(), row.attempt), n.parse().unwrap()),
        };
        let places = |rows: &[EventRow]| -> Vec<((String, u32), u32)> {
            rows.iter()
                .filter(|r| !r.event_key.ends_with(":T:0"))
                .map(place)
                .collect()
        };
        let all = places(all);
        let highest: std::collections::BTreeMap<(String, u32), u32> = all.into_iter().fold(
            Default::default(),
            |mut highest: std::collections::BTreeMap<_, u32>, (at, n)| {
                let entry = highest.entry(at).or_default();
                *entry = n.max(*entry);
                highest
            },
        );
        missing += highest.values().sum::<u32>() - places(kept).len() as u32;
        rows.truncate(max);
    } else if closed {
        rows.truncate(accepted);
    } else {
        rows.truncate(2 * max);
    }
    let mut keys: Vec<String> = rows.into_iter().map(|row| row.event_key).collect();
    keys.sort();
    (keys, missing)
}

#[test]
fn which_rows_stay_does_not_depend_on_their_arrival() {
    const MAX: u32 = 5;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let test = runtime.block_on(TestStore::capped(MAX));
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: super::CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let lives = vec(life(), 1..25).prop_map(|lives| {
        let lives: std::collections::BTreeMap<_, _> = lives
            .into_iter()
            .map(|(which, phases, fails)| (which, (phases, fails)))
            .collect();
        let run = run_key("r1");
        (lives.into_iter())
            .map(|(which, (phases, fails))| Life {
                row: key(which, &run),
                phases,
                fails,
            })
            .collect::<Vec<_>>()
    });
    let cases = (lives, any::<bool>(), 0..30u32, vec(1..9usize, 1..5)).prop_flat_map(
        |(lives, closed, steps_seen, sizes)| {
            let run = run_key("r1");
            let row = if closed {
                closed_run(&run)
            } else {
                RunRow::new(run)
            };
            let mut writes: Vec<Write> = lives
                .iter()
                .flat_map(Life::versions)
                .map(Write::Event)
                .collect();
            writes.push(Write::Run(RunRow { steps_seen, ..row }));
            let twice = [writes.clone(), writes.clone()].concat();
            let orders = (Just(writes).prop_shuffle(), Just(twice).prop_shuffle());
            (Just((lives, closed, steps_seen, sizes)), orders)
        },
    );
    let result = runner.run(
        &cases,
        |((lives, closed, steps_seen, sizes), (once, twice))| {
            // Keys may coincide across kinds of life; each key lives once.
            let mut names: Vec<&str> = lives.iter().map(|l| l.row.event_key.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            prop_assume!(names.len() == lives.len());
            runtime.block_on(async {
                case.set(case.get() + 1);
                let (keys, missing) = expected(&lives, closed, steps_seen, MAX as usize);
                let mut tables = Vec::new();
                for (i, order) in [once, twice].into_iter().enumerate() {
                    let namespace = format!("n{}-{i}", case.get());
                    let run = RunKey::new(namespace.as_str(), "order", "r1");
                    let order: Vec<Write> = order
                        .into_iter()
                        .map(|write| write.within(&namespace))
                        .collect();
                    test.write_all(&order, &sizes).await;
                    prop_assert_eq!(&test.event_keys(&run).await, &keys);
                    prop_assert_eq!(test.run(&run).await.dropped_events, missing);
                    tables.push(test.tables(&namespace).await);
                }
                prop_assert_eq!(&tables[0], &tables[1]);
                Ok(())
            })
        },
    );
    result.unwrap();
}
