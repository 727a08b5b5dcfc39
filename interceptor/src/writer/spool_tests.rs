use std::collections::VecDeque;

use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::{EventRow, RunKey};
use proptest::prelude::*;

use super::*;

fn batch(rows: usize, n: usize) -> Batch {
    let run = RunKey::new("default", "order \"7\"\n", "run");
    let event = |i: usize| {
        let step = Step::new(&format!("{n}.{i}"));
        EventRow::new(run.clone(), EventKey::new("activity", step, "Pay::card", 0))
    };
    Batch {
        events: (0..rows).map(event).collect(),
        ..Batch::default()
    }
}

fn spool(folder: &Path, limit: u64, name: &str) -> Spool {
    let options = SpoolOptions {
        folder: folder.join("spool"),
        limit,
        fsync: true,
    };
    Spool::new(options, name)
}

fn drain(spool: &mut Spool) -> Vec<Batch> {
    std::iter::from_fn(|| {
        let next = spool.peek()?;
        spool.advance();
        Some(next.batch)
    })
    .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder.join("spool"));
    found
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().path())
        .collect()
}

#[test]
fn what_is_kept_comes_back_in_order_and_then_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(folder.path(), 1 << 20, "one");
    assert!(spool.is_empty() && spool.peek().is_none());
    for n in 0..3 {
        assert!(spool.append(&batch(2, n)).unwrap());
    }
    assert_eq!(spool.own_rows(), 6);
    assert_eq!(drain(&mut spool), [batch(2, 0), batch(2, 1), batch(2, 2)]);
    assert!(spool.is_empty());
    assert_eq!((spool.own_rows(), files(folder.path())), (0, vec![]));
}

#[test]
fn what_was_looked_at_and_not_stored_is_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(folder.path(), 1 << 20, "one");
    spool.append(&batch(1, 0)).unwrap();
    assert_eq!(spool.peek().unwrap().batch, batch(1, 0));
    assert_eq!(spool.peek().unwrap().batch, batch(1, 0));
}

#[test]
fn no_more_than_the_limit_is_taken_and_there_is_room_again_when_all_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let line = encode(&batch(1, 0)).unwrap().len() as u64;
    let mut spool = spool(folder.path(), 2 * line, "one");
    assert!(spool.append(&batch(1, 0)).unwrap());
    assert!(spool.append(&batch(1, 1)).unwrap());
    assert!(!spool.append(&batch(1, 2)).unwrap());
    assert_eq!(spool.bytes(), 2 * line);
    assert_eq!(drain(&mut spool).len(), 2);
    assert!(spool.append(&batch(1, 2)).unwrap());
}

#[test]
fn what_a_process_left_is_taken_over_once_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool(folder.path(), 1 << 20, "first");
    first.append(&batch(1, 0)).unwrap();
    let mut second = spool(folder.path(), 1 << 20, "second");
    second.adopt().unwrap();
    assert!(second.is_empty(), "its process lives");
    first.leave();
    second.append(&batch(1, 1)).unwrap();
    second.adopt().unwrap();
    second.adopt().unwrap();
    let mut third = spool(folder.path(), 1 << 20, "third");
    third.adopt().unwrap();
    assert!(third.is_empty(), "the second has it");
    assert!(second.peek().unwrap().adopted);
    assert_eq!(drain(&mut second), [batch(1, 0), batch(1, 1)]);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

/// Every place where a process can be killed while it appends: what was whole before stays, and the
/// torn line is counted.
#[test]
fn a_line_torn_at_any_byte_is_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let whole = encode(&batch(1, 0)).unwrap();
    for cut in 1..whole.len() {
        let mut first = spool(folder.path(), 1 << 20, "first");
        first.append(&batch(1, 0)).unwrap();
        first.append(&batch(1, 1)).unwrap();
        let file = files(folder.path()).remove(0);
        first.leave();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let mut second = spool(folder.path(), 1 << 20, "second");
        second.adopt().unwrap();
        assert_eq!(drain(&mut second), [batch(1, 0)], "cut {cut}");
        let torn = Losses {
            lines: 1,
            own_rows: 0,
        };
        assert_eq!(second.take_losses(), torn, "cut {cut}");
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn damage_in_the_middle_costs_its_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool(folder.path(), 1 << 20, "one");
    for n in 0..3 {
        spool.append(&batch(n + 1, n)).unwrap();
    }
    let file = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = encode(&batch(1, 0)).unwrap().len() + 40;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(drain(&mut spool), [batch(1, 0), batch(3, 2)]);
    let losses = Losses {
        lines: 1,
        own_rows: 2,
    };
    assert_eq!(spool.take_losses(), losses);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spool"), "a file").unwrap();
    let mut spool = spool(folder.path(), 1 << 20, "one");
    assert!(spool.append(&batch(1, 0)).is_err());
    assert!(spool.is_empty());
}

#[derive(Clone, Debug)]
enum Action {
    Append(usize),
    Store,
    /// The process is killed, and the next one takes over.
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (1..4_usize).prop_map(Action::Append),
        3 => Just(Action::Store),
        1 => Just(Action::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against a queue in memory: nothing is lost or made up, and what is older comes first, but
    /// that a restart begins a file anew, of which the first lines may have been stored.
    #[test]
    fn it_is_a_queue_whatever_happens(actions in prop::collection::vec(action(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut process = 0;
        let mut spool = spool(folder.path(), 1 << 20, "0");
        let mut model: VecDeque<(usize, Batch)> = VecDeque::new();
        let mut stored: Vec<(usize, Batch)> = Vec::new();
        for (n, action) in actions.into_iter().enumerate() {
            match action {
                Action::Append(rows) => {
                    prop_assert!(spool.append(&batch(rows, n)).unwrap());
                    model.push_back((process, batch(rows, n)));
                }
                Action::Store => {
                    let next = spool.peek().map(|next| next.batch);
                    let known = next.as_ref().is_some_and(|next| stored.iter().any(|(_, b)| b == next));
                    if !known {
                        let expected = model.pop_front();
                        prop_assert_eq!(next.as_ref(), expected.as_ref().map(|(_, batch)| batch));
                        stored.extend(expected);
                    }
                    spool.advance();
                }
                Action::Restart => {
                    spool.leave();
                    process += 1;
                    spool = self::spool(folder.path(), 1 << 20, &process.to_string());
                    spool.adopt().unwrap();
                }
            }
        }
        let mut left = drain(&mut spool);
        left.retain(|batch| stored.iter().all(|(_, known)| known != batch));
        let expected: Vec<Batch> = model.into_iter().map(|(_, batch)| batch).collect();
        prop_assert_eq!(left, expected);
        prop_assert_eq!(spool.take_losses(), Losses::default());
    }
}
