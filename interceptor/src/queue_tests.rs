//! The queue against a model of it.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Wake, Waker};

use proptest::prelude::*;

use super::*;
use crate::counters::Counters;

#[derive(Clone, Debug)]
enum Action {
    /// Offers so many bytes for a workflow.
    Workflow(u8, usize),
    /// Offers so many bytes of what stands for itself.
    Row(u8, usize),
    /// Offers so many bytes, and making the observation panics.
    Panic(usize),
    Take,
    Begin(u8),
    TakeRows,
    /// No reader is left.
    Close,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_u8..4, 0_usize..60).prop_map(|(run, bytes)| Action::Workflow(run, bytes)),
        4 => (0_u8..4, 0_usize..60).prop_map(|(run, bytes)| Action::Row(run, bytes)),
        1 => (0_usize..60).prop_map(Action::Panic),
        6 => Just(Action::Take),
        1 => (0_u8..4).prop_map(Action::Begin),
        1 => Just(Action::TakeRows),
        1 => Just(Action::Close),
    ]
}

fn run(n: u8) -> RunKey {
    RunKey::new("default", "workflow", n.to_string())
}

fn observation() -> Observation {
    Observation::Explicit(Box::new(Explicit::cleared(run(0))))
}

proptest! {
    #[test]
    fn the_queue_holds_no_more_than_its_bytes_and_remembers_what_it_lost(
        actions in prop::collection::vec(action(), 0..80),
    ) {
        const LIMIT: usize = 100;
        let counters = Counters::new();
        let (queue, receiver) = Queue::new(LIMIT, counters.clone());
        let mut receiver = Some(receiver);
        let mut waiting: VecDeque<(u64, usize)> = VecDeque::new();
        let mut used = 0;
        let mut seq = 0;
        let mut full = 0;
        let mut stopped = 0;
        let mut lost: HashMap<String, u64> = HashMap::new();
        let mut rows: HashMap<RunKey, u32> = HashMap::new();
        for action in actions {
            match action {
                Action::Workflow(n, bytes) | Action::Row(n, bytes) => {
                    let id = n.to_string();
                    let key = run(n);
                    let is_row = matches!(action, Action::Row(..));
                    let subject = if is_row { Subject::Row(&key) } else { Subject::Workflow(&id) };
                    queue.offer(bytes, subject, observation);
                    let fits = used + bytes <= LIMIT;
                    if fits && receiver.is_some() {
                        used += bytes;
                        waiting.push_back((seq, bytes));
                    } else {
                        full += u64::from(!fits);
                        stopped += u64::from(fits);
                        if is_row {
                            *rows.entry(key).or_default() += 1;
                        } else {
                            lost.insert(id, seq);
                        }
                    }
                    seq += 1;
                }
                Action::Panic(bytes) => {
                    let offer = || queue.offer(bytes, Subject::None, || panic!("made badly"));
                    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(offer));
                    let fits = used + bytes <= LIMIT;
                    prop_assert_eq!(panics.is_err(), fits);
                    full += u64::from(!fits);
                    seq += 1;
                }
                Action::Take => if let Some(receiver) = &mut receiver {
                    let taken = receiver.try_recv();
                    let expected = waiting.pop_front();
                    prop_assert_eq!(taken.as_ref().map(|item| item.seq), expected.map(|e| e.0));
                    // The room is taken until the item is gone.
                    prop_assert_eq!(queue.used(), used);
                    drop(taken);
                    used -= expected.map_or(0, |e| e.1);
                },
                Action::Begin(n) => {
                    queue.lost().forget_workflow(&n.to_string());
                    lost.remove(&n.to_string());
                }
                Action::TakeRows => {
                    let grown: HashMap<_, _> = queue.lost().take_rows().into_iter().collect();
                    for (run, count) in grown {
                        prop_assert_eq!(rows[&run], count);
                    }
                    prop_assert!(queue.lost().take_rows().is_empty());
                }
                Action::Close => {
                    receiver = None;
                    waiting.clear();
                    used = 0;
                }
            }
            prop_assert_eq!(queue.used(), used);
            prop_assert!(used <= LIMIT);
            for n in 0..4_u8 {
                let id = n.to_string();
                prop_assert_eq!(queue.lost().of_workflow(&id), lost.get(&id).copied());
            }
        }
        prop_assert_eq!(counters.get(Counter::Offered), seq);
        prop_assert_eq!(counters.get(Counter::DroppedQueueFull), full);
        prop_assert_eq!(counters.get(Counter::DroppedStopped), stopped);
        drop(receiver);
        prop_assert_eq!(queue.used(), 0);
    }
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_offer_wakes_a_writer_that_sleeps_but_not_one_that_rests() {
    let (queue, mut receiver) = Queue::new(100, Counters::new());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    let offer = |bytes| queue.offer(bytes, Subject::None, observation);
    let woken = || wakes.0.load(Ordering::Relaxed);

    let mut sleeps = Box::pin(receiver.recv());
    assert!(sleeps.as_mut().poll(&mut context).is_pending());
    offer(10);
    assert_eq!(woken(), 1);
    assert!(sleeps.as_mut().poll(&mut context).is_ready());
    drop(sleeps);

    // No timer runs out while this test awaits nothing.
    let mut rests = Box::pin(receiver.recv());
    assert!(rests.as_mut().poll(&mut context).is_pending());
    (0..5).for_each(|_| offer(10));
    assert_eq!(woken(), 1);
    offer(10);
    assert_eq!(woken(), 2, "the queue is half full");
    assert!(rests.as_mut().poll(&mut context).is_ready());
    drop(rests);

    for _ in 0..5 {
        assert!(receiver.recv().await.is_some());
    }
    offer(10);
    assert!(receiver.recv().await.is_some(), "the rest is over");
    drop(queue);
    assert!(receiver.recv().await.is_none());
}

#[test]
fn a_loss_that_cannot_be_remembered_is_told_once() {
    let lost = Lost::default();
    for n in 0..MAX_LOST_RUNS as u64 {
        lost.note(Subject::Workflow(&n.to_string()), n);
    }
    assert!(!lost.take_overflow(u64::MAX));
    lost.note(Subject::Workflow("one more"), 20_000);
    assert_eq!(lost.of_workflow("one more"), None);
    assert!(!lost.take_overflow(20_000));
    assert!(lost.take_overflow(20_001));
    assert!(!lost.take_overflow(20_001));
    assert_eq!(lost.take_workflows(99).len(), 100);
    assert_eq!(lost.take_workflows(99).len(), 0);
}
