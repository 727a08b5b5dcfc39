//! What is to be exported, by whom, and that it is so once.

use std::time::Duration;

use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use omnitrace_store::{Batch, OpenOptions, Repair, SpanKey, Store};

use super::TestStore;
use crate::support::{attempt, closed_run, event, events, failed, proposed, run_key, runs, step};

async fn exporting(grace: Duration) -> TestStore {
    let mut options = OpenOptions::default();
    options.export = Some(grace);
    TestStore::with(options).await
}

const LATER: Duration = Duration::from_secs(3600);

fn closed(row: EventRow) -> EventRow {
    EventRow {
        status: Status::Completed,
        phase: Phase::Closed,
        ..row
    }
}

fn key(run: &RunKey, event_key: &str) -> SpanKey {
    SpanKey {
        run: run.clone(),
        event_key: event_key.to_owned(),
    }
}

fn sorted(mut keys: Vec<SpanKey>) -> Vec<SpanKey> {
    keys.sort();
    keys
}

/// What any process may send now.
async fn due(store: &Store) -> Vec<SpanKey> {
    sorted(store.export_due(100).await.unwrap())
}

#[tokio::test]
async fn a_row_is_told_once_when_it_first_closes() {
    let test = exporting(LATER).await;
    let run = run_key("r1");
    let open = Batch {
        runs: vec![RunRow::new(run.clone())],
        events: vec![step(&run, 1, 1), proposed(step(&run, 2, 1))],
        ..Batch::default()
    };
    assert_eq!(test.offer(&open).await.to_export, []);

    // When it ended is inferred until its task is accepted.
    let inferred = EventRow {
        source: Source::Inferred,
        ..closed(step(&run, 1, 1))
    };
    let lost = EventRow {
        status: Status::Lost,
        source: Source::Inferred,
        ..closed(attempt(&run, 1, 1, 2))
    };
    let report = test.offer(&events(vec![inferred, lost.clone()])).await;
    assert_eq!(report.to_export, [key(&run, "activity:1:T:1")]);

    let rows = Batch {
        runs: vec![closed_run(&run)],
        events: vec![closed(step(&run, 1, 1)), lost],
        ..Batch::default()
    };
    let report = test.offer(&rows).await;
    let both = [SpanKey::of_run(run.clone()), key(&run, "activity:1:T:0")];
    assert_eq!(sorted(report.to_export), both);
    assert_eq!(test.offer(&rows).await.to_export, [], "as in a replay");

    let later = RunRow {
        incomplete: true,
        ..closed_run(&run)
    };
    assert_eq!(test.offer(&runs(vec![later])).await.to_export, []);
    assert_eq!(due(&test.store).await, [], "its process has them to itself");
}

#[tokio::test]
async fn what_was_sent_is_marked_and_never_told_again() {
    let test = exporting(Duration::ZERO).await;
    let run = run_key("r1");
    let rows = Batch {
        runs: vec![closed_run(&run)],
        events: vec![closed(step(&run, 1, 1)), failed(attempt(&run, 1, 1, 1))],
        ..Batch::default()
    };
    let keys = test.offer(&rows).await.to_export;
    assert_eq!(keys.len(), 3);
    assert_eq!(due(&test.store).await, sorted(keys.clone()));

    let found = test.store.unexported(&keys).await.unwrap();
    let [found] = &found[..] else {
        panic!("one run: {found:?}")
    };
    assert!(found.itself);
    assert_eq!((&found.run.key, found.events.len()), (&run, 2));

    let sent = [SpanKey::of_run(run.clone()), key(&run, "activity:1:T:1")];
    test.store.exported(&sent).await.unwrap();
    assert_eq!(due(&test.store).await, [key(&run, "activity:1:T:0")]);
    let found = test.store.unexported(&keys).await.unwrap();
    assert!(!found[0].itself);
    assert_eq!(found[0].events[0].event_key, "activity:1:T:0");

    test.store.exported(&keys).await.unwrap();
    assert_eq!(due(&test.store).await, []);
    // A better row of the same end, and a repair.
    let better = EventRow {
        source: Source::Repaired,
        ..closed(step(&run, 1, 1))
    };
    assert_eq!(test.offer(&events(vec![better])).await.to_export, []);
    let repair = Repair {
        run: RunRow {
            error_type: Some("Upstream".to_owned()),
            ..closed_run(&run)
        },
        events: vec![failed(step(&run, 1, 1))],
    };
    assert!(test.store.repair(&repair).await.unwrap().changed_run);
    assert_eq!(due(&test.store).await, []);
}

