//! What recording costs: `cargo xtask bench` builds and runs this.
//!
//! Invariant: a time or a size is only ever compared with another of the same run, measured in turn.

mod api;
mod bare;
mod cpu;
mod database;
mod growth;
mod history;
mod import;
mod layer;
mod live;
mod memory;
mod path;
mod progress;
mod prune;
mod replay;
mod report;
mod series;
mod soak;
mod spans;
mod store;
mod worker;
mod workflows;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use report::Report;

#[derive(Debug, Parser)]
#[command(about = "Measures what recording costs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures, writes a file for each measure and prints the ratios
    Run(Run),
    /// One process whose memory is measured
    Alone(Alone),
    /// One process whose import of a history is measured
    Import(Import),
    /// One long run on a server, for what is measured elsewhere; prints its workflow id
    Long(Long),
    /// One process that serves a database
    Serve(Serve),
    /// Very many runs, with the plugin and without, in turn; writes a page with plots
    Soak(soak::Soak),
    /// One worker of these
    Toil(soak::Toil),
}

#[derive(Debug, Args)]
struct Run {
    /// What to measure; everything if none is named
    measures: Vec<Measure>,
    /// Fewer rounds of less work: shows that it runs, and proves nothing
    #[arg(long)]
    quick: bool,
    /// The Temporal server for what needs one, `host:port`
    #[arg(long)]
    address: Option<String>,
    /// The PostgreSQL server for what needs one, as the URL of a role that may create databases
    #[arg(long)]
    postgres: Option<String>,
    /// The Collector's program, for what needs one
    #[arg(long)]
    collector: Option<PathBuf>,
    /// Up to ten million stored rows, which take some gigabytes
    #[arg(long)]
    large: bool,
    /// The folder for the files
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Alone {
    #[arg(long)]
    address: String,
    #[arg(long)]
    runs: u32,
    #[arg(long)]
    recording: bool,
}

#[derive(Debug, Args)]
struct Long {
    #[arg(long)]
    address: String,
    #[arg(long)]
    activities: u32,
}

#[derive(Debug, Args)]
struct Serve {
    #[arg(long)]
    database_url: String,
}

#[derive(Debug, Args)]
struct Import {
    file: PathBuf,
    #[arg(long)]
    database_url: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Measure {
    /// Replay of a long history
    Replay,
    /// Time on a workflow's path
    Path,
    /// Throughput on a real server
    Live,
    /// Resident memory
    Memory,
    /// Rows per second into the databases
    Store,
    /// Import of a long history
    Import,
    /// Both with many rows stored
    Growth,
    /// Spans per second to a Collector
    Spans,
    /// Spans of `tracing` and propagation
    Layer,
    /// Answers of the API with many runs stored
    Api,
    /// Writes while a store of ninety days is pruned, of SQLite
    PruneSqlite,
    /// And of PostgreSQL
    PrunePostgres,
}

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
struct Scale {
    /// Rounds that count; one more warms up.
    rounds: u32,
    /// Activities of the replayed history, six events each.
    activities: u32,
    /// Runs at once.
    runs: u32,
    /// Rows that are written.
    rows: u32,
    /// Events of the imported history.
    events: u32,
    /// Runs that the API has many of.
    stored_runs: u32,
    /// Days of a store that is pruned.
    days: u32,
    /// Runs of each of their hours.
    hourly_runs: u32,
    /// Seconds of writing without pruning.
    alone_s: u32,
    /// How many sizes of a database are looked at, from ten thousand rows on, each ten times the last.
    sizes: usize,
}

impl Scale {
    const FULL: Self = Self {
        rounds: 12,
        activities: 1500,
        runs: 200,
        rows: 10_000,
        events: 50_000,
        stored_runs: 1_000_000,
        days: 90,
        hourly_runs: 1_000,
        alone_s: 60,
        sizes: 3,
    };
    const QUICK: Self = Self {
        rounds: 3,
        activities: 150,
        runs: 20,
        rows: 1_000,
        events: 5_000,
        stored_runs: 100_000,
        days: 18,
        hourly_runs: 100,
        alone_s: 5,
        sizes: 2,
    };
}

// One thread, so that the thread that replays is this one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(run) => measure(run).await,
        Command::Alone(alone) => {
            let line = memory::alone(&alone).await?;
            writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
        }
        Command::Serve(serve) => api::serve(&serve.database_url),
        Command::Soak(soak) => soak::run(&soak).await,
        Command::Toil(toil) => soak::toil(&toil).await,
        Command::Import(import) => {
            let line = import::alone(&import).await?;
            writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
        }
        Command::Long(long) => {
            let shop = worker::Shop::open(&long.address, None)?;
            let workflow_id = shop.customer.long(long.activities).await?;
            writeln!(std::io::stdout(), "{workflow_id}").context("cannot write to standard output")
        }
    }
}

