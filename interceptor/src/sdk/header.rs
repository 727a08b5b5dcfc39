//! The `omnitrace` header: what a workflow tells those that it calls.
//!
//! Invariant: a pure function of the run, because the outbound side runs again on replay.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::common::v1::Payload;

/// Name of the header.
pub(crate) const HEADER: &str = "omnitrace";

/// Larger ones are not ours.
const MAX_BYTES: usize = 1024;

/// Content of the header, JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepHeader {
    /// Whether the caller's run is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sampled: Option<bool>,
    /// The how-manieth use of its activity id in the run this is, if the user set the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nth_use: Option<u32>,
    /// `try_cancel`, `wait_cancellation_completed` or `abandon`: tells the reader of a history when a
    /// canceled step ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancellation_type: Option<Cow<'static, str>>,
    /// Milliseconds from the activity's schedule to its end, retries included, if the workflow limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schedule_to_close_ms: Option<u64>,
    /// Hashed tenant of the caller's run, where anything is switched by tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    /// When the caller's run began, in microseconds since 1970, where anything was ever switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began: Option<i64>,
}

impl StepHeader {
    /// Reads the header. One that is malformed or oversized is as none.
    pub(crate) fn read(headers: &HashMap<String, Payload>) -> Option<Self> {
        let payload = headers.get(HEADER)?;
        if payload.data.len() > MAX_BYTES {
            return None;
        }
        serde_json::from_slice(&payload.data).ok()
    }

    /// Adds the header to those of a call.
    pub(crate) fn write(&self, headers: &mut HashMap<String, Payload>) {
        // A struct of plain fields always serializes.
        let data = serde_json::to_vec(self).unwrap_or_default();
        let metadata = HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]);
        headers.insert(
            HEADER.to_owned(),
            Payload {
                metadata,
                data,
                ..Payload::default()
            },
        );
    }
}
