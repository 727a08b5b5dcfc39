//! Any rows: each that is to be shown is shown once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::key::Step;
use crate::merge::merge_event;

/// Few different values, so that rows meet.
fn any_row() -> impl Strategy<Value = EventRow> {
    let kind = prop::sample::select(vec![
        "activity",
        "activity",
        "tool",
        "timer",
        "child_workflow",
    ]);
    let step = prop::sample::select(vec!["1", "2", "1.1", "1.2", "2.x", "a:b", ""]);
    // With what only a damaged row holds.
    let time =
        || prop::option::of(prop_oneof![9 => -3i64..20, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]);
    let key = (kind, step, prop::sample::select(vec!["A", "é:B"]), 0u32..4);
    let parent = prop::option::of(prop::sample::select(vec![
        "activity:1:A:1",
        "activity:1:A:0",
        "tool:1.1:A:1",
        "tool:1.2:A:1",
        "activity:9:A:2",
        "no key",
    ]));
    let status = prop::sample::select(Status::ALL);
    let phase = prop::sample::select(vec![Phase::Provisional, Phase::Open, Phase::Closed]);
    let data = prop::sample::select(vec![None, Some(LINK), Some(BACKOFF), Some("no json")]);
    (key, parent, status, phase, (time(), time(), time()), data).prop_map(
        |((kind, step, name, attempt), parent, status, phase, times, data)| {
            let key = EventKey::new(kind, Step::new(step), name, attempt);
            let mut row = EventRow::new(run(None).key, key);
            row.parent_key = parent.map(str::to_owned);
            row.status = status;
            row.phase = phase;
            (row.scheduled_at, row.started_at, row.ended_at) = times;
            row.data_redacted = data.map(str::to_owned);
            row
        },
    )
}

/// Keys of what must be shown, by the words of the rule.
fn to_show(run: &RunRow, rows: &[EventRow]) -> BTreeSet<String> {
    let mut merged: BTreeMap<String, EventRow> = BTreeMap::new();
    for row in rows {
        let known = merged.remove(&row.event_key);
        let row = known.map_or_else(|| row.clone(), |k| merge_event(k, row.clone()));
        merged.insert(row.event_key.clone(), row);
    }
    let ghost = |row: &EventRow| {
        row.phase == Phase::Provisional
            && (run.status.is_closed()
                || row
                    .scheduled_at
                    .or(row.started_at)
                    .is_some_and(|at| at <= run.accepted_through))
            && !merged.values().any(|other| {
                (row.kind.as_str(), row.attempt) == ("activity", 0)
                    && other.kind == "activity"
                    && other.attempt > 0
                    && other.phase > Phase::Provisional
                    && (&other.step, &other.name) == (&row.step, &row.name)
            })
    };
    merged
        .values()
        .filter(|row| !ghost(row))
        .map(|row| row.event_key.clone())
        .collect()
}

proptest! {
    #[test]
    fn any_rows_are_shown_exactly_once_and_in_any_order_alike(
        rows in prop::collection::vec(any_row(), 0..40),
        accepted_through in -1i64..20,
        closed in any::<bool>(),
    ) {
        let mut run = run(closed.then_some(15));
        run.accepted_through = accepted_through;
        let tree = build(&run, rows.clone());

        let mut shown = Vec::new();
        for node in tree.root.walk().skip(1) {
            if !node.synthetic {
                shown.push(node.key.clone());
            }
            shown.extend(node.folded.iter().cloned());
        }
        shown.sort();
        let wanted: Vec<_> = to_show(&run, &rows).into_iter().collect();
        prop_assert_eq!(shown, wanted);
        prop_assert!(depth(&tree.root) <= MAX_DEPTH);
        for node in tree.root.walk() {
            prop_assert!(node.extent.is_none_or(|(from, to)| from <= to));
            prop_assert!(node.duration_ms.is_none_or(|ms| ms >= 0));
            prop_assert!(node.elapsed_ms().is_none_or(|ms| ms >= 0));
            prop_assert!(!node.synthetic || !node.children.is_empty());
        }

        let reversed = build(&run, rows.into_iter().rev().collect());
        prop_assert_eq!(tree, reversed);
    }

    #[test]
    fn an_outline_is_the_same_tree_without_values(
        rows in prop::collection::vec(any_row(), 0..40),
        accepted_through in -1i64..20,
        closed in any::<bool>(),
    ) {
        // The store has each key once, and none that cannot be read.
        let mut by_key = BTreeMap::new();
        for row in rows {
            if EventKey::parse(&row.event_key).is_ok() {
                by_key.insert(row.event_key.clone(), row);
            }
        }
        let rows: Vec<EventRow> = by_key.values().cloned().collect();
        let mut run = run(closed.then_some(15));
        run.accepted_through = accepted_through;
        let mut tree = build(&run, rows.clone());
        for node in tree.root.walk().skip(1).filter(|node| !node.synthetic) {
            let row = by_key.get(node.data_key()).cloned();
            prop_assert_eq!(&node.data, &row.and_then(|mut row| read_data(&mut row)));
        }
        strip(&mut tree.root);
        let outline = TraceTree::outline(&run, rows.clone(), &[], 100_000_000);
        prop_assert_eq!(tree, outline);

        let heads: Vec<_> = (rows.iter())
            .map(|row| EventHead {
                key: row.event_key.clone(),
                phase: row.phase,
                begin: row.scheduled_at.or(row.started_at),
                digest: row.digest(),
            })
            .collect();
        let by_heads: Vec<_> = (shown_heads(&run, &heads).into_iter())
            .map(|(at, phase)| (heads[at].key.clone(), phase))
            .collect();
        let by_rows: Vec<_> = (shown(&run, rows).into_iter())
            .map(|(row, _)| (row.event_key, row.phase))
            .collect();
        prop_assert_eq!(by_heads, by_rows);
    }
}

/// Leaves of the data below a run what an outline has.
fn strip(run: &mut Node) {
    for node in &mut run.children {
        node.data = match node.data.take() {
            Some(Value::Object(mut data)) => {
                data.retain(|name, _| rows::OUTLINE.contains(&name.as_str()));
                Some(Value::Object(data))
            }
            _ => None,
        };
        strip(node);
    }
}
