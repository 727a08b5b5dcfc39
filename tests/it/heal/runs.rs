//! Runs for these tests: one that has everything a worker alone knows, and a worker in a process of its
//! own that can be killed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace_store::DatabaseUrl;
use omnitrace_tests::{RunningWorker, client_with, unique};
use temporalio_client::{
    Client, ClientOptions, UntypedWorkflowHandle, WorkflowGetResultOptions, WorkflowStartOptions,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    LocalActivityOptions, SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult,
};

use super::place::Place;
use crate::explicit::Talkers;
use crate::workflows::{Acts, options};

/// Runs activities that are retried and that tell of themselves, a timer and a local activity; then it
/// waits for a signal, if it is to.
#[workflow]
#[derive(Default)]
pub(crate) struct Whole {
    released: bool,
}

#[workflow_methods]
impl Whole {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        waits: bool,
    ) -> WorkflowResult<String> {
        let text = "order-7".to_owned();
        let echoed = ctx.execute_activity(Acts::echo, text, options()).await?;
        ctx.execute_activity(Acts::flaky, 4_u32, options()).await?;
        ctx.execute_activity(Talkers::tell, (), options()).await?;
        ctx.timer(Duration::from_millis(20)).await;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        let echoed = ctx
            .execute_local_activity(Acts::echo, echoed, local)
            .await?;
        if waits {
            ctx.wait_condition(|this| this.released).await?;
        }
        Ok(echoed)
    }

    #[signal]
    pub(crate) fn release(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.released = true;
    }
}

/// A worker's options with [`Whole`] and the workflows of all tests.
pub(super) fn worker(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_activities(Acts)
        .register_activities(Talkers)
        .register_activities(crate::probes::Probes)
        .register_workflow::<Whole>()
        .and_then(|options| options.register_workflow::<crate::workflows::Sampler>())
        .and_then(|options| options.register_workflow::<crate::probes::Tried>())
        .and_then(|options| options.register_workflow::<crate::probes::Carrier>())
        .expect("workflows")
        .build()
}

/// Starts a [`Whole`] with this id.
pub(super) async fn start(client: &Client, queue: &str, id: &str, waits: bool) {
    let options = WorkflowStartOptions::new(queue, id).build();
    let started = client.start_workflow(Whole::run, waits, options).await;
    started.expect("started");
}

/// Runs one to its end.
pub(super) async fn complete(client: &Client, queue: &str, id: &str) {
    start(client, queue, id, false).await;
    let handle = client.get_workflow_handle::<Whole>(id);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), "order-7");
}

/// Runs that a worker with the plugin recorded, when it has stopped.
pub(super) async fn recorded(place: &Place, runs: usize) -> Vec<String> {
    let omnitrace = OmniTrace::start(place.settings());
    let client = place.client(&[&omnitrace]).await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), worker(&queue));
    let ids: Vec<String> = (0..runs).map(|n| format!("whole-{n}")).collect();
    for id in &ids {
        complete(&client, &queue, id).await;
    }
    stop(worker).await;
    let stored = omnitrace.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    place.indexed(runs).await;
    ids
}

pub(super) async fn stop(worker: RunningWorker) {
    let stopped = tokio::task::spawn_blocking(move || worker.stop()).await;
    stopped.expect("the worker stops");
}

const NAMESPACE: &str = "OMNITRACE_TEST_HEAL_NAMESPACE";
const QUEUE: &str = "OMNITRACE_TEST_HEAL_QUEUE";
const DATABASE: &str = "OMNITRACE_TEST_HEAL_DATABASE";
const SPOOL: &str = "OMNITRACE_TEST_HEAL_SPOOL";
const QUEUE_BYTES: &str = "OMNITRACE_TEST_HEAL_QUEUE_BYTES";

/// How long the process may take to store what is left when it ends.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(5);

/// A worker in a process of its own: this binary, started again. It ends at SIGTERM, as a worker does
/// that is told to by its platform.
pub(super) struct Process {
    pub(super) system: Child,
}

impl Process {
    pub(super) fn start(place: &Place, queue: &str, queue_bytes: u64) -> Self {
        let system = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "heal::runs::serve", "--ignored"])
            .env(NAMESPACE, &place.namespace)
            .env(QUEUE, queue)
            .env(DATABASE, &place.url)
            .env(SPOOL, place.folder().join("spool"))
            .env(QUEUE_BYTES, queue_bytes.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Self {
            system: system.expect("a process"),
        }
    }

    /// SIGTERM, then waits until it has ended well.
    pub(super) fn terminate(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.system.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        let ended = self.system.wait().expect("a process");
        assert!(ended.success(), "the process ended well: {ended}");
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.system.kill().expect("it runs");
        self.system.wait().expect("a process");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, but for tests that fail.
        let _ = self.system.kill();
    }
}

#[test]
#[ignore = "this is the process that other tests start"]
fn serve() {
    let variable = |name| std::env::var(name).ok();
    let (Some(namespace), Some(queue), Some(database), Some(spool), Some(queue_bytes)) = (
        variable(NAMESPACE),
        variable(QUEUE),
        variable(DATABASE),
        variable(SPOOL),
        variable(QUEUE_BYTES),
    ) else {
        return;
    };
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    tokio.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate()).expect("a signal");
        let database = DatabaseUrl::parse(&database, std::path::Path::new("/"));
        let settings = Settings::default()
            .with_database(DatabaseTarget::Url(database.expect("a URL")))
            .with_spool_path(spool)
            .with_queue_bytes(queue_bytes.parse().expect("a number"));
        let omnitrace = OmniTrace::start(settings);
        let options = ClientOptions::new(namespace).plugin(omnitrace.plugin());
        let worker = RunningWorker::start(client_with(options.build()).await, worker(&queue));
        terminated.recv().await;
        stop(worker).await;
        let stored = omnitrace.shutdown(SHUTDOWN).await;
        stored.expect("everything is stored, or on disk");
    });
}

/// A handle on any run.
pub(super) fn handle(client: &Client, id: &str) -> UntypedWorkflowHandle<Client> {
    client.get_workflow_handle::<temporalio_common::UntypedWorkflow>(id)
}
