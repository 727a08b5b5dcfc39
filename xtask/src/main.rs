//! `cargo xtask`: the commands a person or CI runs. It needs neither the SDK nor this workspace's
//! crates, so it builds in seconds on a machine that has only Rust, and obtains the rest.

mod bench;
mod bench_ui;
mod book;
mod cargo;
mod chaos;
mod dashboards;
mod demo;
mod deny;
mod deploy;
mod error;
mod fuzz;
mod interrupt;
mod process;
mod say;
mod soak;
mod test;
mod tools;
mod web;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use error::Error;
use tools::{Host, protoc};

/// Tasks for working on OmniTrace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Record a dozen runs on a real Temporal server, show one of them, and serve all in a browser
    Demo {
        /// End after the runs instead of keeping the servers for a look around
        #[arg(long)]
        once: bool,
        /// The folder of sample runs [default: worker-example/samples]
        folder: Option<PathBuf>,
    },
    /// Check formatting and lints, then run every test against real servers
    #[command(after_help = "With arguments, only the tests they select are run:\n  \
        cargo xtask test merge -- --nocapture\n  \
        cargo xtask test -p omnitrace-store

The long form takes half an hour more, and needs a nightly compiler:
  cargo xtask test --long")]
    Test {
        /// Also all of chaos, what is depended on, and every fuzzer for two minutes
        #[arg(long, conflicts_with = "arguments")]
        long: bool,
        /// Arguments for `cargo test`; formatting and lints are then skipped
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what recording costs: ratios against the same work without it
    Bench {
        /// What to measure; everything if it is not named
        name: Option<bench::Measure>,
        /// Fewer rounds of less work: shows that it runs, and proves nothing
        #[arg(long)]
        quick: bool,
        /// With up to ten million rows stored, which take some gigabytes and minutes
        #[arg(long)]
        large: bool,
    },
    /// Kill workers and servers, cut the database off, and compare what is stored with history
    #[command(after_help = "Exit code: 0 if nothing differs, 1 if anything does.

Examples:
  cargo xtask chaos
  cargo xtask chaos --runs 200 --kills 12 --outages 3 --seed 7
  cargo xtask chaos --database sqlite --workers 2
  cargo xtask chaos --wipe
  cargo xtask chaos --json > chaos.json")]
    Chaos(chaos::Options),
    /// Very many runs with the plugin and without, in turn; a page says whether the limits were held
    #[command(
        after_help = "A million short and a thousand long runs of each take two cores a night and 30 GB of disk;
Ctrl-C ends it with a report of what was done.

Exit code: 0 if nothing was lost, 1 if anything was.

Examples:
  cargo xtask soak
  cargo xtask soak --short 20000 --long 40"
    )]
    Soak(soak::Options),
    /// Give what takes bytes from outside any bytes, and see what holds; needs a nightly compiler
    Fuzz(fuzz::Options),
    /// Check what is depended on: known holes, licences, sources
    #[command(
        after_help = "Known holes are looked up in a database that is fetched. Without it:\n  \
        cargo xtask deny bans licenses sources"
    )]
    Deny(deny::Options),
    /// Check the web UI and build the bundle that the program holds; needs Node.js
    Web {
        /// Then draw the pictures of docs/images anew, in Chromium
        #[arg(long)]
        screenshots: bool,
    },
    /// Check the links of the guides, and make a site of them
    Book,
    /// Print what a plain `cargo build` needs: eval "$(cargo xtask env)"
    Env,
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(keep_test_arguments(std::env::args_os().collect()));
    match interrupt::listen().and_then(|()| run(cli.task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::from(error.code())
        }
    }
}

fn run(task: Task) -> Result<(), Error> {
    let host = Host::current();
    match task {
        Task::Demo { once, folder } => demo::run(&host, once, folder),
        Task::Test { long, arguments } => test::run(&host, arguments, long),
        Task::Bench { name, quick, large } => bench::run(&host, name, quick, large),
        Task::Chaos(options) => chaos::run(&host, &options),
        Task::Soak(options) => soak::run(&host, &options),
        Task::Fuzz(options) => fuzz::run(&host, &options),
        Task::Deny(options) => deny::run(&host, &options),
        Task::Web { screenshots } => web::run_and_draw(&host, screenshots),
        Task::Book => book::run(&host),
        Task::Env => print_environment(&protoc::resolve(&host)?),
    }
}

/// The options of a command that is given none: each has a default.
fn defaults<T: Args>() -> T {
    let command = T::augment_args(clap::Command::new("defaults"));
    T::from_arg_matches(&command.get_matches_from(["defaults"]))
        .expect("what clap has parsed by these arguments it reads by them")
}

/// Marks what follows `test` as the tests' own, so that neither an option nor a `--` in it is
/// taken for ours. `test --help` and `test --long` stay ours.
fn keep_test_arguments(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let ours = (arguments.get(2))
        .is_some_and(|first| ["--help", "-h", "--long"].iter().any(|our| first == our));
    if arguments.get(1).is_some_and(|task| task == "test") && !ours {
        arguments.insert(2, "--".into());
    }
    arguments
}

fn print_environment(protoc: &protoc::Protoc) -> Result<(), Error> {
    let line = match protoc.to_set() {
        Some(path) => format!("export PROTOC={}", shell_quoted(&path.to_string_lossy())),
        None => format!("# nothing to set: builds find {}", protoc.path().display()),
    };
    writeln!(std::io::stdout(), "{line}").map_err(Error::file("write", "standard output"))
}

/// A word as a shell reads it back; plain words stay as they are.
fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.:_-+=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn test_arguments(line: &str) -> Vec<String> {
        let words = line.split(' ').map(OsString::from).collect();
        match Cli::try_parse_from(keep_test_arguments(words))
            .unwrap()
            .task
        {
            Task::Test {
                long: false,
                arguments,
            } => arguments
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_long_tests_run_has_defaults() {
        defaults::<chaos::Options>();
        defaults::<deny::Options>();
        defaults::<fuzz::Options>();
    }

    #[test]
    fn everything_after_test_reaches_cargo_as_it_is() {
        assert_eq!(test_arguments("xtask test"), [""; 0]);
        assert_eq!(
            test_arguments("xtask test merge -- --nocapture"),
            ["merge", "--", "--nocapture"]
        );
        assert_eq!(test_arguments("xtask test -- --list"), ["--", "--list"]);
        assert_eq!(
            test_arguments("xtask test -p omnitrace-store --help"),
            ["-p", "omnitrace-store", "--help"]
        );
    }

    #[test]
    fn the_long_form_is_ours_and_is_of_everything() {
        let parse = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            Cli::try_parse_from(keep_test_arguments(words)).map(|cli| cli.task)
        };
        let Ok(Task::Test { long: true, .. }) = parse("xtask test --long") else {
            panic!("not the long form");
        };
        let error = parse("xtask test --long merge").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
        assert_eq!(test_arguments("xtask test x --long"), ["x", "--long"]);
    }

    #[test]
    fn help_for_the_task_itself_is_ours() {
        let words = ["xtask", "test", "--help"].map(OsString::from).to_vec();
        let error = Cli::try_parse_from(keep_test_arguments(words)).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        assert_eq!(shell_quoted("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(shell_quoted("sqlite:///a/b.db"), "sqlite:///a/b.db");
        assert_eq!(shell_quoted(""), "''");
    }
}
