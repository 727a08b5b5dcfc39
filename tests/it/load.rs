//! Many short runs leave nothing behind.

use std::sync::Arc;

use futures::StreamExt;
use omnitrace_tests::{Recording, RunningWorker, beside, eventually, unique};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{LocalActivityOptions, WorkerOptions, WorkflowContext, WorkflowResult};

use crate::workflows::Acts;

/// A run that is over at once.
#[workflow]
#[derive(Default)]
pub(crate) struct Short;

#[workflow_methods]
impl Short {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        text: String,
    ) -> WorkflowResult<String> {
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(std::time::Duration::from_secs(5))
            .build();
        Ok(ctx.execute_local_activity(Acts::echo, text, local).await?)
    }
}

/// Names the variable that says how many runs there are.
const RUNS: &str = "OMNITRACE_TEST_RUNS";

/// Runs after which memory is compared.
const WARM_UP: usize = 300;

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}

async fn run_many(client: &Client, queue: &str, n: usize) {
    let client = Arc::new(client.clone());
    futures::stream::iter(0..n)
        .for_each_concurrent(200, |i| {
            let client = client.clone();
            async move {
                let options = WorkflowStartOptions::new(queue, unique("short")).build();
                let handle = client
                    .start_workflow(Short::run, i.to_string(), options)
                    .await
                    .expect("started");
                let result = handle.get_result(WorkflowGetResultOptions::default()).await;
                assert_eq!(result.expect("completed"), i.to_string());
            }
        })
        .await;
}

/// Says that this process does nothing but the test: the memory of others is not compared.
const ALONE: &str = "OMNITRACE_TEST_ALONE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_short_runs_leave_no_recorder_and_no_memory_behind() {
    if std::env::var_os(ALONE).is_none() {
        let test = "load::many_short_runs_leave_no_recorder_and_no_memory_behind";
        let output = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", test, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let runs = std::env::var(RUNS).map_or(1000, |n| n.parse().expect("a number"));
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        .register_activities(Acts)
        .register_workflow::<Short>()
        .expect("a workflow")
        .build();
    let worker = RunningWorker::start(client.clone(), options);
    let omnitrace = &recording.omnitrace;
    beside(worker, async {
        run_many(&client, &queue, WARM_UP).await;
        omnitrace.flush().await.expect("stored");
        let before = resident();
        run_many(&client, &queue, runs).await;
        eventually("no recorder is live", async || {
            omnitrace.flush().await.expect("stored");
            (omnitrace.live_recorders() == 0).then_some(())
        })
        .await;
        let grown = resident().saturating_sub(before);
        assert!(grown < 10 << 20, "{grown} bytes more after {runs} runs");
        assert_eq!(omnitrace.queue_bytes(), 0);
    })
    .await;
    let stored = recording.stored().await;
    let stats = stored.store.stats().await.expect("readable");
    assert_eq!(stats.runs as usize, WARM_UP + runs);
    let dropped = omnitrace.counters();
    assert!(
        !dropped.keys().any(|name| name.contains("dropped")),
        "{dropped:?}"
    );
    recording.assert_accounted().await;
}
