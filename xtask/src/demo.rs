//! `cargo xtask demo`: a dozen runs of the example worker on a real Temporal server, recorded by
//! the plugin, one of them shown as a tree, and all of them served in a browser. Whatever it started ends
//! with it.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cargo::Profile;
use crate::error::Error;
use crate::tools::dev_server::{DevServer, Ui, temporal_variables};
use crate::tools::{Host, protoc, temporal};
use crate::{cargo, interrupt, process, say, shell_quoted};

const DATABASE_VARIABLE: &str = "OMNITRACE_DATABASE_URL";
/// How many of the newest runs are looked at for the one to show.
const LOOKED_AT: &str = "30";

/// What the example's activities are, and what its model costs, unless the variables say otherwise.
const CATEGORIES: (&str, &str) = (
    "OMNITRACE_CATEGORIES",
    "tool=Search::*;policy=Policy::*;publish=Outbox::*",
);
const PRICES: (&str, &str) = ("OMNITRACE_PRICES", "worker-example/prices.json");

/// Where the runs are served, unless the variable says otherwise: a free port.
const LISTEN: (&str, &str) = ("OMNITRACE_LISTEN", "127.0.0.1:0");

/// Runs the demo; without `once` the servers stay until Ctrl-C.
pub(crate) fn run(host: &Host, once: bool, folder: Option<PathBuf>) -> Result<(), Error> {
    let folder = folder.unwrap_or_else(|| cargo::root().join("worker-example/samples"));
    if !folder.is_dir() {
        return Err(Error::Advice(format!(
            "no folder {}: give one that holds sample runs",
            folder.display()
        )));
    }
    // Looked at first: a wrong address is not worth a build.
    let given = temporal::given_address(host)?;
    let binaries = build(host)?;
    let mut server = Server::get(host, given)?;
    let recorded = Recorded {
        omnitrace: binaries.omnitrace,
        own_database: host.text(DATABASE_VARIABLE).map(str::to_owned),
        default_database: default_database(host)?,
    };

    let mut worker = Command::new(&binaries.worker);
    worker
        .arg("run")
        .arg(&folder)
        .args(["--address", &server.address()])
        .env(DATABASE_VARIABLE, recorded.database());
    if host.text(CATEGORIES.0).is_none() {
        worker.env(CATEGORIES.0, CATEGORIES.1);
    }
    if host.text(PRICES.0).is_none() {
        worker.env(PRICES.0, cargo::root().join(PRICES.1));
    }
    if matches!(server, Server::Ours(_)) {
        for name in temporal_variables(host) {
            worker.env_remove(name);
        }
    }
    process::expect(process::run(&mut worker)?, "the example worker")?;

    recorded.show_one()?;
    say::text("");
    say::line("rows", recorded.place());
    for command in recorded.next_commands() {
        say::line("try", command);
    }
    if once {
        return Ok(());
    }
    server.keep(&mut recorded.serve(host, &server)?)
}

struct Binaries {
    worker: PathBuf,
    omnitrace: PathBuf,
}

fn build(host: &Host) -> Result<Binaries, Error> {
    let protoc = protoc::resolve(host)?;
    say::line("protoc", protoc.path().display());
    say::line(
        "build",
        "worker-example and omnitrace (dev profile: the shorter build; minutes the first time)",
    );
    let start = Instant::now();
    let mut built = cargo::build(
        &protoc,
        &["worker-example", "omnitrace-server"],
        Profile::Dev,
    )?;
    let mut take = |name: &str| {
        built
            .remove(name)
            .ok_or_else(|| Error::Advice(format!("the build made no program {name}")))
    };
    let binaries = Binaries {
        worker: take("worker-example")?,
        omnitrace: take("omnitrace")?,
    };
    say::line(
        "build",
        format_args!("done in {}", say::duration(start.elapsed())),
    );
    Ok(binaries)
}

/// The Temporal server of the demo.
enum Server {
    /// The user's, at this address.
    Given(String),
    /// Ours, which ends with the demo.
    Ours(DevServer),
}

impl Server {
    fn get(host: &Host, given: Option<String>) -> Result<Self, Error> {
        if let Some(address) = given {
            say::line(
                "temporal",
                format_args!("using {address} (TEMPORAL_ADDRESS)"),
            );
            return Ok(Self::Given(address));
        }
        let mut server = DevServer::start(host, temporal::resolve(host)?, Ui::Served)?;
        server.wait_ready()?;
        Ok(Self::Ours(server))
    }

    fn address(&self) -> String {
        match self {
            Self::Given(address) => address.clone(),
            Self::Ours(server) => server.address(),
        }
    }

    /// Where Temporal's web UI is, if it is ours.
    fn ui_url(&self) -> Option<String> {
        match self {
            Self::Given(_) => None,
            Self::Ours(server) => server.ui_url(),
        }
    }

    /// Keeps the servers for a look around until Ctrl-C.
    fn keep(&mut self, serving: &mut process::Child) -> Result<(), Error> {
        if let Some(url) = self.ui_url() {
            say::line("temporal", format_args!("web UI at {url}"));
        }
        say::line("", "Ctrl-C ends the demo and its servers");
        loop {
            interrupt::pause(Duration::from_millis(500))?;
            if let Self::Ours(server) = self {
                server.check()?;
            }
            if let Some(status) = serving.ended() {
                return process::expect(status, "omnitrace serve");
            }
        }
    }
}

/// Where the demo's rows are, and the program that reads them.
struct Recorded {
    omnitrace: PathBuf,
    own_database: Option<String>,
    default_database: PathBuf,
}

