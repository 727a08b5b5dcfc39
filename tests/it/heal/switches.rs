//! What is switched in the store is followed by worker processes, with outages of the store in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use omnitrace::OmniTrace;
use omnitrace_store::row::RunRow;
use omnitrace_tests::{RunningWorker, eventually, server, unique};
use temporalio_client::{Client, WorkflowStartOptions};

use super::place::{Kind, Place};
use super::runs;
use crate::outage::sample;
use crate::process::{self, Process};
use crate::spans::gate::{self, Gate};
use crate::workflows;

on_each_database! {
    two_worker_processes_follow_a_switch_also_after_the_store_was_away;
}

/// Whatever begins so long after a switch follows it. In microseconds.
pub(super) const FOLLOWED: i64 = 10_000_000;

/// And that command says, so long after. In microseconds.
const PROMISED: i64 = 4_000_000;

const QUEUE: &str = "OMNITRACE_TEST_SWITCHED_QUEUE";
const NAMESPACE: &str = "OMNITRACE_TEST_SWITCHED_NAMESPACE";

/// A worker in a process of its own.
pub(super) struct Worker {
    pub(super) queue: String,
    pub(super) process: Process,
}

impl Worker {
    /// Records such a part of its runs by its configuration.
    pub(super) fn start(
        place: &Place,
        database_url: &str,
        environment: &str,
        sample_rate: &str,
    ) -> Self {
        let queue = unique("queue");
        let mut command = process::again("heal::switches::serve");
        command
            .env(QUEUE, &queue)
            .env(NAMESPACE, &place.namespace)
            .env("OMNITRACE_DATABASE_URL", database_url)
            .env("OMNITRACE_ENV", environment)
            .env("OMNITRACE_SAMPLE_RATE", sample_rate)
            .env("OMNITRACE_SLOW_MS", "60000")
            .env("OMNITRACE_SPOOL_PATH", place.folder().join(&queue));
        Self {
            queue,
            process: Process::start(&mut command),
        }
    }
}

#[test]
#[ignore = "this is the process that another test starts"]
fn serve() {
    let (Ok(queue), Ok(namespace)) = (std::env::var(QUEUE), std::env::var(NAMESPACE)) else {
        return;
    };
    process::serve(&namespace, workflows::worker(&queue), OmniTrace::from_env);
}

/// What stands between workers and their store, so that it can go away and come back.
enum Door {
    /// A gate in front of the server.
    Gate(Gate),
    /// Its file is in a folder that is moved.
    Folder { here: PathBuf, away: PathBuf },
}

impl Door {
    /// Makes the store; gives its URL as workers have it.
    async fn to(place: &mut Place, kind: Kind) -> (Self, String) {
        let (door, url) = match kind {
            Kind::Postgres => {
                let mut url: url::Url = place.url.parse().expect("a URL");
                let host = url.host_str().expect("a host");
                let far = format!("{host}:{}", url.port().unwrap_or(5432));
                let mut gate = Gate::to(&far);
                gate.set(gate::Way::Through).await;
                let (host, port) = gate.address.split_once(':').expect("host:port");
                url.set_host(Some(host)).expect("a host");
                url.set_port(port.parse().ok()).expect("a port");
                (Self::Gate(gate), url.to_string())
            }
            Kind::Sqlite => {
                let [here, away] = ["here", "away"].map(|name| place.folder().join(name));
                std::fs::create_dir(&here).expect("a folder");
                place.url = in_folder(&here);
                (Self::Folder { here, away }, place.url.clone())
            }
        };
        assert_eq!(place.run(&["migrate"]).await.code, 0);
        (door, url)
    }

    /// The store is away for workers, not for who switches.
    async fn close(&mut self, place: &mut Place) {
        match self {
            Self::Gate(gate) => {
                // As a server does that is stopped: it ends those that are there, and takes no others.
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                              WHERE datname = current_database() AND pid <> pg_backend_pid()";
                place.sql(others).await;
                gate.set(gate::Way::Down).await;
            }
            Self::Folder { here, away } => {
                std::fs::rename(&*here, &*away).expect("moved");
                place.url = in_folder(away);
            }
        }
    }

    async fn open(&mut self, place: &mut Place) {
        match self {
            Self::Gate(gate) => gate.set(gate::Way::Through).await,
            Self::Folder { here, away } => {
                std::fs::rename(&*away, &*here).expect("moved back");
                place.url = in_folder(here);
            }
        }
    }
}

fn in_folder(folder: &Path) -> String {
    format!("sqlite://{}/omnitrace.db", folder.display())
}

/// Recorded runs of a worker, the first begun first.
pub(super) async fn runs_of(place: &Place, worker: &Worker) -> Vec<RunRow> {
    let stored = place.stored().await.into_iter().map(|(run, _)| run);
    let mut runs: Vec<RunRow> = stored
        .filter(|run| run.task_queue == worker.queue && run.closed_at.is_some())
        .collect();
    runs.sort_by_key(|run| run.started_at);
    runs
}

