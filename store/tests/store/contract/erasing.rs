//! Erasing goes in small steps, beside writers that go on.

use omnitrace_store::{Batch, EraseStep, OpenOptions, Store};

use super::TestStore;
use super::erasure::{ALICE, FIRST, finish, key, of_user, stored, whole};
use crate::support::{events, runs, step};

#[tokio::test]
async fn steps_are_small_and_whoever_stops_goes_on() {
    let test = TestStore::new().await;
    for page in 0..3 {
        let mut all = Batch::default();
        for n in page * 100..(page + 1) * 100 {
            let batch = whole(n, ALICE);
            all.runs.extend(batch.runs);
            all.events.extend(batch.events);
            let run = key(n);
            all.events.extend((2..7).map(|id| step(&run, id, FIRST)));
        }
        test.offer(&all).await;
    }
    let request = of_user(ALICE);
    let id = test.store.begin_erasure(&request).await.unwrap();
    test.store.erase(&id, &request).await.unwrap();
    // Its process is gone.
    assert!(test.store.erasures().await.unwrap()[0].done_at.is_none());
    assert_eq!(test.store.begin_erasure(&request).await.unwrap(), id);
    let steps = finish(&test.store, &id, &request).await;
    assert!(steps.len() > 3);
    for step in steps {
        let EraseStep::Rows { runs, events } = step else {
            panic!("{step:?}");
        };
        assert!(runs <= 100 && events <= 500, "{step:?}");
    }
    let kept = &test.store.erasures().await.unwrap()[0];
    assert_eq!((kept.runs, kept.events), (300, 2100));
    assert!(stored(&test).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_go_on_bring_nothing_back() {
    const WRITERS: usize = 4;
    let test = TestStore::new().await;
    let mut writing = Vec::new();
    let (begun, has_begun) = tokio::sync::watch::channel(false);
    for who in 0..WRITERS {
        let store = Store::open(&test.url(), OpenOptions::default())
            .await
            .unwrap();
        let has_begun = has_begun.clone();
        writing.push(tokio::spawn(async move {
            let mut after = 0;
            let mut refused = 0;
            // Events and runs apart, each run by two writers, and some after the erasure has begun.
            for n in 0.. {
                let batch = whole(n * WRITERS / 2 + who / 2, ALICE);
                for part in [
                    events(batch.events.clone()),
                    runs(batch.runs.clone()),
                    batch,
                ] {
                    let report = store.write(&part).await.unwrap();
                    refused += report.erased_events + report.erased_runs;
                }
                after += usize::from(*has_begun.borrow());
                if after > 5 {
                    break;
                }
            }
            store.close().await;
            refused
        }));
    }
    let request = of_user(ALICE);
    while test.store.stats().await.unwrap().runs < 20 {
        tokio::task::yield_now().await;
    }
    let id = test.store.begin_erasure(&request).await.unwrap();
    begun.send_replace(true);
    finish(&test.store, &id, &request).await;
    for writer in writing {
        assert!(writer.await.unwrap() > 0);
    }
    assert!(stored(&test).await.is_empty(), "{:?}", stored(&test).await);
}
