//! Where a run is recorded live, then again from its replay, and both are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use omnitrace_store::row::{EventRow, Phase, RunRow, Source};
use omnitrace_store::{OpenOptions, Store};
use omnitrace_tests::{Recording, RunningWorker, Stored, database, unique};
use temporalio_client::{Client, WorkflowHistory, WorkflowStartOptions};
use temporalio_sdk::WorkerOptions;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use super::flows;
use super::processes::{self, Role};
use super::tools::{Tools, queue_of_activities};
use crate::history::compare;
use crate::process::Process;

/// Who serves the workflows and the activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One process, which keeps runs in its cache.
    Cached,
    /// One process, which replays a run for each of its tasks.
    Uncached,
    /// One process, with room for one run.
    OneRun,
    /// One process for workflows and one for activities.
    TwoProcesses,
}

impl Layout {
    fn cache(self) -> usize {
        match self {
            Self::Cached | Self::TwoProcesses => 100,
            Self::OneRun => 1,
            Self::Uncached => 0,
        }
    }
}

/// A server's task queue with its workers, and where they record.
pub(crate) struct Stage {
    pub(crate) recording: Recording,
    pub(crate) client: Client,
    pub(crate) queue: String,
    workers: Vec<RunningWorker>,
    pub(super) processes: Vec<Process>,
}

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) run: RunRow,
    pub(crate) events: Vec<EventRow>,
}

impl Stage {
    pub(crate) async fn start(layout: Layout) -> Self {
        Self::with(layout, |options| options).await
    }

    /// With the options of the worker of workflows changed.
    pub(crate) async fn with(
        layout: Layout,
        change: impl FnOnce(WorkerOptions) -> WorkerOptions,
    ) -> Self {
        let mut stage = Self::empty().await;
        let queue = &stage.queue;
        if layout == Layout::TwoProcesses {
            let folder = stage.recording.folder();
            stage.processes = [Role::Workflows, Role::Activities]
                .map(|role| processes::start(role, queue, folder))
                .into();
        } else {
            let options = change(workflows(queue, layout.cache()));
            stage.work(options);
        }
        stage
    }

    /// Starts workers in this process.
    pub(crate) fn work(&mut self, workflows: WorkerOptions) {
        for options in [workflows, activities(&self.queue)] {
            let worker = RunningWorker::start(self.client.clone(), options);
            self.workers.push(worker);
        }
    }

