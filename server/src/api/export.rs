//! A run as a file.

use omnitrace_store::row::{EventRow, RunRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Event, Execution, read};
use crate::when;

/// A run and all its rows.
#[derive(Serialize, ToSchema)]
pub(crate) struct Export<'a> {
    run: Execution<'a>,
    /// Redacted arguments.
    input: Option<Value>,
    /// Redacted result.
    output: Option<Value>,
    events: Vec<Event>,
}

impl<'a> Export<'a> {
    pub(crate) fn new(run: &'a RunRow, events: Vec<Event>) -> Self {
        Self {
            run: run.into(),
            input: run.input_redacted.clone().map(read),
            output: run.output_redacted.clone().map(read),
            events,
        }
    }

    pub(crate) fn text(&self) -> String {
        super::json(serde_json::to_string_pretty(self))
    }
}

const COLUMNS: [&str; 20] = [
    "event_key",
    "kind",
    "category",
    "step",
    "name",
    "attempt",
    "status",
    "scheduled_at",
    "started_at",
    "ended_at",
    "latency_ms",
    "parent_key",
    "span_id",
    "model",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "error_type",
    "error_message",
    "data",
];

/// Rows as comma-separated values (RFC 4180), the names of the columns first.
pub(crate) fn csv(rows: Vec<(EventRow, Option<Value>)>) -> String {
    let mut text = String::new();
    line(&mut text, COLUMNS.map(str::to_owned));
    for (row, data) in rows {
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        let time = |at: Option<i64>| at.map(when::exact).unwrap_or_default();
        line(
            &mut text,
            [
                row.event_key,
                row.kind,
                row.category.unwrap_or_default(),
                row.step,
                row.name,
                row.attempt.to_string(),
                row.status.as_str().to_owned(),
                time(row.scheduled_at),
                time(row.started_at),
                time(row.ended_at),
                number(row.latency_ms),
                row.parent_key.unwrap_or_default(),
                row.span_id,
                row.model.unwrap_or_default(),
                number(row.input_tokens),
                number(row.output_tokens),
                row.cost_usd.map(|usd| usd.to_string()).unwrap_or_default(),
                row.error_type.unwrap_or_default(),
                row.error_message.unwrap_or_default(),
                data.map(|data| data.to_string()).unwrap_or_default(),
            ],
        );
    }
    text
}

/// What a spreadsheet would take for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn line(text: &mut String, fields: [String; COLUMNS.len()]) {
    for (at, field) in fields.iter().enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        let number = field.parse::<f64>().is_ok();
        let formula = field.starts_with(FORMULA) && !number;
        if formula || field.contains(['"', ',', '\n', '\r']) {
            text.push('"');
            text.push_str(if formula { "'" } else { "" });
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_fields_that_it_was_made_of() {
        let mut fields = COLUMNS.map(|_| String::new());
        fields[0] = "a,\"b\"\nc".to_owned();
        fields[1] = "=1+1".to_owned();
        fields[2] = "-5".to_owned();
        let mut text = String::new();
        line(&mut text, fields);
        assert!(
            text.starts_with("\"a,\"\"b\"\"\nc\",\"'=1+1\",-5,,"),
            "{text}"
        );
        assert!(text.ends_with(",\r\n"));
    }
}
