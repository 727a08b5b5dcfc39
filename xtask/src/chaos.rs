//! `cargo xtask chaos`: whether everything is recorded whatever happens. It obtains the programs and
//! starts PostgreSQL; a program of the workspace does the rest, and none of the user's settings reach it.

use std::path::Path;
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::error::Error;
use crate::tools::postgres::PostgresServer;
use crate::tools::protoc::Protoc;
use crate::tools::{Host, protoc, temporal, toxiproxy};
use crate::{cargo, process, say, test};

/// The program that does it.
const PROGRAM: &str = "omnitrace-chaos";
/// Where it finds PostgreSQL.
const POSTGRES_VARIABLE: &str = "OMNITRACE_CHAOS_POSTGRES";

/// Where the rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    /// One file for all workers
    Sqlite,
    /// A server behind a proxy that cuts, delays and resets connections
    Postgres,
}

impl Database {
    /// As the program calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Workflows that are started, as --runs 200; children and continuations come on top
    #[arg(long, default_value_t = 2000)]
    pub(crate) runs: usize,
    /// What decides everything that can be decided, as --seed 7: the same seed, the same plan
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Workers that are killed with SIGKILL, as --kills 12
    #[arg(long, default_value_t = 54)]
    pub(crate) kills: usize,
    /// Times that the database is taken away, as --outages 3
    #[arg(long, default_value_t = 10)]
    pub(crate) outages: usize,
    /// Times that the Temporal server is killed and started again, as --restarts 1
    #[arg(long, default_value_t = 2)]
    pub(crate) restarts: usize,
    /// Workers at the same time, as --workers 2
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// Where the rows are kept, as --database sqlite
    #[arg(long, value_enum, default_value_t = Database::Postgres)]
    pub(crate) database: Database,
    /// Delete the whole store in the middle, and fill it from history, as --wipe
    #[arg(long)]
    pub(crate) wipe: bool,
    /// Ask queries from the start of a run on, also while its local activity goes on, as --early-queries:
    /// shows a known difference
    #[arg(long)]
    pub(crate) early_queries: bool,
    /// Print the report as JSON, as --json > chaos.json
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep servers and databases for a look around until Ctrl-C, as --keep --runs 60
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    /// A small one: shows that all of it works.
    pub(crate) fn small() -> Self {
        Self {
            runs: 60,
            kills: 4,
            outages: 2,
            restarts: 1,
            workers: 2,
            ..crate::defaults()
        }
    }
}

/// Builds the program and runs it.
pub(crate) fn run(host: &Host, options: &Options) -> Result<(), Error> {
    let protoc = protoc::resolve(host)?;
    run_with(host, &protoc, options)
}

/// As [`run`], with what is known already.
pub(crate) fn run_with(host: &Host, protoc: &Protoc, options: &Options) -> Result<(), Error> {
    if options.runs == 0 {
        return Err(Error::Advice(
            "--runs 0 shows nothing: allowed is 1 or more".to_owned(),
        ));
    }
    say::line("build", PROGRAM);
    let program = cargo::build_in_workspace(protoc, PROGRAM)?;
    let temporal = temporal::resolve(host)?;
    let servers = match options.database {
        Database::Sqlite => None,
        Database::Postgres => Some((toxiproxy::resolve(host)?, PostgresServer::start(host)?)),
    };
    let folder = tempfile::Builder::new()
        .prefix("omnitrace-chaos-")
        .tempdir()
        .map_err(Error::file("create", std::env::temp_dir()))?;
    let mut chaos = Command::new(program);
    for name in host.names().filter(|name| test::is_hidden(name)) {
        chaos.env_remove(name);
    }
    chaos
        .current_dir(cargo::root())
        .args(["run", "--samples", "worker-example/samples"])
        .args(["--runs", &options.runs.to_string()])
        .args(["--seed", &options.seed.to_string()])
        .args(["--kills", &options.kills.to_string()])
        .args(["--outages", &options.outages.to_string()])
        .args(["--restarts", &options.restarts.to_string()])
        .args(["--workers", &options.workers.to_string()])
        .args(["--database", options.database.name()])
        .args(options.wipe.then_some("--wipe"))
        .args(options.early_queries.then_some("--early-queries"))
        .args(options.json.then_some("--json"))
        .args(options.keep.then_some("--keep"))
        .arg("--temporal")
        .arg(temporal)
        .arg("--folder")
        .arg(folder.path());
    if let Some((toxiproxy, postgres)) = &servers {
        chaos
            .arg("--toxiproxy")
            .arg(toxiproxy)
            .env(POSTGRES_VARIABLE, postgres.url());
    }
    let ended = process::run(&mut chaos).and_then(|status| process::expect(status, "chaos"));
    if let Err(Error::Failed { .. }) = ended {
        keep(folder);
        say::line("again", again(options));
    }
    ended
}

/// What workers and servers wrote, for whoever looks for the reason.
fn keep(folder: tempfile::TempDir) {
    let path = folder.keep();
    say::line("logs", Path::display(&path));
}

/// The command that makes the same plan.
fn again(options: &Options) -> String {
    let mut words = format!(
        "cargo xtask chaos --runs {} --seed {} --kills {} --outages {} --restarts {} --workers {} \
         --database {}",
        options.runs,
        options.seed,
        options.kills,
        options.outages,
        options.restarts,
        options.workers,
        options.database.name(),
    );
    for (given, flag) in [
        (options.wipe, " --wipe"),
        (options.early_queries, " --early-queries"),
    ] {
        words += if given { flag } else { "" };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_knows_the_databases_by_our_names() {
        for database in Database::value_variants() {
            let ours = database.to_possible_value().unwrap();
            assert_eq!(ours.get_name(), database.name());
        }
    }

    #[test]
    fn the_command_that_makes_the_same_plan_is_told() {
        let told = again(&Options {
            wipe: true,
            ..Options::small()
        });
        assert_eq!(
            told,
            "cargo xtask chaos --runs 60 --seed 1 --kills 4 --outages 2 --restarts 1 --workers 2 \
             --database postgres --wipe"
        );
    }
}
