//! The plugin closes runs that ended without a worker seeing it.

use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace_store::row::{Phase, Source, Status};
use omnitrace_store::{DatabaseUrl, OpenOptions, Store};
use omnitrace_tests::{NAMESPACE, RunningWorker, connection_options, eventually, unique};
use temporalio_client::{Client, ClientOptions, WorkflowStartOptions, WorkflowTerminateOptions};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkerOptions, WorkflowContext, WorkflowResult};

/// A run that nobody ends from within.
#[workflow]
#[derive(Default)]
struct Waiter;

#[workflow_methods]
impl Waiter {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        ctx.timer(Duration::from_secs(3600)).await;
        Ok(())
    }
}

/// Terminates a run while its worker has it in its cache, and nothing tells the worker.
async fn terminated(start: impl AsyncFnOnce(&OmniTrace, ClientOptions) -> Client) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = DatabaseUrl::Sqlite(folder.path().join("omnitrace.db"));
    let settings = Settings::default()
        .with_database(DatabaseTarget::Url(url.clone()))
        .with_reconcile_s(1);
    let omnitrace = OmniTrace::start(settings);
    let options = ClientOptions::new(NAMESPACE).plugin(omnitrace.plugin());
    let client = start(&omnitrace, options.build()).await;
    let queue = unique("queue");
    let options = WorkerOptions::new(&queue).register_workflow::<Waiter>();
    let options = options.expect("a workflow").build();
    let worker = RunningWorker::start(client.clone(), options);
    let id = unique("waiter");
    let options = WorkflowStartOptions::new(&queue, &id).build();
    let handle = client.start_workflow(Waiter::run, (), options).await;
    let handle = handle.expect("started");
    let store = Store::open(&url, OpenOptions::default()).await;
    let store = store.expect("a database");
    let stored = async |phase| {
        eventually("the run is stored", async || {
            let runs = store.runs_of_workflow(None, &id).await.expect("readable");
            runs.into_iter().find(|run| run.phase == phase)
        })
        .await
    };
    stored(Phase::Open).await;
    let options = WorkflowTerminateOptions::builder().build();
    handle.terminate(options).await.expect("terminated");
    let run = stored(Phase::Closed).await;
    assert_eq!(
        (run.status, run.source),
        (Status::Terminated, Source::History)
    );
    tokio::task::spawn_blocking(move || worker.stop())
        .await
        .expect("the worker stops");
    let stopped = omnitrace.shutdown(Duration::from_secs(5)).await;
    stopped.expect("everything is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_with_the_plugin_reconciles_by_itself() {
    terminated(async |_, options| {
        let client = Client::connect(connection_options(), options).await;
        client.expect("a server")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_made_from_a_connection_reconciles_when_it_is_told_to() {
    terminated(async |omnitrace, options| {
        let client = omnitrace_tests::client_with(options).await;
        omnitrace.reconcile(&client);
        client
    })
    .await;
}
