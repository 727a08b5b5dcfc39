//! Importing a long history by the command line's own code: events per second and greatest memory, each
//! sample in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use omnitrace_server::cli::Cli;
use prost::Message;

use crate::database::{Database, Kind};
use crate::series::{Metrics, Of, Question, Series};
use crate::{Import, Scale, cpu, history};

pub(crate) const RATE: &str = "events_per_s";
const MOST: &str = "most_resident_bytes";

/// A history is so much shorter than the long one.
const SHORTER: u32 = 10;

const VARIANTS: [&str; 4] = [
    "sqlite_short",
    "sqlite_long",
    "sqlite_all_rows",
    "postgres_long",
];

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 5] = [
    ask(
        "SQLite, events per second: long / a tenth of it",
        1,
        0,
        RATE,
    ),
    ask("SQLite, greatest memory: long / a tenth of it", 1, 0, MOST),
    ask(
        "SQLite, events per second: all rows stored / the default 200",
        2,
        1,
        RATE,
    ),
    ask(
        "SQLite, greatest memory: all rows stored / the default 200",
        2,
        1,
        MOST,
    ),
    ask("events per second: PostgreSQL / SQLite", 3, 1, RATE),
];

const fn ask(what: &'static str, of: usize, to: usize, metric: &'static str) -> Question {
    Question::new(
        what,
        Of::new(VARIANTS[of], metric),
        Of::new(VARIANTS[to], metric),
    )
}

pub(crate) async fn run(scale: &Scale, postgres: &str) -> anyhow::Result<Series> {
    Series::measure(scale.rounds, &VARIANTS, async |variant| {
        let kind = match variant {
            "postgres_long" => Kind::Postgres(postgres),
            _ => Kind::Sqlite,
        };
        let events = match variant {
            "sqlite_short" => scale.events / SHORTER,
            _ => scale.events,
        };
        let database = Database::make(kind).await?;
        let rows = if variant == "sqlite_all_rows" {
            "100000"
        } else {
            "200"
        };
        let metrics = sample(&database, events, rows)?;
        database.drop().await?;
        Ok(metrics)
    })
    .await
}

/// Imports a history of about so many events in a process of its own.
pub(crate) fn sample(database: &Database, events: u32, rows: &str) -> anyhow::Result<Metrics> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("history.bin");
    let run_id = uuid::Uuid::new_v4().to_string();
    // Six events for each activity, and five more.
    let history = history::long("long", &run_id, (events - 5) / 6)?;
    std::fs::write(&file, history.encode_to_vec())?;
    let output = Command::new(std::env::current_exe()?)
        .arg("import")
        .args([&file])
        .args(["--database-url", &database.text])
        .env("OMNITRACE_MAX_EVENTS_PER_RUN", rows)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the measured process failed");
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().next_back().context("a line")?;
    let mut numbers = last.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok();
    let seconds = next().context("no number of seconds")?;
    Ok(Metrics::from([
        (RATE, history.events.len() as f64 / seconds),
        (MOST, next().context("no number of bytes")?),
    ]))
}

/// The measured process: runs `omnitrace import`, and prints its seconds and the most memory.
pub(crate) async fn alone(import: &Import) -> anyhow::Result<String> {
    let (file, url): (&Path, _) = (&import.file, &import.database_url);
    let arguments = [
        "omnitrace",
        "--database-url",
        url,
        "import",
        "--namespace",
        "bench",
    ];
    let arguments = arguments.map(std::ffi::OsString::from).into_iter();
    let cli = Cli::try_parse_from(arguments.chain([file.as_os_str().to_owned()]))?;
    let begun = Instant::now();
    let ended = omnitrace_server::run(cli).await;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(
        ended == std::process::ExitCode::SUCCESS,
        "the import failed"
    );
    Ok(format!("{seconds} {}", cpu::memory()?.most))
}
