//! The tree's rules, each by an example.

mod any;

use super::*;
use crate::key::EventKey;
use crate::row::{EventRow, Phase};

/// A run that is open, or ended at a time.
fn run(closed_at: Option<Micros>) -> RunRow {
    let mut run = RunRow::new(RunKey::new("default", "w", "r"));
    run.started_at = Some(0);
    run.closed_at = closed_at;
    if closed_at.is_some() {
        run.status = Status::Completed;
        run.phase = Phase::Closed;
    }
    run
}

/// A row, scheduled and ended at times in milliseconds.
fn row(key: &str, status: Status, times: (i64, Option<i64>)) -> EventRow {
    let key = EventKey::parse(key).unwrap();
    let mut row = EventRow::new(run(None).key, key);
    row.status = status;
    row.scheduled_at = Some(times.0 * 1000);
    row.ended_at = times.1.map(|ms| ms * 1000);
    row.phase = if status.is_closed() {
        Phase::Closed
    } else {
        Phase::Open
    };
    row
}

fn done(key: &str, from: i64, to: i64) -> EventRow {
    row(key, Status::Completed, (from, Some(to)))
}

fn with_data(mut row: EventRow, data: &str) -> EventRow {
    row.data_redacted = Some(data.to_owned());
    row
}

fn with_error(mut row: EventRow, kind: &str) -> EventRow {
    row.error_type = Some(kind.to_owned());
    row
}

fn build(run: &RunRow, rows: Vec<EventRow>) -> TraceTree {
    TraceTree::build(run, rows, &[], 100_000_000)
}

/// The tree as lines: two spaces per level, key, status.
fn outline(tree: &TraceTree) -> Vec<String> {
    fn below(node: &Node, depth: usize, lines: &mut Vec<String>) {
        for child in &node.children {
            lines.push(format!(
                "{:depth$}{} {}",
                "",
                child.key,
                child.status.as_str()
            ));
            below(child, depth + 2, lines);
        }
    }
    let mut lines = Vec::new();
    below(&tree.root, 0, &mut lines);
    lines
}

#[test]
fn attempts_hang_under_their_step_and_inner_events_under_their_attempt() {
    let mut span = done("db:7.2:query:2", 30, 31);
    span.parent_key = Some("tool:7.1:search:2".to_owned());
    let tree = build(
        &run(None),
        vec![
            done("tool:7.1:search:2", 25, 35),
            span,
            done("activity:7:T:2", 20, 40),
            row("activity:7:T:1", Status::Failed, (1, Some(10))),
            done("activity:7:T:0", 0, 41),
            done("timer:7.1:timer:1", 50, 60),
        ],
    );
    assert_eq!(
        outline(&tree),
        [
            "activity:7:T:0 completed",
            "  activity:7:T:1 failed",
            "  activity:7:T:2 completed",
            "    tool:7.1:search:2 completed",
            "      db:7.2:query:2 completed",
            "timer:7.1:timer:1 completed",
        ]
    );
}

#[test]
fn attempts_without_their_step_get_one_made_from_them() {
    let rows = || {
        vec![
            row("activity:7:T:1", Status::Failed, (1, Some(10))),
            row("activity:7:T:2", Status::Failed, (20, Some(30))),
        ]
    };
    let tree = build(&run(None), rows());
    let step = &tree.root.children[0];
    assert!(step.synthetic);
    assert_eq!(
        (step.key.as_str(), step.status),
        ("activity:7:T:0", Status::Running)
    );
    assert_eq!((step.scheduled_at, step.duration_ms), (Some(1000), None));

    let closed = build(&run(Some(50_000)), rows());
    let step = &closed.root.children[0];
    assert_eq!((step.status, step.duration_ms), (Status::Failed, Some(29)));
}

#[test]
fn an_inner_event_whose_attempt_was_cut_hangs_under_the_step() {
    let mut inner = done("tool:7.1:search:3", 25, 35);
    inner.parent_key = Some("activity:7:T:3".to_owned());
    let tree = build(&run(None), vec![inner, done("activity:7:T:0", 0, 41)]);
    assert_eq!(
        outline(&tree),
        ["activity:7:T:0 completed", "  tool:7.1:search:3 completed"]
    );
}

#[test]
fn a_proposal_that_the_server_passed_over_is_not_shown() {
    let proposed = |key: &str, ms| {
        let mut row = row(key, Status::Scheduled, (ms, None));
        row.phase = Phase::Provisional;
        row
    };
    let mut run = run(None);
    run.accepted_through = 10_000;
    let rows = || {
        vec![
            proposed("timer:ghost:timer:1", 10),
            proposed("timer:coming:timer:1", 11),
            proposed("activity:seen:T:0", 10),
            row("activity:seen:T:1", Status::Running, (10, None)),
        ]
    };
    let tree = build(&run, rows());
    assert_eq!(
        outline(&tree),
        [
            "activity:seen:T:0 running",
            "  activity:seen:T:1 running",
            "timer:coming:timer:1 scheduled",
        ]
    );
    let provisional: Vec<_> = tree.root.children.iter().map(|n| n.provisional).collect();
    assert_eq!(provisional, [false, true]);

    run.status = Status::Completed;
    assert_eq!(
        build(&run, rows()).root.children.len(),
        1,
        "nothing is proposed to a closed run"
    );
}

