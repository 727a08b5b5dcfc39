//! `omnitrace verify`: what is stored beside what histories say.

use std::collections::HashSet;
use std::fmt::Write as _;

use futures_util::stream::TryStreamExt;
use jiff::Timestamp;
use omnitrace::history::{Connect, Execution, HealError, Healed, Healer, Standing};
use omnitrace_store::compare::{Difference, What};
use omnitrace_store::row::RunKey;
use omnitrace_store::{RunFilter, Store};
use serde::Serialize;

use crate::Answer;
use crate::cli::VerifyArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{clean, count, thousands};

/// Runs of one look into the store.
const PAGE: u32 = 500;

/// What was found. Rows are runs and their events.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Runs that were compared.
    runs: u64,
    /// Of them, those without a difference.
    equal: u64,
    /// Rows that were compared.
    rows: u64,
    /// Rows that history has and the store has not; a run that is not stored counts as one.
    missing: u64,
    /// Rows that the store has and history has not.
    extra: u64,
    /// Rows that differ.
    different: u64,
    /// Runs that were put right.
    repaired: u64,
    /// Runs that go on.
    open: u64,
    /// Runs that sampling left out.
    left_out: u64,
    /// Runs of which the server has no history (any more).
    unknown: u64,
    /// Runs that are deleted because they are old, or about to be.
    pruned: u64,
    /// Runs that were erased.
    erased: u64,
    /// Runs that could not be compared.
    failed: u64,
    differences: Vec<RunDifferences>,
}

#[derive(Debug, Serialize)]
struct RunDifferences {
    namespace: String,
    workflow_id: String,
    run_id: String,
    /// The run is not stored.
    missing: bool,
    differences: Vec<Difference>,
}

pub(crate) async fn run(
    url: Option<&str>,
    args: VerifyArgs,
    now: Timestamp,
) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let server = Connect::from(args.temporal).server().await?;
    let url = database::parse(url)?;
    let store = if args.repair {
        let mut options = settings.open_options();
        options.migrate = false;
        Store::open(&url, options).await?
    } else {
        database::open(&url).await?
    };
    let healer = Healer::new(server.clone(), store.clone(), &settings);
    let mut summary = Summary::default();
    let bar = progress::runs("comparing");
    let runs = args.selection.find(&server, now).await?;
    let compared = runs
        .map_err(CliError::from)
        .map_ok(|execution| {
            let healer = &healer;
            async move {
                let compared = if args.repair {
                    healer.heal(&execution.run).await
                } else {
                    let standing = healer.compare(&execution.run).await;
                    standing.map(|standing| (standing, Healed::Nothing))
                };
                Ok((execution, compared))
            }
        })
        .try_buffer_unordered(args.selection.at_once.into());
    futures_util::pin_mut!(compared);
    let mut seen = HashSet::new();
    while let Some((execution, compared)) = compared.try_next().await? {
        bar.inc(1);
        seen.insert(execution.run.run_id.clone());
        match compared {
            Ok((standing, healed)) => summary.add(execution, standing, healed),
            Err(error @ HealError::Policy(_)) => {
                summary.failed += 1;
                bar.suspend(|| crate::fail(&error.into()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if seen.is_empty() && args.selection.names_runs() {
        bar.finish_and_clear();
        store.close().await;
        return Err(CliError::Usage(format!(
            "nothing is compared: namespace {} of the server has no run that matches",
            healer.server().namespace()
        )));
    }
    if args.selection.is_everything() {
        summary.unknown += forgotten(&healer, &seen).await?;
    }
    bar.finish_and_clear();
    store.close().await;
    Ok(Answer {
        good: summary.is_good(args.repair),
        text: summary.text(args.json),
    })
}

/// How many stored runs the server does not know (any more).
async fn forgotten(healer: &Healer, seen: &HashSet<String>) -> Result<u64, CliError> {
    let mut filter = RunFilter {
        namespace: Some(healer.server().namespace().to_owned()),
        limit: PAGE,
        ..RunFilter::default()
    };
    let mut forgotten = 0;
    loop {
        let page = healer.store().list_runs(&filter).await?;
        let Some(last) = page.last() else {
            return Ok(forgotten);
        };
        filter.after = Some((last.start_time(), last.key.clone()));
        for run in page.iter().filter(|run| run.has_history()) {
            let RunKey {
                workflow_id,
                run_id,
                ..
            } = &run.key;
            if !seen.contains(run_id) {
                let known = healer.server().describe(workflow_id, run_id).await?;
                forgotten += u64::from(known.is_none());
            }
        }
    }
}

impl Summary {
    fn add(&mut self, execution: Execution, standing: Standing, healed: Healed) {
        self.repaired += u64::from(healed != Healed::Nothing);
        let (missing, differences) = match standing {
            Standing::Open => {
                self.open += 1;
                return;
            }
            Standing::LeftOut => {
                self.left_out += 1;
                return;
            }
            Standing::Unknown => {
                self.unknown += 1;
                return;
            }
            Standing::Pruned => {
                self.pruned += 1;
                return;
            }
            Standing::Erased => {
                self.erased += 1;
                return;
            }
            Standing::Equal { rows } => {
                self.runs += 1;
                self.equal += 1;
                self.rows += rows;
                return;
            }
            Standing::Missing => (true, Vec::new()),
            Standing::Different(differences) => (false, differences),
            // Whatever else there may be one day is no equality.
            _ => (false, Vec::new()),
        };
        self.runs += 1;
        self.missing += u64::from(missing);
        for difference in &differences {
            match difference.what {
                What::Missing => self.missing += 1,
                What::Extra => self.extra += 1,
                _ => self.different += 1,
            }
        }
        self.differences.push(RunDifferences {
            namespace: execution.run.namespace,
            workflow_id: execution.run.workflow_id,
            run_id: execution.run.run_id,
            missing,
            differences,
        });
    }

    /// Whether the store is now as the histories are.
    fn is_good(&self, repair: bool) -> bool {
        let differing = self.runs - self.equal;
        self.failed == 0 && (differing == 0 || (repair && self.repaired >= differing))
    }

    fn text(&self, json: bool) -> String {
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        let mut text = String::new();
        // Writing into a string does not fail.
        for run in &self.differences {
            let ids = clean(&format!("{} {}", run.workflow_id, run.run_id));
            if run.missing {
                let _ = writeln!(text, "{ids}: the run is missing");
            }
            for difference in &run.differences {
                let _ = writeln!(text, "{ids}: {}", clean(&difference.to_string()));
            }
        }
        let _ = write!(
            text,
            "{} compared, {} equal: {} missing, {} extra, {} different",
            count(self.runs, "run"),
            thousands(self.equal),
            count(self.missing, "row"),
            thousands(self.extra),
            thousands(self.different),
        );
        for (n, what) in [
            (self.repaired, "repaired"),
            (self.open, "going on"),
            (self.left_out, "left out by sampling"),
            (self.unknown, "without a history"),
            (self.pruned, "too old to be kept"),
            (self.erased, "erased"),
            (self.failed, "not comparable"),
        ] {
            if n > 0 {
                let _ = write!(text, "; {} {what}", count(n, "run"));
            }
        }
        text + "\n"
    }
}
