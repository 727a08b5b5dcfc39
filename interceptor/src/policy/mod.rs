//! How payloads are made safe, which of them are recorded, and what they cost.
//!
//! Invariant: pure and total. No I/O, no clock, no panic and no recursion that input can deepen:
//! the same bytes under the same settings give the same result on every worker and in replay.
//! Nothing leaves this module but what the rules let through, and never more bytes than allowed.
//!
//! The rules, in the order in which they win:
//! 1. A field on the drop list is removed with all below it ([`DROP_FIELDS`], and the user's).
//! 2. Where content is captured, strings of model calls stay readable, scrubbed.
//! 3. Scalars of a field on the allowlist stay ([`ALLOW_FIELDS`], and the user's): strings only if
//!    they look like identifiers and not like secrets, else they are hashed; text under `error` is
//!    scrubbed and cut. An array's items are treated as its field, an object's fields by their own
//!    names.
//! 4. Every other string, number and boolean is replaced by a hash of its JSON text. `null` stays.
//!
//! A field name that is not a plain identifier, or looks like a secret, is hashed as a value is. Of
//! two fields with one name the last stays, the other counts as dropped.

mod artifacts;
mod cap;
mod card;
mod category;
mod document;
mod fields;
mod find;
mod fit;
mod glob;
mod hash;
#[cfg(test)]
mod hostile;
mod pairs;
mod prices;
#[cfg(test)]
mod props;
mod redact;
mod redacted;
mod sampling;
mod scrub;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

pub use cap::{OFFERED_ATTEMPTS, OFFERED_INNER_EVENTS, offered_attempt, offered_inner};
pub use category::{CategoryError, CategoryRules};
pub use fields::{ALLOW_FIELDS, DROP_FIELDS};
pub use find::{Found, find};
pub use hash::HashKey;
pub use prices::{PriceError, PriceTable};
pub use redacted::Redacted;
pub use sampling::sampled;
pub use usage::Usage;

pub(crate) use document::Document;
pub(crate) use fields::snake;
use fields::{FieldRules, is_identifier_like};
use fit::{fit, json_len};
use hash::Hasher;
use redact::{Container, MAX_DEPTH, Node, Pass};

/// Bytes of an event's data by default.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 8192;

/// The least bytes that an event's data may be limited to; less is taken as this much.
pub const MIN_EVENT_BYTES: usize = 256;

/// Characters of an error message that are kept.
pub const ERROR_CHARS: usize = 256;

/// Bytes of a stack trace that are kept.
pub const STACK_BYTES: usize = 4096;

/// Bytes of a link that are kept.
pub const LINK_BYTES: usize = 2048;

/// The longest error type that is kept as it is, in bytes.
pub const ERROR_TYPE_BYTES: usize = 128;

/// The longest string under an allowed field that is kept, in bytes.
const IDENTIFIER_BYTES: usize = 64;

/// What a [`Policy`] is made of.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// Key of the hashes; without one, plain hashes of short values can be guessed.
    pub hash_key: Option<HashKey>,
    /// Fields to keep readable beside [`ALLOW_FIELDS`].
    pub allow_fields: Vec<String>,
    /// Fields to drop beside [`DROP_FIELDS`].
    pub drop_fields: Vec<String>,
    /// Keep prompts and responses of model calls readable, scrubbed.
    pub capture_content: bool,
    /// Bytes that the data of one event may have.
    pub max_event_bytes: usize,
    /// What activities are.
    pub categories: CategoryRules,
    /// What tokens cost.
    pub prices: PriceTable,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            hash_key: None,
            allow_fields: Vec::new(),
            drop_fields: Vec::new(),
            capture_content: false,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            categories: CategoryRules::default(),
            prices: PriceTable::default(),
        }
    }
}

/// Whose content a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Of a call of a language model: prompts and responses, readable where capture is on.
    Model,
    /// Of anything else.
    Plain,
}

/// How payloads are made safe. Built once; share it in an `Arc`.
pub struct Policy {
    id: String,
    rules: FieldRules,
    hasher: Hasher,
    capture_content: bool,
    max_event_bytes: usize,
    categories: CategoryRules,
    prices: PriceTable,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Compiles the settings.
    pub fn new(settings: PolicySettings) -> Self {
        let rules = FieldRules::new(&settings.allow_fields, &settings.drop_fields);
        let hasher = Hasher::new(settings.hash_key.as_ref());
        let max_event_bytes = settings.max_event_bytes.max(MIN_EVENT_BYTES);
        let content = json!([
            "omnitrace/policy/1",
            rules.canonical(),
            // Where content is captured, the categories say whose.
            settings
                .capture_content
                .then(|| settings.categories.canonical()),
            max_event_bytes,
        ]);
        // Keyed, so that it also tells keys apart without holding one.
        let id = hex::encode(&hasher.digest(content.to_string().as_bytes())[..8]);
        Self {
            id,
            rules,
            hasher,
            capture_content: settings.capture_content,
            max_event_bytes,
            categories: settings.categories,
            prices: settings.prices,
        }
    }

