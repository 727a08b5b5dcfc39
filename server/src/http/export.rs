//! `GET /executions/{execution_id}/export`: a run as a file.

#![expect(unused_qualifications, reason = "in what the macro of utoipa makes")]

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use omnitrace_store::row::RunRow;
use omnitrace_store::tree;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::access::Caller;
use super::params::{self, Params};
use super::problem::{self, Problem};
use super::state::AppState;
use super::trace::find;
use crate::api::{self, Event};
use crate::tokens::Right;

/// Which run, and how it is written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// `json`, `csv` (one row per line) or `otlp` (spans, as OpenTelemetry's collector takes them); `json`
    /// without it.
    #[serde(deserialize_with = "format")]
    #[param(value_type = Option<String>)]
    format: Format,
    /// This run of the workflow id instead of its newest.
    #[serde(deserialize_with = "params::text")]
    run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[serde(deserialize_with = "params::text")]
    namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    #[default]
    Json,
    Csv,
    Otlp,
}

fn format<'de, D: Deserializer<'de>>(from: D) -> Result<Format, D::Error> {
    let name = params::name(from, &["json", "csv", "otlp"])?;
    Ok(match name {
        Some("csv") => Format::Csv,
        Some("otlp") => Format::Otlp,
        _ => Format::Json,
    })
}

/// Take a run away as a file: all its rows.
#[utoipa::path(
    get,
    path = "/executions/{execution_id}/export",
    tag = "executions",
    params(
        ("execution_id" = String, Path, description = "Workflow id, percent-encoded"),
        ExportParams,
    ),
    responses(
        (status = 200, description = "The file", content(
            (api::Export = "application/json"),
            (String = "text/csv"),
        )),
        problem::OfRun,
    )
)]
pub(super) async fn export_execution(
    State(state): State<AppState>,
    caller: Caller,
    Path(execution_id): Path<String>,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    let reader = state.reader(&caller).await?;
    let mut run = find(reader, params.namespace, &execution_id, params.run_id).await?;
    let events = reader.events(&run.key).await?;
    let mut rows = tree::shown(&run, events);
    if !caller.may(Right::Content) {
        run.input_redacted = None;
        run.output_redacted = None;
        for (_, data) in &mut rows {
            *data = None;
        }
    }
    let (body, content, extension) = match params.format {
        Format::Csv => (api::csv(rows), "text/csv; charset=utf-8", "csv"),
        Format::Otlp => {
            let mut events = Vec::with_capacity(rows.len());
            for (mut event, data) in rows {
                event.data_redacted = data.map(|data| data.to_string());
                events.push(event);
            }
            let before = match &run.continued_from_run_id {
                None => None,
                Some(run_id) => {
                    let mut before = run.key.clone();
                    before.run_id.clone_from(run_id);
                    reader.find_run(&before).await?
                }
            };
            let before = before.as_ref().map(|before| before.trace_id.as_str());
            let spans = omnitrace::telemetry::otlp_json(&run, &events, before);
            (spans.to_string(), "application/json", "otlp.json")
        }
        Format::Json => {
            let events = rows.into_iter().map(Event::new).collect();
            (
                api::Export::new(&run, events).text(),
                "application/json",
                "json",
            )
        }
    };
    let disposition = format!("attachment; filename=\"{}.{extension}\"", file_name(&run));
    let headers = [
        (CONTENT_TYPE, content.to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body).into_response())
}

/// Characters of the workflow id that a name takes.
const NAME: usize = 60;

/// A name that every file system and every header takes.
fn file_name(run: &RunRow) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let of = |id: &str, most: usize| id.chars().take(most).map(plain).collect::<String>();
    format!(
        "{}-{}",
        of(&run.key.workflow_id, NAME),
        of(&run.key.run_id, 8)
    )
}
