//! Temporal's own history as a second producer of the observations that a worker makes.
//!
//! Invariant: pure but for [`decode`]. What is read goes through the same tracker as what a worker
//! sees, so both make the same rows; every event becomes part of a row, moves the clock, or is counted
//! as skipped. Nothing in a history is an error: what can't be used is skipped.

mod activities;
mod attempts;
mod background;
#[cfg(feature = "connect")]
mod codec;
#[cfg(feature = "connect")]
mod connect;
mod depths;
mod events;
mod failures;
mod format;
mod gaps;
mod heal;
mod ids;
mod marker;
mod others;
mod reader;
mod reconcile;
mod server;
#[cfg(feature = "replay")]
mod steps;
mod task;
mod updates;

use std::collections::BTreeMap;

use omnitrace_store::Seen;
use omnitrace_store::row::{EventRow, RunRow};
use temporalio_common::{
    data_converters::{DataConverter, SerializationContextData, WorkflowSerializationContext},
    payload_visitor::decode_payloads,
};

pub(crate) use background::{Background, Reach};
#[cfg(feature = "connect")]
pub use connect::{Connect, ConnectError};
pub use format::{parse, parse_binary, parse_json};
pub use heal::{Backfilled, HealError, Healed, Healer, Standing};
pub use ids::Ids;
pub use reader::Reader;
pub use reconcile::{Pass, ReconcileOptions, Reconciler};
pub use server::{Execution, RunHistory, Server, ServerError};
#[cfg(feature = "replay")]
pub(crate) use steps::{argument, steps};
pub use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;

/// What a history says of a run: the last state of each row.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryRows {
    /// The run.
    pub run: RunRow,
    /// Steps, and those attempts that a history knows, by key; without what the reader gave out
    /// before.
    pub events: Vec<EventRow>,
    /// Events that rows were made of, or their times.
    pub read: u64,
    /// Events that nothing was made of, by their type as Temporal's tools write it.
    pub skipped: BTreeMap<String, u64>,
    /// Highest attempts of steps of which not every attempt is offered.
    pub seen: Vec<Seen>,
}

/// Why bytes are not the history of a run. Each message says where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not JSON.
    #[error("not a history as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but of another shape.
    #[error("not a history: expected {{\"events\": […]}} or an array of events, found {0}")]
    Shape(&'static str),
    /// One of its events is not an event.
    #[error("event {number} of the history is malformed: {reason}")]
    Event {
        /// Counted from 1, in the order of the file.
        number: usize,
        /// One line.
        reason: String,
    },
    /// Neither JSON nor protobuf.
    #[error(
        "not a history: neither JSON ({{\"events\": […]}}, or an array of events) nor protobuf"
    )]
    Neither,
    /// Not a binary `temporal.api.history.v1.History`.
    #[error("not a history in protobuf: {0}")]
    Binary(#[from] prost::DecodeError),
    /// Nothing is in it.
    #[error("the history has no events")]
    Empty,
    /// It has no beginning, so it is not known of which run it is.
    #[error(
        "the first event of the history is not WorkflowExecutionStarted: export it from its start"
    )]
    NoStart,
    /// Its ids are nowhere.
    #[error("the history does not say its {0}: name it with {1}")]
    Unnamed(&'static str, &'static str),
    /// It names another workflow than the caller.
    #[error("the history is one of workflow \"{found}\", not of \"{asked}\"")]
    OtherWorkflow {
        /// In the history.
        found: String,
        /// By the caller.
        asked: String,
    },
}

/// Decodes the payloads of events with a client's codec, one event after the other. An event that the
/// codec refuses stays as it is; says how many those were.
pub async fn decode(events: &mut [HistoryEvent], converter: &DataConverter) -> usize {
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    let mut refused = 0;
    for event in events {
        // A payload that is refused is gone, so this is tried on a copy.
        let mut decoded = event.clone();
        match decode_payloads(&mut decoded, converter.codec(), &context).await {
            Ok(()) => *event = decoded,
            Err(_) => refused += 1,
        }
    }
    refused
}

#[cfg(test)]
mod tests;
