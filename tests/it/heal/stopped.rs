//! What is switched is followed when the database itself was stopped and started in between.

use omnitrace_tests::eventually;

use super::place::{self, Kind, Place};
use super::postgres;
use super::switches::{FOLLOWED, Worker, leaving_out, left_out, now, recording, runs_of, switch};
use crate::outage::sample;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_worker_processes_follow_a_switch_after_postgresql_was_stopped_and_started() {
    let mut server = postgres::Server::like(&place::postgres()).await;
    let mut place = Place::new(Kind::Sqlite).await;
    place.url = server.url();
    assert_eq!(place.run(&["migrate"]).await.code, 0);
    let start = |environment| Worker::start(&place, &place.url, environment, "0");
    let workers = [start("dev"), start("prod")];
    let client = place.client(&[]).await;
    for worker in &workers {
        sample(&client, &worker.queue, 1).await;
    }
    eventually("both leave their run out, by configuration", async || {
        left_out(&place).await.values().eq(&[1, 1]).then_some(())
    })
    .await;
    let all = [
        "set",
        "sample_rate",
        "1",
        "--reason",
        "rollout",
        "--by",
        "ann",
    ];
    let set = switch(&place, &all).await;
    recording(&place, &client, &workers, set).await;

    server.stop();
    let stopped = now();
    for worker in &workers {
        sample(&client, &worker.queue, 2).await;
    }
    let none = [
        "set",
        "sample_rate",
        "0",
        "--reason",
        "too much",
        "--by",
        "bob",
    ];
    let refused = place.run(&none).await;
    assert_eq!(
        (refused.code, refused.err.lines().count()),
        (1, 1),
        "{refused:?}"
    );
    server.start().await;

    let set = switch(&place, &none).await;
    leaving_out(&place, &client, &workers).await;
    for worker in &workers {
        let mut runs = Vec::new();
        eventually("what was recorded meanwhile is stored", async || {
            runs = runs_of(&place, worker).await;
            let begun = runs.iter().filter(|run| {
                run.started_at
                    .is_some_and(|at| (stopped..set).contains(&at))
            });
            (begun.count() >= 2).then_some(())
        })
        .await;
        let last = runs.last().and_then(|run| run.started_at).expect("a run") - set;
        assert!(last < FOLLOWED, "still recorded {last} µs after");
    }
    for worker in workers {
        worker.process.stop();
    }
}
