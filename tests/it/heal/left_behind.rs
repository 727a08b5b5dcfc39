//! What a worker's process leaves on disk when it ends while its database is away, well or not, is stored
//! by the next one.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::join_all;
use omnitrace::{Counter, OmniTrace};
use omnitrace_tests::{assert_accounted, eventually, unique};

use super::place::{Kind, Place};
use super::runs::{self, Process, SHUTDOWN};

/// A database that can't be written: a folder is in its place.
async fn away() -> Place {
    let place = Place::new(Kind::Sqlite).await;
    std::fs::create_dir(place.file()).expect("a folder");
    place
}

fn spooled(place: &Place) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(place.folder().join("spool")) else {
        return Vec::new();
    };
    folder.map(|file| file.expect("a file").path()).collect()
}

/// The next process of the same place stores what was left.
async fn adopted(place: &Place) -> OmniTrace {
    std::fs::remove_dir(place.file()).expect("the folder");
    let next = OmniTrace::start(place.settings());
    eventually("the next process has taken everything over", async || {
        // `Err` means: not yet.
        next.flush().await.ok()?;
        let all = next.counter(Counter::RowsAdopted) > 0 && next.spool_bytes() == 0;
        (all && spooled(place).is_empty()).then_some(())
    })
    .await;
    let stored = next.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    assert_accounted(&next).await;
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_end_leaves_its_rows_to_the_next() {
    let place = away().await;
    let (client, queue) = (place.client(&[]).await, unique("queue"));
    let process = Process::start(&place, &queue, 8 << 20);
    for id in ["a", "b", "c"] {
        runs::complete(&client, &queue, id).await;
    }
    let asked = Instant::now();
    process.terminate();
    // Its worker is stopped first.
    let limit = SHUTDOWN + Duration::from_secs(10);
    assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
    assert_eq!(spooled(&place).len(), 1);

    let next = adopted(&place).await;
    assert_eq!(next.counter(Counter::SpoolTorn), 0);
    // 17 rows of events and the run.
    assert_eq!(next.counter(Counter::RowsAdopted), 3 * 17);
    place.indexed(3).await;
    place.assert_equal(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_leaves_what_was_on_disk() {
    let place = away().await;
    let (client, queue) = (place.client(&[]).await, unique("queue"));
    // So little memory that rows have to wait on disk while it lives.
    let process = Process::start(&place, &queue, 64 << 10);
    let mut started = 0;
    eventually("rows are on disk", async || {
        let ids = (started..started + 10).map(|n| format!("whole-{n}"));
        let ids: Vec<String> = ids.collect();
        started += ids.len();
        join_all(ids.iter().map(|id| runs::complete(&client, &queue, id))).await;
        let is_there = |file: &PathBuf| file.metadata().is_ok_and(|data| data.len() > 0);
        spooled(&place).iter().any(is_there).then_some(())
    })
    .await;
    process.kill();
    // As if it had been killed while it wrote.
    let file = spooled(&place).pop().expect("a file");
    let whole = std::fs::read_to_string(&file).expect("lines");
    let last = whole.lines().next_back().expect("a line");
    let mut torn = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .expect("the file");
    torn.write_all(&last.as_bytes()[..last.len() / 2])
        .expect("half a line");
    drop(torn);

    let next = adopted(&place).await;
    assert_eq!(next.counter(Counter::SpoolTorn), 1);
    let stored = place.stored().await;
    assert!(!stored.is_empty());
    // What it had in memory is gone with it, and known to history.
    place.indexed(started).await;
    let said = place.run(&["verify", "--repair"]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    place.assert_equal(started).await;
}