async fn measure(run: Run) -> anyhow::Result<()> {
    let mut scale = if run.quick { Scale::QUICK } else { Scale::FULL };
    scale.sizes += usize::from(run.large);
    let measures = if run.measures.is_empty() {
        Measure::value_variants().to_vec()
    } else {
        run.measures
    };
    let address = || {
        let address = run.address.as_deref();
        address.context("this needs a Temporal server: give --address host:port")
    };
    let postgres = || {
        let postgres = run.postgres.as_deref();
        postgres.context("this needs a PostgreSQL server: give --postgres URL")
    };
    let mut reports = Vec::new();
    for measure in measures {
        let (name, series, questions) = match measure {
            Measure::Replay => {
                progress::measure("replay");
                ("replay", replay::run(&scale).await?, &replay::QUESTIONS[..])
            }
            Measure::Path => {
                progress::measure("path");
                ("path", path::run(&scale).await?, &path::QUESTIONS[..])
            }
            Measure::Live => {
                progress::measure("live");
                let series = live::run(&scale, address()?).await?;
                ("live", series, &live::QUESTIONS[..])
            }
            Measure::Memory => {
                progress::measure("memory");
                let series = memory::run(&scale, address()?).await?;
                ("memory", series, &memory::QUESTIONS[..])
            }
            Measure::Store => {
                progress::measure("store");
                let series = store::run(&scale, postgres()?).await?;
                ("store", series, &store::QUESTIONS[..])
            }
            Measure::Import => {
                progress::measure("import");
                let series = import::run(&scale, postgres()?).await?;
                ("import", series, &import::QUESTIONS[..])
            }
            Measure::Growth => {
                progress::measure("growth");
                let series = growth::run(&scale, postgres()?).await?;
                ("growth", series, &growth::QUESTIONS[..])
            }
            Measure::Spans => {
                progress::measure("spans");
                let collector = run.collector.as_deref();
                let collector =
                    collector.context("this needs a Collector: give --collector FILE")?;
                let series = spans::run(&scale, collector).await?;
                ("spans", series, &spans::QUESTIONS[..])
            }
            Measure::Layer => {
                progress::measure("layer");
                ("layer", layer::run(&scale).await?, &layer::QUESTIONS[..])
            }
            Measure::Api => {
                progress::measure("api");
                let series = api::run(&scale, postgres()?).await?;
                ("api", series, &api::QUESTIONS[..])
            }
            Measure::PruneSqlite => {
                progress::measure("prune-sqlite");
                let series = prune::run(&scale, database::Kind::Sqlite).await?;
                ("prune-sqlite", series, &prune::QUESTIONS[..])
            }
            Measure::PrunePostgres => {
                progress::measure("prune-postgres");
                let series = prune::run(&scale, database::Kind::Postgres(postgres()?)).await?;
                ("prune-postgres", series, &prune::QUESTIONS[..])
            }
        };
        let report = Report::new(name, &scale, series, questions);
        report.write(&run.out)?;
        reports.push(report);
    }
    writeln!(std::io::stdout(), "{}", Report::table(&reports))
        .context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
