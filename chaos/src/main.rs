//! Whether everything is recorded whatever happens: `cargo xtask chaos` builds and runs this.
//!
//! Invariant: a difference between the store and history is never explained away here: it fails.

mod cases;
mod child;
mod crew;
mod plan;
mod proxy;
mod report;
mod store;
mod storm;
mod temporal;
mod verdict;
mod worker;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use worker_example::ticket::Ticket;

use cases::Desk;
use crew::{Crew, Outfit};
use plan::{Database, Plan, Scale};
use report::Report;
use store::Store;
use storm::Stage;
use temporal::Temporal;
use verdict::Omnitrace;

/// Namespace of a development server.
const NAMESPACE: &str = "default";
const TASK_QUEUE: &str = "chaos";

#[derive(Debug, Parser)]
#[command(about = "Real servers and workers under kills, cuts and restarts")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything, compares the store with history, and prints what was found
    Run(Box<Run>),
    /// One worker
    Worker(worker::WorkerArgs),
    /// The command line of OmniTrace
    Omnitrace {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Workflows that are started
    #[arg(long)]
    runs: usize,
    /// What decides everything that can be decided
    #[arg(long)]
    seed: u64,
    /// Workers that are killed
    #[arg(long)]
    kills: usize,
    /// Times that the database is taken away
    #[arg(long)]
    outages: usize,
    /// Times that the Temporal server is killed
    #[arg(long)]
    restarts: usize,
    /// Workers at the same time
    #[arg(long)]
    workers: usize,
    #[arg(long, value_enum)]
    database: Database,
    /// Delete the whole store in the middle
    #[arg(long)]
    wipe: bool,
    /// Ask queries while a run's local activity may go on
    #[arg(long)]
    early_queries: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Keep the servers until Ctrl-C when everything is done
    #[arg(long)]
    keep: bool,
    /// The Temporal CLI
    #[arg(long)]
    temporal: PathBuf,
    /// Toxiproxy's server, for PostgreSQL
    #[arg(long)]
    toxiproxy: Option<PathBuf>,
    /// The PostgreSQL server, with a role that may create databases
    #[arg(long, env = "OMNITRACE_CHAOS_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// A folder with mails
    #[arg(long)]
    samples: PathBuf,
    /// An empty folder for databases and logs
    #[arg(long)]
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(run) => tokio::select! {
            ended = play(*run) => ended,
            code = interrupted() => return code,
        },
        Command::Worker(args) => worker::run(args).await.map(|()| true),
        Command::Omnitrace { arguments } => {
            let arguments = [OsString::from("omnitrace")].into_iter().chain(arguments);
            let cli = omnitrace_server::cli::Cli::parse_from(arguments);
            return omnitrace_server::run(cli).await;
        }
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Ends with Ctrl-C or SIGTERM: what was started ends with what is dropped then.
async fn interrupted() -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => ExitCode::from(143),
        _ = interrupt.recv() => ExitCode::from(130),
    }
}

/// Whether nothing differs.
async fn play(run: Run) -> anyhow::Result<bool> {
    let start = Instant::now();
    let scale = Scale {
        seed: run.seed,
        runs: run.runs,
        kills: run.kills,
        outages: run.outages,
        restarts: run.restarts,
        workers: run.workers,
        database: run.database,
        wipe: run.wipe,
    };
    let bar = ProgressBar::new(scale.runs as u64).with_style(style());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.set_message("servers and workers start");
    let mut stage = set(&run, &scale).await?;
    let plan = Plan::new(&scale, stage.desk.mails.len(), &stage.desk.waiting());
    let happened = stage.play(plan, &bar).await?;
    bar.set_message("comparing with history");
    let (address, url) = (stage.temporal.address(), stage.store.url());
    let reconciled = stage.omnitrace.reconcile(&address, &url).await?;
    let verified = stage.omnitrace.verify(&address, &url).await?;
    let rows = stage.store.rows().await?;
    bar.finish_and_clear();
    let report = Report::new(
        &scale,
        start.elapsed(),
        happened,
        rows,
        reconciled,
        verified,
    );
    let text = if run.json {
        serde_json::to_string_pretty(&report)?
    } else {
        report.table()
    };
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")?;
    if run.keep {
        eprintln!(
            "kept until Ctrl-C: Temporal at {address}, the rows in {}",
            stage.store
        );
        std::future::pending::<()>().await;
    }
    Ok(report.is_equal())
}

/// Starts everything.
async fn set(run: &Run, scale: &Scale) -> anyhow::Result<Stage> {
    let folder = run.folder.as_path();
    let program = std::env::current_exe().context("this program is not to be found")?;
    let mails = mails(&run.samples)?;
    let temporal = Temporal::start(&run.temporal, folder).await?;
    let store = match scale.database {
        Database::Sqlite => Store::sqlite(folder),
        Database::Postgres => {
            let url = run.postgres.as_deref().context("--postgres is missing")?;
            let toxiproxy = run.toxiproxy.as_deref();
            let toxiproxy = toxiproxy.context("--toxiproxy is missing")?;
            Store::postgres(url, toxiproxy, folder, scale.seed).await?
        }
    };
    let outfit = Outfit {
        program: program.clone(),
        folder: folder.to_owned(),
        address: temporal.address(),
        database_url: store.url_for_workers(),
        task_queue: TASK_QUEUE.to_owned(),
    };
    Ok(Stage {
        desk: Desk {
            client: temporal.client().await?,
            task_queue: TASK_QUEUE.to_owned(),
            mails,
            early_queries: run.early_queries,
        },
        crew: Crew::start(outfit, scale.workers).await?,
        workers: scale.workers,
        omnitrace: Omnitrace {
            program,
            folder: folder.to_owned(),
        },
        temporal,
        store,
    })
}

/// The sample mails, in the order of their names.
fn mails(folder: &Path) -> anyhow::Result<Vec<Ticket>> {
    let read = || -> std::io::Result<Vec<Ticket>> {
        let mut files = std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<PathBuf>>>()?;
        files.sort();
        (files.iter())
            .map(|file| {
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                Ok(Ticket::parse(name, &std::fs::read(file)?))
            })
            .collect()
    };
    read().with_context(|| format!("cannot read the mails in {}", folder.display()))
}

fn style() -> ProgressStyle {
    // Drawn on a terminal alone.
    ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} ended, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
