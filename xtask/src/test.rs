//! `cargo xtask test`: formatting, lints, the web UI and every test. Tests see none of the user's settings.

mod servers;

use std::ffi::{OsStr, OsString};
use std::process::Command;
use std::time::{Duration, Instant};

use servers::{Servers, Wanted};

use crate::error::Error;
use crate::tools::protoc::{self, Protoc};
use crate::tools::{Host, cargo_deny, cargo_fuzz};
use crate::{book, cargo, chaos, dashboards, deny, deploy, fuzz, process, say, web};

/// The package whose tests need a Temporal server.
const INTEGRATION: &str = "omnitrace-tests";
/// The packages whose tests need a Jaeger.
const ON_JAEGER: [&str; 2] = ["omnitrace-server", INTEGRATION];
/// The packages whose tests need a PostgreSQL server.
const ON_POSTGRES: [&str; 2] = ["omnitrace-store", INTEGRATION];
/// Over how many runs memory is compared, when all tests run.
const RUNS_VARIABLE: (&str, &str) = ("OMNITRACE_TEST_RUNS", "10000");
/// Settings of the user that must not change what a test sees.
const HIDDEN_PREFIXES: [&str; 5] = ["OMNITRACE_", "TEMPORAL_", "OTEL_", "TELEMETRY_", "PROM_"];
/// Those among them that are meant for the tests.
const KEPT_PREFIXES: [&str; 2] = ["OMNITRACE_TEST_", "OMNITRACE_TOOLS"];

/// Runs everything, in its short or long form, or with arguments the tests that they select.
pub(crate) fn run(host: &Host, arguments: Vec<OsString>, long: bool) -> Result<(), Error> {
    let protoc = protoc::resolve(host)?;
    say::line("protoc", protoc.path().display());
    if arguments.is_empty() {
        return everything(host, &protoc, long);
    }
    let any = |of: &[&str]| of.iter().any(|of| wants_server(&arguments, of));
    let wanted = Wanted {
        temporal: any(&[INTEGRATION]),
        jaeger: any(&ON_JAEGER),
        postgres: any(&ON_POSTGRES),
    };
    let servers = Servers::start(host, wanted)?;
    let mut tests = test_command(host, &protoc, &servers);
    if selects_everywhere(&arguments) {
        tests.arg("--workspace");
    }
    process::expect(process::run(tests.args(arguments))?, "cargo test")
}

fn everything(host: &Host, protoc: &Protoc, long: bool) -> Result<(), Error> {
    cargo::require(protoc, "fmt", "rustfmt")?;
    cargo::require(protoc, "clippy", "clippy")?;
    if long {
        // What is missing is not found out at the end of an hour.
        cargo_deny::resolve(host)?;
        cargo_fuzz::resolve(host)?;
    }
    let mut steps = Steps::default();
    steps.run("formatting", || {
        let mut format = cargo::command(protoc);
        format.args(["fmt", "--all", "--check"]);
        if say::plain() {
            // Rustfmt colours its diff wherever it goes.
            format.args(["--", "--color", "never"]);
        }
        process::expect(process::run(&mut format)?, "cargo fmt --all --check")
    })?;
    let built = steps.run("building the tests", || {
        let mut build = test_command(host, protoc, &Servers::default());
        build.args(["--workspace", "--no-run"]);
        if say::plain() {
            build.arg("--quiet");
        }
        run_build(
            &mut build,
            "building the tests",
            "cargo test --workspace --no-run",
        )
    })?;
    steps.run("web UI", web::check)?;
    steps.run("dashboards", dashboards::check)?;
    steps.run("guides", || book::run_if_possible(host))?;
    if built {
        steps.run("web UI in a browser", || {
            let omnitrace = cargo::target_directory(host).join("debug/omnitrace");
            web::in_browser(host, protoc, &omnitrace)
        })?;
        steps.run("files of deploy/", || {
            deploy::check(host, &cargo::target_directory(host).join("debug/omnitrace"))
        })?;
        steps.run("lints", || {
            let mut clippy = cargo::command(protoc);
            clippy.args(["clippy", "--workspace", "--all-targets"]);
            if say::plain() {
                clippy.arg("--quiet");
            }
            clippy.args(["--", "-D", "warnings"]);
            run_build(&mut clippy, "checking lints", "cargo clippy")
        })?;
        let mut servers = None;
        steps.run("servers", || {
            let wanted = Wanted {
                temporal: true,
                jaeger: true,
                postgres: true,
            };
            servers = Some(Servers::start(host, wanted)?);
            Ok(())
        })?;
        if let Some(servers) = servers {
            steps.run("tests", || {
                let mut tests = test_command(host, protoc, &servers);
                tests.args(["--workspace", "--no-fail-fast"]);
                if host.text(RUNS_VARIABLE.0).is_none() {
                    tests.env(RUNS_VARIABLE.0, RUNS_VARIABLE.1);
                }
                process::expect(process::run(&mut tests)?, "cargo test")
            })?;
        }
        steps.run("chaos", || {
            let options = match long {
                true => crate::defaults(),
                false => chaos::Options::small(),
            };
            chaos::run_with(host, protoc, &options)
        })?;
    }
    if long {
        steps.run("dependencies", || deny::run(host, &crate::defaults()))?;
        steps.run("fuzzers", || fuzz::run(host, &crate::defaults()))?;
    }
    steps.finish()
}

