//! What the latest replay of a run against today's code found.

use omnitrace_store::{ReplayRow, ReplayVerdict};
use serde::Serialize;
use utoipa::ToSchema;

use crate::when;

/// What the latest replay of the run against a worker's code found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replay<'a> {
    /// Of the code that the run was replayed against.
    build_id: &'a str,
    /// UTC, to the microsecond.
    checked_at: String,
    #[schema(value_type = VerdictName)]
    verdict: ReplayVerdict,
    /// Key of the step at which the code parts from the run, or first changes; empty for the run's end.
    event_key: Option<&'a str>,
    /// Its position among the steps of the run, from 1.
    position: Option<u32>,
    /// What the run did there.
    expected: Option<&'a str>,
    /// What the code does there.
    found: Option<&'a str>,
    /// What else is to be said.
    message: Option<&'a str>,
}

/// What a replay came to.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the values in the OpenAPI document")]
pub(crate) enum VerdictName {
    /// The code does what the run did.
    Passed,
    /// With other arguments or durations, which Temporal lets pass.
    Changed,
    /// The code does something else: Temporal would stop the run there.
    Parted,
    /// The code fails, or the history cannot be replayed.
    Failed,
    /// The server has no history of the run any more.
    Gone,
}

impl<'a> From<&'a ReplayRow> for Replay<'a> {
    fn from(row: &'a ReplayRow) -> Self {
        Self {
            build_id: &row.build_id,
            checked_at: when::exact(row.checked_at),
            verdict: row.verdict,
            event_key: row.event_key.as_deref(),
            position: row.position,
            expected: row.expected.as_deref(),
            found: row.found.as_deref(),
            message: row.message.as_deref(),
        }
    }
}

/// For a person, one line.
pub(crate) fn sentence(row: &ReplayRow) -> String {
    let build = &row.build_id;
    let at = match (row.event_key.as_deref(), row.position) {
        (Some(key), Some(n)) if !key.is_empty() => format!(" at step {n}, {key}"),
        (_, Some(n)) => format!(" at step {n}"),
        (_, None) => String::new(),
    };
    let and = |message: &Option<String>| {
        let message = message.as_ref().map(|text| format!(": {text}"));
        message.unwrap_or_default()
    };
    match row.verdict {
        ReplayVerdict::Passed => format!("passes with build {build}"),
        ReplayVerdict::Changed => format!(
            "passes with build {build}, changed{at}{}",
            and(&row.message)
        ),
        ReplayVerdict::Parted => format!(
            "build {build} parts{at}: expected {}, found {}",
            row.expected.as_deref().unwrap_or("nothing"),
            row.found.as_deref().unwrap_or("nothing"),
        ),
        ReplayVerdict::Failed => format!("build {build} fails{at}{}", and(&row.message)),
        _ => "its history was gone when it was to be replayed".to_owned(),
    }
}
