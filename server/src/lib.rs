//! The command line of OmniTrace: lists recorded runs, draws one as a tree, serves them over HTTP, says
//! whether recording works, and imports histories.
//!
//! Commands but those that `docs/ARCHITECTURE.md` names only read: the database is opened for reading, nothing is
//! created or changed. Text that
//! comes from the database passes [`text::clean`] before it is printed, so that a name can't drive
//! the terminal.

pub mod cli;

mod api;
mod audit;
mod backfill;
mod database;
mod doctor;
mod draw;
mod erase;
mod error;
mod export;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod health;
mod http;
mod import;
mod list;
mod migrate;
mod progress;
mod prune;
mod reconcile;
mod selection;
mod shell;
mod show;
mod stats;
mod style;
mod switches;
mod text;
mod tokens;
mod verify;
mod version;
mod when;

#[cfg(test)]
#[path = "../tests/cli/rows.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the binary, which write them to a store"
)]
mod rows;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use cli::{Cli, Command};
use error::CliError;

/// What a command prints, and whether it found things in order.
struct Answer {
    text: String,
    good: bool,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, good: true }
    }
}

/// Runs a command. The exit code is 0, 1 when something is missing or wrong, or 2 for arguments
/// that don't fit together.
pub async fn run(cli: Cli) -> ExitCode {
    let now = jiff::Timestamp::now();
    let url = cli.database_url.as_deref();
    let answer = match cli.command {
        Command::List(args) => list::run(url, args, now).await.map(Answer::from),
        Command::Show(args) => show::run(url, args, now).await.map(Answer::from),
        Command::Serve(args) => http::run(url, args).await.map(Answer::from),
        Command::Token(command) => tokens::run(url, command, now).await.map(Answer::from),
        Command::Migrate => migrate::run(url).await.map(Answer::from),
        Command::Doctor(args) => Ok(doctor::run(url, args, now).await),
        Command::Import(args) => import::run(url, args).await,
        Command::Backfill(args) => backfill::run(url, args, now).await,
        Command::Verify(args) => verify::run(url, args, now).await,
        Command::Prune(args) => prune::run(url, args, now).await,
        Command::Audit(args) => audit::run(url, args, now).await,
        Command::Erase(args) => erase::run(url, args).await,
        Command::Reconcile(args) => reconcile::run(url, args).await,
        Command::Health(args) => health::run(args).await,
        Command::Completions { shell } => Ok(shell::completions(shell).into()),
        Command::Man { folder } => shell::man(folder.as_deref()).map(Answer::from),
        Command::Set(args) => switches::set(url, args).await.map(Answer::from),
        Command::Switches(command) => switches::run(url, command).await.map(Answer::from),
        Command::Stats(args) => stats::run(url, args, now).await.map(Answer::from),
        Command::Export(args) => export::run(url, args, now).await,
    };
    match answer {
        Ok(answer) => match print(&answer.text) {
            Ok(()) if answer.good => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

/// Prints to standard output, without colours where they are not wanted.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::Output(error)),
        Ok(()) => Ok(()),
    }
}

/// One line on standard error, of what is likely not as it was meant.
fn warn(text: &str) {
    let line = text::clean(text);
    // Nothing is left to be done when even this can't be written.
    let _ = writeln!(anstream::stderr(), "{} {line}", style::warn("warning:"));
}

fn fail(error: &CliError) -> ExitCode {
    let line = text::clean(&error.to_string());
    // Nothing is left to be done when even this can't be written.
    let _ = writeln!(anstream::stderr(), "{} {line}", style::error("error:"));
    ExitCode::from(error.exit_code())
}