/// Runs workflows on each worker until it records one. One that begins late enough has to be recorded.
pub(super) async fn recording(place: &Place, client: &Client, workers: &[Worker], switched: i64) {
    for worker in workers {
        eventually("the worker records", async || {
            let begun = now();
            sample(client, &worker.queue, 1).await;
            let recorded = async || {
                let runs = runs_of(place, worker).await;
                let last = runs.last().and_then(|run| run.started_at);
                (last >= Some(begun)).then_some(())
            };
            if begun >= switched + FOLLOWED {
                eventually("a run that begins in time is recorded", async || {
                    recorded().await
                })
                .await;
            }
            recorded().await
        })
        .await;
    }
}

/// Runs left out, by process.
pub(super) async fn left_out(place: &Place) -> BTreeMap<String, u64> {
    let store = place.open().await.expect("a store");
    let reports = store.processes().await.expect("readable");
    store.close().await;
    let of = |report: omnitrace_store::ProcessReport| {
        let count = report.counters.get("runs.not_sampled").copied();
        (report.id, count.unwrap_or_default())
    };
    reports.into_iter().map(of).collect()
}

/// Runs workflows until each worker has left out more than it had.
pub(super) async fn leaving_out(place: &Place, client: &Client, workers: &[Worker]) {
    let before = left_out(place).await;
    eventually("every worker leaves runs out", async || {
        for worker in workers {
            sample(client, &worker.queue, 1).await;
        }
        let now = left_out(place).await;
        let more = |(id, now): (&String, &u64)| *now > before.get(id).copied().unwrap_or_default();
        (now.len() == workers.len() && now.iter().all(more)).then_some(())
    })
    .await;
}

pub(super) fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_micros()).expect("a number")
}

pub(super) async fn switch(place: &Place, arguments: &[&str]) -> i64 {
    let at = now();
    let said = place.run(arguments).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    at
}

