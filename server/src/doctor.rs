//! `omnitrace doctor`: a list of checks, each with one line and, where something is wrong, what to
//! do about it.
//!
//! Invariant: a check that can't be made is one that failed or is left out, never an error.

mod checks;
mod prometheus;

use jiff::Timestamp;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::Answer;
use crate::cli::DoctorArgs;
use crate::database::{self, DEFAULT_COLUMNS};
use crate::style;
use crate::text::{clean, wrap};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    text: String,
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            level: Level::Ok,
            text: text.into(),
            hint: None,
        }
    }

    fn warn(name: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            hint: Some(hint.into()),
            ..Self::ok(name, text)
        }
    }

    /// Errors say themselves what to do.
    fn fail(name: &'static str, text: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            level: Level::Fail,
            hint: hint.map(str::to_owned),
            ..Self::ok(name, text)
        }
    }
}

/// Runs the command.
pub(crate) async fn run(url: Option<&str>, args: DoctorArgs, now: Timestamp) -> Answer {
    let checks = checks::all(url, now).await;
    let good = checks.iter().all(|check| check.level != Level::Fail);
    let text = if args.json {
        json(&checks, good)
    } else {
        report(&checks, database::columns().unwrap_or(DEFAULT_COLUMNS))
    };
    Answer { text, good }
}

fn report(checks: &[Check], columns: usize) -> String {
    let label = checks
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for Check {
        name,
        level,
        text,
        hint,
    } in checks
    {
        let (word, style) = match level {
            Level::Ok => ("✓ ok  ", Style::new().green()),
            Level::Warn => ("! warn", Style::new().yellow()),
            Level::Fail => ("✗ fail", Style::new().red()),
        };
        out.push_str(&format!(
            "{} {name:label$}  {}\n",
            word.style(style),
            clean(text)
        ));
        let indent = 6 + 1 + label + 2;
        let room = columns.saturating_sub(indent);
        for line in hint.iter().flat_map(|hint| wrap(&clean(hint), room)) {
            let line = format!("{:indent$}{line}", "");
            out.push_str(&format!("{}\n", line.style(style::dim())));
        }
    }
    out
}

fn json(checks: &[Check], good: bool) -> String {
    format!(
        "{:#}\n",
        serde_json::json!({ "ok": good, "checks": checks })
    )
}
