//! Runs, traces and events as JSON, the same on the command line and over HTTP.
//!
//! Invariant: field names are a contract; they are added to, never changed.

mod comparison;
mod event;
mod export;
mod node;
mod replay;
mod stats;
mod sums;
mod trace;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;

use omnitrace_store::row::{RunRow, Status};
use omnitrace_store::tree::Role;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::when;

pub(crate) use comparison::Comparison;
pub(crate) use event::{Event, Events};
pub(crate) use export::{Export, csv};
pub(crate) use replay::{Replay, sentence};
pub(crate) use stats::{Stats, TypeStats};
pub(crate) use sums::{DIMENSIONS, Sum, Sums, dimension};
pub(crate) use trace::{Near, Trace, TraceBackend};
pub(crate) use view::{Include, View};

/// Page of runs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Executions<'a> {
    pub(crate) executions: Vec<Execution<'a>>,
    /// What `cursor=` takes to get the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
    /// What was looked for in each run was looked for in those that started after this; null if in all.
    pub(crate) looked_until: Option<String>,
    /// How many have which status; with `include=counts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
}

/// How many runs have which status, whatever page is shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct Counts {
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) by_status: BTreeMap<Status, u64>,
    /// Only so many of the newest were counted, and there are as many.
    pub(crate) more: bool,
}

/// A run in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Execution<'a> {
    execution_id: &'a str,
    run_id: &'a str,
    namespace: &'a str,
    workflow_type: &'a str,
    task_queue: &'a str,
    trace_id: &'a str,
    #[schema(value_type = StatusName)]
    status: Status,
    /// `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`.
    trigger: &'a str,
    /// UTC, to the microsecond.
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<i64>,
    token_usage: TokenUsage,
    cost_usd: f64,
    error: Option<Failure<'a>>,
    event_count: u32,
    dropped_events: u32,
    incomplete: bool,
    /// Hashed.
    tenant: Option<&'a str>,
}

impl<'a> From<&'a RunRow> for Execution<'a> {
    fn from(run: &'a RunRow) -> Self {
        let (kind, message) = (run.error_type.as_deref(), run.error_message.as_deref());
        let duration = run
            .started_at
            .zip(run.closed_at)
            .map(|(a, b)| b.saturating_sub(a) / 1000);
        Self {
            execution_id: &run.key.workflow_id,
            run_id: &run.key.run_id,
            namespace: &run.key.namespace,
            workflow_type: &run.workflow_type,
            task_queue: &run.task_queue,
            trace_id: &run.trace_id,
            status: run.status,
            trigger: &run.trigger,
            started_at: run.started_at.map(when::exact),
            ended_at: run.closed_at.map(when::exact),
            duration_ms: duration.map(|d| d.max(0)),
            token_usage: TokenUsage {
                prompt: run.input_tokens,
                completion: run.output_tokens,
            },
            cost_usd: run.cost_usd,
            error: (kind.is_some() || message.is_some()).then(|| Failure {
                r#type: kind.map(Cow::Borrowed),
                message: message.map(Cow::Borrowed),
                hint: omnitrace_store::tree::hint(Role::Run, run.status, kind, message),
            }),
            event_count: run.event_count,
            dropped_events: run.dropped_events,
            incomplete: run.incomplete,
            tenant: run.tenant.as_ref().map(|tenant| tenant.hash.as_str()),
        }
    }
}

/// Tokens of a language model.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenUsage {
    prompt: i64,
    completion: i64,
}

/// Why something failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failure<'a> {
    #[schema(value_type = Option<String>)]
    r#type: Option<Cow<'a, str>>,
    /// Scrubbed of secrets.
    #[schema(value_type = Option<String>)]
    message: Option<Cow<'a, str>>,
    /// What to do about it.
    hint: Option<&'static str>,
}

/// The schema of [`Status`], which knows nothing of HTTP.
pub(crate) struct StatusName;

impl PartialSchema for StatusName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Status::ALL.iter().map(|status| status.as_str())))
            .description(Some(
                "Status in Temporal's words; `lost`: its worker went away.",
            ))
            .into()
    }
}

impl ToSchema for StatusName {
    fn name() -> Cow<'static, str> {
        "Status".into()
    }
}

/// What was stored as JSON; what is none is shown as the text that it is.
fn read(text: String) -> serde_json::Value {
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}

/// A run as one line of JSON.
pub(crate) fn run_line(run: &RunRow) -> String {
    json(serde_json::to_string(&Execution::from(run)))
}

/// A trace as indented JSON, with all that is known.
pub(crate) fn whole_trace(trace: &Trace<'_>) -> String {
    json(serde_json::to_string_pretty(trace))
}

/// Dollars for people: cents, or what is not zero of less.
pub(crate) fn dollars(usd: f64) -> String {
    if usd >= 1.0 || usd == 0.0 {
        format!("${usd:.2}")
    } else if usd >= 0.0001 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.1e}")
    }
}

/// Structs of text, numbers and JSON values have no way to fail: no map has a key that is no text.
fn json(text: serde_json::Result<String>) -> String {
    text.unwrap_or_default()
}