/// A build says what it does on a terminal; elsewhere it is silent but for its errors.
fn run_build(command: &mut Command, doing: &str, what: &str) -> Result<(), Error> {
    let status = if say::plain() {
        process::run_silent(command, doing)?
    } else {
        process::run(command)?
    };
    process::expect(status, what)
}

fn test_command(host: &Host, protoc: &Protoc, servers: &Servers) -> Command {
    let mut command = cargo::command(protoc);
    for name in host.names().filter(|name| is_hidden(name)) {
        command.env_remove(name);
    }
    servers.tell(&mut command);
    command.arg("test");
    command
}

/// Whether a variable is a setting of the user's that measured or tested programs must not see.
pub(crate) fn is_hidden(name: &str) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    starts(&HIDDEN_PREFIXES) && !starts(&KEPT_PREFIXES)
}

/// Cargo's own arguments: those before `--`.
fn for_cargo(arguments: &[OsString]) -> impl Iterator<Item = &OsStr> {
    arguments
        .iter()
        .map(OsString::as_os_str)
        .take_while(|argument| *argument != "--")
}

/// The packages that `-p` names, in each of its spellings.
fn packages(arguments: &[OsString]) -> Vec<String> {
    let mut packages = Vec::new();
    let mut words = for_cargo(arguments).map(OsStr::to_string_lossy);
    while let Some(word) = words.next() {
        if word == "-p" || word == "--package" {
            packages.extend(words.next().map(String::from));
        } else if let Some(name) = word.strip_prefix("--package=") {
            packages.push(name.to_owned());
        } else if let Some(name) = word.strip_prefix("-p") {
            packages.push(name.trim_start_matches('=').to_owned());
        }
    }
    packages
}

/// Whether tests are looked for in all packages.
fn selects_everywhere(arguments: &[OsString]) -> bool {
    packages(arguments).is_empty()
        && !for_cargo(arguments).any(|argument| {
            argument == "--workspace" || argument == "--all" || argument == "--manifest-path"
        })
}

/// Whether tests of this package may run, which talk to a server.
fn wants_server(arguments: &[OsString], of: &str) -> bool {
    let only_others = {
        let packages = packages(arguments);
        !packages.is_empty()
            && !packages
                .iter()
                // Cargo takes patterns and `name@version` too.
                .any(|name| name.starts_with(of) || name.contains(['*', '?', '[']))
    };
    let runs_none = for_cargo(arguments).any(|argument| {
        matches!(
            argument.to_str(),
            Some("--no-run" | "--doc" | "--help" | "-h")
        )
    }) || arguments.iter().any(|argument| argument == "--list");
    !only_others && !runs_none
}

/// The steps of a whole run, and how long each took.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration, Option<Error>)>,
}

