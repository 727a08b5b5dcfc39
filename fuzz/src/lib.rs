//! What takes bytes from outside, and what holds of it whatever they are. Each function panics where it does
//! not hold.

mod api;

use std::sync::{Arc, LazyLock};

use omnitrace::history::{Ids, Reader, parse};
use omnitrace::policy::{Content, HashKey, Policy, PolicySettings};
use omnitrace::store::key::{EventKey, MAX_KEY_BYTES, Step};
use omnitrace::store::row::EventRow;
use serde_json::Value;

pub use api::api;

/// A fuzzer, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("history", history),
    ("header", header),
    ("key", key),
    ("redaction", redaction),
    ("visibility_query", visibility_query),
    ("api", api),
];

static POLICY: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::new(PolicySettings::default())));

/// As it is without settings, and with those that keep more readable.
static POLICIES: LazyLock<[Arc<Policy>; 3]> = LazyLock::new(|| {
    let keyed = PolicySettings {
        hash_key: HashKey::new("a key"),
        capture_content: true,
        max_event_bytes: 1024,
        ..PolicySettings::default()
    };
    let by_fields = PolicySettings {
        allow_fields: vec!["content".to_owned(), "nested".to_owned()],
        drop_fields: vec!["iban".to_owned()],
        ..PolicySettings::default()
    };
    [
        POLICY.clone(),
        Arc::new(Policy::new(keyed)),
        Arc::new(Policy::new(by_fields)),
    ]
});

/// A history in a file: it is refused, or becomes rows whose keys can be read back.
pub fn history(data: &[u8]) {
    let Ok(events) = parse(data) else { return };
    let mut ids = Ids::default();
    ids.fallback = Some("fuzzed".to_owned());
    let Ok(run) = ids.of(&events) else { return };
    let mut reader = Reader::new(run, POLICY.clone());
    for event in events {
        reader.push(event);
    }
    for row in reader.finish().events {
        let EventRow {
            event_key,
            data_redacted,
            ..
        } = &row;
        let key = EventKey::parse(event_key).expect("a key");
        assert_eq!(&key.to_string(), event_key);
        assert_small_json(data_redacted.as_deref().unwrap_or("{}"));
    }
}

/// The headers of a call: they hold a trace context, which is written as it was read, or nothing.
pub fn header(data: &[u8]) {
    omnitrace::fuzzing::headers(data);
}

/// An event key: text that is one is written as it was read, and any text can be a step and a name.
pub fn key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(key) = EventKey::parse(&text) {
        assert_eq!(key.to_string(), text);
    }
    let (step, name) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let made = EventKey::new("tool", Step::new(step), name, 7).to_string();
    assert!(made.len() <= MAX_KEY_BYTES);
    let read = EventKey::parse(&made).expect("what is made can be read");
    assert_eq!((read.kind.as_str(), read.attempt), ("tool", 7));
    assert_eq!(read.to_string(), made);
}

/// What is planted.
const SECRET: &str = "Zx9Qv7canary";

/// It in shapes that give it away wherever they stand.
fn shapes() -> [String; 5] {
    [
        format!("Bearer {SECRET}0123456789"),
        format!("{SECRET}@example.com"),
        format!("https://bob:{SECRET}@example.com/"),
        format!("sk-ant-{SECRET}0123456789"),
        format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"),
    ]
}

/// A payload: what is left of it is small, valid JSON, twice the same, and holds no secret.
pub fn redaction(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if text.contains(SECRET) {
        return;
    }
    for policy in &*POLICIES {
        for content in [Content::Plain, Content::Model] {
            redacted(policy, content, &text, data);
        }
        // What is cut off is looked at too: the secret comes early, or late.
        for shape in shapes() {
            for said in [format!("{shape} {text}"), format!("{text} {shape} {text}")] {
                let message = policy.error_message(&said);
                assert!(message.chars().count() <= 300, "{message}");
                for left in [message, policy.stack(&said)] {
                    assert!(!left.contains(SECRET), "{left}");
                }
            }
        }
    }
}

fn redacted(policy: &Policy, content: Content, text: &str, data: &[u8]) {
    let left = |encoding: &str, data: &[u8]| {
        let left = policy.payload(encoding, data, content).text();
        assert_small_json(&left);
        assert_eq!(left, policy.payload(encoding, data, content).text());
        left
    };
    for encoding in [
        "json/plain",
        "json/protobuf",
        "binary/plain",
        "binary/null",
        text,
    ] {
        left(encoding, data);
    }
    // Around it, and in it, under names that are dropped, and in text that may stay.
    let inner: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let whole = serde_json::json!({
        "password": [SECRET, inner], "userApiKey": { "a": SECRET }, "iban_token": SECRET,
        "content": shapes().map(|shape| format!("{text} {shape}")),
        "nested": [{ "card_number": SECRET, "x": inner }],
    });
    let payload = whole.to_string();
    let note = serde_json::json!({ "note": format!("{text}{SECRET}"), "x": inner }).to_string();
    for (encoding, payload, is_hidden) in [
        ("json/plain", &payload, true),
        ("json/protobuf", &payload, true),
        ("binary/plain", &payload, true),
        // Of a model's call it may be what was asked.
        ("json/plain", &note, matches!(content, Content::Plain)),
    ] {
        let left = left(encoding, payload.as_bytes());
        assert!(!is_hidden || !left.contains(SECRET), "{left}");
    }
}

/// Ids in a query to the server: outside of quotes there is nothing of them.
pub fn visibility_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (workflow_id, run_id) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let query = omnitrace_server::fuzzing::visibility_query(workflow_id, run_id);
    let (mut outside, mut values) = (String::new(), Vec::new());
    let mut rest = query.as_str();
    while let Some((before, quoted)) = rest.split_once('\'') {
        outside.push_str(before);
        let mut value = String::new();
        let mut chars = quoted.char_indices().peekable();
        let end = loop {
            match chars.next().expect("a quote is closed") {
                (_, '\'') if chars.next_if(|(_, c)| *c == '\'').is_some() => value.push('\''),
                (at, '\'') => break at,
                (_, c) => value.push(c),
            }
        };
        values.push(value);
        rest = &quoted[end + 1..];
    }
    outside.push_str(rest);
    assert_eq!(outside, "WorkflowId =  AND RunId = ");
    assert_eq!(values, [workflow_id, run_id]);
}

fn assert_small_json(text: &str) {
    assert!(
        text.len() <= omnitrace::policy::DEFAULT_MAX_EVENT_BYTES,
        "{} bytes",
        text.len()
    );
    let value: Result<Value, _> = serde_json::from_str(text);
    value.expect("valid JSON");
}
