//! Payloads that are broken, deep, large or made to take long.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tests::{default_policy, policy};
use super::*;

#[test]
fn hostile_payloads_are_described_not_read() {
    let policy = default_policy();
    let deep_array = "[".repeat(10_000);
    let deep_object = r#"{"a":"#.repeat(10_000);
    let closed = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    for data in [
        deep_array.as_bytes(),
        deep_object.as_bytes(),
        closed.as_bytes(),
        b"",
        b"{",
        b"{\"a\":1} x",
        b"\"\xff\"",
        b"\x00\x01\x02",
        b"\"\\ud800\"",
        b"1e999",
        b"NaN",
    ] {
        let redacted = policy.payload("json/plain", data, Content::Plain);
        assert_eq!(redacted.value()["bytes"], data.len());
        assert_eq!((redacted.hashed(), redacted.truncated()), (0, 0));
    }
}

#[test]
fn deep_values_are_cut_where_readers_would_stop() {
    let policy = policy(|s| s.max_event_bytes = 100_000);
    let text = format!("{}{}", r#"{"a":["#.repeat(63), r#"]}"#.repeat(63));
    let redacted = policy.payload("json/plain", text.as_bytes(), Content::Plain);
    assert_eq!(redacted.truncated(), 1);
    let all = policy.payloads([("json/plain", text.as_bytes())], Content::Plain);
    let composed = policy
        .compose(&[("input", &redacted), ("all", &all)])
        .unwrap();
    let value: Value = serde_json::from_str(&composed).unwrap();
    assert_eq!(value["_redaction"]["truncated"], 2);

    let mut deep = json!(1);
    for _ in 0..10_000 {
        deep = Value::Array(vec![deep]);
    }
    assert_eq!(
        policy.json(deep, Content::Plain).value()["deeper_than"],
        127
    );
    // Under a dropped field, depth does not matter.
    let text = format!(
        r#"{{"token":{}{},"id":1}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let redacted = policy.payload("json/plain", text.as_bytes(), Content::Plain);
    assert_eq!(redacted.value(), &json!({"id": 1}));
}

#[test]
fn a_broken_payload_among_others_harms_only_itself() {
    let policy = default_policy();
    let many = format!("[{}", "1,".repeat(50_000));
    let all = policy.payloads(
        [
            ("json/plain", b"{\"id\":1}".as_slice()),
            ("json/plain", many.as_bytes()),
            ("json/plain", b"{\"id\":2,\"usage\":{\"prompt_tokens\":5}}"),
            ("json/plain", b"{\"usage\":{\"prompt_tokens\":6}}"),
        ],
        Content::Plain,
    );
    assert_eq!(all.value()[0], json!({"id": 1}));
    assert_eq!(all.value()[1]["bytes"], many.len());
    assert_eq!(all.value()[2]["id"], 2);
    assert_eq!(all.usage().unwrap().input_tokens, 5);
    assert_eq!((all.hashed(), all.truncated()), (2, 0));
    assert_eq!(policy.payloads([], Content::Plain).value(), &json!([]));
}

#[test]
fn large_payloads_are_cut_quickly() {
    let policy = policy(|s| s.capture_content = true);
    let megabytes = 5 << 20;
    let document = |list: String| format!("{{\"status\":\"ok\",\"list\":[{list}],\"count\":3}}");
    let items = |item: &str| document(format!("{}1", item.repeat(megabytes / item.len())));
    let string = |part: &str| document(format!("\"{}\"", part.repeat(megabytes / part.len())));
    let documents = [
        items("1,"),
        items("{\"id\":\"abc\",\"error\":\"x@example.com\"},"),
        items("[[[],[]],{\"a b\":1}],"),
        items("\"password=((( a@b.cc 4 1 1 1\","),
        string("password=(((  "),
    ];
    for document in &documents {
        for content in [Content::Plain, Content::Model] {
            let begun = Instant::now();
            let redacted = policy.payload("json/plain", document.as_bytes(), content);
            let value = redacted.value();
            assert_eq!(
                (&value["status"], value["count"].is_null()),
                (&json!("ok"), false)
            );
            assert!(redacted.text().len() <= DEFAULT_MAX_EVENT_BYTES);
            // Without optimisation, on a busy machine; it is well under a second otherwise.
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{:?}",
                begun.elapsed()
            );
        }
    }
}

#[test]
fn texts_that_defeat_slow_patterns_are_scrubbed_quickly() {
    let policy = default_policy();
    for text in [
        "a",
        "a ",
        "a:",
        "://",
        "://a:b@",
        "a@",
        "a.b@c.d.1",
        "1 ",
        "4-",
        "-----BEGIN A-----",
        "eyJ",
        "password=",
        "password= (",
        "\\",
        "\\\"password\\\":\\\"",
        "<a ",
        "--a ",
        "bearer ",
        "é ",
    ] {
        let begun = Instant::now();
        policy.error_message(&text.repeat((1 << 20) / text.len()));
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{text}: {:?}",
            begun.elapsed()
        );
    }
}
