//! Payloads, timestamps and durations of the SDK's messages in our own terms.

use std::collections::HashMap;

use omnitrace_store::row::Micros;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::policy::{Content, Policy, Redacted};

/// Arguments or details, redacted, as a JSON array.
pub(crate) fn redact(payloads: &[Payload], content: Content, policy: &Policy) -> Redacted {
    let parts = payloads
        .iter()
        .map(|payload| (encoding(payload), payload.data.as_slice()));
    policy.payloads(parts, content)
}

/// A single result, redacted; `None` where there is none.
pub(crate) fn redact_one(payload: Option<&Payload>, policy: &Policy) -> Option<Redacted> {
    payload.map(|payload| policy.result(encoding(payload), &payload.data))
}

fn encoding(payload: &Payload) -> &str {
    payload
        .metadata
        .get("encoding")
        .and_then(|encoding| std::str::from_utf8(encoding).ok())
        .unwrap_or_default()
}

/// The hash of the text or whole number under a name, in any spelling; of two spellings the first
/// in alphabetical order counts, so that all workers find the same.
pub(super) fn identity(
    fields: &HashMap<String, Payload>,
    name: &str,
    policy: &Policy,
) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(i64),
    }
    let (_, payload) = fields
        .iter()
        .filter(|(field, _)| crate::policy::snake(field) == name)
        .min_by_key(|(field, _)| *field)?;
    match serde_json::from_slice(&payload.data).ok()? {
        Id::Text(text) if text.is_empty() => None,
        Id::Text(text) => Some(policy.identity(&text)),
        Id::Number(number) => Some(policy.identity(&number.to_string())),
    }
}

/// Microseconds since 1970 of a protobuf timestamp.
pub(crate) fn micros(seconds: i64, nanos: i32) -> Micros {
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(nanos) / 1000)
}

/// Milliseconds of a protobuf duration.
pub(crate) fn millis(seconds: i64, nanos: i32) -> i64 {
    seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(nanos) / 1_000_000)
}
