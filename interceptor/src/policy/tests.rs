//! The rules of the policy, one by one.

use serde_json::{Value, json};

use super::*;

pub(super) fn default_policy() -> Policy {
    Policy::new(PolicySettings::default())
}

pub(super) fn policy(change: impl FnOnce(&mut PolicySettings)) -> Policy {
    let mut settings = PolicySettings::default();
    change(&mut settings);
    Policy::new(settings)
}

fn redact(policy: &Policy, document: Value) -> Redacted {
    let text = document.to_string();
    let redacted = policy.payload("json/plain", text.as_bytes(), Content::Plain);
    assert_eq!(
        redacted,
        policy.json(document, Content::Plain),
        "text and value are treated alike"
    );
    redacted
}

fn hash(policy: &Policy, value: &str) -> String {
    policy.identity(value)
}

#[test]
fn fields_on_the_drop_list_are_removed_and_counted() {
    let policy = policy(|s| {
        s.drop_fields = vec!["iban".into(), "status".into()];
        s.allow_fields = vec!["password".into()];
    });
    let redacted = redact(
        &policy,
        json!({"apiKey": "x", "API-Key": {"id": 1}, "list": [{"password": "x"}], "iban": 1, "status": "ok"}),
    );
    assert_eq!(redacted.value(), &json!({"list": [{}]}));
    assert_eq!((redacted.dropped(), redacted.hashed()), (5, 0));
}

#[test]
fn allowed_fields_keep_what_looks_like_an_identifier() {
    let policy = policy(|s| s.allow_fields = vec!["orderTotal".into()]);
    let redacted = redact(
        &policy,
        json!({"id": "a.b_c:d/e-1", "workflowId": "wf 1", "count": 3, "success": true, "status": null,
               "order_total": 9.5, "name": "n".repeat(65), "type": ["a", "b c"], "latency_ms": {"x": 1}}),
    );
    let text = "n".repeat(65);
    assert_eq!(
        redacted.value(),
        &json!({"id": "a.b_c:d/e-1", "workflowId": hash(&policy, "wf 1"), "count": 3, "success": true,
                "status": null, "order_total": 9.5, "name": hash(&policy, &text),
                "type": ["a", hash(&policy, "b c")],
                "latency_ms": {"x": "sha256:6b86b273ff34fce1"}})
    );
    assert_eq!(redacted.hashed(), 4);
}

#[test]
fn a_secret_is_not_kept_because_it_looks_like_an_identifier() {
    let policy = default_policy();
    let key = ["sk_live_", "abcdefghijklmnop"].concat();
    let document =
        json!({"id": &key, "name": "password:hunter2", "count": 4111111111111111_u64, key: 1});
    let redacted = redact(&policy, document);
    assert_eq!(redacted.hashed(), 5);
    for secret in ["live", "hunter2", "4111"] {
        assert!(!redacted.text().contains(secret), "{}", redacted.text());
    }
}

#[test]
fn text_under_error_is_scrubbed_and_cut() {
    let policy = default_policy();
    let long = "é".repeat(300);
    let redacted = redact(
        &policy,
        json!({"error": "mail to bob@example.com failed", "x": {"Error": long}}),
    );
    assert_eq!(
        redacted.value(),
        &json!({"error": "mail to [email] failed", "x": {"Error": "é".repeat(256)}})
    );
    assert_eq!((redacted.hashed(), redacted.truncated()), (0, 1));
}

// printf '1' | sha256sum, printf '"1"' | sha256sum, and so on.
#[test]
fn other_scalars_are_hashed_and_equal_ones_stay_equal() {
    let policy = default_policy();
    let redacted = redact(
        &policy,
        json!({"a": 1, "b": [1, "1", true, null], "c": {"d": 1.0}}),
    );
    let value = redacted.value();
    assert_eq!(value["a"], "sha256:6b86b273ff34fce1");
    assert_eq!(value["b"][0], value["a"]);
    assert_eq!(value["b"][1], hash(&policy, "1"));
    assert_eq!(value["b"][2], "sha256:b5bea41b6c623f7c");
    assert_eq!(value["b"][3], Value::Null);
    assert_ne!(value["c"]["d"], value["a"]);
    assert_eq!(
        redact(&policy, json!("alone")).value(),
        &json!(hash(&policy, "alone"))
    );
}

