//! The arguments, as clap reads them. Values are checked here once; nothing later parses text.

mod keep;
#[cfg(test)]
mod reference;
mod runs;
mod serve;
mod temporal;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Error, Parser, Subcommand};

pub(crate) use keep::{AuditArgs, Days, EraseArgs, PruneArgs, RetentionArgs, StatsArgs};
pub(crate) use runs::{ExportArgs, FilterArgs, ListArgs, ShowArgs};
pub(crate) use serve::{JwtArgs, Listen, ServeArgs};
pub(crate) use temporal::{BackfillArgs, ImportArgs, ReconcileArgs, SelectionArgs, VerifyArgs};
pub(crate) use token::{TokenCommand, TokenCreateArgs};

use crate::when::Moment;

/// Shows what OmniTrace recorded of Temporal workflows.
#[derive(Debug, Parser)]
#[command(
    name = "omnitrace",
    version,
    long_version = crate::version::long(),
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

impl Cli {
    /// Reads the arguments of this process; what is wrong with them ends it.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let given: Vec<String> = std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            with_tip(error, &given).exit()
        })
    }
}

/// Says how a value is given to an option that takes one after `=` alone.
fn with_tip(mut error: Error, given: &[String]) -> Error {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let before = given.windows(2).find(|pair| pair[1] == *value);
    let option = before.and_then(|pair| pair[0].strip_prefix("--"));
    let (Some(option), ErrorKind::UnknownArgument) = (option, error.kind()) else {
        return error;
    };
    let wants_equals = |command: &clap::Command| {
        (command.get_arguments())
            .any(|argument| argument.get_long() == Some(option) && argument.is_require_equals_set())
    };
    if Cli::command().get_subcommands().any(wants_equals) {
        let tip = format!("write --{option}={value}").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List recorded runs, newest first.
    List(ListArgs),
    /// Draw one run as a tree of steps, attempts and what happened inside them.
    Show(ShowArgs),
    /// Serve recorded runs over HTTP, and show them in a browser.
    Serve(ServeArgs),
    /// Make, list and take back tokens that open the API to others than this machine.
    #[command(
        subcommand,
        after_help = "Examples:
  omnitrace token create --name me --tenant '*' --namespace '*'
  omnitrace token list"
    )]
    Token(TokenCommand),
    /// Check whether recording works, and say what to do where it does not.
    Doctor(DoctorArgs),
    /// Store runs that Temporal wrote into history, as if they had been recorded.
    Import(ImportArgs),
    /// Store the runs that a Temporal server knows, from their histories.
    Backfill(BackfillArgs),
    /// Compare what is stored with the histories on a Temporal server.
    Verify(VerifyArgs),
    /// Find runs that a Temporal server knows otherwise than the store, and put them right, again and
    /// again.
    Reconcile(ReconcileArgs),
    /// Add up counts, latencies, tokens and cost, also of what was deleted as too old.
    Stats(StatsArgs),
    /// Delete what is too old, and keep hourly counts, latencies and cost of it.
    Prune(PruneArgs),
    /// Look for anything secret or personal in what is stored and in what would leave.
    Audit(AuditArgs),
    /// Erase what is stored of a user, a tenant or a workflow id, and keep it away.
    Erase(EraseArgs),
    /// Change what is recorded, without a deploy.
    Set(crate::switches::SetArgs),
    /// List what was changed with `set`, and take it back.
    #[command(
        subcommand,
        after_help = "Examples:
  omnitrace switches list
  omnitrace switches unset sample_rate --env prod --reason 'rollout done'"
    )]
    Switches(crate::switches::SwitchesCommand),
    /// Send stored runs to a collector, whether or not they were sent before.
    Export(ExportArgs),
    /// Say whether a server on this machine lives: for containers, which have no other program to ask with.
    Health(crate::health::HealthArgs),
    /// Print what completes commands in a shell.
    #[command(after_help = "Examples:
  omnitrace completions bash > /etc/bash_completion.d/omnitrace
  omnitrace completions zsh > ~/.zfunc/_omnitrace")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual: its first page to standard output, or every page into a folder.
    #[command(after_help = "Examples:
  omnitrace man > omnitrace.1
  omnitrace man /usr/local/share/man/man1")]
    Man {
        /// Folder for omnitrace.1, omnitrace-serve.1, …; made where there is none.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Create the tables of a database, or bring older ones up to date.
    #[command(after_help = "Examples:
  omnitrace migrate
  omnitrace migrate --database-url postgres://owner@db.example.com/omnitrace")]
    Migrate,
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

fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<Moment>() {
        Ok(Moment::Ago(time)) => Duration::try_from(time).map_err(|error| error.to_string()),
        _ => Err("write 30s, 5m, 1h or 7d".to_owned()),
    }
}

/// One that is not zero.
fn some_duration(text: &str) -> Result<Duration, String> {
    let some = duration(text)?;
    match some.is_zero() {
        true => Err("write more than nothing, as 30s, 5m, 1h or 7d".to_owned()),
        false => Ok(some),
    }
}

/// Text that says something.
pub(crate) fn filled(text: &str) -> Result<String, &'static str> {
    match text.trim().is_empty() {
        true => Err("it is empty"),
        false => Ok(text.to_owned()),
    }
}

/// At most so many; 0 is no limit.
fn number(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "write a whole number, as 50")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Cli::command().debug_assert();
    }
}
