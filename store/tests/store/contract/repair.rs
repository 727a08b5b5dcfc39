//! Repairing runs from history.

use std::collections::BTreeMap;

use omnitrace_store::row::{EventRow, Identity, Phase, RunRow, SampledBy, Source, Status};
use omnitrace_store::{Batch, Repair, RepairReport, Scope, Seen};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::TestStore;
use super::merge::writes;
use crate::support::{
    Write, attempt, closed_run, event, events, failed, inner, proposed, run_key, runs, step,
};

fn closed(row: EventRow) -> EventRow {
    EventRow {
        status: Status::Completed,
        phase: Phase::Closed,
        ..row
    }
}

fn from_history(row: EventRow) -> EventRow {
    EventRow {
        source: Source::History,
        ..row
    }
}

fn history(run: RunRow, events: Vec<EventRow>) -> Repair {
    Repair {
        run: RunRow {
            source: Source::History,
            ..run
        },
        events: events.into_iter().map(from_history).collect(),
    }
}

/// But for who says so.
fn content(row: &EventRow) -> EventRow {
    EventRow {
        source: Source::Live,
        ..row.clone()
    }
}

#[tokio::test]
async fn history_takes_the_place_of_what_differs_and_live_knowledge_stays() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let rejected = EventRow {
        data_redacted: Some(r#"{"rejected":true}"#.to_owned()),
        ..closed(event(&run, "update:u1:add:1", 4))
    };
    let kept = vec![
        closed(step(&run, 1, 1)),
        closed(attempt(&run, 1, 1, 1)),
        closed(inner(&run, 1, 1, 1, 1)),
        attempt(&run, 2, 1, 2),
        rejected,
    ];
    let wrong = vec![
        failed(step(&run, 2, 2)),
        closed(event(&run, "timer:9:timer:1", 3)),
        proposed(event(&run, "timer:8:timer:1", 3)),
        closed(attempt(&run, 1, 2, 2)),
    ];
    let user = Some(Identity {
        rank: 3,
        hash: "sha256:a".to_owned(),
    });
    test.offer(&Batch {
        runs: vec![RunRow {
            incomplete: true,
            steps_seen: 7,
            user: user.clone(),
            sampled_by: SampledBy::Slow,
            ..RunRow::new(run.clone())
        }],
        events: [kept.clone(), wrong.clone()].concat(),
        seen: vec![Seen {
            run: run.clone(),
            scope: Scope::Process { id: "p".to_owned() },
            count: 3,
        }],
        ..Batch::default()
    })
    .await;
    let said = vec![
        closed(step(&run, 1, 1)),
        // The live worker's row of this attempt is closed, and only its clock differs.
        closed(attempt(&run, 1, 1, 9)),
        failed(attempt(&run, 1, 2, 2)),
        EventRow {
            input_tokens: Some(5),
            ..closed(step(&run, 2, 2))
        },
        closed(attempt(&run, 2, 1, 2)),
        closed(attempt(&run, 2, 2, 3)),
        closed(step(&run, 3, 3)),
    ];
    let right = RunRow {
        steps_seen: 3,
        ..closed_run(&run)
    };
    let repair = history(right, said);
    let report = test.store.repair(&repair).await.unwrap();
    let mut changed = report.changed_events.clone();
    changed.sort();
    assert_eq!(
        changed,
        [
            "activity:1:T:2",
            "activity:2:T:0",
            "activity:2:T:1",
            "activity:2:T:2",
            "activity:3:T:0"
        ]
    );
    let mut deleted = report.deleted_events.clone();
    deleted.sort();
    assert_eq!(deleted, ["timer:8:timer:1", "timer:9:timer:1"]);
    assert!(
        report.changed_run && report.unchanged_events == 2,
        "{report:?}"
    );

    let stored = test.run(&run).await;
    assert_eq!(
        (stored.status, stored.phase),
        (Status::Completed, Phase::Closed)
    );
    assert_eq!(
        (stored.incomplete, stored.steps_seen, stored.dropped_events),
        (false, 3, 0)
    );
    assert_eq!((stored.user, stored.sampled_by), (user, SampledBy::Slow));
    assert_eq!((stored.event_count, stored.input_tokens), (9, 5));
    let rows = test.store.events(&run).await.unwrap();
    for row in [&kept[..3], &kept[4..]].concat() {
        assert!(rows.contains(&row), "{row:?}");
    }
    // Done again it changes nothing, and what was wrong does not come back, but for what history does
    // not have at all.
    let before = test.tables("default").await;
    let again = test.store.repair(&repair).await.unwrap();
    let unchanged_events = repair.events.len() as u64;
    assert_eq!(
        again,
        RepairReport {
            unchanged_events,
            ..RepairReport::default()
        }
    );
    test.offer(&events(vec![wrong[0].clone()])).await;
    test.offer(&runs(vec![RunRow::new(run.clone())])).await;
    assert_eq!(test.tables("default").await, before);
    test.offer(&events(vec![wrong[1].clone()])).await;
    let report = test.store.repair(&repair).await.unwrap();
    assert_eq!(report.deleted_events, ["timer:9:timer:1"]);
}