#[test]
fn a_key_changes_hashes_and_the_policy_id() {
    let plain = default_policy();
    let keyed = |key: &str| policy(|s| s.hash_key = HashKey::new(key));
    let (one, other) = (keyed("pepper"), keyed("salt"));
    assert!(
        one.identity("bob").starts_with("hmac:") && plain.identity("bob").starts_with("sha256:")
    );
    assert_ne!(one.identity("bob"), other.identity("bob"));
    assert_eq!(one.identity("bob"), keyed("pepper").identity("bob"));
    let ids = [
        plain.id(),
        one.id(),
        other.id(),
        &policy(|s| s.allow_fields.push("x".into())).id,
        &policy(|s| s.drop_fields.push("x".into())).id,
        &policy(|s| s.capture_content = true).id,
        &policy(|s| s.max_event_bytes = 1000).id,
    ];
    for (i, id) in ids.iter().enumerate() {
        assert!(id.len() == 16 && !ids[..i].contains(id), "{ids:?}");
    }
    assert_eq!(one.id(), keyed("pepper").id());
    assert!(!format!("{one:?}").contains("pepper"));
}

#[test]
fn names_that_hold_data_are_hashed() {
    let policy = default_policy();
    let redacted = redact(
        &policy,
        json!({"bob@example.com": null, "a_b": null, "": null}),
    );
    let value = redacted.value();
    assert_eq!(value[hash(&policy, "bob@example.com")], Value::Null);
    assert_eq!(value.as_object().unwrap().len(), 3);
    assert_eq!(redacted.hashed(), 2);
}

#[test]
fn of_a_repeated_name_the_last_stays_and_the_rest_is_counted() {
    let text = br#"{"id":"a","id":"b","a b":1,"a b":2}"#;
    let redacted = default_policy().payload("json/plain", text, Content::Plain);
    assert_eq!(redacted.value()["id"], "b");
    assert_eq!(redacted.dropped(), 2);
    assert_eq!(redacted.text().len(), json_len(redacted.value()));
}

#[test]
fn what_is_not_json_is_described() {
    let policy = default_policy();
    // printf 'secret bytes' | sha256sum
    let opaque = policy.payload("binary/plain", b"secret bytes", Content::Plain);
    assert_eq!(opaque.value()["encoding"], "binary/plain");
    assert_eq!(opaque.value()["bytes"], 12);
    assert_eq!(
        opaque.value()["sha256"],
        "cdd702062b9213be3d8c96f27928ac70c549a2bf7e5e1a130aa514fc3a0ff30e"
    );
    let odd = policy.payload("for bob@example.com", b"", Content::Plain);
    assert_eq!(
        odd.value()["encoding"],
        hash(&policy, "for bob@example.com")
    );
    assert_eq!(
        policy.payload("binary/null", b"", Content::Plain).value(),
        &Value::Null
    );
    let keyed = self::policy(|s| s.hash_key = HashKey::new("pepper"));
    let value = keyed
        .payload("binary/plain", b"1234", Content::Plain)
        .value()
        .clone();
    assert!(
        value["sha256"].is_null() && value["hmac"].is_string(),
        "a plain hash could be guessed"
    );
}

#[test]
fn content_of_model_calls_is_readable_only_where_it_is_captured() {
    let document = || json!({"prompt": "Write to bob@example.com", "password": "x", "n": 7, "error": "e ".repeat(200)});
    let capture = policy(|s| s.capture_content = true);
    let model = capture.json(document(), Content::Model);
    assert_eq!(model.value()["prompt"], "Write to [email]");
    assert_eq!(model.value()["error"], "e ".repeat(200));
    assert_eq!((model.dropped(), model.hashed()), (1, 1));
    for closed in [
        capture.json(document(), Content::Plain),
        default_policy().json(document(), Content::Model),
    ] {
        assert_eq!(
            closed.value()["prompt"],
            hash(&capture, "Write to bob@example.com")
        );
    }
}

