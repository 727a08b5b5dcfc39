//! Workers in processes of their own, some of which are killed.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::history::{Healer, Server};
use omnitrace_store::row::{EventRow, Phase, Source, Status};
use omnitrace_store::{OpenOptions, Store};
use omnitrace_tests::{NAMESPACE, database, eventually, settings, unique};
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};

use super::stage::{Layout, Recorded, Stage, activities, recorded, stored, workflows};
use crate::process::{self, Process};

/// What a process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Workflows,
    Activities,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Workflows => "workflows",
            Self::Activities => "activities",
        }
    }
}

const ROLE: &str = "OMNITRACE_TEST_SERVE_ROLE";
const QUEUE: &str = "OMNITRACE_TEST_SERVE_QUEUE";
const FOLDER: &str = "OMNITRACE_TEST_SERVE_FOLDER";

/// Starts one, which records into this folder.
pub(super) fn start(role: Role, queue: &str, folder: &Path) -> Process {
    let mut command = process::again("exact::processes::serve");
    command
        .env(ROLE, role.name())
        .env(QUEUE, queue)
        .env(FOLDER, folder);
    Process::start(&mut command)
}

#[test]
#[ignore = "this is the process that other tests start"]
fn serve() {
    let (Ok(role), Ok(queue), Ok(folder)) = (
        std::env::var(ROLE),
        std::env::var(QUEUE),
        std::env::var(FOLDER),
    ) else {
        return;
    };
    let options = if role == Role::Workflows.name() {
        workflows(&queue, 100)
    } else {
        activities(&queue)
    };
    process::serve(NAMESPACE, options, async || {
        OmniTrace::start(settings(Path::new(&folder)))
    });
}

/// Legs of each journey.
const LEGS: u32 = 6;

/// The lines of the steps of a run, in which nothing of a kill may be seen.
fn steps(run: &Recorded) -> Vec<String> {
    run.lines()
        .into_iter()
        .filter(|line| !line.starts_with("activity:") || line.contains(":0 "))
        .collect()
}

#[tokio::test]
async fn a_worker_is_killed_and_another_finishes_its_runs() {
    let mut undisturbed = Stage::start(Layout::Cached).await;
    let handle = start!(undisturbed, Journey, LEGS);
    let expected = undisturbed.settled(handle.run_id().expect("an id")).await;
    assert_eq!(steps(&expected).len() as u32, LEGS * 5);

    let mut stage = Stage::empty().await;
    let both = [Role::Workflows, Role::Activities];
    let start =
        |stage: &Stage| both.map(|role| start(role, &stage.queue, stage.recording.folder()));
    let killed = start(&stage);
    let mut handles = Vec::new();
    for _ in 0..4 {
        let id = unique("journey");
        let options = WorkflowStartOptions::new(&stage.queue, &id)
            .task_timeout(Duration::from_secs(2))
            .build();
        handles.push(start!(stage, Journey, LEGS, options));
    }
    eventually("the runs are in their middle", async || {
        let stored = stored(&stage.recording).await?;
        let runs = stored.runs().await;
        let runs = runs.iter().filter(|run| run.workflow_type == "Journey");
        let rows: Vec<u32> = runs.map(|run| run.event_count).collect();
        (rows.len() == 4 && rows.iter().all(|rows| *rows >= 10)).then_some(())
    })
    .await;
    let mut before = Vec::new();
    for handle in &handles {
        let run = recorded(&stage.recording, handle.run_id().expect("an id")).await;
        before.push(run.expect("it is there"));
    }
    killed.into_iter().for_each(Process::kill);
    for run in &before {
        assert_eq!(
            run.run.status,
            Status::Running,
            "it was killed in the middle"
        );
    }

    stage.processes = start(&stage).into();
    for handle in &handles {
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        assert_eq!(result.expect("completed"), LEGS);
        stage.closed(handle.run_id().expect("an id")).await;
    }
    stage.stop().await;
    // What a killed process had not stored of an attempt, history knows, if it is the last but one.
    let server = Server::new(stage.client.clone());
    let url = database(stage.recording.folder());
    let store = Store::open(&url, OpenOptions::default()).await;
    let store = store.expect("a store");
    let healer = Healer::new(server, store.clone(), &settings(stage.recording.folder()));
    for run in &before {
        healer.heal(&run.run.key).await.expect("healed");
    }
    store.close().await;
    for (handle, before) in handles.iter().zip(&before) {
        let run = stage.closed(handle.run_id().expect("an id")).await;
        // What was known to be over before the kill has not changed a bit since.
        let is_final = |row: &&EventRow| {
            let is_step = row.kind != "activity" || row.attempt == 0;
            is_step && row.phase == Phase::Closed && row.source == Source::Live
        };
        // When a local activity was scheduled is known live alone, so its replay may say otherwise.
        let is_local = |row: &&EventRow| {
            let data = row.data_redacted.as_deref().unwrap_or_default();
            data.contains("\"local\":true")
        };
        let finals = before.events.iter().filter(is_final);
        let finals: Vec<_> = finals.filter(|row| !is_local(row)).collect();
        assert!(!finals.is_empty());
        for row in finals {
            assert_eq!(run.event(&row.event_key), row);
        }
        assert_eq!(steps(&run), steps(&expected));
        let history = handle.fetch_history(Default::default()).into_events().await;
        let history = history.expect("a history");
        crate::history::compare::assert_same(&run.run, &run.events, history);
        assert_eq!(run.run.status, expected.run.status);
        assert_eq!(run.run.output_redacted, expected.run.output_redacted);
        assert_eq!(run.run.steps_seen, expected.run.steps_seen);
        assert_eq!(run.run.event_count as usize, run.events.len());
        // Of the attempts, those of an undisturbed run are there, and perhaps more.
        for line in expected.lines() {
            let key = line.split(' ').next().expect("a key");
            let is_there = run.lines().iter().any(|other| other.starts_with(key));
            assert!(is_there, "{key} in {:#?}", run.lines());
        }
    }
    let stored = stored(&stage.recording).await.expect("a store");
    let runs = stored.runs().await;
    let ids: HashSet<&str> = runs
        .iter()
        .map(|run| run.key.workflow_id.as_str())
        .collect();
    assert_eq!(ids.len(), runs.len(), "nothing twice");
    // A child that ended right before the kill is known to history alone: nobody replays it.
    assert!(runs.len() as u32 <= 4 * (1 + LEGS));
}
