//! The rows of a run, one by one.

use omnitrace_store::row::{EventRow, Phase, Status};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

use super::{Failure, StatusName};
use crate::when;

/// Page of rows, in the order in which the run took them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Events {
    pub(crate) execution_id: String,
    pub(crate) run_id: String,
    pub(crate) namespace: String,
    pub(crate) events: Vec<Event>,
    /// What `cursor=` takes to get the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A row as it is stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event {
    event_key: String,
    kind: String,
    category: Option<String>,
    /// Encoded as in the key.
    step: String,
    name: String,
    /// 0 for a step, 1 and more for its attempts.
    attempt: u32,
    #[schema(value_type = StatusName)]
    status: Status,
    /// Proposed by a worker, not yet accepted by the server.
    provisional: bool,
    /// UTC, to the microsecond.
    scheduled_at: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    latency_ms: Option<i64>,
    parent_key: Option<String>,
    span_id: String,
    model: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost_usd: Option<f64>,
    error: Option<Failure<'static>>,
    /// Redacted.
    data: Option<Value>,
}

impl Event {
    /// A row and its data, as the tree tells of them.
    pub(crate) fn new((row, data): (EventRow, Option<Value>)) -> Self {
        let failed = row.error_type.is_some() || row.error_message.is_some();
        Self {
            event_key: row.event_key,
            kind: row.kind,
            category: row.category,
            step: row.step,
            name: row.name,
            attempt: row.attempt,
            status: row.status,
            provisional: row.phase == Phase::Provisional,
            scheduled_at: row.scheduled_at.map(when::exact),
            started_at: row.started_at.map(when::exact),
            ended_at: row.ended_at.map(when::exact),
            latency_ms: row.latency_ms,
            parent_key: row.parent_key,
            span_id: row.span_id,
            model: row.model,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: row.cost_usd,
            error: failed.then(|| Failure {
                r#type: row.error_type.map(Cow::Owned),
                message: row.error_message.map(Cow::Owned),
                hint: None,
            }),
            data,
        }
    }
}
