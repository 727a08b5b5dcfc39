//! Any order and repetition of writes through the buffer leaves what the pure rule says.

use std::collections::BTreeMap;

use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, Identity, Phase, RunKey, RunRow, Source, Status};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Scope, Seen, Store, merge};
use proptest::prelude::*;

use super::{Buffer, Put};

/// A write of a run's row, of an event's row, or of a mark.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test's few values")]
enum Write {
    Run(RunRow),
    Event(EventRow),
    Mark(Seen),
}

fn key(run: u8) -> RunKey {
    RunKey::new("default", format!("workflow-{run}"), format!("run-{run}"))
}

fn phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![Phase::Provisional, Phase::Open, Phase::Closed])
}

fn source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![Source::Inferred, Source::History, Source::Live])
}

fn run_row() -> impl Strategy<Value = RunRow> {
    // A run's own row is never provisional.
    let phase = prop::sample::select(vec![Phase::Open, Phase::Closed]);
    let person =
        prop::option::of((0_u8..3, "[a-c]").prop_map(|(rank, hash)| Identity { rank, hash }));
    (
        0_u8..3,
        phase,
        source(),
        0_i64..3,
        person,
        0_u32..4,
        any::<bool>(),
        "[a-c]{0,40}",
    )
        .prop_map(|(run, phase, source, at, user, steps, incomplete, text)| {
            let mut row = RunRow::new(key(run));
            row.phase = phase;
            row.source = source;
            row.status = match phase {
                Phase::Closed => Status::Completed,
                _ => Status::Running,
            };
            row.started_at = Some(at);
            row.user = user;
            row.steps_seen = steps;
            row.accepted_through = i64::from(steps);
            row.incomplete = incomplete;
            row.workflow_type = text;
            row
        })
}

fn event_row() -> impl Strategy<Value = EventRow> {
    (0_u8..3, 0_u8..4, phase(), source(), 0_i64..3, "[a-c]{0,40}").prop_map(
        |(run, step, phase, source, at, text)| {
            let step = Step::new(&step.to_string());
            let mut row = EventRow::new(key(run), EventKey::new("timer", step, "timer", 1));
            row.phase = phase;
            row.source = source;
            row.status = match phase {
                Phase::Closed => Status::Completed,
                _ => Status::Running,
            };
            row.scheduled_at = Some(at);
            row.data_redacted = Some(format!("\"{text}\""));
            row
        },
    )
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        2 => run_row().prop_map(Write::Run),
        5 => event_row().prop_map(Write::Event),
        1 => (0_u8..3, 0_u32..5).prop_map(|(run, count)| Write::Mark(Seen {
            run: key(run),
            scope: Scope::Process { id: "p".to_owned() },
            count,
        })),
    ]
}

#[derive(Clone, Debug)]
enum Action {
    /// Offers one of the writes, by its position.
    Offer(prop::sample::Index),
    Seal,
    /// Takes a batch that the database then takes.
    Store,
    /// Takes a batch that comes back after so many more offers.
    Refuse(Vec<prop::sample::Index>),
}

fn action() -> impl Strategy<Value = Action> {
    let offers = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop_oneof![
        6 => any::<prop::sample::Index>().prop_map(Action::Offer),
        1 => Just(Action::Seal),
        1 => Just(Action::Store),
        2 => offers.prop_map(Action::Refuse),
    ]
}

#[derive(Debug, Default)]
struct Counts {
    offered: u64,
    merged: u64,
    stored: u64,
}

fn offer(buffer: &mut Buffer, write: &Write, counts: &mut Counts) {
    let put = match write.clone() {
        Write::Run(row) => buffer.run(row),
        Write::Event(row) => buffer.event(row),
        Write::Mark(seen) => {
            assert_ne!(buffer.seen(seen), Put::Full);
            return;
        }
    };
    counts.offered += 1;
    match put {
        Put::New => {}
        Put::Merged => counts.merged += 1,
        Put::Full => panic!("there is room"),
    }
}

fn sizes(batch: &Batch) -> usize {
    let runs = batch.runs.iter().map(RunRow::size);
    let events = batch.events.iter().map(EventRow::size);
    runs.sum::<usize>() + events.sum::<usize>()
}

async fn store(folder: &std::path::Path, name: &str) -> Store {
    let url = DatabaseUrl::Sqlite(folder.join(name));
    let store = Store::open(&url, OpenOptions::default()).await;
    store.expect("a new database")
}

/// What the store has of the runs.
async fn tables(store: &Store) -> Vec<String> {
    let mut tables = Vec::new();
    for run in 0..3 {
        let runs = store.runs_by_run_id(&key(run).run_id).await;
        tables.push(format!("{:?}", runs.expect("readable")));
        let mut events = store.events(&key(run)).await.expect("readable");
        events.sort_by(|a, b| a.event_key.cmp(&b.event_key));
        tables.push(format!("{events:?}"));
    }
    tables
}

