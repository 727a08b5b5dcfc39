//! `omnitrace reconcile` closes what the server ended by itself, heals what is incomplete, and records a
//! namespace in which nobody else does.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace_store::row::{SampledBy, Source, Status};
use omnitrace_tests::{RunningWorker, beside, eventually, unique};
use serde_json::{Value, json};
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowTerminateOptions,
};

use super::place::{Kind, ONCE, Place};
use super::runs::{self, Process, Whole, handle};
use crate::probes::{self, Trial, tried};

on_each_database! {
    runs_that_the_server_ended_are_closed_as_history_says;
    a_namespace_without_recording_workers_is_recorded;
}

async fn terminate(client: &Client, id: &str) {
    let options = WorkflowTerminateOptions::builder().reason("enough").build();
    let ended = handle(client, id).terminate(options).await;
    ended.expect("terminated");
}

/// Waits until the run waits for its signal, and all before is stored.
async fn waits(place: &Place, id: &str) {
    eventually("the run waits, and is stored so far", async || {
        let stored = place.stored().await;
        let (_, events) = stored.iter().find(|(run, _)| run.key.workflow_id == id)?;
        // What comes after the timer is a proposal until the next task.
        let timer = events.iter().find(|row| row.event_key == "timer:1:timer:1");
        timer?.status.is_closed().then_some(())
    })
    .await;
}

async fn runs_that_the_server_ended_are_closed_as_history_says(kind: Kind) {
    let place = Place::new(kind).await;
    let queue = unique("queue");
    let client = place.client(&[]).await;
    // The worker of this one is killed and never comes back.
    let left = unique("queue");
    let process = Process::start(&place, &left, 1 << 20);
    runs::start(&client, &left, "left", true).await;
    waits(&place, "left").await;
    process.kill();

    let omnitrace = OmniTrace::start(place.settings());
    let worker = RunningWorker::start(place.client(&[&omnitrace]).await, runs::worker(&queue));
    beside(worker, async {
        runs::start(&client, &queue, "terminated", true).await;
        let options = WorkflowStartOptions::new(&queue, "timed-out")
            .execution_timeout(Duration::from_secs(2))
            .build();
        let started = client.start_workflow(Whole::run, true, options).await;
        started.expect("started");
        runs::start(&client, &queue, "goes-on", true).await;
        for id in ["terminated", "goes-on"] {
            waits(&place, id).await;
        }
        terminate(&client, "terminated").await;
        terminate(&client, "left").await;
        let get = WorkflowGetResultOptions::default();
        let ended = handle(&client, "timed-out").get_result(get).await;
        ended.expect_err("it timed out");
        place.indexed(3).await;

        for id in ["left", "terminated", "timed-out"] {
            let (run, _) = place.run_of(id).await;
            assert_eq!(run.status, Status::Running, "{id}: no worker was told");
        }
        let pass = place.reconcile().await;
        assert_eq!(
            (&pass["healed"], &pass["recorded"]),
            (&json!(3), &json!(0)),
            "{pass}"
        );
        for (id, status, known) in [
            ("left", Status::Terminated, 11),
            ("terminated", Status::Terminated, 11),
            // In the middle of its second activity.
            ("timed-out", Status::TimedOut, 2),
        ] {
            let (run, events) = place.run_of(id).await;
            assert_eq!(run.status, status, "{id}");
            assert!(run.closed_at.is_some());
            // What only its worker knew is still there.
            let live = events.iter().filter(|row| row.source == Source::Live);
            assert!(live.count() >= known, "{events:#?}");
        }
        let (run, _) = place.run_of("goes-on").await;
        assert_eq!((run.status, run.source), (Status::Running, Source::Live));
        let summary = place.json(&["verify"]).await;
        assert_eq!(
            (&summary["equal"], &summary["open"]),
            (&json!(3), &json!(1))
        );
        terminate(&client, "goes-on").await;
    })
    .await;
    let stored = omnitrace.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    place.indexed(4).await;
    assert_eq!(place.reconcile().await["healed"], 1);
    place.assert_equal(4).await;
}

