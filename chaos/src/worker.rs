//! One worker process: the example's workflows and activities with the plugin. The process above it
//! reads on its standard output what it does, and tells it on its standard input where to stop.

use std::fmt::Display;
use std::future::pending;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context;
use backon::{ConstantBuilder, Retryable};
use clap::Args;
use omnitrace::{Counter, OmniTrace};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::protos::coresdk::workflow_activation::{
    WorkflowActivation, workflow_activation_job::Variant,
};
use temporalio_common::protos::coresdk::workflow_completion::WorkflowActivationCompletion;
use temporalio_sdk::interceptors::WorkerInterceptor;
use temporalio_sdk::{Runtime, SimplePlugin, Worker};
use tokio::signal::unix::{SignalKind, signal};
use tracing::debug;
use tracing_subscriber::EnvFilter;
use worker_example::registration::worker_options;

use crate::NAMESPACE;

/// How long it waits for a server that is being restarted.
const CONNECT: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::from_millis(200))
    .with_max_times(300);
/// How long the SDK's worker may take to stop, and then the plugin.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at what waits.
const LOOK: Duration = Duration::from_millis(10);
/// A task whose worker was killed goes to another one after this time.
const STICKY: Duration = Duration::from_secs(2);

/// What a worker says, a line each: the word and what follows it.
pub(crate) mod word {
    /// It polls.
    pub(crate) const READY: &str = "ready";
    /// It stopped inside of a workflow task, where it was told to, and stays there.
    pub(crate) const HELD: &str = "held";
    /// Rows that wait in memory, and bytes that wait in the spool.
    pub(crate) const WAITING: &str = "waiting";
    /// At its end: all counters, as JSON.
    pub(crate) const COUNTERS: &str = "counters";
    /// It is told: stop in the next task when the plugin has seen the activation.
    pub(crate) const HOLD_ACTIVATION: &str = "hold activation";
    /// It is told: stop in the next task when the plugin has seen the completion.
    pub(crate) const HOLD_COMPLETION: &str = "hold completion";
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[arg(long)]
    pub(crate) address: String,
    #[arg(long)]
    pub(crate) task_queue: String,
}

/// A connection to the server, waited for.
pub(crate) async fn connect(address: &str) -> anyhow::Result<Connection> {
    let url: url::Url = format!("http://{address}").parse()?;
    let options = ConnectionOptions::new(url).build();
    (|| Connection::connect(options.clone()))
        .retry(CONNECT)
        .await
        .context("the Temporal server does not answer")
}

/// Serves until SIGTERM. When nobody is above it any more, it ends too.
pub(crate) async fn run(args: WorkerArgs) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .init();
    let mut terminated = signal(SignalKind::terminate())?;
    let connection = connect(&args.address).await?;
    let omnitrace = OmniTrace::from_env().await;
    let hold = Arc::new(Hold::default());
    let interceptors: Vec<Arc<dyn WorkerInterceptor>> = vec![hold.clone()];
    let options = ClientOptions::new(NAMESPACE)
        .plugin(omnitrace.plugin())
        // After the plugin: what is held has been recorded.
        .plugin(
            SimplePlugin::builder("chaos")
                .worker_interceptors(interceptors)
                .build(),
        )
        .build();
    let client = Client::new(connection, options)?;
    let runtime = Runtime::from_current_tokio(Default::default())?;
    let mut options = worker_options(&args.task_queue)?;
    options.sticky_queue_schedule_to_start_timeout = STICKY;
    let mut worker = Worker::new(&runtime, client, options)?;
    let stop = worker.shutdown_handle();

    std::thread::spawn(move || listen(&hold));
    tokio::spawn(report(omnitrace.clone()));
    say(word::READY, "");
    let serving = worker.run();
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => {
            served?;
            anyhow::bail!("the worker stopped by itself");
        }
        _ = terminated.recv() => {}
    }
    stop();
    if let Ok(served) = tokio::time::timeout(STOP_LIMIT, serving).await {
        served?;
    }
    let stored = omnitrace.shutdown(STOP_LIMIT).await;
    say(
        word::COUNTERS,
        serde_json::to_string(&omnitrace.counters())?,
    );
    Ok(stored?)
}