#[test]
fn an_attempt_is_over_when_a_later_one_or_its_step_says_so() {
    use Status::{Canceled, Completed, Failed, Lost, Running, TimedOut};
    let timeout = Some("TimeoutFailure.StartToClose");
    // Status and error of the step, what the attempts' workers said, and what is shown.
    for (step, error, said, shown) in [
        (
            Completed,
            None,
            vec![Running, Completed],
            vec![Lost, Completed],
        ),
        (
            Completed,
            None,
            vec![Completed, Running],
            vec![Lost, Completed],
        ),
        (Completed, None, vec![Failed, Lost], vec![Failed, Completed]),
        (Completed, None, vec![Failed], vec![Failed]),
        (Failed, None, vec![Failed, Completed], vec![Failed, Lost]),
        (
            Failed,
            timeout,
            vec![Running, Running],
            vec![Lost, TimedOut],
        ),
        (TimedOut, None, vec![Completed], vec![TimedOut]),
        (Canceled, None, vec![Running], vec![Lost]),
        (Running, None, vec![Running, Running], vec![Lost, Running]),
        (
            Running,
            None,
            vec![TimedOut, Completed],
            vec![TimedOut, Completed],
        ),
    ] {
        let mut parent = row("activity:7:T:0", step, (0, step.is_closed().then_some(90)));
        parent.error_type = error.map(str::to_owned);
        let mut rows = vec![parent];
        for (i, &status) in said.iter().enumerate() {
            let from = 10 * i as i64;
            let to = status.is_closed().then_some(from + 5);
            rows.push(row(&format!("activity:7:T:{}", i + 1), status, (from, to)));
        }
        let tree = build(&run(None), rows);
        let attempts = &tree.root.children[0].children;
        let got: Vec<_> = attempts.iter().map(|a| a.status).collect();
        assert_eq!(got, shown, "step {step:?}, attempts {said:?}");
        for (attempt, said) in attempts.iter().zip(said) {
            assert_eq!(attempt.reported, (attempt.status != said).then_some(said));
        }
    }
}

#[test]
fn an_earlier_attempt_whose_error_is_a_timeout_timed_out() {
    let first = with_error(
        row("activity:7:T:1", Status::Running, (0, None)),
        "TimeoutFailure.Heartbeat",
    );
    let tree = build(
        &run(None),
        vec![first, row("activity:7:T:2", Status::Running, (9, None))],
    );
    let first = &tree.root.children[0].children[0];
    assert_eq!(first.status, Status::TimedOut);
    assert_eq!(
        first.extent,
        Some((0, 9000)),
        "over when the next one began"
    );
}

const LINK: &str = r#"{"local": true, "original_schedule_time": 5}"#;
const BACKOFF: &str = r#"{"la_backoff": true}"#;

#[test]
fn the_links_of_a_backoff_chain_are_one_node_with_all_attempts() {
    let tree = build(
        &run(None),
        vec![
            with_data(row("activity:1:L:0", Status::Failed, (0, Some(10))), LINK),
            row("activity:1:L:1", Status::Failed, (0, Some(10))),
            with_data(done("timer:1:timer:1", 10, 20), BACKOFF),
            with_data(done("activity:2:L:0", 20, 25), LINK),
            done("activity:2:L:2", 20, 24),
            done("timer:2:timer:1", 10, 20),
        ],
    );
    assert_eq!(
        outline(&tree),
        [
            "activity:1:L:0 completed",
            "  activity:1:L:1 failed",
            "  activity:2:L:2 completed",
            "timer:2:timer:1 completed",
        ]
    );
    let chain = &tree.root.children[0];
    assert_eq!(chain.folded, ["timer:1:timer:1", "activity:2:L:0"]);
    assert_eq!((chain.local, chain.duration_ms), (true, Some(25)));
}

#[test]
fn a_chain_that_waits_for_its_next_link_is_running() {
    let tree = build(
        &run(None),
        vec![
            with_data(row("activity:1:L:0", Status::Failed, (0, Some(10))), LINK),
            with_data(row("timer:1:timer:1", Status::Running, (10, None)), BACKOFF),
        ],
    );
    assert_eq!(outline(&tree), ["activity:1:L:0 running"]);
    assert_eq!(tree.root.children[0].duration_ms, None);
}

#[test]
fn local_activities_of_the_same_moment_are_no_chain() {
    let tree = build(
        &run(None),
        vec![
            with_data(row("activity:1:L:0", Status::Failed, (0, Some(10))), LINK),
            with_data(row("activity:2:L:0", Status::Failed, (0, Some(12))), LINK),
        ],
    );
    assert_eq!(tree.root.children.len(), 2);
}