#[tokio::test]
async fn what_never_closed_is_left_to_others_when_its_run_does() {
    let test = exporting(Duration::ZERO).await;
    let run = run_key("r1");
    let rows = Batch {
        runs: vec![RunRow::new(run.clone())],
        events: vec![
            step(&run, 1, 1),
            attempt(&run, 1, 1, 1),
            event(&run, "timer:2:timer:1", 1),
        ],
        ..Batch::default()
    };
    test.offer(&rows).await;
    assert_eq!(due(&test.store).await, []);
    let rows = Batch {
        runs: vec![closed_run(&run)],
        events: vec![closed(step(&run, 1, 1)), proposed(step(&run, 9, 1))],
        ..Batch::default()
    };
    let report = test.offer(&rows).await;
    assert_eq!(report.to_export.len(), 2, "step and run");
    let all = ["", "activity:1:T:0", "activity:1:T:1", "timer:2:timer:1"];
    assert_eq!(due(&test.store).await, all.map(|event| key(&run, event)));
}

#[tokio::test]
async fn an_event_waits_for_the_row_of_its_run() {
    let test = exporting(Duration::ZERO).await;
    let run = run_key("r1");
    let keys = test
        .offer(&events(vec![closed(attempt(&run, 1, 1, 1))]))
        .await
        .to_export;
    assert_eq!(keys.len(), 1);
    assert_eq!(due(&test.store).await, []);
    assert_eq!(test.store.unexported(&keys).await.unwrap(), []);
    let mut next = RunRow::new(run.clone());
    next.continued_from_run_id = Some("r0".to_owned());
    let before = RunRow {
        trace_id: "before".to_owned(),
        ..closed_run(&run_key("r0"))
    };
    test.offer(&runs(vec![next, before])).await;
    assert_eq!(due(&test.store).await.len(), 2);
    let found = test.store.unexported(&keys).await.unwrap();
    assert_eq!(found[0].continued_from_trace.as_deref(), Some("before"));
    assert_eq!((found[0].itself, found[0].events.len()), (false, 1));
}

#[tokio::test]
async fn events_of_a_run_that_nobody_records_are_of_the_trace_that_an_attempt_was_told() {
    let test = exporting(Duration::ZERO).await;
    let run = run_key("r1");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let told = EventRow {
        data_redacted: Some(format!(
            r#"{{"task_queue":"q","traceparent":"00-{trace}-00f067aa0ba902b7-01"}}"#
        )),
        ..closed(attempt(&run, 1, 1, 1))
    };
    let inner = closed(event(&run, "tool:1.1:search:1", 1));
    let keys = test.offer(&events(vec![told, inner])).await.to_export;
    assert_eq!(keys.len(), 2);
    assert_eq!(due(&test.store).await, sorted(keys.clone()));
    let found = test.store.unexported(&keys).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].run.trace_id, trace);
    assert_eq!((found[0].itself, found[0].events.len()), (false, 2));
    test.store.exported(&keys).await.unwrap();
    assert_eq!(due(&test.store).await, []);
    assert_eq!(test.store.unexported(&keys).await.unwrap()[0].events, []);
}

#[tokio::test]
async fn nothing_is_noted_where_nothing_is_exported() {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let report = test.offer(&runs(vec![closed_run(&run)])).await;
    assert_eq!((report.to_export, due(&test.store).await), (vec![], vec![]));
}