/// `RUST_LOG`, which with `omnitrace_chaos=debug` tells each task; or warnings alone.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"))
}

/// A line for the process above; nobody reads it once that has ended.
fn say(word: &str, rest: impl Display) {
    let _ = writeln!(std::io::stdout(), "{word} {rest}");
}

/// Does what it is told, until nobody is there any more who could tell it anything.
fn listen(hold: &Hold) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            word::HOLD_ACTIVATION => hold.at.store(Hold::ACTIVATION, Ordering::SeqCst),
            word::HOLD_COMPLETION => hold.at.store(Hold::COMPLETION, Ordering::SeqCst),
            _ => {}
        }
    }
    std::process::exit(1);
}

/// Tells what waits whenever it has changed.
async fn report(omnitrace: OmniTrace) {
    let mut told = None;
    loop {
        let waiting = (rows_in_memory(&omnitrace), omnitrace.spool_bytes());
        if told != Some(waiting) {
            say(word::WAITING, format_args!("{} {}", waiting.0, waiting.1));
            told = Some(waiting);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Rows that were offered and of which nothing became yet; too few rather than too many.
fn rows_in_memory(omnitrace: &OmniTrace) -> u64 {
    let offered = omnitrace.counter(Counter::RowsOffered);
    let became: u64 = (Counter::ALL.iter())
        .filter(|counter| counter.name().starts_with("rows."))
        .filter(|counter| !matches!(counter, Counter::RowsOffered | Counter::RowsAdopted))
        .map(|counter| omnitrace.counter(*counter))
        .sum();
    offered.saturating_sub(became)
}

/// Stops the worker where it is told to, for good: it is killed there.
#[derive(Debug, Default)]
struct Hold {
    at: AtomicU8,
}

impl Hold {
    const ACTIVATION: u8 = 1;
    const COMPLETION: u8 = 2;

    async fn stay_if(&self, here: u8) {
        if self.at.load(Ordering::SeqCst) == here {
            say(word::HELD, "");
            pending::<()>().await;
        }
    }
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for Hold {
    async fn on_workflow_activation(
        &self,
        activation: &WorkflowActivation,
    ) -> Result<(), anyhow::Error> {
        debug!(
            run_id = activation.run_id,
            history_length = activation.history_length,
            replaying = activation.is_replaying,
            jobs = ?activation.jobs.iter().filter_map(|job| job.variant.as_ref()).map(brief).collect::<Vec<_>>(),
            "activation"
        );
        let works = |variant: &Variant| {
            !matches!(
                variant,
                Variant::RemoveFromCache(_) | Variant::QueryWorkflow(_)
            )
        };
        // A task of the server's: not an eviction, a query or a replay of what has been.
        let mut variants = activation
            .jobs
            .iter()
            .filter_map(|job| job.variant.as_ref());
        if !activation.is_replaying && variants.any(works) {
            self.stay_if(Self::ACTIVATION).await;
        }
        Ok(())
    }

    async fn on_workflow_activation_completion(&self, completion: &WorkflowActivationCompletion) {
        debug!(run_id = completion.run_id, commands = ?brief(&completion.status), "completion");
        if commands(completion) > 0 {
            self.stay_if(Self::COMPLETION).await;
        }
    }
}

/// The beginning of what a message holds: it is for reading.
fn brief(message: impl std::fmt::Debug) -> String {
    format!("{message:?}").chars().take(400).collect()
}

/// How much a completion proposes.
fn commands(completion: &WorkflowActivationCompletion) -> usize {
    use temporalio_common::protos::coresdk::workflow_completion::workflow_activation_completion::Status;
    match &completion.status {
        Some(Status::Successful(success)) => success.commands.len(),
        _ => 0,
    }
}