#[test]
fn what_began_at_the_same_time_is_ordered_by_number() {
    let tree = build(
        &run(None),
        [
            "activity:10:T:0",
            "activity:9:T:0",
            "activity:x:T:0",
            "timer:1:timer:1",
        ]
        .map(|key| done(key, 1, 2))
        .into(),
    );
    assert_eq!(
        outline(&tree),
        [
            "activity:9:T:0 completed",
            "activity:10:T:0 completed",
            "activity:x:T:0 completed",
            "timer:1:timer:1 completed",
        ]
    );
}

#[test]
fn each_value_counts_where_it_stands_highest() {
    let used = |key: &str, tokens: (Option<i64>, Option<i64>), usd: Option<f64>| {
        let mut row = done(key, 0, 1);
        (row.input_tokens, row.output_tokens) = tokens;
        row.cost_usd = usd;
        row
    };
    let tree = build(
        &run(None),
        vec![
            used("activity:1:T:0", (Some(100), None), None),
            used("activity:1:T:1", (Some(100), Some(7)), None),
            used("model:1.1:chat:1", (Some(60), Some(3)), Some(0.25)),
            used("model:1.2:chat:1", (Some(40), Some(4)), Some(0.5)),
            used("activity:2:T:0", (None, Some(5)), None),
        ],
    );
    let total = tree.root.total;
    assert_eq!(
        (total.input_tokens, total.output_tokens),
        (Some(100), Some(12))
    );
    assert_eq!(total.cost_usd, Some(0.75));
}

#[test]
fn rows_that_are_each_others_parent_are_still_shown() {
    let inside = |key: &str, parent: &str| {
        let mut row = done(key, 0, 1);
        row.parent_key = Some(parent.to_owned());
        row
    };
    let tree = build(
        &run(None),
        vec![
            inside("tool:1.1:a:1", "tool:1.2:b:1"),
            inside("tool:1.2:b:1", "tool:1.1:a:1"),
            inside("tool:1.3:c:1", "tool:1.3:c:1"),
        ],
    );
    assert_eq!(tree.root.walk().count(), 4);
}

#[test]
fn nesting_is_cut_at_the_greatest_depth() {
    let rows = (0..5_000)
        .map(|i: i64| {
            let mut row = done(&format!("tool:1.{i}:t:1"), i, i);
            row.parent_key = (i > 0).then(|| format!("tool:1.{}:t:1", i - 1));
            row
        })
        .collect();
    let tree = build(&run(None), rows);
    assert_eq!(tree.root.walk().count(), 5_001);
    assert_eq!(depth(&tree.root), MAX_DEPTH);
}

fn depth(node: &Node) -> usize {
    node.children
        .iter()
        .map(|c| depth(c) + 1)
        .max()
        .unwrap_or_default()
}

#[test]
fn the_nth_child_step_is_joined_with_the_newest_run_of_the_nth_chain() {
    let child = |run_id: &str, first: &str, at: Micros| {
        let mut run = RunRow::new(RunKey::new("default", "a:b", run_id));
        run.first_execution_run_id = Some(first.to_owned());
        run.started_at = Some(at);
        run
    };
    let children = [
        child("r1", "r1", 1),
        child("r2", "r1", 2),
        child("r3", "r3", 3),
    ];
    let rows = vec![
        done("child_workflow:a%3Ab:C:1", 0, 1),
        done("child_workflow:a%3Ab:C:2", 2, 3),
        done("child_workflow:other:C:1", 4, 5),
    ];
    let tree = TraceTree::build(&run(None), rows, &children, 0);
    let joined: Vec<_> = tree
        .root
        .children
        .iter()
        .map(|n| n.child.as_ref().map(|c| c.key.run_id.as_str()))
        .collect();
    assert_eq!(joined, [Some("r2"), Some("r3"), None]);
    assert_eq!(tree.root.children[0].step, "a:b");
}

#[test]
fn what_is_open_when_its_run_closed_does_not_go_on() {
    let tree = build(
        &run(Some(50_000)),
        vec![row("timer:1:timer:1", Status::Running, (10, None))],
    );
    let timer = &tree.root.children[0];
    assert!(timer.left_open);
    assert_eq!(timer.elapsed_ms(), Some(40));
}

#[test]
fn an_activity_that_nobody_takes_has_a_hint_after_a_while() {
    let rows = || vec![row("activity:1:T:0", Status::Scheduled, (0, None))];
    let hint = |rows, now| TraceTree::build(&run(None), rows, &[], now).root.children[0].hint;
    assert!(hint(rows(), NO_WORKER_AFTER).is_some());
    assert_eq!(hint(rows(), NO_WORKER_AFTER - 1), None);
    let mut taken = rows();
    taken.push(row("activity:1:T:1", Status::Running, (0, None)));
    assert_eq!(hint(taken, NO_WORKER_AFTER), None);
}
