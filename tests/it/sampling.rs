//! What the sampling rate leaves out is left out, and what fails or is slow is there all the same.

use std::time::Duration;

use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace::{Counter, OmniTrace};
use omnitrace_store::row::{SampledBy, Status};
use omnitrace_tests::{
    NAMESPACE, Recording, RunningWorker, Stored, assert_accounted, beside, client, client_with,
    database, eventually, unique,
};
use temporalio_client::{ClientOptions, WorkflowStartOptions};
use temporalio_common::UntypedWorkflow;
use temporalio_sdk::WorkerOptions;

use crate::probes::{self, Probes, Trial, tried};

/// Nothing is sampled, and only very slow runs are slow.
fn nothing(settings: Settings) -> Settings {
    settings.with_sample_rate(0.0).with_slow_ms(60_000)
}

fn failing() -> Trial {
    Trial {
        good: 0,
        attempts: 3,
        ..Trial::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_left_out_and_fails_is_there_in_full_and_one_that_ends_well_is_not() {
    let recording = Recording::with(nothing);
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let retried = Trial {
        good: 3,
        attempts: 3,
        ..Trial::default()
    };
    let (good, retried, failed) = beside(worker, async {
        let good = tried(&client, &queue, Trial::good()).await;
        let retried = tried(&client, &queue, retried).await;
        let failed = tried(&client, &queue, failing()).await;
        let (run, events) = recording.closed(&failed).await;
        assert_eq!(
            (run.status, run.sampled_by),
            (Status::Failed, SampledBy::Error)
        );
        assert_eq!(run.error_type.as_deref(), Some("Upstream"));
        let found: Vec<_> = events
            .iter()
            .map(|event| {
                (
                    event.event_key.as_str(),
                    event.status,
                    event.error_message.as_deref(),
                )
            })
            .collect();
        for attempt in 1..=3 {
            let key = format!("activity:1:Probes::upstream:{attempt}");
            let message = format!("upstream said {attempt}");
            assert!(
                found.contains(&(&key, Status::Failed, Some(&message))),
                "{key} in {found:?}"
            );
        }
        assert!(found.contains(&(
            "activity:1:Probes::upstream:0",
            Status::Failed,
            Some("upstream said 3")
        )));
        (good, retried, failed)
    })
    .await;
    recording
        .omnitrace
        .shutdown(Duration::from_secs(10))
        .await
        .expect("stored");
    let stored = Stored::open(recording.folder()).await;
    let runs: Vec<_> = stored
        .runs()
        .await
        .into_iter()
        .map(|run| run.key.workflow_id)
        .collect();
    assert_eq!(runs, [failed], "neither {good} nor {retried}");
    let stats = stored.store.stats().await.expect("readable");
    assert_eq!((stats.runs, stats.events), (1, 4));
    assert_accounted(&recording.omnitrace).await;
    let count = |counter| recording.omnitrace.counter(counter);
    assert_eq!(count(Counter::RunsNotSampled), 3);
    assert_eq!(count(Counter::RunsSampled), 0);
    assert_eq!(count(Counter::RunsPromoted), 1);
    assert!(count(Counter::RowsSampledOut) >= 2 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_run_that_was_left_out_is_there_in_full() {
    let recording = Recording::with(|settings| settings.with_sample_rate(0.0).with_slow_ms(300));
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let slow = Trial {
        good: 2,
        attempts: 2,
        wait_ms: 400,
        ..Trial::default()
    };
    beside(worker, async {
        let slow = tried(&client, &queue, slow).await;
        let (run, events) = recording.closed(&slow).await;
        assert_eq!(
            (run.status, run.sampled_by),
            (Status::Completed, SampledBy::Slow)
        );
        let mut keys: Vec<_> = events.iter().map(|e| e.event_key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "activity:1:Probes::upstream:0",
                "activity:1:Probes::upstream:1",
                "activity:1:Probes::upstream:2",
                "timer:1:timer:1",
            ]
        );
    })
    .await;
}

/// Two handles on one database, as in two processes: the first serves workflows, the second
/// activities.
fn two_processes(change: impl Fn(Settings) -> Settings) -> (Recording, OmniTrace) {
    let first = Recording::with(&change);
    let settings = omnitrace_tests::settings(first.folder());
    assert_eq!(
        settings.database,
        DatabaseTarget::Url(database(first.folder()))
    );
    let second = OmniTrace::start(change(settings));
    (first, second)
}

async fn start_two(first: &Recording, second: &OmniTrace, queue: &str) -> [RunningWorker; 2] {
    let workflows = probes::workflows_only(queue).build();
    let activities = WorkerOptions::new(queue)
        .register_activities(Probes)
        .build();
    let plugin = second.plugin();
    let other = client_with(ClientOptions::new(NAMESPACE).plugin(plugin).build()).await;
    [
        RunningWorker::start(first.client().await, workflows),
        RunningWorker::start(other, activities),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_activities_alone_writes_its_attempts_when_another_promotes_the_run() {
    let (first, second) = two_processes(nothing);
    let queue = unique("queue");
    let workers = start_two(&first, &second, &queue).await;
    let client = client().await;
    let good = tried(&client, &queue, Trial::good()).await;
    let failed = tried(&client, &queue, failing()).await;
    let what = "the other process has written its attempts";
    let events = eventually(what, async || {
        second.flush().await.expect("stored");
        let stored = first.stored().await;
        let run = stored.newest(&failed).await?;
        let events = stored.events(&run).await;
        (events.len() == 4).then_some(events)
    })
    .await;
    assert!(
        events.iter().all(|event| event.status == Status::Failed),
        "{events:#?}"
    );
    drop(workers);
    for omnitrace in [&first.omnitrace, &second] {
        omnitrace
            .shutdown(Duration::from_secs(10))
            .await
            .expect("stored");
        assert_accounted(omnitrace).await;
    }
    let stored = Stored::open(first.folder()).await;
    assert!(stored.newest(&good).await.is_none());
    assert_eq!(stored.store.stats().await.expect("readable").events, 4);
    assert_eq!(
        second.counter(Counter::RunsNotSampled),
        0,
        "the workflow's worker decides"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_long_after_a_promotion_are_written_as_long_as_the_run_goes_on() {
    let (first, second) = two_processes(|settings| {
        settings
            .with_sample_rate(0.0)
            .with_slow_ms(100)
            .with_promote_window_s(3)
    });
    let queue = unique("queue");
    let workers = start_two(&first, &second, &queue).await;
    let client = client().await;
    // Promoted after the first round; the last attempts are more than a window later.
    let id = unique("tried");
    let rounds = probes::Rounds {
        n: 5,
        wait_ms: 1_500,
    };
    let options = WorkflowStartOptions::new(&queue, &id).build();
    let handle = client
        .start_workflow(probes::Repeater::run, rounds, options)
        .await
        .expect("started");
    handle
        .get_result(Default::default())
        .await
        .expect("completed");
    let (run, _) = first.closed(&id).await;
    assert_eq!(run.sampled_by, SampledBy::Slow);
    let what = "all attempts are written";
    eventually(what, async || {
        second.flush().await.expect("stored");
        let stored = first.stored().await;
        let events = stored.events(&run).await;
        // Per round: a step, an attempt and a timer.
        (events.len() == 15).then_some(())
    })
    .await;
    drop(workers);
    assert_eq!(
        first.omnitrace.counter(Counter::RunsPromoted),
        1,
        "once and for all"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_and_replays_decide_alike() {
    let (first, second) = two_processes(|s| s.with_sample_rate(0.5).with_slow_ms(60_000));
    let queue = unique("queue");
    let workers = start_two(&first, &second, &queue).await;
    let client = client().await;
    let ids =
        futures::future::join_all((0..40).map(|_| tried(&client, &queue, Trial::good()))).await;
    drop(workers);
    for omnitrace in [&first.omnitrace, &second] {
        omnitrace
            .shutdown(Duration::from_secs(10))
            .await
            .expect("stored");
        assert_accounted(omnitrace).await;
    }
    let stored = Stored::open(first.folder()).await;
    let mut taken = 0;
    for id in &ids {
        let handle = client.get_workflow_handle::<UntypedWorkflow>(id.as_str());
        let described = handle.describe(Default::default()).await.expect("known");
        let run_id = described.run_id().to_owned();
        let trace_id = omnitrace_store::ids::trace_id(NAMESPACE, id, &run_id);
        let sampled = omnitrace::policy::sampled(&trace_id, 0.5);
        let run = stored.newest(id).await;
        assert_eq!(run.is_some(), sampled, "{id}");
        if let Some(run) = run {
            taken += 1;
            assert_eq!(
                (run.trace_id.as_str(), run.sampled_by),
                (&*trace_id, SampledBy::Ratio)
            );
            assert_eq!(stored.events(&run).await.len(), 2, "a step and an attempt");
        }
    }
    let stats = stored.store.stats().await.expect("readable");
    assert_eq!(
        (stats.runs, stats.events),
        (taken, 2 * taken),
        "and no other rows"
    );
    let count = |counter| first.omnitrace.counter(counter);
    assert_eq!(
        (count(Counter::RunsSampled), count(Counter::RunsNotSampled)),
        (taken, 40 - taken)
    );

    // Another worker that replays all of them decides alike.
    let replaying = Recording::with(|s| s.with_sample_rate(0.5).with_slow_ms(60_000));
    for id in &ids {
        crate::replay::replay_into(&replaying, &client, id).await;
    }
    let replayed = replaying.stored().await.runs().await;
    let mut replayed: Vec<_> = replayed.into_iter().map(|run| run.key).collect();
    let mut live: Vec<_> = stored.runs().await.into_iter().map(|run| run.key).collect();
    replayed.sort();
    live.sort();
    assert_eq!(replayed, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_of_a_recorded_run_is_recorded() {
    let recording = Recording::with(|s| s.with_sample_rate(0.5).with_slow_ms(60_000));
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let parent = Trial {
        child: true,
        ..Trial::good()
    };
    let ids = beside(worker, async {
        futures::future::join_all((0..16).map(|_| tried(&client, &queue, parent))).await
    })
    .await;
    let stored = recording.stored().await;
    let mut recorded = 0;
    for id in ids {
        let parent = stored.newest(&id).await;
        let child = stored.newest(&format!("{id}-child")).await;
        match (parent, child) {
            (Some(parent), Some(child)) => {
                recorded += 1;
                assert_eq!(child.sampled_by, SampledBy::Parent);
                assert_eq!(child.parent.as_ref(), Some(&parent.key));
                assert_eq!(child.trace_id, parent.trace_id);
            }
            (Some(parent), None) => panic!("the child of {:?} is not recorded", parent.key),
            // The child of a run that was left out is decided by itself.
            (None, child) => {
                assert!(child.is_none_or(|child| child.sampled_by == SampledBy::Ratio));
            }
        }
    }
    // With 16 runs at 0.5 it is all but certain that there is one.
    assert!(recorded > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_of_a_run_stays_as_long_as_a_worker_follows_it() {
    // Nothing is kept of runs that are not followed.
    let recording = Recording::with(|settings| nothing(settings).with_promote_window_s(0));
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), probes::worker(&queue));
    let late = Trial {
        wait_ms: 2_500,
        fail: true,
        ..Trial::good()
    };
    beside(worker, async {
        let late = tried(&client, &queue, late).await;
        let (run, events) = recording.closed(&late).await;
        assert_eq!(
            (run.status, run.sampled_by),
            (Status::Failed, SampledBy::Error)
        );
        assert_eq!(
            events.len(),
            3,
            "a step, an attempt and a timer: {events:#?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_run_told_by_hand_that_was_left_out_is_there_if_it_fails() {
    let recording = Recording::with(nothing);
    let tell = |id: &str| {
        let recorder = recording.omnitrace.recorder(id, &unique("trace"));
        assert!(!recorder.should_record());
        recorder.record_run_start(None, serde_json::json!({ "count": 1 }));
        let data = serde_json::json!({ "count": 2 });
        recorder.record_event("tool:1:parse:1", "tool", "parse", None, data);
        recorder
    };
    tell("good").record_run_complete(serde_json::json!({}));
    tell("bad").record_run_failed("Broken", "it broke");
    tell("forgotten").clear_recorder();
    recording
        .omnitrace
        .shutdown(Duration::from_secs(10))
        .await
        .expect("stored");
    let stored = Stored::open(recording.folder()).await;
    let runs = stored.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&*runs[0].key.workflow_id, runs[0].sampled_by),
        ("bad", SampledBy::Error)
    );
    assert!(runs[0].input_redacted.is_some(), "in full");
    assert_eq!(stored.events(&runs[0]).await.len(), 1);
    let count = |counter| recording.omnitrace.counter(counter);
    assert_eq!(count(Counter::RunsNotSampled), 3);
    assert_eq!(count(Counter::RunsPromoted), 1);
    assert_accounted(&recording.omnitrace).await;
}
