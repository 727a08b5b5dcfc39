//! `omnitrace import`: Temporal's own histories into the store.
//!
//! Invariant: a file is imported whole or not at all, up to what the database refuses; rows merge with
//! those that are there, so importing again changes nothing. One bad file does not stop the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use omnitrace::config::Settings;
use omnitrace::history::{HistoryRows, Ids, ImportError, Reader, parse};
use omnitrace::policy::Policy;
use omnitrace_store::{Store, Switches};
use serde::Serialize;

use crate::Answer;
use crate::cli::ImportArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{count, thousands};

/// How payloads are made safe: as by a worker that had recorded the run.
struct Rules {
    policy: Arc<Policy>,
    settings: Settings,
    switches: Switches,
}

/// What became of one file.
#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    namespace: String,
    workflow_id: String,
    run_id: String,
    status: &'static str,
    rows_stored: u64,
    rows_unchanged: u64,
    rows_cut: u64,
    /// The run was erased: nothing of it is stored.
    erased: bool,
    events_skipped: BTreeMap<String, u64>,
}

/// Runs the command. Errors of single files are printed as they come.
pub(crate) async fn run(url: Option<&str>, args: ImportArgs) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let store = database::open_for_writing(url, &settings).await?;
    let rules = Rules {
        policy: Arc::new(settings.policy()),
        switches: store.switches().await?,
        settings,
    };
    let mut text = String::new();
    let mut good = true;
    let bar = progress::files(args.files.len());
    for file in &args.files {
        bar.set_message(crate::text::clean(&name(file)));
        let imported = match read(file, &args, &rules) {
            Ok(rows) => write(&store, file, rows).await,
            Err(error) => Err(error),
        };
        bar.inc(1);
        match imported {
            Ok(imported) => line(&mut text, &imported, args.json),
            // The database that takes no rows takes none of the next file either.
            Err(error @ CliError::Write(_)) => {
                store.close().await;
                return Err(error);
            }
            Err(error) => {
                good = false;
                bar.suspend(|| crate::fail(&error));
            }
        }
    }
    bar.finish_and_clear();
    store.close().await;
    Ok(Answer { text, good })
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn name(file: &Path) -> String {
    match is_stdin(file) {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

fn read(file: &Path, args: &ImportArgs, rules: &Rules) -> Result<HistoryRows, CliError> {
    let bytes = if is_stdin(file) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| match file.is_dir() {
        true => CliError::Folder(name(file)),
        false => CliError::File {
            file: name(file),
            error,
        },
    })?;
    rows(&bytes, file, args, rules).map_err(|error| CliError::Import {
        file: name(file),
        error,
    })
}

fn rows(
    bytes: &[u8],
    file: &Path,
    args: &ImportArgs,
    rules: &Rules,
) -> Result<HistoryRows, ImportError> {
    let events = parse(bytes)?;
    let mut ids = Ids::default();
    ids.namespace.clone_from(&args.namespace);
    ids.workflow_id.clone_from(&args.workflow_id);
    ids.run_id.clone_from(&args.run_id);
    ids.fallback = file
        .file_stem()
        .filter(|_| !is_stdin(file))
        .map(|stem| stem.to_string_lossy().into_owned());
    let mut reader = Reader::new(ids.of(&events)?, rules.policy.clone())
        .with_switches(&rules.settings, rules.switches.clone());
    for event in events {
        reader.push(event);
    }
    Ok(reader.finish())
}

async fn write(store: &Store, file: &Path, rows: HistoryRows) -> Result<Imported, CliError> {
    let key = rows.run.key.clone();
    let (status, events_skipped) = (rows.run.status.as_str(), rows.skipped.clone());
    let report = rows.write(store).await?;
    Ok(Imported {
        file: name(file),
        namespace: key.namespace,
        workflow_id: key.workflow_id,
        run_id: key.run_id,
        status,
        rows_stored: (report.changed_events.len() + report.changed_runs.len()) as u64,
        rows_unchanged: report.unchanged_events + report.unchanged_runs,
        rows_cut: report.cut_events,
        erased: report.erased_events + report.erased_runs > 0,
        events_skipped,
    })
}

fn line(text: &mut String, imported: &Imported, json: bool) {
    // Writing into a string does not fail.
    let _ = if json {
        let json = serde_json::to_string(imported).unwrap_or_default();
        writeln!(text, "{json}")
    } else {
        let Imported {
            file,
            workflow_id,
            run_id,
            status,
            rows_stored,
            rows_unchanged,
            rows_cut,
            ..
        } = imported;
        let (stored, unchanged) = (thousands(*rows_stored), thousands(*rows_unchanged));
        let cut = match rows_cut {
            0 => String::new(),
            cut => format!(", {} cut", thousands(*cut)),
        };
        let skipped: Vec<_> = imported
            .events_skipped
            .iter()
            .map(|(event, count)| format!("{count} {event}"))
            .collect();
        let skipped = match imported.events_skipped.values().sum() {
            0 => String::new(),
            events => format!(
                "; skipped {}: {}",
                count(events, "event"),
                skipped.join(", ")
            ),
        };
        let stored = match imported.erased {
            true => "the run was erased, 0".to_owned(),
            false => stored,
        };
        let line = format!(
            "{file}: {workflow_id} {run_id} {status}, {stored} rows stored, {unchanged} unchanged{cut}{skipped}"
        );
        writeln!(text, "{}", crate::text::clean(&line))
    };
}
