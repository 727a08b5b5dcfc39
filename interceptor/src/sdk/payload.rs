//! Payloads, timestamps and durations of the SDK's messages in our own terms.

use std::collections::HashMap;

use omnitrace_store::row::Micros;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::attempt::result;
use crate::policy::{Content, Policy, Redacted};

/// Arguments or details, redacted, as a JSON array.
pub(super) fn redact(payloads: &[Payload], content: Content, policy: &Policy) -> Redacted {
    let parts = payloads
        .iter()
        .map(|payload| (encoding(payload), payload.data.as_slice()));
    policy.payloads(parts, content)
}

/// A single result, redacted; `None` where there is none.
pub(super) fn redact_one(payload: Option<&Payload>, policy: &Policy) -> Option<Redacted> {
    payload.map(|payload| result(policy, encoding(payload), &payload.data))
}

fn encoding(payload: &Payload) -> &str {
    payload
        .metadata
        .get("encoding")
        .and_then(|encoding| std::str::from_utf8(encoding).ok())
        .unwrap_or_default()
}

/// The text in a payload that holds a JSON string.
pub(super) fn text(fields: &HashMap<String, Payload>, name: &str) -> Option<String> {
    fields
        .iter()
        .find(|(field, _)| crate::policy::snake(field) == name)
        .and_then(|(_, payload)| serde_json::from_slice(&payload.data).ok())
}

/// Microseconds since 1970 of a protobuf timestamp.
pub(super) fn micros(seconds: i64, nanos: i32) -> Micros {
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(nanos) / 1000)
}

/// Milliseconds of a protobuf duration.
pub(super) fn millis(seconds: i64, nanos: i32) -> i64 {
    seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(nanos) / 1_000_000)
}
