//! `omnitrace audit`: whether anything secret or personal is stored, or would leave.
//!
//! Invariant: nothing that is found is printed: of a value its kind and length, and keys with names in the place
//! of what is found in them. At most a page of runs and a bounded number of finds are held.

mod detect;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use indicatif::ProgressBar;
use jiff::Timestamp;
use omnitrace::audit::metrics_of;
use omnitrace::config::Settings;
use omnitrace::spool;
use omnitrace::telemetry::otlp_json;
use omnitrace_store::row::{EventRow, RunKey, RunRow};
use omnitrace_store::tree::{TraceTree, shown};
use omnitrace_store::{Batch, RunFilter, Store};
use serde::Serialize;
use serde_json::Value;

use crate::Answer;
use crate::api;
use crate::cli::AuditArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{clean, count, thousands};
use detect::Detector;
pub(crate) use detect::Pattern;

/// Rows that are read at once.
const ROWS: u32 = 500;

/// Runs whose rows are held at once.
const RUNS: u32 = 50;

/// Bytes of a line of a log that are looked at.
const LINE: usize = 1 << 20;

/// One thing that was found.
#[derive(Clone, Debug, Serialize)]
struct Find {
    /// A table, or what would leave: `spans`, `metrics`, `api`, `logs`, `spool`.
    table: String,
    column: String,
    key: String,
    kind: String,
    /// Bytes of it.
    length: usize,
}

/// What was found, and how much was looked through.
#[derive(Debug)]
struct Finds {
    detector: Detector,
    shown: Vec<Find>,
    limit: usize,
    /// By table, column and kind; those beyond a thousand are counted together.
    counts: BTreeMap<(String, String, String), u64>,
    found: u64,
    texts: u64,
    /// Why what would leave was not looked through, without what was found.
    unread: Option<String>,
}

/// Different counts that are kept.
const COUNTS: usize = 1000;

impl Finds {
    fn look(&mut self, table: &str, column: &str, key: &str, text: &str) {
        self.texts += 1;
        if text.is_empty() || detect::is_own_id(column, text) {
            return;
        }
        for hit in self.detector.hits(text) {
            self.found += 1;
            let masked = |text: &str| self.detector.masked(text).into_owned();
            let mut counted = (table.to_owned(), masked(column), hit.kind.to_owned());
            if self.counts.len() >= COUNTS && !self.counts.contains_key(&counted) {
                counted.1 = "…".to_owned();
            }
            *self.counts.entry(counted).or_default() += 1;
            if self.shown.len() < self.limit {
                self.shown.push(Find {
                    table: table.to_owned(),
                    column: masked(column),
                    key: masked(key),
                    kind: hit.kind.to_owned(),
                    length: hit.at.len(),
                });
            }
        }
    }

    /// Every text of a document, by the path that leads to it; names are text too.
    fn walk(&mut self, table: &str, column: &str, key: &str, value: &Value) {
        match value {
            Value::String(text) => self.look(table, column, key, text),
            Value::Array(items) => {
                for item in items {
                    // As OTLP writes attributes.
                    let name = item.get("key").and_then(Value::as_str);
                    match (name, item.get("value")) {
                        (Some(name), Some(value)) => {
                            self.look(table, column, key, name);
                            self.walk(table, name, key, value);
                        }
                        _ => self.walk(table, column, key, item),
                    }
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.look(table, column, key, name);
                    let path = match column {
                        "" => name.clone(),
                        column => format!("{column}.{name}"),
                    };
                    self.walk(table, &path, key, value);
                }
            }
            _ => {}
        }
    }
}

/// Runs the command.
pub(crate) async fn run(
    url: Option<&str>,
    args: AuditArgs,
    now: Timestamp,
) -> Result<Answer, CliError> {
    let looked = look(url, &args, now).await;
    // That something was found is 1: not having looked is another thing.
    let finds = looked.map_err(|error| CliError::Audit(Box::new(error)))?;
    Ok(Answer {
        good: finds.found == 0,
        text: finds.text(args.json),
    })
}

