//! `cargo xtask test`: formatting, lints, the web UI and every test, against one Temporal server and one
//! PostgreSQL server that are started for all of them. Tests see none of the user's settings.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::tools::dev_server::{DevServer, Ui};
use crate::tools::jaeger::Jaeger;
use crate::tools::postgres::PostgresServer;
use crate::tools::protoc::{self, Protoc};
use crate::tools::server::Server;
use crate::tools::{
    Host, cargo_deny, cargo_fuzz, collector, prometheus, python, temporal, toxiproxy,
};
use crate::{book, cargo, chaos, dashboards, deny, deploy, fuzz, process, say, web};

/// The package whose tests need a Temporal server.
const INTEGRATION: &str = "omnitrace-tests";
/// The packages whose tests need a Jaeger.
const ON_JAEGER: [&str; 2] = ["omnitrace-server", INTEGRATION];
/// The packages whose tests need a PostgreSQL server.
const ON_POSTGRES: [&str; 2] = ["omnitrace-store", INTEGRATION];
/// Where the tests find it, as a URL whose role may create databases and roles.
const POSTGRES_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES";
/// And the certificate of the authority that vouches for it.
const AUTHORITY_VARIABLE: &str = "OMNITRACE_TEST_POSTGRES_CA";
/// Where the tests find the server: `host:port`.
const SERVER_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL";
/// And the program, to start more of them.
const PROGRAM_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL_BIN";
/// Where they find one that serves standalone activities.
const STANDALONE_VARIABLE: &str = "OMNITRACE_TEST_TEMPORAL_STANDALONE";
/// Where they find a Jaeger's query API: `host:port`.
const JAEGER_VARIABLE: &str = "OMNITRACE_TEST_JAEGER";
/// And where it takes spans, by gRPC and by HTTP.
const JAEGER_OTLP_VARIABLES: [&str; 2] = ["OMNITRACE_TEST_OTLP_GRPC", "OMNITRACE_TEST_OTLP_HTTP"];
/// Programs that tests start by themselves: a Collector, those of Prometheus, Toxiproxy, a Python with
/// Temporal's SDK.
const COLLECTOR_VARIABLE: &str = "OMNITRACE_TEST_COLLECTOR_BIN";
const PROMETHEUS_VARIABLES: [&str; 3] = [
    "OMNITRACE_TEST_PROMETHEUS_BIN",
    "OMNITRACE_TEST_PROMTOOL_BIN",
    "OMNITRACE_TEST_ALERTMANAGER_BIN",
];
const TOXIPROXY_VARIABLE: &str = "OMNITRACE_TEST_TOXIPROXY_BIN";
const PYTHON_VARIABLE: &str = "OMNITRACE_TEST_PYTHON_BIN";
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
    let mut servers = Servers::default();
    if wants_server(&arguments, INTEGRATION) {
        servers.temporal = Some(TestServers::start(host)?);
    }
    if ON_JAEGER.iter().any(|of| wants_server(&arguments, of)) {
        servers.jaeger = start_jaeger(host)?;
    }
    if ON_POSTGRES.iter().any(|of| wants_server(&arguments, of)) {
        servers.postgres = start_postgres(host)?;
    }
    servers.wait()?;
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
        let mut servers = Servers::default();
        let ready = steps.run("servers", || {
            servers.temporal = Some(TestServers::start(host)?);
            servers.jaeger = start_jaeger(host)?;
            servers.postgres = start_postgres(host)?;
            servers.wait()
        })?;
        if ready {
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
                true => chaos::Options::whole(),
                false => chaos::Options::small(),
            };
            chaos::run_with(host, protoc, &options)
        })?;
    }
    if long {
        steps.run("dependencies", || {
            deny::run(host, &deny::Options::default())
        })?;
        steps.run("fuzzers", || fuzz::run(host, &fuzz::Options::default()))?;
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

/// The servers that were started, or given.
#[derive(Default)]
struct Servers {
    temporal: Option<TestServers>,
    /// `None` too where the caller's own is used, which the tests inherit.
    jaeger: Option<Jaeger>,
    postgres: Option<PostgresServer>,
}

impl Servers {
    fn wait(&mut self) -> Result<(), Error> {
        if let Some(temporal) = &mut self.temporal {
            temporal.wait()?;
        }
        self.jaeger.as_mut().map_or(Ok(()), Jaeger::wait_ready)
    }
}

fn test_command(host: &Host, protoc: &Protoc, servers: &Servers) -> Command {
    let mut command = cargo::command(protoc);
    for name in host.names().filter(|name| is_hidden(name)) {
        command.env_remove(name);
    }
    if let Some(temporal) = &servers.temporal {
        if let Some((server, program)) = &temporal.ours {
            command
                .env(SERVER_VARIABLE, server.address())
                .env(PROGRAM_VARIABLE, program);
        }
        if let Some(standalone) = &temporal.standalone {
            command.env(STANDALONE_VARIABLE, standalone.address());
        }
        command.envs(
            temporal
                .programs
                .iter()
                .map(|(name, program)| (name, program)),
        );
    }
    if let Some(jaeger) = &servers.jaeger {
        let [grpc, http] = JAEGER_OTLP_VARIABLES;
        command
            .env(JAEGER_VARIABLE, jaeger.query())
            .env(grpc, jaeger.grpc())
            .env(http, jaeger.http());
    }
    if let Some(server) = &servers.postgres {
        command.env(POSTGRES_VARIABLE, server.url());
        if let Some(authority) = server.authority() {
            command.env(AUTHORITY_VARIABLE, authority);
        }
    }
    command.arg("test");
    command
}

/// Whether a variable is a setting of the user's that measured or tested programs must not see.
pub(crate) fn is_hidden(name: &str) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    starts(&HIDDEN_PREFIXES) && !starts(&KEPT_PREFIXES)
}

