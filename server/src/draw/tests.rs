//! Drawings of runs that go on, at a fixed moment, and what holds for any drawing.

use anstream::adapter::strip_str;
use omnitrace_store::Batch;
use omnitrace_store::tree::TraceTree;

use super::{Canvas, tree};
use crate::header::header;
use crate::rows;
use crate::text::width;

fn drawn(batch: Batch, canvas: &Canvas) -> String {
    let now = rows::at(60_000);
    let [run, children @ ..] = &batch.runs[..] else {
        panic!("a run")
    };
    let trace = TraceTree::build(run, batch.events, children, now);
    let at = jiff::Timestamp::from_microsecond(now).unwrap();
    let text = header(&trace, &batch.runs[..1], None, canvas, at) + &tree(&trace, canvas);
    strip_str(&text).to_string()
}

fn canvas(columns: usize) -> Canvas {
    Canvas {
        columns,
        all: false,
        data: false,
    }
}

#[test]
fn a_run_that_goes_on_shows_what_it_waits_for() {
    insta::assert_snapshot!(drawn(rows::open_order(), &canvas(80)));
}

#[test]
fn all_attempts_are_unfolded_when_asked_for() {
    let mut canvas = canvas(80);
    assert!(!drawn(rows::open_order(), &canvas).contains("attempt 5"));
    canvas.all = true;
    let all = drawn(rows::open_order(), &canvas);
    for n in 1..=9 {
        assert!(
            all.contains(&format!("attempt {n}  failed")),
            "attempt {n}:\n{all}"
        );
    }
}

#[test]
fn attempts_that_were_not_recorded_are_named() {
    let mut batch = rows::open_order();
    batch
        .events
        .retain(|row| row.name != "Orders::pack" || ![2, 3, 8].contains(&row.attempt));
    let text = drawn(batch, &canvas(80));
    assert!(
        text.contains("… attempts 2 to 3 were not recorded"),
        "{text}"
    );
    assert!(text.contains("… attempt 8 was not recorded"), "{text}");
}

#[test]
fn no_line_is_wider_than_the_canvas() {
    for columns in [40, 60, 80, 100, 140, 200] {
        for batch in [rows::order(), rows::open_order(), rows::long_run()] {
            for line in drawn(batch, &canvas(columns)).lines() {
                let fits = width(line) <= columns || line.contains("omnitrace show");
                assert!(fits, "{} columns of {columns}: {line}", width(line));
            }
        }
    }
}

#[test]
fn deep_nesting_leaves_room_for_text() {
    let mut batch = rows::long_run();
    for i in 1..batch.events.len() {
        batch.events[i].parent_key = Some(batch.events[i - 1].event_key.clone());
    }
    for columns in [30, 60, 80] {
        let text = drawn(batch.clone(), &canvas(columns));
        let tree = text.split_once("\n\n").unwrap().1;
        assert!(tree.lines().all(|line| width(line) <= columns), "{text}");
        let named = tree.lines().filter(|line| line.contains("Import:")).count();
        assert_eq!(named, 100, "{text}");
    }
}
