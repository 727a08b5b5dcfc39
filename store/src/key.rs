//! Event keys: `<kind>:<step>:<name>:<attempt>`.
//!
//! Invariant: formatting and parsing are inverse. `kind` is `[a-z_]+`, `step` never holds a raw
//! `:`, and `attempt` is a decimal number, so a key parses from both ends whatever `name` holds.

use std::fmt;

use crate::ids;

/// Kinds of things that a run itself does or receives; other kinds happen inside attempts.
pub const STEP_KINDS: [&str; 11] = [
    "activity",
    "timer",
    "child_workflow",
    "signal",
    "signal_external",
    "cancel_external",
    "update",
    "nexus_operation",
    "cancel_request",
    "patch",
    "marker",
];

/// Which step of a run, encoded as it stands in a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step(String);

impl Step {
    /// Encodes an id: `%`, `:` and control characters become `%XX`.
    pub fn new(id: &str) -> Self {
        let mut step = String::with_capacity(id.len());
        for c in id.chars() {
            if c == '%' || c == ':' || c.is_control() {
                for b in c.encode_utf8(&mut [0; 4]).bytes() {
                    step.push_str(&format!("%{b:02X}"));
                }
            } else {
                step.push(c);
            }
        }
        Self(step)
    }

    /// The step of the n-th use of an id in one run: `<id>%~n`, the id alone the first time. A `%`
    /// of the id itself is encoded, so no id can pass for another's n-th use.
    pub fn nth_use(id: &str, n: u32) -> Self {
        let mut step = Self::new(id);
        if n > 1 {
            step.0.push_str(&format!("%~{n}"));
        }
        step
    }

    /// Takes a step that is encoded already, as it stands in a key.
    ///
    /// # Errors
    /// When it holds a `:`, a control character or a `%` that begins no escape.
    pub fn from_encoded(step: &str) -> Result<Self, KeyError> {
        let valid = !step.chars().any(|c| c == ':' || c.is_control())
            && step.match_indices('%').all(|(at, _)| {
                let tail = &step.as_bytes()[at + 1..];
                tail.first() == Some(&b'~')
                    || (tail.len() >= 2 && tail[..2].iter().all(u8::is_ascii_hexdigit))
            });
        valid.then(|| Self(step.to_owned())).ok_or(KeyError::Step)
    }

    /// The n-th thing that happened inside an attempt of this step.
    pub fn inner(&self, n: u32) -> Self {
        Self(format!("{}.{n}", self.0))
    }

    /// The step as it stands in a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts of an event key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// What the event is, `[a-z_]+`: `activity`, `timer`, `tool`, …
    pub kind: String,
    /// Which step of the run.
    pub step: Step,
    /// Activity type, signal name, … as it is.
    pub name: String,
    /// 0 for an activity step as the workflow sees it, else 1, 2, …
    pub attempt: u32,
}

/// Why a text is not an event key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text has fewer than four fields.
    #[error("an event key is <kind>:<step>:<name>:<attempt>, this has fewer than four fields")]
    Fields,
    /// `kind` is empty or has other characters than `a-z` and `_`.
    #[error("the kind of an event key is made of a-z and _")]
    Kind,
    /// `step` has a control character or a `%` that is not followed by two hex digits or `~`.
    #[error("the step of an event key must have %, : and control characters percent-encoded")]
    Step,
    /// `attempt` is not a decimal number.
    #[error("the attempt of an event key is a whole number from 0 to 4294967295")]
    Attempt,
    /// The whole key is longer than [`MAX_KEY_BYTES`].
    #[error("an event key has at most {MAX_KEY_BYTES} bytes")]
    TooLong,
}

/// The longest key, in bytes: what PostgreSQL can index together with the ids of a run. A caller's
/// longer one is refused and counted; one made of Temporal's names has its long parts shortened.
pub const MAX_KEY_BYTES: usize = 1024;

/// What a step or a name keeps of its beginning in a key that would be too long.
const KEPT_BYTES: usize = 460;

/// A part's beginning, a mark, and a hash of the whole part; `None` for a part that is not long.
fn shortened(part: &str, mark: &str) -> Option<String> {
    (part.len() > KEPT_BYTES + mark.len() + 16).then(|| {
        let mut kept = &part[..part.floor_char_boundary(KEPT_BYTES)];
        // No half of an escape.
        if let Some(at) = kept
            .rfind('%')
            .filter(|at| mark == "%~" && at + 3 > kept.len())
        {
            kept = &kept[..at];
        }
        format!("{kept}{mark}{}", ids::key_part(part))
    })
}