async fn look(url: Option<&str>, args: &AuditArgs, now: Timestamp) -> Result<Finds, CliError> {
    let mut patterns = args.patterns_given.clone();
    if let Some(file) = &args.patterns {
        patterns.extend(patterns_of(file)?);
    }
    let mut finds = Finds {
        detector: Detector::new(patterns),
        shown: Vec::new(),
        limit: args.limit as usize,
        counts: BTreeMap::new(),
        found: 0,
        texts: 0,
        unread: None,
    };
    let bar = progress::rows("auditing");
    if let Some(folder) = &args.spool {
        // One that is not there would be as one in which nothing waits.
        std::fs::read_dir(folder).map_err(file_error(folder))?;
    }
    let url = database::parse(url)?;
    let since = args.since.map(|since| since.micros(now));
    let store = database::open(&url).await?;
    let done = async {
        tables(&store, since, &mut finds, &bar).await?;
        match leaving(&store, since, now, &mut finds, &bar).await {
            // What was found may be why a row can't be read, and what the error tells.
            Err(error) if finds.found > 0 => {
                let said = error.to_string();
                finds.unread = Some(finds.detector.masked(&said).into_owned());
                Ok(())
            }
            done => done,
        }
    };
    let done = done.await;
    store.close().await;
    done?;
    let (settings, _) = Settings::from_env();
    let folder = args
        .spool
        .clone()
        .or_else(|| spool::folder(&settings, &url));
    if let Some(folder) = folder {
        spooled(&folder, &mut finds, &bar)?;
    }
    for file in &args.logs {
        log(file, &mut finds, &bar)?;
    }
    bar.finish_and_clear();
    Ok(finds)
}

fn file_error(file: &Path) -> impl Fn(std::io::Error) -> CliError {
    let file = file.display().to_string();
    move |error| CliError::File {
        file: file.clone(),
        error,
    }
}

/// A pattern in each line; a # begins a comment.
fn patterns_of(file: &Path) -> Result<Vec<Pattern>, CliError> {
    let text = std::fs::read_to_string(file).map_err(file_error(file))?;
    let lines = text.lines().enumerate();
    let wanted = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    wanted
        .map(|(at, line)| {
            let pattern = line.parse();
            pattern.map_err(|error: String| {
                let file = file.display();
                CliError::Usage(format!("{file}, line {}: {error}", at + 1))
            })
        })
        .collect()
}

/// Every column of text of every table.
async fn tables(
    store: &Store,
    since: Option<i64>,
    finds: &mut Finds,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    for table in store.text_tables().await? {
        let mut after: Option<Vec<String>> = None;
        loop {
            let page = store.text_rows(&table, after.as_deref(), since, ROWS);
            let page = page.await?;
            for row in &page {
                let key = row.key.join("/");
                for (column, text) in table.texts.iter().zip(&row.texts) {
                    let Some(text) = text else { continue };
                    finds.look(&table.name, column, &key, text);
                }
            }
            bar.inc(page.len() as u64);
            if page.len() < ROWS as usize {
                break;
            }
            after = page.into_iter().next_back().map(|row| row.key);
        }
    }
    Ok(())
}

