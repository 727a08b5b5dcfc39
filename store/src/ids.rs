//! Trace and span ids.
//!
//! Invariant: an id is a function of names alone, so any process can compute the parent of a span
//! without having seen it.

use sha2::{Digest, Sha256};

use crate::row::RunKey;

/// The trace id of a run without an incoming trace context, 32 hex digits.
pub fn trace_id(namespace: &str, workflow_id: &str, first_execution_run_id: &str) -> String {
    hash(&[
        "omnitrace/trace/1",
        namespace,
        workflow_id,
        first_execution_run_id,
    ])[..32]
        .to_owned()
}

/// The trace id of the run that continues this one as new, 32 hex digits.
pub fn continued_trace_id(run: &RunKey) -> String {
    hash(&[
        "omnitrace/continued/1",
        &run.namespace,
        &run.workflow_id,
        &run.run_id,
    ])[..32]
        .to_owned()
}

/// The span id of an event, 16 hex digits; the run's own span has the empty key.
pub fn span_id(run: &RunKey, event_key: &str) -> String {
    hash(&[
        "omnitrace/span/1",
        &run.namespace,
        &run.workflow_id,
        &run.run_id,
        event_key,
    ])[..16]
        .to_owned()
}

/// The run id of a run that is recorded by hand, made from its trace id.
pub fn explicit_run_id(trace_id: &str) -> String {
    format!("x-{}", &hash(&["omnitrace/run/1", trace_id])[..32])
}

/// What tells a part of an event key from others with the same beginning, 16 hex digits.
pub(crate) fn key_part(part: &str) -> String {
    hash(&["omnitrace/key/1", part])[..16].to_owned()
}

/// SHA-256 of the fields joined by NUL, as hex.
fn hash(fields: &[&str]) -> String {
    let mut sha = Sha256::new();
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            sha.update([0]);
        }
        sha.update(field.as_bytes());
    }
    hex::encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Computed with `printf 'omnitrace/span/1\0default\0order-1\0run-1\0' | sha256sum`: other
    // languages' workers compute the same.
    #[test]
    fn ids_are_the_documented_hashes() {
        let run = RunKey::new("default", "order-1", "run-1");
        assert_eq!(span_id(&run, ""), "c349daa2376074e3");
        assert_eq!(
            trace_id("default", "order-1", "run-1"),
            "c67c7aadf9b8a0a184cb5dac0b6cdf0d"
        );
        assert_eq!(continued_trace_id(&run), "a56cda6080d7d30766c3a8d6f8dce8b4");
    }
}