impl EventKey {
    /// Makes a key from its parts.
    pub fn new(kind: impl Into<String>, step: Step, name: impl Into<String>, attempt: u32) -> Self {
        Self {
            kind: kind.into(),
            step,
            name: name.into(),
            attempt,
        }
    }

    /// Reads a key back from its text.
    ///
    /// ```
    /// use omnitrace_store::key::EventKey;
    /// let key = EventKey::parse("activity:a%3A1:Tools::search:2")?;
    /// assert_eq!((key.step.as_str(), key.name.as_str(), key.attempt), ("a%3A1", "Tools::search", 2));
    /// # Ok::<(), omnitrace_store::key::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// When the text is not of the form `<kind>:<step>:<name>:<attempt>`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        let (kind, rest) = text.split_once(':').ok_or(KeyError::Fields)?;
        let (step, rest) = rest.split_once(':').ok_or(KeyError::Fields)?;
        let (name, attempt) = rest.rsplit_once(':').ok_or(KeyError::Fields)?;
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err(KeyError::Kind);
        }
        // `parse` alone would take "+1" and "007", which do not format back to themselves.
        if attempt.is_empty()
            || !attempt.bytes().all(|b| b.is_ascii_digit())
            || (attempt.len() > 1 && attempt.starts_with('0'))
        {
            return Err(KeyError::Attempt);
        }
        Ok(Self {
            kind: kind.to_owned(),
            step: Step::from_encoded(step)?,
            name: name.to_owned(),
            attempt: attempt.parse().map_err(|_| KeyError::Attempt)?,
        })
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            step,
            name,
            attempt,
        } = self;
        let step = step.as_str();
        let colons_and_digits = 3 + attempt.checked_ilog10().unwrap_or(0) as usize + 1;
        if kind.len() + step.len() + name.len() + colons_and_digits <= MAX_KEY_BYTES {
            return write!(f, "{kind}:{step}:{name}:{attempt}");
        }
        let (short_step, short_name) = (shortened(step, "%~"), shortened(name, "~"));
        let step = short_step.as_deref().unwrap_or(step);
        let name = short_name.as_deref().unwrap_or(name);
        write!(f, "{kind}:{step}:{name}:{attempt}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nth_use_of_an_id_cannot_be_forged_by_an_id() {
        assert_eq!(Step::nth_use("a", 3).as_str(), "a%~3");
        assert_eq!(Step::new("a%~3").as_str(), "a%25~3");
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for (text, error) in [
            ("activity:1:T", KeyError::Fields),
            ("Activity:1:T:1", KeyError::Kind),
            (":1:T:1", KeyError::Kind),
            ("activity:%:T:1", KeyError::Step),
            ("activity:%zz:T:1", KeyError::Step),
            ("activity:1:T:+1", KeyError::Attempt),
            ("activity:1:T:01", KeyError::Attempt),
            ("activity:1:T:4294967296", KeyError::Attempt),
        ] {
            assert_eq!(EventKey::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_key_of_long_names_is_short_and_no_other_s() {
        let key = |id: &str, name: &str| {
            let text = EventKey::new("signal", Step::nth_use(id, 2), name, 1).to_string();
            assert!(text.len() <= MAX_KEY_BYTES, "{} bytes", text.len());
            let read = EventKey::parse(&text).expect("a key");
            assert_eq!(read.to_string(), text);
            text
        };
        for filling in ["a", ":", "a:", "ab:", "é", "%~3"] {
            let long = filling.repeat(1000);
            let (left, right) = (format!("{long}1"), format!("{long}2"));
            let keys = [
                key(&left, &long),
                key(&right, &long),
                key(&long, &left),
                key(&long, &right),
            ];
            for (at, one) in keys.iter().enumerate() {
                assert!(!keys[..at].contains(one), "{one}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_reads_back_as_it_was(
            kind in "[a-z_]{1,20}",
            id in any::<String>(),
            n in 1u32..4,
            name in any::<String>(),
            attempt in any::<u32>(),
        ) {
            let key = EventKey::new(kind, Step::nth_use(&id, n), name, attempt);
            let text = key.to_string();
            prop_assume!(text.len() <= MAX_KEY_BYTES);
            prop_assert_eq!(EventKey::parse(&text), Ok(key));
        }
    }
}