/// What would leave of the runs: spans, metrics, answers of the API.
async fn leaving(
    store: &Store,
    since: Option<i64>,
    now: Timestamp,
    finds: &mut Finds,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    let mut filter = RunFilter {
        started_from: since,
        limit: RUNS,
        ..RunFilter::default()
    };
    loop {
        let runs = store.list_runs(&filter).await?;
        filter.after = runs.last().map(|run| (run.start_time(), run.key.clone()));
        let is_last = runs.len() < RUNS as usize;
        let mut batch = Batch::default();
        for run in runs {
            let events = store.events(&run.key).await?;
            let children = store.children(&run.key).await?;
            bar.inc(1 + events.len() as u64);
            of_run(&run, &events, &children, now, finds);
            batch.events.extend(events);
            batch.runs.push(run);
        }
        for line in metrics_of(&batch)
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let (name, labels) = labels(line);
            finds.look("metrics", "labels", name, labels);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Name and labels of a line of metrics. Its number is of no person, though it may look like a card's.
fn labels(line: &str) -> (&str, &str) {
    let (name, rest) = line.split_once('{').unwrap_or((line, ""));
    (name, rest.rsplit_once('}').map_or("", |(labels, _)| labels))
}

fn of_run(
    run: &RunRow,
    events: &[EventRow],
    children: &[RunRow],
    now: Timestamp,
    finds: &mut Finds,
) {
    let key = key(&run.key);
    // The trace before it is of ids alone.
    let spans = otlp_json(run, events, None);
    finds.walk("spans", "", &key, &spans);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    finds.walk("api", "execution", &key, &json(&api::run_line(run)));
    let rows: Vec<api::Event> = (shown(run, events.to_vec()).into_iter())
        .map(api::Event::new)
        .collect();
    let rows = serde_json::to_value(&rows).unwrap_or_default();
    finds.walk("api", "events", &key, &rows);
    let tree = TraceTree::build(run, events.to_vec(), children, now.as_microsecond());
    let near = api::Near::default();
    let trace = api::Trace::new(&tree, &tree.root, api::View::WHOLE, near, BTreeMap::new());
    finds.walk("api", "trace", &key, &json(&api::whole_trace(&trace)));
}

fn key(run: &RunKey) -> String {
    format!("{}/{}/{}", run.namespace, run.workflow_id, run.run_id)
}

/// What waits on disk.
fn spooled(folder: &Path, finds: &mut Finds, bar: &ProgressBar) -> Result<(), CliError> {
    let read = spool::read(folder, |file, number, line| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let key = format!("{name}:{number}");
        match line {
            spool::Line::Batch(batch) => {
                let batch = serde_json::to_value(&*batch).unwrap_or_default();
                finds.walk("spool", "", &key, &batch);
            }
            spool::Line::Torn(line) => {
                finds.look("spool", "torn line", &key, &String::from_utf8_lossy(&line));
            }
            _ => {}
        }
        bar.inc(1);
        Ok::<_, std::io::Error>(())
    });
    read.map_err(file_error(folder))
}

/// Lines of a log; what is longer is looked at in pieces.
fn log(file: &Path, finds: &mut Finds, bar: &ProgressBar) -> Result<(), CliError> {
    let failed = file_error(file);
    let (name, mut lines): (_, Box<dyn BufRead>) = if file.as_os_str() == "-" {
        let stdin = std::io::stdin().lock();
        ("standard input".to_owned(), Box::new(stdin))
    } else {
        let opened = std::fs::File::open(file).map_err(&failed)?;
        (file.display().to_string(), Box::new(BufReader::new(opened)))
    };
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let mut piece = std::io::Read::take(&mut lines, LINE as u64);
        if piece.read_until(b'\n', &mut line).map_err(&failed)? == 0 {
            break;
        }
        let key = format!("{name}:{number}");
        finds.look("logs", "line", &key, &String::from_utf8_lossy(&line));
        bar.inc(1);
    }
    Ok(())
}

impl Finds {
    fn text(&self, json: bool) -> String {
        if json {
            // Text has no way to fail.
            let line = |find| serde_json::to_string(find).unwrap_or_default() + "\n";
            return self.shown.iter().map(line).collect();
        }
        if self.found == 0 {
            return format!("nothing found in {}\n", count(self.texts, "text"));
        }
        let mut text = String::new();
        for find in &self.shown {
            let Find {
                table,
                column,
                key,
                kind,
                length,
            } = find;
            let line = format!("{table}.{column} {key}: {kind}, {length} bytes");
            text += &(clean(&line) + "\n");
        }
        if self.found > self.shown.len() as u64 {
            text += &format!(
                "and {} more:\n",
                thousands(self.found - self.shown.len() as u64)
            );
            for ((table, column, kind), n) in &self.counts {
                let line = format!("{table}.{column}: {} × {kind}", thousands(*n));
                text += &(clean(&line) + "\n");
            }
        }
        if let Some(why) = &self.unread {
            text += &(clean(&format!("what would leave was not looked through: {why}")) + "\n");
        }
        text + &format!(
            "{} in {}\n",
            count(self.found, "find"),
            count(self.texts, "text")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_metric_is_not_looked_at() {
        let line = r#"traces_duration_sum{job="a}b"} 4111111111111111"#;
        assert_eq!(labels(line), ("traces_duration_sum", r#"job="a}b""#));
        assert_eq!(labels("up 4111111111111111").1, "");
    }
}
