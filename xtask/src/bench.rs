//! `cargo xtask bench`: what recording costs, in ratios against the same work without it. A release
//! build, a Temporal and a PostgreSQL server of its own where one is needed, none of the user's settings.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;

use crate::cargo::Profile;
use crate::error::Error;
use crate::tools::dev_server::{DevServer, Ui};
use crate::tools::postgres::PostgresServer;
use crate::tools::protoc::Protoc;
use crate::tools::{Host, collector, protoc, temporal};
use crate::{bench_ui, cargo, process, say, test};

/// The packages of the programs that are built.
const PACKAGES: [&str; 2] = ["omnitrace-bench", "omnitrace-server"];

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Replay of a history of 9,005 events: plain, recording, with the SDK's OpenTelemetry plugin
    Replay,
    /// Time on a workflow's path, for each activation and completion
    Path,
    /// Throughput of 200 runs at once
    Live,
    /// Resident memory after 200 runs
    Memory,
    /// Rows per second from the queue to the commit, beside the driver's own upsert of the same rows
    Store,
    /// Import of a history of 50,000 events: events per second and memory
    Import,
    /// Both with up to a million rows stored in PostgreSQL
    Growth,
    /// Spans per second to a Collector, beside OpenTelemetry's own exporter
    Spans,
    /// What the layer costs a span outside any attempt, and propagation an activity
    Layer,
    /// Opening long runs in the web UI and in Temporal's own, in Chromium
    Ui,
    /// Lists, searches and traces over HTTP with a million runs stored
    Api,
    /// Writes while a store of ninety days at a thousand runs an hour is pruned, of SQLite
    PruneSqlite,
    /// And of PostgreSQL
    PrunePostgres,
}

impl Measure {
    /// As `omnitrace-bench` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Path => "path",
            Self::Live => "live",
            Self::Memory => "memory",
            Self::Store => "store",
            Self::Import => "import",
            Self::Growth => "growth",
            Self::Spans => "spans",
            Self::Layer => "layer",
            Self::Ui => "ui",
            Self::Api => "api",
            Self::PruneSqlite => "prune-sqlite",
            Self::PrunePostgres => "prune-postgres",
        }
    }

    fn wants_server(self) -> bool {
        matches!(self, Self::Live | Self::Memory)
    }

    fn wants_collector(self) -> bool {
        matches!(self, Self::Spans)
    }

    fn wants_postgres(self) -> bool {
        matches!(
            self,
            Self::Store | Self::Import | Self::Growth | Self::Api | Self::PrunePostgres
        )
    }
}

/// Measures one thing or everything.
pub(crate) fn run(
    host: &Host,
    measure: Option<Measure>,
    quick: bool,
    large: bool,
) -> Result<(), Error> {
    if measure == Some(Measure::Ui) {
        return bench_ui::run(host, quick);
    }
    let program = programs(&protoc::resolve(host)?)?.bench;

    let server = if measure.is_none_or(Measure::wants_server) {
        let mut server = DevServer::start(host, temporal::resolve(host)?, Ui::Headless)?;
        server.wait_ready()?;
        Some(server)
    } else {
        None
    };
    let postgres = match measure.is_none_or(Measure::wants_postgres) {
        true => Some(PostgresServer::start(host)?),
        false => None,
    };
    let out = cargo::target_directory(host).join("bench");
    let mut bench = std::process::Command::new(program);
    for name in host.names().filter(|name| test::is_hidden(name)) {
        bench.env_remove(name);
    }
    bench
        .current_dir(cargo::root())
        .arg("run")
        .arg("--out")
        .arg(&out);
    if let Some(server) = &server {
        bench.args(["--address", &server.address()]);
    }
    if let Some(server) = &postgres {
        bench.args(["--postgres", &server.url()]);
    }
    if measure.is_none_or(Measure::wants_collector) {
        bench.arg("--collector").arg(collector::resolve(host)?);
    }
    if quick {
        bench.arg("--quick");
    }
    if large {
        bench.arg("--large");
    }
    bench.args(measure.map(Measure::name));
    process::expect(process::run(&mut bench)?, "the bench")?;
    say::line("samples", format_args!("{}/*.json", out.display()));
    match measure {
        None => bench_ui::run(host, quick),
        Some(_) => Ok(()),
    }
}

/// What measures, and what is measured over HTTP.
pub(crate) struct Programs {
    pub(crate) bench: PathBuf,
    pub(crate) omnitrace: PathBuf,
}

/// Builds both, whatever is measured: another selection would have other features of what both depend on, and
/// build all of it once more.
pub(crate) fn programs(protoc: &Protoc) -> Result<Programs, Error> {
    say::line("protoc", protoc.path().display());
    say::line(
        "build",
        "omnitrace and its bench (release: minutes the first time)",
    );
    let start = Instant::now();
    let mut built = cargo::build(protoc, &PACKAGES, Profile::Release)?;
    let mut take = |name: &str| {
        let advice = || Error::Advice(format!("the build made no program {name}"));
        built.remove(name).ok_or_else(advice)
    };
    let (bench, omnitrace) = (take("omnitrace-bench")?, take("omnitrace")?);
    say::line(
        "build",
        format_args!("done in {}", say::duration(start.elapsed())),
    );
    Ok(Programs { bench, omnitrace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_knows_the_measures_by_our_names() {
        for measure in Measure::value_variants() {
            let ours = measure.to_possible_value().unwrap();
            assert_eq!(ours.get_name(), measure.name());
        }
    }

    #[test]
    fn a_server_is_started_only_for_what_runs_workflows_live() {
        assert!(Measure::Live.wants_server() && Measure::Memory.wants_server());
        assert!(!Measure::Replay.wants_server() && !Measure::Path.wants_server());
        for measure in Measure::value_variants() {
            let name = measure.name();
            let with_postgres = ["store", "import", "growth", "prune-postgres", "api"];
            let is_of_databases = with_postgres.contains(&name);
            assert_eq!(measure.wants_postgres(), is_of_databases, "{name}");
        }
    }
}
