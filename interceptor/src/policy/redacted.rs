//! What came out of redaction.
//!
//! Invariant: only the policy makes one of a payload, so whoever holds one may store it.

use serde_json::Value;

use super::Content;
use super::usage::Usage;

/// A payload made safe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redacted {
    pub(super) value: Value,
    pub(super) dropped: u32,
    pub(super) hashed: u32,
    pub(super) truncated: u32,
    pub(super) usage: Option<Box<Usage>>,
    /// Objects of a name and a link, as they may be read.
    pub(super) artifacts: Vec<Value>,
    /// The same payload as content of a model call, where that is captured.
    pub(super) captured: Option<Box<Redacted>>,
}

impl Redacted {
    /// What Temporal itself says of a step: names and numbers that hold no user's data.
    pub(crate) fn plain(value: Value) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// The payload as what it has turned out to be.
    pub(crate) fn into_content(self, content: Content) -> Self {
        match (content, self.captured) {
            (Content::Model, Some(captured)) => *captured,
            (_, captured) => Self { captured, ..self },
        }
    }

    /// What may be stored: at most as many bytes of JSON as an event's data may have.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value as a JSON text.
    pub fn text(&self) -> String {
        self.value.to_string()
    }

    /// Fields that were removed.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Values and field names that were replaced by hashes.
    pub fn hashed(&self) -> u32 {
        self.hashed
    }

    /// Values that were cut.
    pub fn truncated(&self) -> u32 {
        self.truncated
    }

    /// Token usage that was found before redaction.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_deref()
    }
}
