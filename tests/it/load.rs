//! Many short runs leave nothing behind.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use omnitrace::Counter;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_short_runs_leave_no_recorder_and_no_memory_behind() {
    let runs = std::env::var("RUNS").map_or(2000, |n| n.parse().unwrap());
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue)
        .register_activities(Acts)
        .register_workflow::<Short>()
        .expect("a workflow")
        .build();
    let worker = RunningWorker::start(client.clone(), options);
    beside(worker, async {
        let t = Instant::now();
        run_many(&client, &queue, 500).await;
        recording.omnitrace.flush().await.expect("stored");
        let before = resident();
        eprintln!("warm {:?} {}", t.elapsed(), before);
        let t = Instant::now();
        run_many(&client, &queue, runs).await;
        eprintln!(
            "{runs} {:?} {} live {}",
            t.elapsed(),
            resident(),
            recording.omnitrace.live_recorders()
        );
        recording.omnitrace.flush().await.expect("stored");
        eprintln!("{:?} {}", t.elapsed(), resident());
        eprintln!("{:#?}", recording.omnitrace.counters());
    })
    .await;
    eventually("no recorder is live", async || {
        (recording.omnitrace.live_recorders() == 0).then_some(())
    })
    .await;
    recording.omnitrace.flush().await.expect("stored");
    assert_eq!(recording.omnitrace.queue_bytes(), 0);
    assert!(recording.omnitrace.counter(Counter::RowsStored) > 0);
    eprintln!("end {}", resident());
    recording.assert_accounted();
}
