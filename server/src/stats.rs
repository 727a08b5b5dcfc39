//! `omnitrace stats`: aggregates of hours whose rows are gone, and of those whose rows are there, added up alike.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use omnitrace_store::hourly::{BUCKETS_MS, Dimension, HOUR, Hourly, Hours, SumsFilter};
use omnitrace_store::row::Micros;
use omnitrace_store::{AccessScope, ReadError, Store};
use owo_colors::OwoColorize;

use crate::api::{self, Sum};
use crate::cli::StatsArgs;
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::style;
use crate::text::{clean, thousands};
use crate::when;

/// Runs the command.
pub(crate) async fn run(
    url: Option<&str>,
    args: StatsArgs,
    now: Timestamp,
) -> Result<String, CliError> {
    let filter = SumsFilter {
        from: args.since.map_or(Micros::MIN, |since| since.micros(now)),
        before: args.until.map_or(Micros::MAX, |until| until.micros(now)),
        by: args.by.into_iter().collect(),
        namespace: args.namespace,
        workflow_type: args.workflow_type,
        limit: u32::MAX,
    };
    let url = database::parse(url)?;
    let store = database::open(&url).await?;
    let sums = add_up(&store, &filter).await;
    store.close().await;
    let sums = sums?.into_iter();
    let sums: Vec<(Sum, Hourly)> = sums
        .map(|(key, hour)| (Sum::new(&filter, key, &hour), hour))
        .collect();
    if args.json {
        let lines = sums.iter().map(|(sum, _)| serde_json::to_string(sum));
        return Ok(lines.map(|line| line.unwrap_or_default() + "\n").collect());
    }
    if sums.is_empty() {
        return Ok(format!(
            "nothing that closed matches in {}\n",
            clean(&url.to_string())
        ));
    }
    Ok(table(&filter, &sums))
}

async fn add_up(store: &Store, filter: &SumsFilter) -> Result<Hours, ReadError> {
    let sealed = store.sealed_through().await?;
    let mut sums = store.seen_by(&AccessScope::ALL).sums(filter).await?;
    let bar = progress::hours("adding up");
    let mut from = sealed.max(filter.from);
    while let Some((hour, hours)) = store.next_hour(from, filter.before).await? {
        filter.add_up(&hours, &mut sums);
        bar.inc(1);
        from = hour + HOUR;
    }
    bar.finish_and_clear();
    Ok(sums)
}

fn table(filter: &SumsFilter, sums: &[(Sum, Hourly)]) -> String {
    let key = |title, cell: fn(&Sum) -> Option<&str>| (title, cell);
    let keys = [
        match filter.by.contains(&Dimension::Hour) {
            true => key("HOUR", |sum| sum.begin.as_deref()),
            false => key("DAY", |sum| sum.begin.as_deref()?.split('T').next()),
        },
        key("NAMESPACE", |sum| sum.namespace.as_deref()),
        key("TYPE", |sum| sum.workflow_type.as_deref()),
        key("CATEGORY", |sum| sum.category.as_deref()),
        key("TENANT", |sum| sum.tenant_id.as_deref()),
        key("MODEL", |sum| sum.model.as_deref()),
    ];
    let keys = keys
        .into_iter()
        .filter(|(_, cell)| cell(&sums[0].0).is_some());
    let keys: Vec<_> = keys.collect();
    let counted = if filter.of_steps() { "STEPS" } else { "RUNS" };
    let numbers = [counted, "FAILED", "P95", "TOKENS IN", "TOKENS OUT", "COST"];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(keys.iter().map(|(title, _)| *title).chain(numbers));
    for (sum, hour) in sums {
        let cells = keys.iter().map(|(_, cell)| match cell(sum) {
            None | Some("") => "-".to_owned(),
            Some(text) => clean(text),
        });
        let tokens = |n: i64| thousands(n.unsigned_abs());
        table.add_row(cells.chain([
            thousands(sum.count),
            thousands(sum.failed),
            p95(hour),
            tokens(sum.input_tokens),
            tokens(sum.output_tokens),
            api::dollars(sum.cost_usd),
        ]));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at >= keys.len() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for (at, line) in table.to_string().lines().enumerate() {
        let line = line.trim_end();
        match at {
            0 => text.push_str(&line.style(style::dim()).to_string()),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The bound that 95 % did not exceed.
fn p95(hour: &Hourly) -> String {
    let enough = |count: &u64| count * 100 >= hour.count * 95;
    match hour.buckets.iter().position(enough) {
        Some(at) => format!("≤ {}", when::human(BUCKETS_MS[at])),
        None if hour.latency_ms == 0 => "-".to_owned(),
        None => format!("> {}", when::human(BUCKETS_MS[BUCKETS_MS.len() - 1])),
    }
}
