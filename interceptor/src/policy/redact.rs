//! One document, redacted while it is read.
//!
//! Invariant: nothing of the document but what the rules let through is held in memory, and of
//! that at most a few times the bytes that an event may have, per level of nesting. There are at
//! most [`MAX_DEPTH`] levels; a deeper document is an error, which callers take for "not JSON".

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fields::{FieldRules, Treatment, is_identifier_like, is_plain_name};
use super::fit::{bool_len, field_len, fit, fit_children, json_len, marker, marker_len, str_len};
use super::hash::{HASH_JSON_BYTES, Hasher};
use super::scrub::{self, has_secret_shape, looks_secret, scrub_and_cut};
use super::{ERROR_CHARS, IDENTIFIER_BYTES};

/// Levels of objects and arrays, as `serde_json` limits them in text.
pub(super) const MAX_DEPTH: u8 = 127;

/// Levels that are kept; what is deeper is cut, so that readers with the same limit can read the
/// result also where it stands inside other documents.
const KEPT_DEPTH: u8 = 100;

/// Field names whose treatment is remembered while one document is read.
const REMEMBERED_NAMES: usize = 128;

/// One pass over one document.
pub(super) struct Pass<'p> {
    pub(super) rules: &'p FieldRules,
    pub(super) hasher: &'p Hasher,
    /// Strings stay readable, scrubbed.
    pub(super) readable: bool,
    /// Bytes that the result may have.
    pub(super) cap: usize,
    pub(super) dropped: u32,
    pub(super) hashed: u32,
    pub(super) truncated: u32,
    /// The value read now will be replaced by a marker, so only its size counts.
    pub(super) counting: bool,
    names: HashMap<String, (Treatment, Option<String>)>,
}

/// A redacted value.
pub(super) struct Node {
    pub(super) value: Value,
    /// Bytes of its JSON.
    pub(super) size: usize,
}

impl<'p> Pass<'p> {
    pub(super) fn new(
        rules: &'p FieldRules,
        hasher: &'p Hasher,
        readable: bool,
        cap: usize,
    ) -> Self {
        Self {
            rules,
            hasher,
            readable,
            cap,
            dropped: 0,
            hashed: 0,
            truncated: 0,
            counting: false,
            names: HashMap::new(),
        }
    }

    /// Redacts a whole document into at most `cap` bytes.
    pub(super) fn run<'de, D: Deserializer<'de>>(&mut self, document: D) -> Result<Node, D::Error> {
        let seed = Seed {
            pass: self,
            treatment: Treatment::Hash,
            depth: 0,
        };
        seed.deserialize(document)
    }

    fn string(&mut self, text: &str, treatment: Treatment) -> Node {
        if self.counting && (self.readable || treatment != Treatment::Hash) {
            return Node::counted(str_len(text));
        }
        if self.readable {
            // The result would be too large; so is the work of scrubbing it.
            if text.len() > scrub::WINDOW {
                return self.cut(str_len(text));
            }
            let node = Node::text(scrub::scrub(text, self.rules).into_owned());
            return match node.size > self.cap {
                true => self.cut(node.size),
                false => node,
            };
        }
        match treatment {
            Treatment::Keep
                if is_identifier_like(text, IDENTIFIER_BYTES)
                    && !looks_secret(text, self.rules) =>
            {
                Node::text(text.to_owned())
            }
            Treatment::KeepText => {
                let (kept, cut) = scrub_and_cut(text, self.rules, ERROR_CHARS, usize::MAX);
                self.truncated = self.truncated.saturating_add(cut.into());
                Node::text(kept)
            }
            _ => self.hash(|| Cow::Owned(serde_json::to_string(text).unwrap_or_default())),
        }
    }

    fn number(&mut self, number: Number, treatment: Treatment) -> Node {
        let text = number.to_string();
        // A card number is one with or without quotes.
        match treatment == Treatment::Hash || has_secret_shape(&text) {
            true => self.hash(|| Cow::Owned(text)),
            false => Node {
                size: text.len(),
                value: Value::Number(number),
            },
        }
    }

    fn hash<'t>(&mut self, json: impl FnOnce() -> Cow<'t, str>) -> Node {
        self.hashed = self.hashed.saturating_add(1);
        match self.counting {
            true => Node::counted(HASH_JSON_BYTES),
            false => Node::text(self.hasher.scalar(&json())),
        }
    }

    fn cut(&mut self, size: usize) -> Node {
        self.truncated = self.truncated.saturating_add(1);
        Node {
            value: marker(size),
            size: marker_len(size),
        }
    }

    /// How a field is treated, and its name if that cannot stay.
    fn field(&mut self, name: &str) -> (Treatment, Option<String>) {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let treatment = self.rules.treatment(name);
        let stays = is_plain_name(name) && !looks_secret(name, self.rules);
        let hashed = (treatment != Treatment::Drop && !stays).then(|| self.hasher.text(name));
        let field = (treatment, hashed);
        if self.names.len() < REMEMBERED_NAMES && name.len() <= 64 {
            self.names.insert(name.to_owned(), field.clone());
        }
        field
    }
}

