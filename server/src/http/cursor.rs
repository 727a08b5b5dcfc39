//! Where a page of runs ended, as text that a client hands back.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use omnitrace_store::row::{Micros, RunKey};

use super::problem::Problem;

/// The place after a run that started then.
pub(super) fn write(start: Micros, key: &RunKey) -> String {
    let place = (start, &key.namespace, &key.workflow_id, &key.run_id);
    // Text and a number have no way to fail.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
}

/// Reads it back.
pub(super) fn read(text: &str) -> Result<(Micros, RunKey), Problem> {
    (BASE64_URL_SAFE_NO_PAD.decode(text).ok())
        .and_then(|json| serde_json::from_slice(&json).ok())
        .map(
            |(start, namespace, workflow_id, run_id): (_, String, String, String)| {
                (start, RunKey::new(namespace, workflow_id, run_id))
            },
        )
        .ok_or_else(|| {
            Problem::BadRequest(
                "cursor: it must be next_cursor of the page before; leave it out for the first page"
                    .to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        let key = RunKey::new("n", "a/b \"é", "r");
        assert_eq!(read(&write(-7, &key)).unwrap(), (-7, key));
        for text in ["", "é", "W10", "bm8"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
