//! `omnitrace list`: runs as a table, or as one JSON object per line.

use anstream::adapter::strip_str;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use omnitrace_store::row::RunRow;
use omnitrace_store::{DatabaseUrl, RunFilter};
use owo_colors::OwoColorize;

use crate::api;
use crate::cli::ListArgs;
use crate::database;
use crate::error::CliError;
use crate::style;
use crate::text::{clean, fit, thousands, width};
use crate::when;

/// Columns between two columns of the table.
const GAP: usize = 2;

/// A type or an error shorter than this says nothing.
const SHORTEST: usize = 10;

/// Runs the command.
pub(crate) async fn run(
    url: Option<&str>,
    args: ListArgs,
    now: Timestamp,
) -> Result<String, CliError> {
    let mut filter = args.filter.filter(now)?;
    filter.limit = args.limit;
    let url = database::parse(url)?;
    let store = database::open(&url).await?;
    let runs = store.list_runs(&filter).await;
    store.close().await;
    let runs = runs?;
    if args.json {
        return Ok(runs
            .iter()
            .map(|run| format!("{}\n", api::run_line(run)))
            .collect());
    }
    Ok(page(&runs, &filter, &url, database::columns(), now))
}

fn page(
    runs: &[RunRow],
    filter: &RunFilter,
    url: &DatabaseUrl,
    columns: Option<usize>,
    now: Timestamp,
) -> String {
    if runs.is_empty() {
        let all = RunFilter {
            limit: filter.limit,
            ..RunFilter::default()
        };
        let narrowed = format!("{all:?}") != format!("{filter:?}");
        let what = if narrowed {
            "no run matches"
        } else {
            "no run is recorded yet"
        };
        return format!("{what} in {}\n", clean(&url.to_string()));
    }
    let mut text = table(runs, columns, now);
    if filter.limit > 0 && runs.len() as u64 >= filter.limit.into() {
        let newest = match runs.len() {
            1 => "run".to_owned(),
            n => format!("{n} runs"),
        };
        let note = format!("the newest {newest}; --limit N shows more");
        text.push_str(&format!("{}\n", note.style(style::dim())));
    }
    text
}

/// One column: its cells, as plain text.
struct Column {
    title: &'static str,
    cells: Vec<String>,
    right: bool,
    /// How narrow it may get.
    least: usize,
}

impl Column {
    fn new(title: &'static str, runs: &[RunRow], cell: impl Fn(&RunRow) -> String) -> Self {
        let cells: Vec<_> = runs.iter().map(cell).collect();
        let mut column = Self {
            title,
            cells,
            right: false,
            least: 0,
        };
        column.least = column.width();
        column
    }

    fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn least(mut self, columns: usize) -> Self {
        self.least = self.least.min(columns);
        self
    }

    fn width(&self) -> usize {
        let widest = self
            .cells
            .iter()
            .map(|c| width(c))
            .max()
            .unwrap_or_default();
        widest.max(width(self.title))
    }

    fn cut(&mut self, columns: usize) {
        for cell in &mut self.cells {
            *cell = fit(cell, columns);
        }
    }

    fn is_blank(&self) -> bool {
        self.cells.iter().all(String::is_empty)
    }
}

fn table(runs: &[RunRow], columns: Option<usize>, now: Timestamp) -> String {
    let mut shown = vec![
        Column::new("STATUS", runs, |run| {
            format!("{} {}", style::glyph(run.status), run.status.as_str())
        }),
        Column::new("WORKFLOW ID", runs, |run| clean(&run.key.workflow_id)).least(20),
        Column::new("TYPE", runs, |run| clean(&run.workflow_type)).least(SHORTEST),
        Column::new("STARTED", runs, |run| {
            run.started_at.map_or_else(dash, when::short)
        }),
        Column::new("TOOK", runs, |run| took(run, now)).right(),
        Column::new("EVENTS", runs, events).right(),
        Column::new("TOKENS", runs, |run| {
            some(run.input_tokens.saturating_add(run.output_tokens))
        })
        .right(),
        Column::new("COST", runs, |run| {
            if run.cost_usd > 0.0 {
                api::dollars(run.cost_usd)
            } else {
                String::new()
            }
        })
        .right(),
        Column::new("ERROR", runs, |run| {
            let kind = run.error_type.as_deref().map(clean);
            let message = run.error_message.as_deref().map(clean);
            [kind, message]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(": ")
        })
        .least(2 * SHORTEST),
    ];
    shown.retain(|column| !column.is_blank());
    if let Some(columns) = columns {
        fit_columns(&mut shown, columns);
    }

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(shown.iter().map(|c| c.title));
    for row in 0..runs.len() {
        table.add_row(shown.iter().map(|c| &c.cells[row]));
    }
    for (i, column) in shown.iter().enumerate() {
        if let Some(made) = table.column_mut(i) {
            made.set_padding((0, if i + 1 < shown.len() { GAP as u16 } else { 0 }));
            if column.right {
                made.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    colour(&table.to_string(), runs)
}

/// Leaves out and cuts columns until they fit: first the error, then numbers, then text.
fn fit_columns(shown: &mut Vec<Column>, columns: usize) {
    let total =
        |shown: &[Column]| shown.iter().map(Column::width).sum::<usize>() + GAP * (shown.len() - 1);
    let least =
        |shown: &[Column]| shown.iter().map(|c| c.least).sum::<usize>() + GAP * (shown.len() - 1);
    for title in ["COST", "TOKENS", "ERROR", "EVENTS", "TYPE"] {
        if least(shown) > columns {
            shown.retain(|c| c.title != title);
        }
    }
    for title in ["ERROR", "TYPE", "WORKFLOW ID"] {
        let over = total(shown).saturating_sub(columns);
        if let Some(column) = shown.iter_mut().find(|c| c.title == title) {
            let to = column.width().saturating_sub(over).max(column.least);
            column.cut(to);
        }
    }
}

/// Colours the lines of a finished table: the first is the header, then one line is one run.
fn colour(table: &str, runs: &[RunRow]) -> String {
    let mut out = String::new();
    for (i, line) in table.lines().enumerate() {
        let line = line.trim_end();
        match i.checked_sub(1).and_then(|i| runs.get(i)) {
            None => out.push_str(&line.style(style::dim()).to_string()),
            Some(run) => {
                let status = format!("{} {}", style::glyph(run.status), run.status.as_str());
                let rest = line.strip_prefix(&status).unwrap_or(line);
                out.push_str(&format!("{}{rest}", status.style(style::of(run.status))));
            }
        }
        out.push('\n');
    }
    debug_assert_eq!(strip_str(&out).to_string().lines().count(), runs.len() + 1);
    out
}

fn took(run: &RunRow, now: Timestamp) -> String {
    let Some(start) = run.started_at else {
        return dash();
    };
    match run.closed_at {
        Some(end) => when::human(end.saturating_sub(start) / 1000),
        None if run.status.is_closed() => dash(),
        None => format!(
            "{}…",
            when::human(now.as_microsecond().saturating_sub(start) / 1000)
        ),
    }
}

/// A `+` says that more happened than is stored.
fn events(run: &RunRow) -> String {
    let more = if run.dropped_events > 0 || run.incomplete {
        "+"
    } else {
        ""
    };
    format!("{}{more}", thousands(run.event_count.into()))
}

fn some(n: i64) -> String {
    u64::try_from(n)
        .ok()
        .filter(|&n| n > 0)
        .map(thousands)
        .unwrap_or_default()
}

fn dash() -> String {
    "-".to_owned()
}
