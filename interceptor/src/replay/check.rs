//! The replay of stored runs: which, several at once, and what is kept of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use omnitrace_store::row::RunRow;
use omnitrace_store::{
    DatabaseUrl, OpenError, ReadError, ReplayRow, RunFilter, Store, UrlError, ids,
};

use super::args::ReplayArgs;
use super::outcome::{Outcome, Report};
use crate::clock;
use crate::config::{DatabaseTarget, Settings};
use crate::history::{ConnectError, Server, ServerError, steps};
use crate::policy::{Policy, sampled};
use crate::sdk::ReplayWorkflows;

/// Runs of one look into the store.
const PAGE: u32 = 500;

/// Replays stored runs against these workflows: the options of a worker, or of a `WorkflowReplayer`.
///
/// ```no_run
/// # fn worker_options() -> temporalio_sdk::WorkerOptions { temporalio_sdk::WorkerOptions::new("q").build() }
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     omnitrace::replay_check(worker_options()).run_from_args().await
/// }
/// ```
pub fn replay_check(workflows: impl Into<ReplayWorkflows>) -> ReplayCheck {
    ReplayCheck {
        workflows: workflows.into(),
    }
}

/// Made by [`replay_check`].
#[derive(Clone, Debug)]
#[must_use = "nothing is replayed before it is run"]
pub struct ReplayCheck {
    pub(crate) workflows: ReplayWorkflows,
}

/// Why nothing could be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The URL of the database.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// There is no database.
    #[error(
        "no database is named: set OMNITRACE_DATABASE_URL or --database-url to the one of the runs"
    )]
    NoStore,
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The same.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The connection to Temporal.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Temporal.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No workflow is there to be replayed.
    #[error("no workflow is registered in the options that were given to replay_check")]
    NoWorkflows,
    /// A type that the worker does not have.
    #[error("the worker has no workflow type {asked:?}: it has {known}")]
    UnknownType {
        /// As it was asked for.
        asked: String,
        /// Those that it has.
        known: String,
    },
    /// A file that was to be written.
    #[error("cannot write {path}: {reason}")]
    Junit {
        /// As it was named.
        path: PathBuf,
        /// One line.
        reason: String,
    },
    /// Standard output.
    #[error("cannot write the result: {0}")]
    Output(std::io::Error),
}

impl ReplayCheck {
    /// Reads the program's arguments, replays, and prints the result: for a program that does nothing else.
    pub async fn run_from_args(self) -> ExitCode {
        let command = Command::new("replay")
            .about("Replays stored runs against this worker's code, and says where they part.");
        let matches = ReplayArgs::augment_args(command).get_matches();
        match ReplayArgs::from_arg_matches(&matches) {
            Ok(args) => self.run(args).await,
            Err(error) => error.exit(),
        }
    }

