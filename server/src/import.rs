//! `omnitrace import`: Temporal's own histories into the store.
//!
//! Invariant: a file is imported whole or not at all, up to what the database refuses; rows merge with
//! those that are there, so importing again changes nothing. One bad file does not stop the others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;

use omnitrace::history::{HistoryRows, Ids, ImportError, Reader, parse};
use omnitrace::policy::Policy;
use omnitrace_store::{Batch, Store};
use serde::Serialize;

use crate::Answer;
use crate::cli::ImportArgs;
use crate::database;
use crate::error::CliError;
use crate::text::{count, thousands};

/// Event rows of one transaction.
const BATCH_ROWS: usize = 500;

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
    events_skipped: BTreeMap<String, u64>,
}

/// Runs the command. Errors of single files are printed as they come.
pub(crate) async fn run(url: Option<&str>, args: ImportArgs) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let policy = Arc::new(settings.policy());
    let store = database::open_for_writing(url, &settings).await?;
    let mut text = String::new();
    let mut good = true;
    for (done, file) in args.files.iter().enumerate() {
        progress(done, args.files.len(), file);
        let imported = match read(file, &args, &policy) {
            Ok(rows) => write(&store, file, rows).await,
            Err(error) => Err(error),
        };
        clear_progress();
        match imported {
            Ok(imported) => line(&mut text, &imported, args.json),
            // The database that takes no rows takes none of the next file either.
            Err(error @ CliError::Write(_)) => {
                store.close().await;
                return Err(error);
            }
            Err(error) => {
                good = false;
                crate::fail(&error);
            }
        }
    }
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

fn read(file: &Path, args: &ImportArgs, policy: &Arc<Policy>) -> Result<HistoryRows, CliError> {
    let bytes = if is_stdin(file) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let bytes = bytes.map_err(|error| CliError::File {
        file: name(file),
        error,
    })?;
    rows(&bytes, file, args, policy).map_err(|error| CliError::Import {
        file: name(file),
        error,
    })
}

fn rows(
    bytes: &[u8],
    file: &Path,
    args: &ImportArgs,
    policy: &Arc<Policy>,
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
    let mut reader = Reader::new(ids.of(&events)?, policy.clone());
    for event in events {
        reader.push(event);
    }
    Ok(reader.finish())
}

async fn write(store: &Store, file: &Path, rows: HistoryRows) -> Result<Imported, CliError> {
    let mut imported = Imported {
        file: name(file),
        namespace: rows.run.key.namespace.clone(),
        workflow_id: rows.run.key.workflow_id.clone(),
        run_id: rows.run.key.run_id.clone(),
        status: rows.run.status.as_str(),
        rows_stored: 0,
        rows_unchanged: 0,
        rows_cut: 0,
        events_skipped: rows.skipped,
    };
    let mut batch = Batch {
        runs: vec![rows.run],
        seen: rows.seen,
        ..Batch::default()
    };
    let mut events = rows.events.into_iter();
    loop {
        batch.events = events.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(imported);
        }
        let report = store.write(&batch).await?;
        let stored = report.changed_events.len() + report.changed_runs.len();
        imported.rows_stored += stored as u64;
        imported.rows_unchanged += report.unchanged_events + report.unchanged_runs;
        imported.rows_cut += report.cut_events;
        batch = Batch::default();
    }
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
        let line = format!(
            "{file}: {workflow_id} {run_id} {status}, {stored} rows stored, {unchanged} unchanged{cut}{skipped}"
        );
        writeln!(text, "{}", crate::text::clean(&line))
    };
}

/// Says on a terminal what is being done.
fn progress(done: usize, files: usize, file: &Path) {
    if std::io::stderr().is_terminal() {
        let file = crate::text::clean(&name(file));
        let line = format!("\r\x1b[2K{}/{files} {file}", done + 1);
        // Nothing depends on it.
        let _ = anstream::stderr().write_all(line.as_bytes());
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        let _ = anstream::stderr().write_all(b"\r\x1b[2K");
    }
}