#[test]
fn data_is_composed_with_a_summary_and_cut_to_its_bytes() {
    let policy = policy(|s| {
        s.capture_content = true;
        s.max_event_bytes = 400;
    });
    let small = policy.json(json!({"id": 1, "password": 2, "x": 3}), Content::Plain);
    let large = policy.json(json!("x".repeat(350)), Content::Model);
    let text = policy
        .compose(&[("input", &small), ("output", &large)])
        .unwrap();
    assert!(text.len() <= 400);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({"input": small.value(), "output": {"_truncated_bytes": 352},
               "_redaction": {"dropped": 1, "hashed": 1, "truncated": 1}})
    );
    assert_eq!(policy.compose(&[]), None);
    let names: Vec<String> = (0..500).map(|n| format!("part {n}")).collect();
    let parts: Vec<(&str, &Redacted)> = names.iter().map(|n| (n.as_str(), &small)).collect();
    let text = policy.compose(&parts).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(
        text.len() <= 400 && value["_truncated_bytes"].is_u64(),
        "{text}"
    );
    assert_eq!(value["_redaction"]["dropped"], 500);
}

#[test]
fn usage_is_found_before_redaction_and_priced() {
    let policy = policy(|s| s.categories = CategoryRules::parse("tool=*Search*").unwrap());
    let response =
        json!({"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}});
    let redacted = redact(&policy, response);
    let usage = redacted.usage().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (1000, 100));
    assert_eq!(usage.cost_usd, Some(0.0035));
    assert!(!redacted.text().contains("1000"));
    assert_eq!(
        policy.category("ask", Some(usage)).as_deref(),
        Some("model")
    );
    assert_eq!(
        policy.category("WebSearch", Some(usage)).as_deref(),
        Some("tool")
    );
    assert_eq!(policy.category("ask", None), None);
}

#[test]
fn errors_are_scrubbed_and_cut() {
    let policy = default_policy();
    assert_eq!(
        policy.error_message("no user bob@example.com"),
        "no user [email]"
    );
    assert_eq!(
        policy.error_message(&"é".repeat(300)).chars().count(),
        ERROR_CHARS
    );
    assert!(policy.stack(&"é".repeat(3000)).len() <= STACK_BYTES);
    for kept in ["auth::token:Expired", "TimeoutFailure.START_TO_CLOSE", ""] {
        assert_eq!(policy.error_type(kept), kept);
    }
    assert_eq!(
        policy.error_type("No user bob@example.com"),
        "No user [email]"
    );
    assert_eq!(policy.error_type(&"E".repeat(200)).len(), ERROR_TYPE_BYTES);
}

#[test]
fn a_result_turns_out_to_be_a_models_by_its_tokens_or_by_a_rule() {
    let capture = policy(|s| s.capture_content = true);
    let with = br#"{"answer":"Dear Bob","usage":{"prompt_tokens":1}}"#;
    let without = br#"{"answer":"Dear Bob"}"#;
    let answer = |redacted: Redacted| redacted.value()["answer"].clone();
    let hashed = json!(hash(&capture, "Dear Bob"));
    let result = |policy: &Policy, data: &[u8]| policy.result("json/plain", data);
    assert_eq!(answer(result(&capture, with)), "Dear Bob");
    assert_eq!(answer(result(&capture, without)), hashed);
    let by_rule = result(&capture, without).into_content(Content::Model);
    assert_eq!(answer(by_rule), "Dear Bob");
    let plain = result(&capture, without).into_content(Content::Plain);
    assert_eq!(answer(plain), hashed);
    let closed = result(&default_policy(), with).into_content(Content::Model);
    assert_eq!(answer(closed), hashed, "capture is off");
}

#[test]
fn the_policy_id_tells_categories_apart_where_they_decide_what_is_readable() {
    let id = |capture: bool, rules: &str| {
        let policy = policy(|s| {
            s.capture_content = capture;
            s.categories = CategoryRules::parse(rules).unwrap();
        });
        policy.id().to_owned()
    };
    assert_ne!(id(true, "model=a*"), id(true, "model=b*"));
    assert_eq!(id(false, "model=a*"), id(false, "model=b*"));
}

#[test]
fn a_link_stays_readable_without_its_secrets() {
    let policy = default_policy();
    let link = "https://files.example.com/r/7.pdf?page=2";
    assert_eq!(policy.link(link), link);
    assert_eq!(
        policy.link("https://bob:pw@files.example.com/r?sig=abc&page=2"),
        "https://[credentials]@files.example.com/r?sig=[redacted]&page=2"
    );
    assert!(policy.link(&"x".repeat(5000)).len() <= LINK_BYTES);
}