async fn two_worker_processes_follow_a_switch_also_after_the_store_was_away(kind: Kind) {
    let mut place = Place::new(kind).await;
    let (mut door, url) = Door::to(&mut place, kind).await;

    let start = |environment, rate| Worker::start(&place, &url, environment, rate);
    let mut workers = vec![start("dev", "0"), start("prod", "0")];
    let client = place.client(&[]).await;
    for worker in &workers {
        sample(&client, &worker.queue, 1).await;
    }
    eventually("both leave their run out, by configuration", async || {
        let left_out = left_out(&place).await;
        left_out.values().eq(&[1, 1]).then_some(())
    })
    .await;
    assert_eq!(place.stored().await, []);

    // One is of the environment that it is switched for.
    let first = [
        "set",
        "sample_rate",
        "1",
        "--env",
        "prod",
        "--reason",
        "there first",
        "--by",
        "ann",
    ];
    let set = switch(&place, &first).await;
    recording(&place, &client, &workers[1..], set).await;
    eventually("the other one has had as much time", async || {
        sample(&client, &workers[0].queue, 1).await;
        (now() > set + PROMISED).then_some(())
    })
    .await;
    let back = [
        "switches",
        "unset",
        "sample_rate",
        "--env",
        "prod",
        "--reason",
        "seen",
    ];
    switch(&place, &back).await;

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
    let first = runs_of(&place, &workers[0]).await.swap_remove(0);
    assert!(first.started_at >= Some(set), "{first:?}");

    // The store is away: what was last known holds, and no workflow waits. A worker starts that knows nothing but
    // its configuration.
    door.close(&mut place).await;
    let away = now();
    workers.push(Worker::start(&place, &url, "dev", "1"));
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
    switch(&place, &none).await;
    for worker in &workers {
        sample(&client, &worker.queue, 1).await;
    }
    door.open(&mut place).await;
    let back = now();
    eventually("what was recorded meanwhile is stored", async || {
        for worker in &workers {
            let runs = runs_of(&place, worker).await;
            let begun = |run: &&RunRow| run.started_at >= Some(away);
            if runs.iter().filter(begun).count() < 2 {
                return None;
            }
        }
        Some(())
    })
    .await;
    leaving_out(&place, &client, &workers).await;
    for worker in &workers {
        let last = runs_of(&place, worker)
            .await
            .pop()
            .expect("a run")
            .started_at;
        let last = last.expect("it began") - back;
        assert!(last < FOLLOWED, "still recorded {last} µs after");
    }

    // Taken back, the one before it does not come again: the configuration holds.
    let unset = ["switches", "unset", "sample_rate", "--reason", "done"];
    switch(&place, &unset).await;
    let listed = place.run(&["switches", "list"]).await;
    assert!(listed.out.starts_with("nothing is switched"), "{listed:?}");
    let history = place.run(&["switches", "history"]).await.out;
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 6, "{history}");
    for (line, words) in lines[1..].iter().zip([
        ["5", "(taken back)", "done"],
        ["4", "bob", "too much"],
        ["3", "ann", "rollout"],
        ["2", "(taken back)", "seen"],
        ["1", "prod", "there first"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    for worker in workers {
        worker.process.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_for_a_tenant_or_type_touches_new_runs_of_it_alone() {
    use omnitrace_store::{NewSwitch, OpenOptions, Store, SwitchName, SwitchScope};

    let recording = omnitrace_tests::Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), workflows::worker(&queue));
    let before = sample(&client, &queue, 1).await.remove(0);
    recording.closed(&before).await;

    let url = omnitrace_tests::database(recording.folder());
    let store = Store::open(&url, OpenOptions::default())
        .await
        .expect("a store");
    let switch = async |name, workflow_type: &str, value: &str| {
        let new = NewSwitch {
            name,
            scope: SwitchScope {
                workflow_type: Some(workflow_type.to_owned()),
                ..SwitchScope::default()
            },
            value: Some(value.to_owned()),
            set_by: "ann".to_owned(),
            reason: "a test".to_owned(),
        };
        store.switch(&new).await.expect("set");
    };
    switch(SwitchName::Recording, "Other", "false").await;
    switch(SwitchName::AllowFields, "Sampler", "wanted").await;
    let policy = async |id: &str| {
        let (run, events) = recording.closed(id).await;
        // Steps and attempts are made safe as their run is.
        assert!(
            events.iter().all(|event| event.policy_id == run.policy_id),
            "{events:#?}"
        );
        run.policy_id
    };
    let first = policy(&before).await;
    let changed = eventually("new runs have another policy", async || {
        let id = sample(&client, &queue, 1).await.remove(0);
        (policy(&id).await != first).then_some(id)
    })
    .await;

    // The history of either is redacted as its rows were.
    let server = omnitrace::history::Server::new(client.clone());
    let settings = omnitrace_tests::settings(recording.folder());
    let healer = omnitrace::history::Healer::new(server, store.clone(), &settings);
    for id in [before, changed] {
        let run = recording.stored().await.newest(&id).await.expect("stored");
        let standing = healer.compare(&run.key).await.expect("compared");
        let equal = matches!(standing, omnitrace::history::Standing::Equal { .. });
        assert!(equal, "{standing:?}");
    }

    switch(SwitchName::Recording, "Sampler", "false").await;
    let not_sampled = || {
        recording
            .omnitrace
            .counter(omnitrace::Counter::RunsNotSampled)
    };
    eventually("nothing of the type is recorded", async || {
        let id = sample(&client, &queue, 1).await.remove(0);
        let stored = recording.stored().await;
        (not_sampled() > 0 && stored.newest(&id).await.is_none()).then_some(())
    })
    .await;
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
    recording.assert_accounted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_worker_writes_the_lines_that_are_switched() {
    use worker_example::activities::PaymentRequest;
    use worker_example::workflows::Payment;

    let place = Place::new(Kind::Sqlite).await;
    let log = place.folder().join("log");
    let queue = unique("support");
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker-example-under-test"));
    command
        .env_clear()
        .current_dir(place.folder())
        .env("NO_COLOR", "1")
        .env("OMNITRACE_DATABASE_URL", &place.url)
        .args(["worker", "--address", &server()])
        .args(["--namespace", &place.namespace, "--task-queue", &queue])
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a file"));
    let worker = runs::Process {
        system: command.spawn().expect("a process"),
    };
    let client = place.client(&[]).await;
    let lines = || {
        std::fs::read_to_string(&log)
            .expect("a log")
            .lines()
            .count()
    };
    // How many lines are written while it pays.
    let pay = async || {
        let before = lines();
        let id = unique("payment");
        let request = PaymentRequest {
            id: id.clone(),
            amount_cents: 700,
            card_closed: false,
        };
        let options = WorkflowStartOptions::new(&queue, &id).build();
        let paid = client.start_workflow(Payment::run, request, options).await;
        let paid = paid.expect("started").get_result(Default::default()).await;
        paid.expect("paid");
        lines() - before
    };
    assert_eq!(pay().await, 0);
    eventually("the store is made", async || place.open().await.map(drop)).await;
    let said = ["--reason", "a look", "--by", "ann"];
    switch(
        &place,
        &[&["set", "log_level", "debug"][..], &said].concat(),
    )
    .await;
    eventually("it tells what it does", async || {
        (pay().await > 0).then_some(())
    })
    .await;
    switch(
        &place,
        &[&["switches", "unset", "log_level"][..], &said].concat(),
    )
    .await;
    eventually("it is silent again", async || {
        (pay().await == 0).then_some(())
    })
    .await;
    worker.kill();
}
