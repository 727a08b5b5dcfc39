//! `omnitrace backfill`: the runs that a server knows, into the store.
//!
//! Invariant: rows merge with those that are stored, so doing it again changes nothing; of a history no
//! more than a page and what is open is held.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use omnitrace::history::{Backfilled, Connect, Execution, HealError, Healer};
use serde::Serialize;

use crate::Answer;
use crate::cli::BackfillArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{count, thousands};

/// What became of all runs.
#[derive(Debug, Default, Serialize)]
struct Summary {
    runs: u64,
    events_read: u64,
    rows_stored: u64,
    rows_unchanged: u64,
    /// Named by the file of an earlier time.
    done_before: u64,
    /// Without a history on the server (any more).
    unknown: u64,
    /// Deleted because they are old, or about to be.
    pruned: u64,
    /// Erased: nothing of them is stored.
    erased: u64,
    failed: u64,
}

/// What was done for a run.
enum Done {
    Before,
    Pruned,
    Now(Result<Backfilled, HealError>),
}

pub(crate) async fn run(
    url: Option<&str>,
    args: BackfillArgs,
    now: Timestamp,
) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let mut finished = args.resume.as_deref().map(Finished::open).transpose()?;
    let server = Connect::from(args.temporal).server().await?;
    let store = database::open_for_writing(url, &settings).await?;
    let healer = Healer::new(server.clone(), store.clone(), &settings);
    let mut summary = Summary::default();
    let bar = progress::runs("backfilling");
    let known = finished.as_mut().map(|f| std::mem::take(&mut f.known));
    let known = known.unwrap_or_default();
    let sealed_through = store.sealed_through().await?;
    let found = args.selection.find(&server, now).await?;
    let stored = found
        .map_err(CliError::from)
        .map_ok(|execution| {
            let (healer, known) = (&healer, &known);
            async move {
                let run = &execution.run;
                let done = match execution.closed_at {
                    Some(_) if known.contains(&run.run_id) => Done::Before,
                    Some(at) if at < sealed_through => Done::Pruned,
                    _ => Done::Now(healer.backfill(run).await),
                };
                Ok((execution, done))
            }
        })
        .try_buffer_unordered(args.selection.at_once.into());
    futures_util::pin_mut!(stored);
    while let Some((execution, stored)) = stored.try_next().await? {
        bar.inc(1);
        match stored {
            Done::Before => summary.done_before += 1,
            Done::Pruned => summary.pruned += 1,
            Done::Now(Ok(stored)) if stored.events_read == 0 => summary.unknown += 1,
            Done::Now(Ok(stored)) if stored.erased => summary.erased += 1,
            Done::Now(Ok(stored)) => {
                summary.runs += 1;
                summary.events_read += stored.events_read;
                summary.rows_stored += stored.rows_stored;
                summary.rows_unchanged += stored.rows_unchanged;
                if let Some(finished) = &mut finished {
                    finished.note(&execution)?;
                }
            }
            // The database or the server that fails once fails for the next run too.
            Done::Now(Err(error @ (HealError::Write(_) | HealError::Server(_)))) => {
                return Err(error.into());
            }
            Done::Now(Err(error)) => {
                summary.failed += 1;
                bar.suspend(|| crate::fail(&error.into()));
            }
        }
    }
    bar.finish_and_clear();
    store.close().await;
    Ok(Answer {
        good: summary.failed == 0,
        text: summary.text(args.json),
    })
}

impl Summary {
    fn text(&self, json: bool) -> String {
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        let mut text = format!(
            "{} stored: {} read, {} rows stored, {} unchanged",
            count(self.runs, "run"),
            count(self.events_read, "event"),
            thousands(self.rows_stored),
            thousands(self.rows_unchanged),
        );
        for (n, what) in [
            (self.done_before, "done before"),
            (self.unknown, "without a history"),
            (self.pruned, "too old to be kept"),
            (self.erased, "erased"),
            (self.failed, "failed"),
        ] {
            if n > 0 {
                text += &format!(", {} {what}", count(n, "run"));
            }
        }
        text + "\n"
    }
}

/// The runs that are finished, a line each.
struct Finished {
    known: HashSet<String>,
    file: std::fs::File,
    name: String,
}

impl Finished {
    fn open(path: &Path) -> Result<Self, CliError> {
        let failed = |error| CliError::File {
            file: path.display().to_string(),
            error,
        };
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).read(true).open(path);
        let file = file.map_err(failed)?;
        let known = std::fs::read_to_string(path).map_err(failed)?;
        Ok(Self {
            known: known.lines().map(str::to_owned).collect(),
            file,
            name: path.display().to_string(),
        })
    }

    /// Runs that go on are read again the next time.
    fn note(&mut self, execution: &Execution) -> Result<(), CliError> {
        if execution.closed_at.is_none() {
            return Ok(());
        }
        writeln!(self.file, "{}", execution.run.run_id).map_err(|error| CliError::File {
            file: self.name.clone(),
            error,
        })
    }
}