async fn a_namespace_without_recording_workers_is_recorded(kind: Kind) {
    let place = Place::new(kind).await;
    let queue = unique("queue");
    let client = place.client(&[]).await;
    let worker = RunningWorker::start(client.clone(), runs::worker(&queue));
    beside(worker, async {
        for id in ["one", "two"] {
            runs::complete(&client, &queue, id).await;
        }
        runs::start(&client, &queue, "goes-on", true).await;
        place.indexed(2).await;
        eventually("the run that goes on is recorded", async || {
            place.json(&ONCE).await;
            (place.stored().await.len() == 3).then_some(())
        })
        .await;
        let (run, _) = place.run_of("goes-on").await;
        assert_eq!(run.status, Status::Running);
        // It is followed.
        eventually("it is recorded up to where it waits", async || {
            place.json(&ONCE).await;
            let (_, events) = place.run_of("goes-on").await;
            events
                .iter()
                .any(|row| row.event_key == "timer:1:timer:1")
                .then_some(())
        })
        .await;
        let signal = WorkflowSignalOptions::default();
        let running = client.get_workflow_handle::<Whole>("goes-on");
        let released = running.signal(Whole::release, (), signal).await;
        released.expect("signaled");
        let result = running
            .get_result(WorkflowGetResultOptions::default())
            .await;
        result.expect("completed");
    })
    .await;
    place.indexed(3).await;
    assert_eq!(place.reconcile().await["healed"], 1);
    let (run, events) = place.run_of("goes-on").await;
    assert_eq!(run.status, Status::Completed);
    assert!(events.iter().all(|row| row.source != Source::Live));
    place.assert_equal(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_run_is_healed_and_is_incomplete_no_more() {
    let place = Place::new(Kind::Sqlite).await;
    runs::recorded(&place, 2).await;
    let before = place.stored().await;
    // As a full queue leaves it: marked, and without some rows.
    place
        .sql(
            "UPDATE omnitrace_runs SET incomplete = (1 = 1) WHERE workflow_id = 'whole-0'; \
             DELETE FROM omnitrace_events WHERE workflow_id = 'whole-0' AND kind = 'timer'",
        )
        .await;
    assert!(place.run_of("whole-0").await.0.incomplete);
    assert_eq!(place.reconcile().await["healed"], 1);
    let (run, _) = place.run_of("whole-0").await;
    assert!(!run.incomplete);
    place.assert_equal(2).await;
    // Marked, and yet nothing is missing.
    place
        .sql("UPDATE omnitrace_runs SET incomplete = (1 = 1) WHERE workflow_id = 'whole-1'")
        .await;
    assert_eq!(place.reconcile().await["healed"], 1);
    let (run, events) = place.run_of("whole-1").await;
    assert!(!run.incomplete);
    assert_eq!(events, before[1].1);
}

/// The server gave an attempt to somebody who was never heard of again, as to a worker that is starved
/// for longer than a poll waits: only history knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_no_worker_saw_is_added() {
    let place = Place::new(Kind::Sqlite).await;
    let queue = unique("queue");
    let omnitrace = OmniTrace::start(place.settings());
    let client = place.client(&[&omnitrace]).await;
    let other = place.client(&[&omnitrace]).await;
    let trial = Trial {
        good: 2,
        attempts: 3,
        ..Trial::default()
    };
    let workflows = probes::workflows_only(&queue).build();
    let workflows = RunningWorker::start(client.clone(), workflows);
    let id = beside(workflows, async {
        let ended = tried(&client, &queue, trial);
        let attempts = async {
            place.take_activity(&queue).await;
            RunningWorker::start(other, probes::worker(&queue))
        };
        let (id, worker) = tokio::join!(ended, attempts);
        runs::stop(worker).await;
        id
    })
    .await;
    let stored = omnitrace.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    place.indexed(1).await;

    let key = "activity:1:Probes::upstream:1";
    let summary = place.run(&["verify", "--json"]).await.json();
    assert_eq!(
        summary["differences"][0]["differences"],
        json!([{ "event_key": key, "difference": "missing" }])
    );
    assert_eq!(place.reconcile().await["healed"], 1);
    let (_, events) = place.run_of(&id).await;
    let added = events.iter().find(|row| row.event_key == key);
    let added = added.expect("the attempt");
    assert_eq!(
        (added.status, added.source),
        (Status::TimedOut, Source::History)
    );
    place.assert_equal(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_reconcilers_one_works() {
    let place = Place::new(Kind::Sqlite).await;
    runs::recorded(&place, 1).await;
    let mut command = place.command(&["reconcile", "--every", "1s", "--json"]);
    let mut first = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let out = first.stdout.take().expect("its output");
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let line = line.await.expect("it waits").expect("a line");
    let pass: Value = serde_json::from_str(&line).expect("a pass as JSON");
    assert_eq!(pass["elsewhere"], false);

    let second = place.json(&ONCE).await;
    assert_eq!(
        (&second["elsewhere"], &second["looked_at"]),
        (&json!(true), &json!(0))
    );
    let said = place.run(&ONCE).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "another reconciler holds the lease\n")
    );

    let pid = nix::unistd::Pid::from_raw(first.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let ended = tokio::task::spawn_blocking(move || first.wait()).await;
    let ended = ended.expect("it waits").expect("a process");
    assert!(ended.success(), "it ends well: {ended}");
    assert_eq!(
        place.json(&ONCE).await["elsewhere"],
        false,
        "the lease was given back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sampling_leaves_out_stays_out_and_what_fails_is_recorded() {
    let place = Place::new(Kind::Sqlite).await;
    let queue = unique("queue");
    let client = place.client(&[]).await;
    let worker = RunningWorker::start(client.clone(), runs::worker(&queue));
    let failing = Trial {
        good: 0,
        attempts: 2,
        ..Trial::default()
    };
    let failed = beside(worker, async {
        tried(&client, &queue, Trial::good()).await;
        tried(&client, &queue, Trial::good()).await;
        tried(&client, &queue, failing).await
    })
    .await;
    place.indexed(3).await;
    let sampled = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command
            .env("OMNITRACE_SAMPLE_RATE", "0")
            .env("OMNITRACE_SLOW_MS", "600000");
        command
    };
    for pass in ["first", "second"] {
        let said = super::place::said(sampled(&[&ONCE[..], &["--json"]].concat())).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let line = said.json();
        assert_eq!(
            line["recorded"],
            u32::from(pass == "first"),
            "{pass}: {line}"
        );
        assert_eq!(line["left_out"], 2, "{line}");
        let stored = place.stored().await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].0.key.workflow_id, failed);
        assert_eq!(stored[0].0.status, Status::Failed);
        assert_eq!(stored[0].0.sampled_by, SampledBy::Error);
    }
    let said = super::place::said(sampled(&["verify", "--json"])).await;
    let summary = said.json();
    assert_eq!(
        (&summary["equal"], &summary["left_out"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(said.code, 0);
}
