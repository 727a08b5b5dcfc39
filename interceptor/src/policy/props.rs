//! Properties of the whole policy: no secret in, no secret out; always valid JSON of bounded size;
//! no input that breaks it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::policy;
use super::*;

/// What no output may hold. Values and names that are not recognisable as secrets must not hold it
/// either, because they are hashed.
const CANARY: &str = "Zx9Qv7canary";

/// A secret of a recognisable kind; `tail` makes it unique.
fn secret() -> impl Strategy<Value = String> {
    let tail = "[a-z0-9]{24}";
    prop_oneof![
        tail.prop_map(|t| format!("ghp_{t}")),
        tail.prop_map(|t| format!("sk-ant-{t}")),
        tail.prop_map(|t| format!("sk_live_{t}")),
        tail.prop_map(|t| format!("AIza{t}")),
        tail.prop_map(|t| format!("xoxb-{t}")),
        "[A-Z0-9]{16}".prop_map(|t| format!("AKIA{t}")),
        tail.prop_map(|t| format!("eyJ{t}.eyJ{t}.{t}")),
        "[a-z]{3,9}".prop_map(|t| format!("{t}.{t}@{t}.example.com")),
        Just("4111111111111111".to_owned()),
        Just("5555 5555 5555 4444".to_owned()),
    ]
}

fn field_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(ALLOW_FIELDS).prop_map(str::to_owned),
        "[a-z]{1,8}",
        "[a-z]{1,8}",
        Just("message".to_owned()),
        any::<String>(),
    ]
}

fn dropped_name() -> impl Strategy<Value = String> {
    let name = prop::sample::select(DROP_FIELDS);
    prop_oneof![
        name.clone().prop_map(str::to_owned),
        name.clone().prop_map(str::to_uppercase),
        name.clone().prop_map(|n| format!("user_{n}")),
        name.prop_map(|n| format!("x-{}", n.replace('_', "-"))),
    ]
}

/// A document in which the secret stands wherever it must not come out of: in dropped fields, in
/// names, as and inside of values, also those that are kept; and canaries, where they are dropped or
/// hashed.
fn document(secret: String) -> impl Strategy<Value = Value> {
    let inside = secret.clone();
    let value = secret.clone();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Za-z0-9._:/-]{0,70}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(value)),
        ("[ a-z\"({=é]{0,9}", "[ \"')},é]{0,5}")
            .prop_map(move |(a, b)| Value::from(format!("{a} {inside} {b}"))),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let named = secret.clone();
        let below = json!({ "id": &secret, "list": [&secret, CANARY], "name": CANARY });
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((field_name(), inner.clone()), 0..8).prop_map(object),
            (dropped_name(), inner.clone())
                .prop_map(move |(name, v)| object(vec![(name, below.clone()), ("a".into(), v)])),
            inner
                .clone()
                .prop_map(move |v| object(vec![(named.clone(), v)])),
            inner.prop_map(|v| object(vec![
                ("note".into(), CANARY.into()),
                (format!("{CANARY} as a name"), v)
            ])),
        ]
    })
}

fn object(fields: Vec<(String, Value)>) -> Value {
    Value::Object(fields.into_iter().collect())
}

fn secret_and_document() -> impl Strategy<Value = (String, Value)> {
    secret().prop_flat_map(|s| (Just(s.clone()), document(s)))
}

fn is_clean(text: &str, secret: &str) -> bool {
    // Of a number, also without its blanks.
    !text.contains(secret) && !text.contains(&secret.replace(' ', "")) && !text.contains(CANARY)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_secret_comes_out((secret, document) in secret_and_document(), cap in 0_usize..3000) {
        let policy = policy(|s| s.max_event_bytes = cap);
        let bytes = document.to_string();
        let input = policy.payload("json/plain", bytes.as_bytes(), Content::Plain);
        let all = policy.payloads([("json/plain", bytes.as_bytes()); 3], Content::Plain);
        let api = policy.json(document, Content::Model);
        let text = policy.compose(&[("input", &input), ("all", &all), ("data", &api)]).unwrap();
        prop_assert!(is_clean(&text, &secret), "{text}");
        prop_assert!(text.len() <= cap.max(MIN_EVENT_BYTES), "{} {text}", text.len());
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(read["_redaction"]["truncated"].is_u64());
        for part in [&input, &all, &api] {
            prop_assert!(part.text().len() <= cap.max(MIN_EVENT_BYTES));
            prop_assert!(is_clean(&part.text(), &secret), "{}", part.text());
        }
        let again = policy.payload("json/plain", bytes.as_bytes(), Content::Plain);
        prop_assert_eq!(again, input);
    }

    #[test]
    fn captured_content_holds_no_recognisable_secret((secret, document) in secret_and_document()) {
        let policy = policy(|s| s.capture_content = true);
        let text = policy.json(document, Content::Model).text();
        prop_assert!(!text.contains(&secret), "{text}");
    }

    #[test]
    fn no_secret_is_left_in_an_error(
        secret in secret(),
        before in "[ -~é\n]{0,300}[ \n(,]",
        after in "[ \n),][ -~é\n]{0,100}",
        name in dropped_name(),
    ) {
        let policy = policy(|_| ());
        let text = format!("{before}{secret}{after}");
        for out in [policy.error_message(&text), policy.stack(&text), policy.error_type(&text)] {
            prop_assert!(!out.contains(&secret), "{out}");
        }
        let pair = format!("{before}{name}={CANARY}");
        prop_assert!(!policy.stack(&pair).contains(CANARY), "{pair}");
        prop_assert!(policy.error_message(&text).chars().count() <= ERROR_CHARS);
    }

    #[test]
    fn any_bytes_under_any_encoding_are_taken(
        encoding in prop_oneof![Just("json/plain".to_owned()), any::<String>()],
        data in prop::collection::vec(any::<u8>(), 0..200),
        text in any::<String>(),
    ) {
        let policy = policy(|_| ());
        let redacted = policy.payload(&encoding, &data, Content::Plain);
        policy.payload(&encoding, text.as_bytes(), Content::Model);
        prop_assert_eq!(redacted.text().len(), json_len(redacted.value()));
        policy.stack(&text);
        policy.category(&text, None);
        sampled(&text, 0.5);
    }

    #[test]
    fn scrubbing_any_text_twice_changes_nothing_more(text in "[ -~]{0,80}") {
        let policy = policy(|_| ());
        let once = policy.stack(&text);
        prop_assert_eq!(policy.stack(&once), once);
    }

    #[test]
    fn the_size_of_any_json_is_known(text in any::<String>(), n in any::<f64>(), i in any::<i64>()) {
        let value = json!({ text.clone(): [text, n, i, null, true, false, {}, []] });
        prop_assert_eq!(json_len(&value), value.to_string().len());
    }
}
