//! The header `_tracer-data`, as all Temporal SDKs write it: a JSON payload with a string map.
//!
//! Invariant: one that somebody else wrote is never replaced.

use std::collections::HashMap;

use opentelemetry::trace::SpanContext;
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::observe::Sender;
use crate::propagation::{BAGGAGE, BaggageKeys, Carrier, extract, inject, traceparent};

/// Name of the header.
pub(crate) const HEADER: &str = "_tracer-data";

/// Larger ones are not read: the longest that W3C allows fits in.
const MAX_BYTES: usize = 8 * 1024;

/// The caller's context; `Err` is a header that holds none.
pub(crate) fn read(headers: &HashMap<String, Payload>) -> Result<Option<SpanContext>, Malformed> {
    let Some(payload) = headers.get(HEADER) else {
        return Ok(None);
    };
    if payload.data.len() > MAX_BYTES {
        return Err(Malformed);
    }
    let carrier: Carrier = serde_json::from_slice(&payload.data).map_err(|_| Malformed)?;
    // Baggage alone is no trace, and no mistake.
    if !carrier.contains_key("traceparent") {
        return Ok(None);
    }
    extract(&carrier).map(Some).ok_or(Malformed)
}

/// The same of what is sent to a run that goes on.
pub(crate) fn sender(headers: &HashMap<String, Payload>) -> Sender {
    let read = read(headers);
    Sender {
        malformed_header: read.is_err(),
        traceparent: read.ok().flatten().map(|context| traceparent(&context)),
    }
}

/// The caller's baggage, as far as it is passed on. What is malformed has none.
pub(crate) fn baggage(headers: &HashMap<String, Payload>, keys: &BaggageKeys) -> Option<String> {
    let payload = headers.get(HEADER).filter(|_| !keys.is_empty())?;
    if payload.data.len() > MAX_BYTES {
        return None;
    }
    let carrier: Carrier = serde_json::from_slice(&payload.data).ok()?;
    keys.filter(carrier.get(BAGGAGE)?)
}

/// A header that is no trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Adds the header to those of a call, unless it is there.
pub(crate) fn write(
    context: &SpanContext,
    baggage: Option<String>,
    headers: &mut HashMap<String, Payload>,
) {
    headers.entry(HEADER.to_owned()).or_insert_with(|| {
        let mut carrier = inject(context);
        carrier.extend(baggage.map(|baggage| (BAGGAGE.to_owned(), baggage)));
        // A string map always serializes.
        let data = serde_json::to_vec(&carrier).unwrap_or_default();
        let metadata = HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]);
        Payload {
            metadata,
            data,
            ..Payload::default()
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(data: &[u8]) -> HashMap<String, Payload> {
        let payload = Payload {
            data: data.to_vec(),
            ..Payload::default()
        };
        HashMap::from([(HEADER.to_owned(), payload)])
    }

    const GOOD: &str =
        r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;

    #[test]
    fn it_is_read_as_it_was_written_and_never_replaced() {
        let context = read(&headers(GOOD.as_bytes()))
            .expect("well formed")
            .expect("there");
        let mut written = HashMap::new();
        write(&context, Some("team=a".to_owned()), &mut written);
        assert_eq!(written[HEADER].metadata["encoding"], b"json/plain");
        assert_eq!(read(&written), Ok(Some(context.clone())));
        let keys = |keys: &[&str]| {
            BaggageKeys::new(&keys.iter().map(|&key| key.into()).collect::<Vec<_>>())
        };
        assert_eq!(
            baggage(&written, &keys(&["team"])).as_deref(),
            Some("team=a")
        );
        assert_eq!(baggage(&written, &keys(&["user"])), None);
        let mut others = headers(b"another's");
        assert_eq!(baggage(&others, &keys(&["team"])), None);
        write(&context, None, &mut others);
        assert_eq!(others[HEADER].data, b"another's");
    }

    #[test]
    fn what_is_malformed_or_too_large_is_told_from_what_is_not_there() {
        assert_eq!(read(&HashMap::new()), Ok(None));
        assert_eq!(read(&headers(br#"{"baggage":"a=b"}"#)), Ok(None));
        let large = format!(r#"{{"x":"{}",{}"#, "y".repeat(MAX_BYTES), &GOOD[1..]);
        let deep = "[".repeat(5000);
        let wrong = [
            "",
            "null",
            "[]",
            "{",
            r#"{"traceparent":1}"#,
            r#"{"traceparent":"x"}"#,
            &large,
            &deep,
        ];
        for wrong in wrong {
            let read = read(&headers(wrong.as_bytes()));
            assert_eq!(read, Err(Malformed), "{}", &wrong[..wrong.len().min(40)]);
        }
        assert_eq!(read(&headers(&[0xff, 0xfe])), Err(Malformed));
    }
}
