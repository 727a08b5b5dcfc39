//! What happened and what was found, as a table and as JSON.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::plan::Scale;
use crate::store::Rows;
use crate::storm::Happened;
use crate::verdict::{Reconciled, Verified};

/// Differences that the table shows; JSON has all.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) database: crate::plan::Database,
    pub(crate) workers: usize,
    pub(crate) seconds: f64,
    pub(crate) happened: Happened,
    pub(crate) rows: Rows,
    pub(crate) reconciled: Reconciled,
    pub(crate) verified: Verified,
}

impl Report {
    pub(crate) fn new(
        scale: &Scale,
        time: Duration,
        happened: Happened,
        rows: Rows,
        reconciled: Reconciled,
        verified: Verified,
    ) -> Self {
        Self {
            seed: scale.seed,
            database: scale.database,
            workers: scale.workers,
            seconds: time.as_secs_f64(),
            happened,
            rows,
            reconciled,
            verified,
        }
    }

    /// Whether the store holds what history says and nothing else.
    pub(crate) fn is_equal(&self) -> bool {
        self.verified.is_equal() && u64::try_from(self.rows.runs) == Ok(self.verified.runs)
    }

    /// For a person.
    pub(crate) fn table(&self) -> String {
        let Self {
            happened,
            rows,
            reconciled,
            verified,
            ..
        } = self;
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_header(["what", "count", "of them"]);
        let mut row = |what: &str, count: u64, of_them: String| {
            table.add_row([what.to_owned(), count.to_string(), of_them]);
        };
        row("started", happened.cases as u64, String::new());
        row(
            "runs compared",
            verified.runs,
            format!(
                "{} equal, {} not comparable",
                verified.equal,
                verified.not_compared()
            ),
        );
        row(
            "kills",
            happened.kills as u64,
            format!(
                "{} in an open workflow task, {} with uncommitted rows",
                happened.kills_in_task, happened.kills_uncommitted
            ),
        );
        let outages: Vec<String> = (happened.outages.iter())
            .map(|(kind, count)| format!("{count} {}", format!("{kind:?}").to_lowercase()))
            .collect();
        row(
            "outages of the database",
            happened.outages.values().sum::<usize>() as u64,
            outages.join(", "),
        );
        row("server restarts", happened.restarts as u64, String::new());
        if happened.wipes > 0 {
            row("store deleted", happened.wipes as u64, String::new());
        }
        row(
            "workers that ended by themselves",
            happened.workers_gone as u64,
            String::new(),
        );
        row(
            "runs terminated",
            happened.unreplayable as u64,
            "the SDK could not replay them any more".to_owned(),
        );
        let adopted = happened.counters.get("rows.adopted").copied();
        row(
            "rows",
            (rows.runs + rows.events).try_into().unwrap_or_default(),
            format!(
                "{} runs; {} taken over from killed workers",
                rows.runs,
                adopted.unwrap_or_default()
            ),
        );
        row(
            "runs healed",
            reconciled.healed,
            format!(
                "{} looked at, {} recorded anew",
                reconciled.looked_at, reconciled.recorded
            ),
        );
        row(
            "attempts lost",
            rows.lost_attempts.try_into().unwrap_or_default(),
            "failed ones that neither history nor a living worker knew".to_owned(),
        );
        row("rows missing", verified.missing, String::new());
        row("rows extra", verified.extra, String::new());
        row("rows different", verified.different, String::new());
        let mut text = table.to_string();
        for difference in verified.differences.iter().take(SHOWN) {
            text += &format!("\n{difference}");
        }
        if verified.differences.len() > SHOWN {
            text += &format!("\nand {} more: --json", verified.differences.len() - SHOWN);
        }
        text
    }
}