    /// Without workers.
    pub(crate) async fn empty() -> Self {
        let recording = Recording::start();
        Self {
            client: recording.client().await,
            recording,
            queue: unique("queue"),
            workers: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// Options to start a workflow with.
    pub(crate) fn options(&self, id: &str) -> WorkflowStartOptions {
        WorkflowStartOptions::new(&self.queue, id).build()
    }

    /// A run that closed, when its workers have stopped and nothing more can come.
    pub(crate) async fn settled(&mut self, run_id: &str) -> Recorded {
        self.closed(run_id).await;
        self.stop().await;
        self.closed(run_id).await
    }

    /// A run that closed.
    pub(crate) async fn closed(&self, run_id: &str) -> Recorded {
        let what = format!("run {run_id} is closed in the store");
        omnitrace_tests::eventually(&what, async || {
            let recorded = recorded(&self.recording, run_id).await?;
            recorded.run.closed_at.is_some().then_some(recorded)
        })
        .await
    }

    /// Stops the workers, so that nothing more can be recorded.
    pub(crate) async fn stop(&mut self) {
        for worker in self.workers.drain(..) {
            tokio::task::spawn_blocking(move || worker.stop())
                .await
                .expect("the worker stops");
        }
        for process in self.processes.drain(..) {
            process.stop();
        }
    }

    /// Checks that replaying a closed run changes no row, and that its steps can be recorded from
    /// the replay alone, but for what a local activity's worker alone knows.
    pub(crate) async fn check_replay(
        &mut self,
        before: &Recorded,
        history: impl Fn() -> WorkflowHistory,
    ) {
        self.stop().await;
        let run_id = &before.run.key.run_id;
        let before = &recorded(&self.recording, run_id)
            .await
            .expect("it is there");
        replay(&self.recording, before, history()).await;
        let after = recorded(&self.recording, run_id).await.expect("it stays");
        assert_same(&after.events, &before.events, "recorded again");
        assert_eq!(after.run, before.run, "recorded again");
        self.recording.assert_accounted().await;

        let alone = Recording::start();
        replay(&alone, before, history()).await;
        let alone = recorded(&alone, run_id).await.expect("recorded alone");
        assert_same(&steps(&alone), &steps(before), "recorded by a replay alone");

        let events = history().into_events().await.expect("a history");
        compare::assert_same(&before.run, &before.events, events);
    }
}

/// The run as it is stored now, without what was proposed in vain.
pub(crate) async fn recorded(recording: &Recording, run_id: &str) -> Option<Recorded> {
    let stored = stored(recording).await?;
    find(&stored, run_id).await
}

/// The store, once there is one: it is made with the first row.
pub(crate) async fn stored(recording: &Recording) -> Option<Stored> {
    recording.omnitrace.flush().await.expect("rows are stored");
    let mut options = OpenOptions::default();
    options.read_only = true;
    let store = Store::open(&database(recording.folder()), options).await;
    store.ok().map(|store| Stored { store })
}

async fn find(stored: &Stored, run_id: &str) -> Option<Recorded> {
    let runs = stored.store.runs_by_run_id(run_id).await.expect("readable");
    let run = runs.into_iter().next()?;
    let events = stored.events(&run).await;
    Some(Recorded { run, events })
}

async fn replay(recording: &Recording, of: &Recorded, history: WorkflowHistory) {
    let options = WorkflowReplayerOptions::new()
        .task_queue(of.run.task_queue.clone())
        .worker_plugin(recording.omnitrace.replay_plugin(of.run.key.clone()));
    let replayer = WorkflowReplayer::new(flows::register_replayed(options).build());
    let replayer = replayer.expect("a replayer");
    replayer.replay_workflow(history).await.expect("it replays");
}

/// Steps of a run, without what replay can't know.
fn steps(of: &Recorded) -> Vec<EventRow> {
    let accepted_through = of.run.accepted_through;
    let is_ghost = |row: &EventRow| {
        row.phase == Phase::Provisional && row.scheduled_at <= Some(accepted_through)
    };
    of.events
        .iter()
        .filter(|row| row.kind != "activity" || row.attempt == 0)
        .filter(|row| !is_ghost(row) && !has(row, "rejected"))
        .map(|row| {
            let mut row = row.clone();
            // What the replayer's last task proposes is never accepted.
            row.phase = Phase::Closed;
            row.source = Source::Live;
            if has(&row, "\"local\"") {
                row.scheduled_at = None;
                row.latency_ms = None;
            }
            row
        })
        .collect()
}

/// Says the first row that differs, and not all of them.
fn assert_same(rows: &[EventRow], expected: &[EventRow], how: &str) {
    let by_key = |rows: &[EventRow]| -> BTreeMap<String, EventRow> {
        let rows = rows.iter().map(|row| (row.event_key.clone(), row.clone()));
        rows.collect()
    };
    let (rows, expected) = (by_key(rows), by_key(expected));
    for (key, row) in &expected {
        let other = rows.get(key).map(|row| format!("{row:?}"));
        let (other, row) = (other.unwrap_or_default(), format!("{row:?}"));
        assert_eq!(other, row, "{key}, {how}");
    }
    let keys: Vec<_> = rows
        .keys()
        .filter(|key| !expected.contains_key(*key))
        .collect();
    assert!(keys.is_empty(), "{how}: {keys:?} are new");
}

fn has(row: &EventRow, what: &str) -> bool {
    row.data_redacted
        .as_ref()
        .is_some_and(|data| data.contains(what))
}

impl Recorded {
    /// A line for each event, by key: key, status, type of the error, marks in its data.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.events.iter().map(|row| self.line(row)).collect();
        lines.sort();
        lines
    }

    fn line(&self, row: &EventRow) -> String {
        let mut line = format!("{} {}", row.event_key, row.status.as_str());
        if let Some(error) = &row.error_type {
            line = format!("{line} {error}");
        }
        for mark in [
            "la_backoff",
            "rejected",
            "late_result",
            "backoff_ms",
            "original_schedule_time",
        ] {
            if has(row, mark) {
                line = format!("{line} [{mark}]");
            }
        }
        if (row.phase, row.source) != (Phase::Closed, Source::Live) {
            line = format!("{line} ({:?}, {:?})", row.phase, row.source);
        }
        line.replace(&self.run.key.workflow_id, "$id")
    }

    /// Checks the lines, and what the run counts.
    pub(crate) fn assert_lines(&self, expected: &[&str]) {
        let lines = self.lines();
        let lines = lines.join("\n");
        assert_eq!(lines, expected.join("\n"), "\n{lines}\n");
        assert_eq!(self.run.event_count as usize, expected.len());
        assert!(!self.run.incomplete);
    }

    /// The row with this key.
    pub(crate) fn event(&self, key: &str) -> &EventRow {
        let found = self.events.iter().find(|row| row.event_key == key);
        found.unwrap_or_else(|| panic!("{key} in {:#?}", self.lines()))
    }
}

pub(crate) fn workflows(queue: &str, cache: usize) -> WorkerOptions {
    let options = WorkerOptions::new(queue)
        .max_cached_workflows(cache)
        .sticky_queue_schedule_to_start_timeout(Duration::from_secs(1))
        // Local activities run where their workflow does.
        .register_activities(Tools);
    flows::register(options).build()
}

pub(crate) fn activities(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue_of_activities(queue))
        .register_activities(Tools)
        .build()
}
