//! Artifacts that a result tells of: `artifacts`, a list of objects with `name` and `url`.
//!
//! Invariant: of a payload only those two are read, and not below a field that is dropped; the search goes a
//! fixed number of levels deep. A link has no credentials, no query and no fragment.

use http::Uri;
use serde_json::{Value, json};

use super::LINK_BYTES;
use super::fields::{FieldRules, is_identifier_like, snake};
use super::hash::Hasher;
use super::scrub::{looks_secret, scrub_and_cut};

/// Artifacts of one payload that are kept.
const MAX_ARTIFACTS: usize = 20;

/// Levels of objects and arrays that are searched.
const SEARCHED_LEVELS: u8 = 8;

/// The longest name that is kept readable.
const MAX_NAME_BYTES: usize = 64;

/// What a link may begin with.
const SCHEMES: &[&str] = &["https", "http", "s3", "gs"];

/// Searches a JSON text; most payloads don't have the word.
pub(super) fn in_text(data: &[u8], rules: &FieldRules, hasher: &Hasher) -> Vec<Value> {
    let has_word = std::str::from_utf8(data).is_ok_and(|text| text.contains("rtifacts"));
    let document = has_word
        .then(|| serde_json::from_slice(data).ok())
        .flatten();
    document.map_or_else(Vec::new, |document| in_document(&document, rules, hasher))
}

/// Searches a document.
pub(super) fn in_document(document: &Value, rules: &FieldRules, hasher: &Hasher) -> Vec<Value> {
    let mut found = Vec::new();
    search(
        document,
        0,
        &mut |artifact| {
            if found.len() < MAX_ARTIFACTS {
                found.extend(safe(artifact, rules, hasher));
            }
        },
        rules,
    );
    found
}

fn search(value: &Value, level: u8, found: &mut impl FnMut(&Value), rules: &FieldRules) {
    if level >= SEARCHED_LEVELS {
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                search(item, level + 1, found, rules);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !rules.drops(name)) {
                match value {
                    Value::Array(items) if snake(name) == "artifacts" => {
                        items.iter().for_each(&mut *found);
                    }
                    _ => search(value, level + 1, found, rules),
                }
            }
        }
        _ => {}
    }
}

/// A name that may be read, else its hash; and a link.
fn safe(artifact: &Value, rules: &FieldRules, hasher: &Hasher) -> Option<Value> {
    let text = |field: &str| artifact.get(field).and_then(Value::as_str);
    let (name, url) = (text("name")?, text("url")?);
    let url = scrub_and_cut(&link(url)?, rules, usize::MAX, LINK_BYTES).0;
    let name = match is_identifier_like(name, MAX_NAME_BYTES) && !looks_secret(name, rules) {
        true => name.to_owned(),
        false => hasher.text(name),
    };
    Some(json!({ "name": name, "url": url }))
}

/// An address without what may be secret in it.
fn link(url: &str) -> Option<String> {
    let uri: Uri = Some(url)
        .filter(|url| url.len() <= LINK_BYTES)?
        .parse()
        .ok()?;
    let scheme = uri.scheme_str().filter(|scheme| SCHEMES.contains(scheme))?;
    let port = uri
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{scheme}://{}{port}{}", uri.host()?, uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &Value) -> Vec<Value> {
        let rules = FieldRules::new(&[], &[]);
        let hasher = Hasher::new(None);
        let found = in_document(document, &rules, &hasher);
        assert_eq!(
            in_text(document.to_string().as_bytes(), &rules, &hasher),
            found
        );
        found
    }

    #[test]
    fn a_list_of_artifacts_is_found_wherever_it_stands_and_its_links_hold_nothing_secret() {
        let url = "https://jane:pw@files.example.com:8443/r/1.pdf?sig=abc#p2";
        let list = json!([
            { "name": "report.pdf", "url": url, "owner": "jane" },
            { "name": "of Jane Doe", "url": "s3://bucket/key" },
        ]);
        let name = Hasher::new(None).text("of Jane Doe");
        let expected = [
            json!({ "name": "report.pdf", "url": "https://files.example.com:8443/r/1.pdf" }),
            json!({ "name": name, "url": "s3://bucket/key" }),
        ];
        assert_eq!(found(&json!({ "artifacts": list })), expected);
        assert_eq!(
            found(&json!([{ "result": { "Artifacts": list } }])),
            expected
        );
        assert_eq!(
            found(&json!({ "secret": { "artifacts": list } })),
            [] as [Value; 0]
        );
    }

    #[test]
    fn what_is_no_artifact_is_none_and_their_number_is_bounded() {
        for none in [
            json!({ "artifacts": "https://example.com" }),
            json!({ "artifacts": ["https://example.com"] }),
            json!({ "artifacts": [{ "name": "x" }, { "url": "https://example.com" }] }),
            json!({ "artifacts": [{ "name": "x", "url": "javascript:alert(1)" }] }),
            json!({ "artifacts": [{ "name": "x", "url": "/etc/passwd" }] }),
            json!({ "artifacts": [{ "name": "x", "url": format!("https://e.com/{}", "x".repeat(3000)) }] }),
        ] {
            assert_eq!(found(&none), [] as [Value; 0], "{none}");
        }
        let one = json!({ "name": "x", "url": "https://example.com/x" });
        assert_eq!(
            found(&json!({ "artifacts": vec![one; 50] })).len(),
            MAX_ARTIFACTS
        );
        let rules = FieldRules::new(&[], &[]);
        assert!(in_text(b"artifacts", &rules, &Hasher::new(None)).is_empty());
    }
}