impl Steps {
    /// Runs a step; true if it succeeded. What fails is reported at the end, an interrupt at once.
    fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(), Error>,
    ) -> Result<bool, Error> {
        say::line("", format_args!("{name} …"));
        let start = Instant::now();
        let failure = match step() {
            Ok(()) => None,
            Err(error @ Error::Interrupted(_)) => return Err(error),
            Err(error) => Some(error),
        };
        if let Some(error) = &failure {
            say::error(error);
        }
        let succeeded = failure.is_none();
        self.done.push((name, start.elapsed(), failure));
        Ok(succeeded)
    }

    fn table(&self) -> String {
        let total = self.done.iter().map(|(_, time, _)| *time).sum();
        let row = |name: &str, result: &str, time| {
            format!("{name:<20} {result:<7} {:>12}\n", say::duration(time))
        };
        let mut table: String = self
            .done
            .iter()
            .map(|(name, time, failure)| {
                row(name, if failure.is_some() { "FAILED" } else { "ok" }, *time)
            })
            .collect();
        table.push_str(&row("together", "", total));
        table
    }

    fn finish(self) -> Result<(), Error> {
        say::text(format_args!("\n{}", self.table()));
        let failed: Vec<&str> = self
            .done
            .iter()
            .filter(|(_, _, failure)| failure.is_some())
            .map(|(name, _, _)| *name)
            .collect();
        match failed.as_slice() {
            [] => Ok(()),
            failed => Err(Error::Advice(format!("failed: {}", failed.join(", ")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_filter_looks_in_all_packages_and_a_package_only_in_itself() {
        assert!(selects_everywhere(&words("merge -- --nocapture")));
        assert!(selects_everywhere(&words("merge -- -p omnitrace")));
        assert!(!selects_everywhere(&words("-p omnitrace-store merge")));
        assert!(!selects_everywhere(&words("--package=omnitrace-store")));
        assert!(!selects_everywhere(&words("--workspace --exclude xtask")));
    }

    #[test]
    fn packages_are_read_in_every_spelling() {
        assert_eq!(
            packages(&words("-p a -pb --package c --package=d -p=e x")),
            ["a", "b", "c", "d", "e"]
        );
    }

    #[test]
    fn a_server_is_started_only_for_tests_that_may_talk_to_it() {
        let wants = |arguments: &[OsString]| wants_server(arguments, INTEGRATION);
        assert!(wants(&words("merge")));
        assert!(wants(&words("-p omnitrace-tests replay")));
        assert!(wants(&words("-p omnitrace-store -p omnitrace-tests")));
        assert!(wants(&words("-p omnitrace*")));
        assert!(!wants(&words("-p omnitrace-store merge")));
        assert!(!wants(&words("--doc")));
        assert!(!wants(&words("-- --list")));
        assert!(wants(&words("x -- --doc")));
        assert!(wants_server(
            &words("-p omnitrace-store"),
            "omnitrace-store"
        ));
        assert!(!wants_server(
            &words("-p omnitrace-tests"),
            "omnitrace-store"
        ));
    }

    #[test]
    fn tests_do_not_see_the_users_settings_but_their_own() {
        assert!(is_hidden("OMNITRACE_DATABASE_URL"));
        assert!(is_hidden("TEMPORAL_ADDRESS"));
        assert!(is_hidden("OTEL_SERVICE_NAME"));
        assert!(!is_hidden("OMNITRACE_TEST_POSTGRES"));
        assert!(!is_hidden("OMNITRACE_TOOLS"));
        assert!(!is_hidden("PATH"));
    }

    #[test]
    fn every_step_is_in_the_table_and_a_failure_fails_the_whole() {
        let mut steps = Steps::default();
        assert!(steps.run("one", || Ok(())).unwrap());
        assert!(
            !steps
                .run("two", || Err(Error::Advice("no".to_owned())))
                .unwrap()
        );
        let table = steps.table();
        let results: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().take(2).collect())
            .collect();
        assert_eq!(
            results,
            [["one", "ok"], ["two", "FAILED"], ["together", "0.0"]]
        );
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: two");
    }

    #[test]
    fn an_interrupt_ends_the_steps_at_once() {
        let mut steps = Steps::default();
        let error = steps.run("one", || Err(Error::Interrupted(2))).unwrap_err();
        assert_eq!(error.code(), 130);
    }
}