impl Node {
    fn text(text: String) -> Self {
        Self {
            size: str_len(&text),
            value: Value::String(text),
        }
    }

    fn counted(size: usize) -> Self {
        let value = Value::Null;
        Self { value, size }
    }
}

/// An array or object that is being read.
pub(super) struct Container {
    value: Value,
    /// Bytes of the JSON of `value`, or of what was read when only counting.
    size: usize,
    overflown: bool,
    was_counting: bool,
    truncated_before: u32,
}

impl Container {
    /// Begins one, given how many levels are around it.
    pub(super) fn new(value: Value, depth: u8, pass: &mut Pass<'_>) -> Self {
        let overflown = depth >= KEPT_DEPTH;
        let was_counting = pass.counting;
        pass.counting |= overflown;
        Self {
            value,
            size: 2,
            overflown,
            was_counting,
            truncated_before: pass.truncated,
        }
    }

    pub(super) fn push(&mut self, pass: &mut Pass<'_>, node: Node) {
        self.size = self.size.saturating_add(node.size + 1);
        if let (false, Value::Array(items)) = (pass.counting, &mut self.value) {
            items.push(node.value);
        }
        self.bound(pass);
    }

    fn insert(&mut self, pass: &mut Pass<'_>, name: &str, node: Node) {
        self.size = self.size.saturating_add(field_len(name) + node.size);
        if let (false, Value::Object(fields)) = (pass.counting, &mut self.value)
            && let Some(old) = fields.insert(name.to_owned(), node.value)
        {
            // The same name twice: the last one stays, as in other readers of JSON.
            pass.dropped = pass.dropped.saturating_add(1);
            self.size = self.size.saturating_sub(field_len(name) + json_len(&old));
        }
        self.bound(pass);
    }

    /// Keeps what is held in memory within a few times the cap.
    fn bound(&mut self, pass: &mut Pass<'_>) {
        if pass.counting || self.size <= pass.cap * 4 {
            return;
        }
        let half = pass.cap * 2;
        let fitted = fit_children(&mut self.value, self.size, half, &mut pass.truncated);
        if fitted <= half {
            self.size = fitted;
        } else {
            self.value = Value::Null;
            self.overflown = true;
            pass.counting = true;
        }
    }

    pub(super) fn finish(mut self, pass: &mut Pass<'_>) -> Node {
        pass.counting = self.was_counting;
        // One comma less than there are items.
        let size = match self.size {
            2 => 2,
            size => size - 1,
        };
        if self.overflown {
            pass.truncated = self.truncated_before;
            return pass.cut(size);
        }
        let size = match pass.counting {
            true => size,
            false => fit(&mut self.value, size, pass.cap, &mut pass.truncated),
        };
        Node {
            value: self.value,
            size,
        }
    }
}

struct Seed<'s, 'p> {
    pass: &'s mut Pass<'p>,
    /// What happens to scalars: that of the field, through arrays.
    treatment: Treatment,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed<'_, '_> {
    fn deeper<E: Error>(&self) -> Result<u8, E> {
        match self.depth {
            MAX_DEPTH.. => Err(E::custom("nested too deep")),
            depth => Ok(depth + 1),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::counted(4))
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<Node, E> {
        Ok(match self.treatment {
            Treatment::Hash => self
                .pass
                .hash(|| Cow::Borrowed(if b { "true" } else { "false" })),
            _ => Node {
                value: Value::Bool(b),
                size: bool_len(b),
            },
        })
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Node, E> {
        Ok(self.pass.number(n.into(), self.treatment))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Node, E> {
        Ok(self.pass.number(n.into(), self.treatment))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Node, E> {
        let number = Number::from_f64(n).ok_or_else(|| E::custom("no JSON number"))?;
        Ok(self.pass.number(number, self.treatment))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(self.pass.string(text, self.treatment))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let depth = self.deeper()?;
        let mut container = Container::new(Value::Array(Vec::new()), self.depth, self.pass);
        loop {
            let seed = Seed {
                pass: &mut *self.pass,
                treatment: self.treatment,
                depth,
            };
            match items.next_element_seed(seed)? {
                Some(node) => container.push(self.pass, node),
                None => return Ok(container.finish(self.pass)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let depth = self.deeper()?;
        let mut container = Container::new(Value::Object(Map::new()), self.depth, self.pass);
        while let Some(name) = fields.next_key::<String>()? {
            let (treatment, hashed_name) = self.pass.field(&name);
            if treatment == Treatment::Drop {
                fields.next_value::<IgnoredAny>()?;
                self.pass.dropped = self.pass.dropped.saturating_add(1);
                continue;
            }
            let seed = Seed {
                pass: &mut *self.pass,
                treatment,
                depth,
            };
            let node = fields.next_value_seed(seed)?;
            if hashed_name.is_some() {
                self.pass.hashed = self.pass.hashed.saturating_add(1);
            }
            container.insert(self.pass, hashed_name.as_deref().unwrap_or(&name), node);
        }
        Ok(container.finish(self.pass))
    }
}
