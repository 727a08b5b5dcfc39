//! `omnitrace export`: stored runs as spans, sent whether or not they were sent before.
//!
//! Invariant: the store is only read, and nothing is marked: workers send what waits as they would.

use jiff::Timestamp;
use omnitrace::config::{Endpoint, FindingKind, Settings};
use omnitrace::telemetry::{CollectorError, Resender};
use omnitrace_store::row::RunRow;
use omnitrace_store::{ReadError, RunFilter, Store};
use serde::Serialize;

use crate::Answer;
use crate::cli::ExportArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{clean, count, thousands};

/// Runs that are read at once.
const PAGE: u32 = 200;

/// What became of all runs.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Without credentials.
    collector: String,
    runs: u64,
    /// Of them, those that go on.
    open: u64,
    spans: u64,
    /// Spans that the collector will never take.
    refused: u64,
}

pub(crate) async fn run(
    url: Option<&str>,
    args: ExportArgs,
    now: Timestamp,
) -> Result<Answer, CliError> {
    let mut filter = args.filter.filter(now)?;
    filter.workflow_id.clone_from(&args.workflow_id);
    filter.run_id.clone_from(&args.run_id);
    filter.limit = PAGE;
    let mut resender = resender(&args.otlp)?;
    let url = database::parse(url)?;
    let store = database::open(&url).await?;
    let sent = send(&store, filter, &mut resender).await;
    store.close().await;
    let mut summary = sent?;
    let finished = resender.finish().await;
    finished.map_err(|error| not_taken(&resender, error))?;
    resender.collector().clone_into(&mut summary.collector);
    (summary.spans, summary.refused) = (resender.sent(), resender.refused());
    if summary.runs == 0 && !args.json {
        return Ok(Answer::from(format!(
            "no run matches in {}\n",
            clean(&url.to_string())
        )));
    }
    Ok(Answer {
        good: summary.refused == 0,
        text: summary.text(args.json),
    })
}

fn resender(address: &str) -> Result<Resender, CliError> {
    let (settings, findings) = Settings::from_env();
    // What a worker would only warn of would here be sent to a place that was not meant.
    if let Some(wrong) = (findings.iter())
        .find(|f| f.kind == FindingKind::Invalid && f.variable.starts_with("OTEL_"))
    {
        return Err(CliError::Usage(wrong.to_string()));
    }
    let mut telemetry = settings.telemetry.clone();
    if !address.is_empty() {
        let endpoint = Endpoint::parse(address);
        telemetry.otlp.endpoint = Some(endpoint.ok_or_else(|| {
            CliError::Usage("--otlp takes an http:// or https:// address".to_owned())
        })?);
        telemetry.otlp.traces_endpoint = None;
    }
    Resender::new(&settings.with_telemetry(telemetry))
        .map_err(|error| CliError::Usage(error.to_string()))
}

async fn send(
    store: &Store,
    mut filter: RunFilter,
    resender: &mut Resender,
) -> Result<Summary, CliError> {
    let mut summary = Summary::default();
    let bar = progress::runs("exporting");
    loop {
        let runs = store.list_runs(&filter).await?;
        for run in &runs {
            let events = store.events(&run.key).await?;
            let before = trace_before(store, run).await?;
            let added = resender.add(run, before.as_deref(), &events).await;
            added.map_err(|error| not_taken(resender, error))?;
            summary.runs += 1;
            summary.open += u64::from(run.closed_at.is_none());
            bar.inc(1);
        }
        filter.after = (runs.last()).map(|run| (run.start_time(), run.key.clone()));
        if runs.len() < PAGE as usize {
            bar.finish_and_clear();
            return Ok(summary);
        }
    }
}

fn not_taken(resender: &Resender, error: CollectorError) -> CliError {
    CliError::Collector {
        address: resender.collector().to_owned(),
        sent: resender.sent(),
        error,
    }
}

/// Trace of the run before this one in its chain, if that is stored.
async fn trace_before(store: &Store, run: &RunRow) -> Result<Option<String>, ReadError> {
    let Some(run_id) = &run.continued_from_run_id else {
        return Ok(None);
    };
    let mut before = run.key.clone();
    before.run_id.clone_from(run_id);
    Ok(store.run(&before).await?.map(|run| run.trace_id))
}

impl Summary {
    fn text(&self, json: bool) -> String {
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        let mut text = format!(
            "{} sent as {} to {}",
            count(self.runs, "run"),
            count(self.spans, "span"),
            self.collector
        );
        if self.open > 0 {
            text += &format!("; {} on: of those, what has ended", go(self.open));
        }
        if self.refused > 0 {
            text += &format!("; {} refused for good", thousands(self.refused));
        }
        text + "\n"
    }
}

fn go(runs: u64) -> String {
    let verb = if runs == 1 { "goes" } else { "go" };
    format!("{} {verb}", thousands(runs))
}
