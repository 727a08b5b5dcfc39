//! Which fields are dropped, kept or hashed, by their name.
//!
//! Invariant: dropping wins over everything. Names are compared in snake case and lower case; for
//! dropping, also without regard to where the words part, so `APIkey` and `passWord` are caught.

use std::collections::BTreeSet;

/// Fields that are always dropped, whatever else is configured.
pub const DROP_FIELDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "ssn",
    "credit_card",
    "card_number",
    "cvv",
    "private_key",
    "authorization",
    "cookie",
    "session_id",
];

/// Fields whose scalars are kept readable.
pub const ALLOW_FIELDS: &[&str] = &[
    "id",
    "workflow_id",
    "trace_id",
    "step_id",
    "run_id",
    "status",
    "success",
    "error",
    "type",
    "name",
    "latency_ms",
    "duration_ms",
    "timestamp",
    "count",
    "event_count",
    "attempt",
    "retry_count",
];

/// What happens to what stands under a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Removed with all below it.
    Drop,
    /// Scalars stay readable where they are harmless.
    Keep,
    /// As `Keep`, and free text stays, scrubbed and cut.
    KeepText,
    /// Scalars are hashed.
    Hash,
}

/// The longest field name that is compared; a longer one can only end like a name to be dropped.
const MAX_COMPARED_CHARS: usize = 256;

/// The rules, compiled.
#[derive(Clone, Debug)]
pub(super) struct FieldRules {
    /// Without word separators.
    drop: BTreeSet<String>,
    /// In snake case.
    allow: BTreeSet<String>,
}

impl FieldRules {
    pub(super) fn new(allow: &[String], drop: &[String]) -> Self {
        let squash = |name: &str| snake(name).replace('_', "");
        let user = |names: &[String]| -> Vec<String> {
            names
                .iter()
                .filter(|n| !snake(n).is_empty())
                .cloned()
                .collect()
        };
        Self {
            drop: DROP_FIELDS
                .iter()
                .map(|n| squash(n))
                .chain(user(drop).iter().map(|n| squash(n)))
                .collect(),
            allow: ALLOW_FIELDS
                .iter()
                .map(|n| (*n).to_owned())
                .chain(user(allow).iter().map(|n| snake(n)))
                .collect(),
        }
    }

    /// Every rule in a fixed order, for the policy's id.
    pub(super) fn canonical(&self) -> Vec<&str> {
        let drop = self.drop.iter().map(String::as_str);
        drop.chain(["/"])
            .chain(self.allow.iter().map(String::as_str))
            .collect()
    }

    pub(super) fn treatment(&self, field: &str) -> Treatment {
        let name = snake(field);
        if self.drops_snake(&name) {
            Treatment::Drop
        } else if name == "error" {
            Treatment::KeepText
        } else if self.allow.contains(&name) {
            Treatment::Keep
        } else {
            Treatment::Hash
        }
    }

    pub(super) fn drops(&self, field: &str) -> bool {
        self.drops_snake(&snake(field))
    }

    /// Whether the name, or its tail from some word on, is one to be dropped.
    fn drops_snake(&self, name: &str) -> bool {
        let mut tail = String::with_capacity(name.len());
        name.rsplit('_').take(8).any(|word| {
            tail.insert_str(0, word);
            self.drop.contains(&tail)
        })
    }
}

/// A name in snake case and lower case: `apiKey`, `API-Key` and `APIKey` become `api_key`.
pub(crate) fn snake(name: &str) -> String {
    let skipped = name.chars().count().saturating_sub(MAX_COMPARED_CHARS);
    let chars: Vec<char> = name.chars().skip(skipped).collect();
    let mut snake = String::with_capacity(chars.len() + 8);
    for (i, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            continue;
        }
        let before = i.checked_sub(1).and_then(|i| chars.get(i));
        let word_begins = c.is_uppercase()
            && before.is_some_and(|b| {
                let next_is_lower = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
                b.is_lowercase() || b.is_numeric() || (b.is_uppercase() && next_is_lower)
            });
        if word_begins && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    while snake.ends_with('_') {
        snake.pop();
    }
    snake
}

/// Whether a field name can stay as it is: it says what a field is, and holds no data itself.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 64
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a string looks like an identifier rather than like text.
pub(super) fn is_identifier_like(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_compare_alike() {
        for name in [
            "apiKey",
            "API-Key",
            "APIKey",
            "api_key",
            "ApiKey",
            "api key",
            "API__KEY_",
        ] {
            assert_eq!(snake(name), "api_key", "{name}");
        }
        assert_eq!(snake("HTTPServer2Name"), "http_server2_name");
        assert_eq!(snake("TO\u{212A}EN"), "token", "the Kelvin sign is a k");
        assert_eq!(snake("--"), "");
    }

    #[test]
    fn names_on_the_list_or_ending_with_one_are_dropped() {
        let rules = FieldRules::new(&["token".into(), "".into()], &["Date-of-Birth".into()]);
        for name in [
            "password",
            "Password",
            "userPassword",
            "db_passwd",
            "apikey",
            "APIkey",
            "x-api-key",
            "passWord",
            "access_token",
            "accessToken",
            "Set-Cookie",
            "sessionId",
            "cvv",
            "to\u{200B}ken",
            "Authorization",
            "patientDateOfBirth",
            "creditcard",
            "privateKey",
        ] {
            assert_eq!(rules.treatment(name), Treatment::Drop, "{name}");
        }
        let long = "x".repeat(10_000) + "_password";
        assert_eq!(rules.treatment(&long), Treatment::Drop);
        for name in [
            "prompt_tokens",
            "tokens",
            "secretary",
            "cookies",
            "passwords",
            "birth",
            "",
            "_",
        ] {
            assert_eq!(rules.treatment(name), Treatment::Hash, "{name}");
        }
    }

    #[test]
    fn names_on_the_allowlist_are_kept() {
        let rules = FieldRules::new(&["orderNumber".into()], &[]);
        for name in ["id", "workflowId", "Status", "order_number", "latencyMs"] {
            assert_eq!(rules.treatment(name), Treatment::Keep, "{name}");
        }
        assert_eq!(rules.treatment("Error"), Treatment::KeepText);
        assert_eq!(rules.treatment("user_id"), Treatment::Hash);
    }

    #[test]
    fn a_plain_name_holds_no_data() {
        assert!(is_plain_name("customer_id") && is_plain_name("_x1"));
        for name in [
            "",
            "1a",
            "a b",
            "bob@example.com",
            "a-b",
            "é",
            &"a".repeat(65),
        ] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
