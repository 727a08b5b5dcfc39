//! Sums of tokens and cost: nothing counts twice.

use omnitrace_store::Batch;
use omnitrace_store::row::{EventRow, RunKey, RunRow};

use super::TestStore;
use crate::support::{attempt, event, inner, proposed, run_key, step};

fn tokens(row: EventRow, tokens: i64) -> EventRow {
    EventRow {
        input_tokens: Some(tokens),
        ..row
    }
}

async fn sum(events: Vec<EventRow>) -> (i64, i64, f64) {
    let test = TestStore::new().await;
    let run = run_key("r1");
    let runs = vec![RunRow::new(run.clone())];
    test.offer(&Batch {
        runs,
        events,
        ..Batch::default()
    })
    .await;
    let stored = test.run(&run).await;
    (stored.input_tokens, stored.output_tokens, stored.cost_usd)
}

fn run() -> RunKey {
    run_key("r1")
}

#[tokio::test]
async fn a_value_counts_where_it_stands_highest() {
    let run = &run();
    let inner_rows = || {
        vec![
            tokens(inner(run, 1, 1, 1, 1), 1),
            tokens(inner(run, 1, 1, 2, 1), 2),
        ]
    };
    assert_eq!(sum(inner_rows()).await.0, 3);
    let mut rows = inner_rows();
    rows.push(tokens(attempt(run, 1, 1, 1), 10));
    rows.push(tokens(attempt(run, 1, 2, 1), 20));
    assert_eq!(sum(rows.clone()).await.0, 30);
    rows.push(tokens(step(run, 1, 1), 100));
    rows.push(tokens(step(run, 2, 1), 1000));
    assert_eq!(sum(rows).await.0, 1100);
}

#[tokio::test]
async fn each_value_is_looked_for_by_itself() {
    let run = &run();
    let rows = vec![
        tokens(step(run, 1, 1), 10),
        EventRow {
            output_tokens: Some(5),
            cost_usd: Some(0.5),
            ..tokens(inner(run, 1, 1, 1, 1), 10)
        },
    ];
    assert_eq!(sum(rows).await, (10, 5, 0.5));
}

#[tokio::test]
async fn events_inside_inner_events_do_not_count_twice() {
    let run = &run();
    let middle = event(run, "tool:1.1:chain:1", 1);
    let middle = EventRow {
        parent_key: Some("activity:1:T:1".to_owned()),
        ..middle
    };
    let model = EventRow {
        parent_key: Some("tool:1.1:chain:1".to_owned()),
        ..tokens(event(run, "model:1.2:chat:1", 1), 7)
    };
    assert_eq!(sum(vec![middle.clone(), model.clone()]).await.0, 7);
    // Above a row without values, and when that row is not there at all.
    let above = tokens(attempt(run, 1, 1, 1), 9);
    assert_eq!(
        sum(vec![middle.clone(), model.clone(), above.clone()])
            .await
            .0,
        9
    );
    assert_eq!(sum(vec![model.clone(), above]).await.0, 9);
    let middle = tokens(middle, 8);
    assert_eq!(sum(vec![middle, model]).await.0, 8);
}

#[tokio::test]
async fn rows_that_name_each_other_as_parent_end_nothing() {
    let run = &run();
    let row = |key: &str, parent: &str| EventRow {
        parent_key: Some(parent.to_owned()),
        ..tokens(event(run, key, 1), 1)
    };
    let rows = vec![
        row("tool:a:x:1", "tool:b:x:1"),
        row("tool:b:x:1", "tool:a:x:1"),
    ];
    sum(rows).await;
}

#[tokio::test]
async fn what_is_proposed_or_no_number_does_not_count() {
    let run = &run();
    let cost = |row, cost_usd| EventRow {
        cost_usd: Some(cost_usd),
        ..row
    };
    let rows = vec![
        tokens(proposed(step(run, 1, 1)), 10),
        cost(step(run, 2, 1), f64::INFINITY),
        cost(step(run, 3, 1), f64::NAN),
        cost(step(run, 4, 1), 1.5),
        tokens(step(run, 5, 1), i64::MAX),
        tokens(step(run, 6, 1), 1),
    ];
    assert_eq!(sum(rows).await, (i64::MAX, 0, 1.5));
}