/// The servers that the tests use; they end with the tests. What is not here is the caller's own,
/// named in the environment, which the tests inherit.
struct TestServers {
    ours: Option<(DevServer, PathBuf)>,
    standalone: Option<Server>,
    /// Programs that tests start by themselves, by variable.
    programs: Vec<(&'static str, PathBuf)>,
}

impl TestServers {
    /// Starts them and does not wait.
    fn start(host: &Host) -> Result<Self, Error> {
        let programs = programs(host)?;
        let given = |name| host.text(name).map(|address| (name, address));
        for (name, address) in [SERVER_VARIABLE, STANDALONE_VARIABLE]
            .into_iter()
            .filter_map(given)
        {
            say::line("temporal", format_args!("server at {address} ({name})"));
        }
        // TEMPORAL_ADDRESS is not used: tests do not belong on somebody's server.
        let program = match host.text(PROGRAM_VARIABLE) {
            Some(program) => PathBuf::from(program),
            None => temporal::resolve(host)?,
        };
        let standalone = match given(STANDALONE_VARIABLE) {
            Some(_) => None,
            None => Some(Server::start(host, program.clone())?),
        };
        let ours = match (given(SERVER_VARIABLE), host.text(PROGRAM_VARIABLE)) {
            (Some(_), Some(_)) => None,
            _ => Some((
                DevServer::start(host, program.clone(), Ui::Headless)?,
                program,
            )),
        };
        Ok(Self {
            ours,
            standalone,
            programs,
        })
    }

    fn wait(&mut self) -> Result<(), Error> {
        if let Some((server, _)) = &mut self.ours {
            server.wait_ready()?;
        }
        self.standalone.as_mut().map_or(Ok(()), Server::wait_ready)
    }
}

/// The programs that tests start by themselves, but for those that the caller names.
fn programs(host: &Host) -> Result<Vec<(&'static str, PathBuf)>, Error> {
    let lacks = |name: &str| host.text(name).is_none();
    let mut programs = Vec::new();
    if lacks(COLLECTOR_VARIABLE) {
        programs.push((COLLECTOR_VARIABLE, collector::resolve(host)?));
    }
    if PROMETHEUS_VARIABLES.into_iter().any(lacks) {
        let found = prometheus::resolve(host)?;
        let found = [found.prometheus, found.promtool, found.alertmanager];
        programs.extend(PROMETHEUS_VARIABLES.into_iter().zip(found));
    }
    if lacks(TOXIPROXY_VARIABLE) {
        programs.push((TOXIPROXY_VARIABLE, toxiproxy::resolve(host)?));
    }
    if lacks(PYTHON_VARIABLE) {
        programs.push((PYTHON_VARIABLE, python::resolve(host)?));
    }
    Ok(programs)
}

fn start_jaeger(host: &Host) -> Result<Option<Jaeger>, Error> {
    if let Some(address) = host.text(JAEGER_VARIABLE) {
        say::line("jaeger", format_args!("at {address} ({JAEGER_VARIABLE})"));
        return Ok(None);
    }
    Jaeger::start(host).map(Some)
}

fn start_postgres(host: &Host) -> Result<Option<PostgresServer>, Error> {
    if host.text(POSTGRES_VARIABLE).is_some() {
        // The URL is not shown: it may hold a password.
        say::line(
            "postgresql",
            format_args!("the server in {POSTGRES_VARIABLE}"),
        );
        return Ok(None);
    }
    PostgresServer::start(host).map(Some)
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