#[tokio::test]
async fn a_run_that_is_not_stored_at_all_is_made_and_capped() {
    let test = TestStore::capped(2).await;
    let run = run_key("r1");
    let steps = (1..=3).map(|n| closed(step(&run, n, n.into()))).collect();
    let right = RunRow {
        steps_seen: 3,
        ..closed_run(&run)
    };
    let report = test.store.repair(&history(right, steps)).await.unwrap();
    assert_eq!((report.changed_events.len(), report.cut_events), (3, 1));
    let stored = test.run(&run).await;
    assert_eq!((stored.event_count, stored.dropped_events), (2, 1));
}

#[tokio::test]
async fn while_a_run_goes_on_what_is_newer_than_the_history_stays_and_wins() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let open = RunRow {
        accepted_through: 5,
        steps_seen: 4,
        ..RunRow::new(run.clone())
    };
    let proposals = vec![proposed(step(&run, 2, 5)), proposed(step(&run, 3, 6))];
    test.offer(&Batch {
        runs: vec![open.clone()],
        events: proposals,
        ..Batch::default()
    })
    .await;
    let older = RunRow {
        accepted_through: 4,
        steps_seen: 1,
        ..open.clone()
    };
    let repair = history(older, vec![step(&run, 1, 1)]);
    test.store.repair(&repair).await.unwrap();
    assert_eq!(
        test.event_keys(&run).await,
        ["activity:1:T:0", "activity:3:T:0"]
    );
    let stored = test.run(&run).await;
    assert_eq!((stored.accepted_through, stored.steps_seen), (5, 4));
    test.offer(&events(vec![closed(step(&run, 1, 1))])).await;
    test.offer(&runs(vec![closed_run(&run)])).await;
    assert_eq!(
        test.store.events(&run).await.unwrap()[0].phase,
        Phase::Closed
    );
    assert_eq!(test.run(&run).await.phase, Phase::Closed);
}

fn is_step(row: &EventRow) -> bool {
    row.kind == "timer" || row.event_key.ends_with(":T:0")
}

#[test]
fn after_a_repair_the_steps_are_historys_whatever_was_stored_and_comes_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let test = runtime.block_on(TestStore::new());
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: super::CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&(writes(), writes()), |(live, told)| {
        runtime.block_on(async {
            case.set(case.get() + 1);
            let namespace = format!("n{}", case.get());
            let within = |writes: Vec<Write>| -> Vec<Write> {
                writes.into_iter().map(|w| w.within(&namespace)).collect()
            };
            let live = within(live);
            test.write_all(&live, &[5]).await;
            let mut run = run_key("r1");
            run.namespace = namespace.clone();
            let mut said = BTreeMap::new();
            for write in within(told) {
                if let Write::Event(row) = write
                    && row.run == run
                    && is_step(&row)
                    && row.phase > Phase::Provisional
                {
                    said.insert(row.event_key.clone(), row);
                }
            }
            let said: Vec<EventRow> = said.into_values().collect();
            let repair = history(closed_run(&run), said.clone());
            let before = test.store.events(&run).await.unwrap();
            test.store.repair(&repair).await.unwrap();
            let again = test.store.repair(&repair).await.unwrap();
            prop_assert!(
                !again.changed_run && again.changed_events.is_empty(),
                "{:?}",
                again
            );
            prop_assert!(again.deleted_events.is_empty(), "{:?}", again);

            let after = test.store.events(&run).await.unwrap();
            let mut steps: Vec<EventRow> =
                after.iter().filter(|r| is_step(r)).map(content).collect();
            steps.sort_by(|a, b| a.event_key.cmp(&b.event_key));
            let expected: Vec<EventRow> = said.iter().map(content).collect();
            prop_assert_eq!(&steps, &expected);
            for row in before
                .iter()
                .filter(|r| !is_step(r) && r.phase > Phase::Provisional)
            {
                prop_assert!(after.contains(row), "{:?}", row);
            }
            let stored = test.run(&run).await;
            prop_assert!(!stored.incomplete);
            prop_assert_eq!(stored.event_count as usize, after.len());

            // What history says has ended stays as it says.
            test.write_all(&live, &[5]).await;
            let later = test.store.events(&run).await.unwrap();
            for row in said.iter().filter(|row| row.phase == Phase::Closed) {
                prop_assert!(
                    later.iter().map(content).any(|l| l == content(row)),
                    "{:?}",
                    row
                );
            }
            Ok(())
        })
    });
    result.unwrap();
}