impl Recorded {
    fn database(&self) -> String {
        self.own_database
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.default_database.display()))
    }

    /// The place for the reader, without a password.
    fn place(&self) -> String {
        match &self.own_database {
            Some(url) => format!("{} ({DATABASE_VARIABLE})", without_password(url)),
            None => self.default_database.display().to_string(),
        }
    }

    fn omnitrace(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.omnitrace);
        command
            .args(arguments)
            .env(DATABASE_VARIABLE, self.database());
        command
    }

    /// Shows the run that has the most to see.
    fn show_one(&self) -> Result<(), Error> {
        let runs = self.json_lines(&["list", "--json", "--limit", LOOKED_AT], "omnitrace list")?;
        let mut best: Option<(ToSee, String)> = None;
        for run in &runs {
            let (Some(id), Some(run_id)) = (text(run, "execution_id"), text(run, "run_id")) else {
                continue;
            };
            let show = ["show", id, "--run-id", run_id, "--json"];
            let to_see = self.json(&show, "omnitrace show")?.as_ref().map(ToSee::of);
            // The list begins with the newest: an older run must have more.
            if to_see > best.as_ref().map(|(most, _)| *most) {
                best = to_see.map(|to_see| (to_see, run_id.to_owned()));
            }
        }
        let (_, run_id) = best.ok_or_else(|| {
            Error::Advice(format!(
                "no run was recorded in {}: {} doctor says why",
                self.place(),
                shell_quoted(&self.omnitrace.to_string_lossy())
            ))
        })?;
        say::text("");
        let mut show = self.omnitrace(&["show", &run_id]);
        process::expect(process::run(&mut show)?, "omnitrace show")
    }

    /// Serves the runs in a browser; the program itself prints where.
    fn serve(&self, host: &Host, server: &Server) -> Result<process::Child, Error> {
        let mut serve = self.omnitrace(&["serve"]);
        if host.text(LISTEN.0).is_none() {
            serve.env(LISTEN.0, LISTEN.1);
        }
        if let Some(url) = server.ui_url() {
            let page = "namespaces/{namespace}/workflows/{workflow_id}/{run_id}/history";
            let url = url.trim_end_matches('/');
            serve.args(["--dashboard", &format!("temporal={url}/{page}")]);
        }
        process::Child::spawn(&mut serve)
    }

    fn output(&self, arguments: &[&str], what: &str) -> Result<String, Error> {
        let captured = process::capture(&mut self.omnitrace(arguments), false)?;
        process::expect(captured.status, what)?;
        Ok(captured.stdout)
    }

    fn json(&self, arguments: &[&str], what: &str) -> Result<Option<Value>, Error> {
        Ok(serde_json::from_str(&self.output(arguments, what)?).ok())
    }

    fn json_lines(&self, arguments: &[&str], what: &str) -> Result<Vec<Value>, Error> {
        let output = self.output(arguments, what)?;
        Ok(output
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    fn next_commands(&self) -> [String; 2] {
        let set = match self.own_database {
            Some(_) => String::new(),
            None => format!("{DATABASE_VARIABLE}={} ", shell_quoted(&self.database())),
        };
        let program = shell_quoted(&self.omnitrace.to_string_lossy());
        [
            format!("{set}{program} list"),
            format!("{set}{program} show WORKFLOW_ID"),
        ]
    }
}

fn default_database(host: &Host) -> Result<PathBuf, Error> {
    let folder = cargo::target_directory(host).join("demo");
    std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    Ok(folder.join("omnitrace.db"))
}

/// What a run has to show; the greater, the more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ToSee {
    /// How many of: a child workflow, an activity that was tried again.
    kinds: u8,
    steps: usize,
}

impl ToSee {
    /// Of a trace as `omnitrace show --json` prints it.
    fn of(trace: &Value) -> Self {
        let (mut child, mut retry, mut steps) = (false, false, 0);
        let mut rest: Vec<&Value> = trace.get("root").into_iter().collect();
        while let Some(node) = rest.pop() {
            let attempt = node.get("attempt").and_then(Value::as_u64);
            child |= text(node, "kind") == Some("child_workflow");
            retry |= text(node, "kind") == Some("activity") && attempt > Some(1);
            steps += 1;
            rest.extend(
                node.get("children")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
        Self {
            kinds: u8::from(child) + u8::from(retry),
            steps,
        }
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A database URL without the password that may be in it.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    match authority.rsplit_once('@') {
        Some((user, _)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}{}", &rest[user.len()..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_child_and_a_retry_has_more_to_see_than_a_longer_one() {
        let to_see = |children: &str| {
            let trace = format!(r#"{{"root": {{"kind": "workflow", "children": [{children}]}}}}"#);
            ToSee::of(&serde_json::from_str(&trace).unwrap())
        };
        let child = r#"{"kind": "child_workflow", "attempt": 1}"#;
        let retried = r#"{"kind": "activity", "attempt": 0, "children": [
            {"kind": "activity", "attempt": 1}, {"kind": "activity", "attempt": 2}]}"#;
        let timers = [r#"{"kind": "timer", "attempt": 1}"#; 9].join(",");
        let both = to_see(&format!("{child},{retried}"));
        assert_eq!(both, ToSee { kinds: 2, steps: 5 });
        assert!(both > to_see(&format!("{retried},{timers}")));
        assert!(to_see(child) > to_see(&timers));
        assert!(to_see(&timers) > to_see(""));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            without_password("postgres://me:p@ss:w@host:5432/db?x=y"),
            "postgres://me@host:5432/db?x=y"
        );
        assert_eq!(
            without_password("postgres://me@host/db"),
            "postgres://me@host/db"
        );
        assert_eq!(without_password("sqlite:///a/b@c.db"), "sqlite:///a/b@c.db");
    }
}
