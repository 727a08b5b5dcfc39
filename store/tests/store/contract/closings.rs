//! What closes for the first time, and what it cost: told once, whoever writes it and how often.

use omnitrace_store::row::{EventRow, Identity, Phase, RunRow, Source, Status};
use omnitrace_store::{Batch, Closings, OpenOptions, RunFacts, Spent};

use super::TestStore;
use crate::support::{attempt, closed_run, events, inner, proposed, run_key, runs, step};

async fn counting() -> TestStore {
    let mut options = OpenOptions::default();
    options.closings = true;
    TestStore::with(options).await
}

fn closed(row: EventRow) -> EventRow {
    EventRow {
        status: Status::Completed,
        phase: Phase::Closed,
        ..row
    }
}

fn spent(model: &str, input_tokens: i64, cost_usd: f64) -> Spent {
    Spent {
        model: Some(model.to_owned()),
        input_tokens,
        output_tokens: 0,
        cost_usd,
    }
}

fn used(row: EventRow, model: &str, input_tokens: i64, cost_usd: f64) -> EventRow {
    EventRow {
        model: Some(model.to_owned()),
        input_tokens: Some(input_tokens),
        cost_usd: Some(cost_usd),
        ..row
    }
}

#[tokio::test]
async fn what_closes_is_told_once() {
    let test = counting().await;
    let run = run_key("r1");
    let open = Batch {
        runs: vec![RunRow::new(run.clone())],
        events: vec![step(&run, 1, 1), proposed(step(&run, 2, 1))],
        ..Batch::default()
    };
    assert_eq!(test.offer(&open).await.closings, Closings::default());

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
    let first = events(vec![inferred, lost.clone()]);
    assert_eq!(test.offer(&first).await.closings.events, [1]);

    let named = RunRow {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        tenant: Some(Identity {
            rank: 2,
            hash: "sha256:ab".to_owned(),
        }),
        ..closed_run(&run)
    };
    let rows = Batch {
        runs: vec![named.clone()],
        events: vec![lost, closed(step(&run, 1, 1))],
        ..Batch::default()
    };
    let told = test.offer(&rows).await.closings;
    assert_eq!((&told.events[..], &told.runs[..]), (&[1][..], &[0][..]));
    let facts = RunFacts {
        workflow_type: "Order".to_owned(),
        task_queue: "orders".to_owned(),
        tenant: Some("sha256:ab".to_owned()),
    };
    assert_eq!(told.facts.into_iter().collect::<Vec<_>>(), [(run, facts)]);
    assert_eq!(test.offer(&rows).await.closings, Closings::default());

    // Written again, and better known.
    let later = RunRow {
        started_at: Some(9),
        incomplete: true,
        ..named
    };
    let report = test.offer(&runs(vec![later])).await;
    assert_eq!(report.changed_runs.len(), 1);
    assert_eq!(report.closings, Closings::default());
}

#[tokio::test]
async fn of_two_that_close_a_run_at_once_one_is_told() {
    let test = counting().await;
    let mut options = OpenOptions::default();
    options.closings = true;
    let other = omnitrace_store::Store::open(&test.url(), options).await;
    let other = other.unwrap();
    for n in 0..20 {
        let run = run_key(&format!("r{n}"));
        let batch = |at| Batch {
            runs: vec![RunRow {
                started_at: Some(at),
                ..closed_run(&run)
            }],
            events: vec![closed(step(&run, 1, at))],
            ..Batch::default()
        };
        let (one, two) = (batch(1), batch(2));
        let (one, two) = tokio::join!(test.store.write(&one), other.write(&two));
        let (one, two) = (one.unwrap().closings, two.unwrap().closings);
        assert_eq!(one.runs.len() + two.runs.len(), 1, "{one:?} {two:?}");
        assert_eq!(one.events.len() + two.events.len(), 1, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn what_is_told_again_by_a_row_above_costs_nothing_more() {
    let test = counting().await;
    let run = run_key("r1");
    test.offer(&runs(vec![RunRow::new(run.clone())])).await;
    let first = used(inner(&run, 1, 1, 1, 1), "mini", 100, 0.5);
    let told = test.offer(&events(vec![first.clone()])).await.closings;
    assert_eq!(told.spent, [(run.clone(), spent("mini", 100, 0.5))]);
    assert!(
        test.offer(&events(vec![first]))
            .await
            .closings
            .spent
            .is_empty()
    );

    let whole = used(attempt(&run, 1, 1, 2), "mini-2025", 100, 0.5);
    let told = test.offer(&events(vec![whole])).await.closings;
    assert!(told.spent.is_empty(), "{told:?}");
    let dearer = used(step(&run, 1, 3), "mini-2025", 150, 0.75);
    let told = test.offer(&events(vec![dearer])).await.closings;
    assert_eq!(told.spent, [(run.clone(), spent("mini-2025", 50, 0.25))]);
    let two = vec![
        used(step(&run, 2, 4), "large", 10, 1.0),
        used(step(&run, 3, 4), "mini", 20, 2.0),
    ];
    let told = test.offer(&events(two)).await.closings;
    let both = [
        (run.clone(), spent("large", 10, 1.0)),
        (run.clone(), spent("mini", 20, 2.0)),
    ];
    assert_eq!(told.spent, both);
    let sum: f64 = [0.5, 0.25, 1.0, 2.0].iter().sum();
    assert_eq!(test.run(&run).await.cost_usd, sum);
}

#[tokio::test]
async fn a_run_without_a_row_gets_none() {
    let test = counting().await;
    let run = run_key("r1");
    let report = test.offer(&events(vec![closed(step(&run, 1, 1))])).await;
    let told = report.closings;
    assert_eq!((told.events, told.facts.len()), (vec![0], 0));
    assert!(test.store.runs_by_run_id("r1").await.unwrap().is_empty());
}
