//! The arguments, as clap reads them. Values are checked here once; nothing later parses text.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use omnitrace::DEFAULT_NAMESPACE;
use omnitrace_store::row::Status;

use crate::when::Moment;

/// Shows what OmniTrace recorded of Temporal workflows.
#[derive(Debug, Parser)]
#[command(
    name = "omnitrace",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:
  omnitrace list --status failed --since 2h
  omnitrace show order-1042
  omnitrace doctor
  omnitrace import history.json"
)]
pub struct Cli {
    /// Database with the recorded runs, as sqlite://omnitrace.db or postgres://user@host/database.
    // Read as plain text and its value is hidden in help: it may hold a password.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OMNITRACE_DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) database_url: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List recorded runs, newest first.
    List(ListArgs),
    /// Draw one run as a tree of steps, attempts and what happened inside them.
    Show(ShowArgs),
    /// Check whether recording works, and say what to do where it does not.
    Doctor(DoctorArgs),
    /// Store runs that Temporal wrote into history, as if they had been recorded.
    Import(ImportArgs),
    /// Create the tables of a database, or bring older ones up to date.
    #[command(after_help = "Examples:
  omnitrace migrate
  omnitrace migrate --database-url postgres://owner@db.example.com/omnitrace")]
    Migrate,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace list
  omnitrace list --status failed --status timed_out --since 2h
  omnitrace list --type 'Order*' --since 2026-01-01 --until 2026-02-01
  omnitrace list --text declined --limit 500 --json | jq -r .execution_id")]
pub(crate) struct ListArgs {
    /// Only runs with this status; repeat it, or separate several by commas.
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', value_parser = status_parser())]
    pub(crate) statuses: Vec<Status>,
    /// Only this workflow type; * stands for any text.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) workflow_type: Option<String>,
    /// Only runs started at or after this: 2h, 3d, 2026-01-01, 2026-01-01T10:00 (UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only runs started before this, written like --since.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// Only runs with this text in workflow id, run id, type or error.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// At most so many runs; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
    /// Print one JSON object per line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace show order-1042
  omnitrace show order-1042 --all --data
  omnitrace show 0197d6a8-52d4-7b6e-9d0e-0d5a35b1c2aa
  omnitrace show order-1042 --json | jq '.root.children[] | select(.status == \"failed\")'")]
pub(crate) struct ShowArgs {
    /// Workflow id (its newest run is shown) or run id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// This run of the workflow id instead of the newest.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Show every attempt and whole error messages.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show the recorded data of each step.
    #[arg(long)]
    pub(crate) data: bool,
    /// Print the trace as JSON; holds all attempts and data.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if nothing is broken (warnings included), 1 if a check fails.

Examples:
  omnitrace doctor
  omnitrace doctor --json | jq '.checks[] | select(.level != \"ok\")'"
)]
pub(crate) struct DoctorArgs {
    /// Print the checks as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Payloads are redacted as a worker with the same environment does (OMNITRACE_HASH_KEY, \
                  OMNITRACE_ALLOW_FIELDS, …). Importing again changes nothing.

Exit code: 0 if every file was imported, 1 if one was not; the others are.

Examples:
  temporal workflow show --workflow-id order-1042 --output json | omnitrace import -
  omnitrace import histories/*.json
  omnitrace import old.json --workflow-id order-7 --run-id 0197d6a8-52d4-7b6e-9d0e-0d5a35b1c2aa"
)]
pub(crate) struct ImportArgs {
    /// Histories as JSON or protobuf; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Temporal namespace of the runs.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: String,
    /// Workflow id of histories that name none; the file's name without this.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow_id: Option<String>,
    /// Run id; without it, what the history says.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Print one JSON object per file.
    #[arg(long)]
    pub(crate) json: bool,
}

fn status_parser() -> impl clap::builder::TypedValueParser<Value = Status> {
    let names = Status::ALL.iter().map(|s| s.as_str());
    // The names are those of `ALL`, so each parses.
    PossibleValuesParser::new(names).map(|name| Status::parse(&name).unwrap_or(Status::Running))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Cli::command().debug_assert();
    }
}