    /// 16 hex digits that differ where the hash key or a rule of redaction differs.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn captures_content(&self) -> bool {
        self.capture_content
    }

    /// Redacts one payload, given the `encoding` of its metadata. What is not JSON, or is nested
    /// deeper than 127 levels, becomes `{"encoding", "bytes", "sha256"}`; with a hash key, the last
    /// one is `"hmac"`.
    pub fn payload(&self, encoding: &str, data: &[u8], content: Content) -> Redacted {
        let mut pass = self.pass(content);
        let (node, usage) = self.payload_node(&mut pass, encoding, data);
        let artifacts = match encoding.starts_with("json/") {
            true => artifacts::in_text(data, &self.rules, &self.hasher),
            false => Vec::new(),
        };
        Redacted {
            artifacts,
            ..redacted(&pass, node, usage)
        }
    }

    /// Redacts a result: as content of a model call if it says what tokens it used. Whose result it is
    /// may come to light later: [`Redacted::into_content`].
    pub(crate) fn result(&self, encoding: &str, data: &[u8]) -> Redacted {
        let plain = self.payload(encoding, data, Content::Plain);
        if !self.capture_content {
            return plain;
        }
        let captured = self.payload(encoding, data, Content::Model);
        match plain.usage {
            Some(_) => captured,
            None => Redacted {
                captured: Some(Box::new(captured)),
                ..plain
            },
        }
    }

    /// Redacts several payloads, as arguments are, into an array: each an encoding and its bytes.
    pub fn payloads<'a>(
        &self,
        payloads: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        content: Content,
    ) -> Redacted {
        let mut pass = self.pass(content);
        let mut container = Container::new(Value::Array(Vec::new()), 0, &mut pass);
        let mut usage = None;
        for (encoding, data) in payloads {
            let (node, found) = self.payload_node(&mut pass, encoding, data);
            container.push(&mut pass, node);
            usage = usage.or(found);
        }
        let node = container.finish(&mut pass);
        redacted(&pass, node, usage)
    }

    /// Redacts what a caller of the explicit API gave. A value that is nested deeper than 127
    /// levels becomes `{"encoding", "deeper_than"}`.
    pub fn json(&self, value: Value, content: Content) -> Redacted {
        self.document(&Document::new(value), content)
    }

    /// As [`Self::json`], of a document that is dropped elsewhere.
    pub(crate) fn document(&self, document: &Document, content: Content) -> Redacted {
        let mut pass = self.pass(content);
        match pass.run(&document.0) {
            Ok(node) => {
                let usage = usage::in_document(&document.0, &self.rules, &self.prices);
                Redacted {
                    artifacts: artifacts::in_document(&document.0, &self.rules, &self.hasher),
                    ..redacted(&pass, node, usage)
                }
            }
            Err(_) => {
                let value = json!({ "encoding": "json/plain", "deeper_than": MAX_DEPTH });
                redacted(
                    &self.pass(content),
                    Node {
                        size: json_len(&value),
                        value,
                    },
                    None,
                )
            }
        }
    }

    /// An error message, scrubbed and cut at [`ERROR_CHARS`] characters.
    pub fn error_message(&self, text: &str) -> String {
        scrub::scrub_and_cut(text, &self.rules, ERROR_CHARS, usize::MAX).0
    }

    /// A stack trace, scrubbed and cut at [`STACK_BYTES`] bytes.
    pub fn stack(&self, text: &str) -> String {
        scrub::scrub_and_cut(text, &self.rules, usize::MAX, STACK_BYTES).0
    }

    /// A link to something that a run made, scrubbed and cut at [`LINK_BYTES`] bytes.
    pub fn link(&self, url: &str) -> String {
        scrub::scrub_and_cut(url, &self.rules, usize::MAX, LINK_BYTES).0
    }

    /// An error type as it is where it looks like a name, else scrubbed and cut at
    /// [`ERROR_TYPE_BYTES`] bytes.
    pub fn error_type(&self, text: &str) -> String {
        if is_identifier_like(text, ERROR_TYPE_BYTES) && !scrub::has_secret_shape(text) {
            return text.to_owned();
        }
        scrub::scrub_and_cut(text, &self.rules, usize::MAX, ERROR_TYPE_BYTES).0
    }

    /// The hash of a user's or tenant's id. The same id as a value in a payload has the same hash.
    pub fn identity(&self, raw: &str) -> String {
        self.hasher.text(raw)
    }

    /// Composes an event's data: an object of the parts by their names, and `_redaction`, which says
    /// what happened to them. At most as many bytes as an event's data may have; the largest values
    /// are cut first. `None` when there is no part.
    pub fn compose(&self, parts: &[(&str, &Redacted)]) -> Option<String> {
        if parts.is_empty() {
            return None;
        }
        let sum = |count: fn(&Redacted) -> u32| {
            parts
                .iter()
                .fold(0_u32, |sum, (_, part)| sum.saturating_add(count(part)))
        };
        // Of two parts with one name the last stays.
        let mut fields: BTreeMap<&str, &Value> = parts
            .iter()
            .map(|(name, part)| (*name, &part.value))
            .collect();
        // What a result tells of, beside it: in the result itself links are hashed.
        let results = (parts.iter()).filter(|(name, _)| matches!(*name, "output" | "data"));
        let artifacts = results.flat_map(|(_, part)| part.artifacts.iter().cloned());
        let artifacts = Value::Array(artifacts.collect());
        let hashed = sum(Redacted::hashed);
        let mut truncated = sum(Redacted::truncated);
        let same_name = u32::try_from(parts.len() - fields.len()).unwrap_or(u32::MAX);
        let dropped = sum(Redacted::dropped).saturating_add(same_name);
        if artifacts != json!([]) {
            fields.insert("artifacts", &artifacts);
        }
        // Room for `_redaction` with the largest counts that there are.
        let largest = summary(u32::MAX, u32::MAX, u32::MAX);
        let room = self.max_event_bytes - (json_len(&largest) + fit::field_len("_redaction"));
        let size = fit::object_len(fields.iter().map(|(name, value)| (*name, *value)));
        let mut cut = Value::Null;
        if size > room {
            let owned = (fields.iter()).map(|(name, value)| ((*name).to_owned(), (*value).clone()));
            cut = Value::Object(owned.collect());
            fit(&mut cut, size, room, &mut truncated);
        }
        if let Value::Object(cut) = &cut {
            fields = cut
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .collect();
        }
        let summary = summary(dropped, hashed, truncated);
        fields.insert("_redaction", &summary);
        // Maps with names of text are always JSON.
        serde_json::to_string(&fields).ok()
    }

    /// Whose content the arguments of an activity are, by the rules on its type.
    pub(crate) fn content(&self, activity_type: &str) -> Content {
        match self.categories.category(activity_type) {
            Some("model") => Content::Model,
            _ => Content::Plain,
        }
    }

    /// What an activity is: by the rules on its type, else `model` if it used tokens.
    pub fn category(&self, activity_type: &str, usage: Option<&Usage>) -> Option<String> {
        let by_rule = self.categories.category(activity_type);
        by_rule.or(usage.map(|_| "model")).map(str::to_owned)
    }

    fn pass(&self, content: Content) -> Pass<'_> {
        let readable = self.capture_content && content == Content::Model;
        Pass::new(&self.rules, &self.hasher, readable, self.max_event_bytes)
    }

    fn payload_node(
        &self,
        pass: &mut Pass<'_>,
        encoding: &str,
        data: &[u8],
    ) -> (Node, Option<Usage>) {
        let mut node = None;
        let mut usage = None;
        if encoding == "binary/null" {
            node = Some(Node {
                value: Value::Null,
                size: 4,
            });
        } else if encoding.starts_with("json/") {
            node = self.json_node(pass, data);
            if node.is_some() {
                usage = usage::in_text(data, &self.rules, &self.prices);
            }
        }
        (node.unwrap_or_else(|| self.opaque(encoding, data)), usage)
    }

    /// A document, if it is one. What was counted of half a document does not count.
    fn json_node(&self, pass: &mut Pass<'_>, data: &[u8]) -> Option<Node> {
        let before = (pass.dropped, pass.hashed, pass.truncated, pass.counting);
        let mut document = serde_json::Deserializer::from_slice(data);
        let node = pass.run(&mut document).and_then(|node| {
            document.end()?;
            Ok(node)
        });
        if node.is_err() {
            (pass.dropped, pass.hashed, pass.truncated, pass.counting) = before;
        }
        node.ok()
    }

    /// What is said of a payload that is not JSON.
    fn opaque(&self, encoding: &str, data: &[u8]) -> Node {
        let known = is_identifier_like(encoding, IDENTIFIER_BYTES)
            && !scrub::looks_secret(encoding, &self.rules);
        let encoding = match known || encoding.is_empty() {
            true => encoding.to_owned(),
            false => self.hasher.text(encoding),
        };
        let digest = hex::encode(self.hasher.digest(data));
        let value = json!({
            "encoding": encoding,
            "bytes": data.len(),
            self.hasher.name(): digest,
        });
        Node {
            size: json_len(&value),
            value,
        }
    }
}

fn summary(dropped: u32, hashed: u32, truncated: u32) -> Value {
    json!({ "dropped": dropped, "hashed": hashed, "truncated": truncated })
}

fn redacted(pass: &Pass<'_>, node: Node, usage: Option<Usage>) -> Redacted {
    Redacted {
        value: node.value,
        dropped: pass.dropped,
        hashed: pass.hashed,
        truncated: pass.truncated,
        usage: usage.map(Box::new),
        artifacts: Vec::new(),
        captured: None,
    }
}