/// The writes, merged by the pure rule.
fn folded(writes: &[Write]) -> Batch {
    let mut runs: BTreeMap<RunKey, RunRow> = BTreeMap::new();
    let mut events: BTreeMap<(RunKey, String), EventRow> = BTreeMap::new();
    let mut marks: BTreeMap<RunKey, Seen> = BTreeMap::new();
    for write in writes.iter().cloned() {
        match write {
            Write::Run(row) => {
                let merged = match runs.remove(&row.key) {
                    Some(before) => merge::merge_run(before, row),
                    None => row,
                };
                runs.insert(merged.key.clone(), merged);
            }
            Write::Event(row) => {
                let key = (row.run.clone(), row.event_key.clone());
                let merged = match events.remove(&key) {
                    Some(before) => merge::merge_event(before, row),
                    None => row,
                };
                events.insert(key, merged);
            }
            Write::Mark(seen) => {
                let most = marks
                    .entry(seen.run.clone())
                    .or_insert_with(|| seen.clone());
                most.count = most.count.max(seen.count);
            }
        }
    }
    Batch {
        runs: runs.into_values().collect(),
        events: events.into_values().collect(),
        seen: marks.into_values().collect(),
        ..Batch::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_repetition_through_the_buffer_leaves_what_the_pure_rule_says(
        writes in prop::collection::vec(write(), 1..24),
        actions in prop::collection::vec(action(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store_of_buffer = store(folder.path(), "buffer.db").await;
            let mut buffer = Buffer::new(1 << 20);
            let mut counts = Counts::default();
            for action in actions {
                match action {
                    Action::Offer(at) => offer(&mut buffer, at.get(&writes), &mut counts),
                    Action::Seal => buffer.seal(),
                    Action::Store => {
                        let batch = buffer.take();
                        counts.stored += (batch.runs.len() + batch.events.len()) as u64;
                        store_of_buffer.write(&batch).await.expect("stored");
                    }
                    Action::Refuse(offers) => {
                        let batch = buffer.take();
                        let before = buffer.bytes() + sizes(&batch);
                        let refused = batch.clone();
                        for at in &offers {
                            offer(&mut buffer, at.get(&writes), &mut counts);
                        }
                        counts.merged += buffer.put_back(batch);
                        if offers.is_empty() {
                            prop_assert!(buffer.bytes() >= before);
                        }
                        prop_assert!(buffer.rows() >= refused.runs.len() + refused.events.len());
                    }
                }
            }
            // Whatever was done so far, each is offered at least once.
            for write in &writes {
                offer(&mut buffer, write, &mut counts);
            }
            while !buffer.is_empty() {
                let batch = buffer.take();
                counts.stored += (batch.runs.len() + batch.events.len()) as u64;
                store_of_buffer.write(&batch).await.expect("stored");
            }
            prop_assert_eq!(buffer.bytes(), 0);
            prop_assert_eq!(counts.offered, counts.merged + counts.stored);
            let pure = store(folder.path(), "pure.db").await;
            pure.write(&folded(&writes)).await.expect("stored");
            prop_assert_eq!(tables(&store_of_buffer).await, tables(&pure).await);
            Ok(())
        })?;
    }

    #[test]
    fn a_buffer_never_holds_more_than_its_limit_but_for_what_came_back(
        writes in prop::collection::vec(write(), 1..60),
        limit in 0_usize..8000,
    ) {
        let mut buffer = Buffer::new(limit);
        for write in writes {
            let before = buffer.rows();
            let (put, is_row) = match write {
                Write::Run(row) => (buffer.run(row), true),
                Write::Event(row) => (buffer.event(row), true),
                Write::Mark(seen) => (buffer.seen(seen), false),
            };
            let more = usize::from(put == Put::New && is_row);
            prop_assert_eq!(buffer.rows(), before + more);
            // Merging may replace a row by a longer one: by at most the text in it.
            prop_assert!(buffer.bytes() <= limit + buffer.rows() * 64);
        }
        let batch = buffer.take();
        prop_assert_eq!(buffer.bytes(), 0);
        prop_assert!(sizes(&batch) <= limit + (batch.runs.len() + batch.events.len()) * 64);
    }
}

#[test]
fn what_comes_after_a_seal_does_not_hold_up_what_was_sealed() {
    let row = |n: u32| {
        let key_of = EventKey::new("timer", Step::new(&format!("{n:08}")), "timer", 1);
        EventRow::new(key(0), key_of)
    };
    let mut buffer = Buffer::new(1 << 20);
    // More than a batch, and all before the sealed one in the order of keys.
    assert_eq!(buffer.event(row(9999)), Put::New);
    buffer.seal();
    for n in 0..600 {
        assert_eq!(buffer.event(row(n)), Put::New);
    }
    assert!(!buffer.is_unsealed());
    let batch = buffer.take();
    assert!(buffer.is_unsealed());
    assert_eq!(batch.events.len(), 500);
    assert!(batch.events.contains(&row(9999)));
}