    /// Replays and prints the result, to standard output; what went wrong, to standard error.
    pub async fn run(self, args: ReplayArgs) -> ExitCode {
        let (strict, json) = (args.strict, args.json);
        let done = self.check(args).await.and_then(|report| {
            let text = match json {
                // Text and numbers alone.
                true => format!("{}\n", serde_json::to_string(&report).unwrap_or_default()),
                false => report.text(),
            };
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())
                .map_err(ReplayError::Output)?;
            Ok(report.exit_code(strict))
        });
        match done {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        }
    }

    /// Replays, writes JUnit's file if one is named, and keeps the result in the store unless it is not
    /// wanted. A store that does not take the result is a warning.
    ///
    /// # Errors
    /// When store or server don't answer, or nothing fits the arguments.
    pub async fn check(self, args: ReplayArgs) -> Result<Report, ReplayError> {
        let (settings, _) = Settings::from_env();
        let types = self.types(&args)?;
        let url = database(&args, &settings)?;
        let server = args.temporal.clone().server().await?;
        let mut options = settings.open_options();
        options.read_only = args.dry_run;
        let store = Store::open(&url, options).await?;
        let runs = runs(&store, &args, &types, server.namespace()).await?;
        let build_id = args.build_id.as_deref();
        let build_id = build_id.unwrap_or(self.workflows.build_id()).to_owned();

        let bar = progress(runs.len());
        let policy = Arc::new(settings.policy());
        let each = stream::iter(runs).map(|run| {
            let (server, policy, check, bar) = (&server, &policy, &self, &bar);
            async move {
                let outcome = check.replay(&run, server, policy, args.timeout).await?;
                bar.inc(1);
                Ok::<_, ReplayError>((run, outcome))
            }
        });
        let done: Vec<_> = each
            .buffer_unordered(args.at_once.into())
            .try_collect()
            .await?;
        bar.finish_and_clear();

        if !args.dry_run {
            let now = clock::now();
            let row = |(run, outcome): &(RunRow, Outcome)| outcome.row(run, &build_id, now);
            let rows: Vec<ReplayRow> = done.iter().map(row).collect();
            for rows in rows.chunks(PAGE as usize) {
                if let Err(error) = store.write_replays(rows).await {
                    eprintln!("warning: the result is not kept: {error}");
                    break;
                }
            }
        }
        store.close().await;
        let outcomes = done.into_iter().map(|(_, outcome)| outcome).collect();
        let report = Report::new(&build_id, outcomes);
        if let Some(path) = args.junit {
            let written = (report.junit())
                .and_then(|xml| std::fs::write(&path, xml).map_err(|error| error.to_string()));
            written.map_err(|reason| ReplayError::Junit { path, reason })?;
        }
        Ok(report)
    }

    /// Those that are asked for, of those that the worker has.
    fn types(&self, args: &ReplayArgs) -> Result<Vec<String>, ReplayError> {
        let known = self.workflows.types();
        if known.is_empty() {
            return Err(ReplayError::NoWorkflows);
        }
        if let Some(asked) = args.types.iter().find(|asked| !known.contains(asked)) {
            return Err(ReplayError::UnknownType {
                asked: asked.clone(),
                known: known.join(", "),
            });
        }
        Ok(match args.types.is_empty() {
            true => known,
            false => args.types.clone(),
        })
    }

    async fn replay(
        &self,
        run: &RunRow,
        server: &Server,
        policy: &Policy,
        limit: Duration,
    ) -> Result<Outcome, ReplayError> {
        let Some(events) = server.events(&run.key).await? else {
            return Ok(Outcome::gone(run));
        };
        let mut decoded = events.clone();
        self.workflows.decode(&mut decoded).await;
        let expected = steps(&decoded);
        drop(decoded);
        let namespace = server.namespace();
        let mut replayed = self.workflows.replay(namespace, events, limit).await;
        // Code that knows a patch says so also where the run was without it.
        let known = |id: &str| expected.iter().any(|s| s.kind == "patch" && s.id == id);
        (replayed.steps).retain(|step| step.kind != "patch" || known(&step.id));
        Ok(Outcome::of(run, &expected, &replayed, policy))
    }
}

fn database(args: &ReplayArgs, settings: &Settings) -> Result<DatabaseUrl, ReplayError> {
    match (&args.database_url, &settings.database) {
        (Some(url), _) => {
            let folder = std::env::current_dir().map_err(ReplayError::Output)?;
            Ok(DatabaseUrl::parse(url, &folder)?)
        }
        (None, DatabaseTarget::Url(url)) => Ok(url.clone()),
        (None, DatabaseTarget::None) => Err(ReplayError::NoStore),
    }
}

/// The newest runs of each type that fit and that Temporal has a history of.
async fn runs(
    store: &Store,
    args: &ReplayArgs,
    types: &[String],
    namespace: &str,
) -> Result<Vec<RunRow>, ReadError> {
    let mut found = Vec::new();
    for of in types {
        let mut filter = RunFilter {
            workflow_type: Some(of.clone()),
            namespace: Some(namespace.to_owned()),
            statuses: args.statuses.clone(),
            workflow_id: args.workflow_id.clone(),
            run_id: args.run_id.clone(),
            started_from: args.since,
            started_before: args.until,
            limit: PAGE,
            ..RunFilter::default()
        };
        let enough = match args.limit {
            0 => usize::MAX,
            limit => found.len() + limit as usize,
        };
        loop {
            let page = store.list_runs(&filter).await?;
            let last = page.last().filter(|_| page.len() == PAGE as usize);
            filter.after = last.map(|run| (run.start_time(), run.key.clone()));
            let fits = page.into_iter().filter(|run| {
                run.workflow_type == *of && run.has_history() && picked(run, args.sample)
            });
            found.extend(fits.take(enough - found.len()));
            if filter.after.is_none() || found.len() == enough {
                break;
            }
        }
    }
    Ok(found)
}

/// By another hash than that by which runs are recorded, whose part would be all or none of these.
fn picked(run: &RunRow, rate: f64) -> bool {
    let key = &run.key;
    sampled(
        &ids::trace_id("replay", &key.workflow_id, &key.run_id),
        rate,
    )
}

/// Hidden by itself where standard error is no terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} replaying {pos}/{len} {per_sec}");
    let bar = ProgressBar::new(runs as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
