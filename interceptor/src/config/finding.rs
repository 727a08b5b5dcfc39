//! What is wrong with the configuration, one line each.
//!
//! Invariant: a line names its variable, has no control character, and holds no part of a secret.

use std::ffi::OsStr;
use std::fmt;

use super::secret::MASK;
use super::variables::{Shown, Variable};

/// Characters of a value that a line repeats.
const SHOWN_CHARS: usize = 80;
/// Characters of a reason.
const REASON_CHARS: usize = 240;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// A value that is not allowed; something smaller is done instead.
    Invalid,
    /// A variable that nothing reads, most often a misspelling.
    Unknown,
    /// Allowed, but probably not what was meant.
    Note,
}

/// One thing about the configuration that a person should know. `Display` gives the line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The variable, as it was written; escaped and cut if it is unusual.
    pub variable: String,
    line: String,
}

impl Finding {
    /// A value that `variable` does not allow, and what is done instead.
    pub(super) fn invalid(variable: &Variable, value: &OsStr, instead: &str) -> Self {
        Self::invalid_because(
            variable,
            value,
            &format!("allowed is {}", variable.allowed),
            instead,
        )
    }

    /// The same with a reason of its own. The reason must not repeat the value.
    pub(super) fn invalid_because(
        variable: &Variable,
        value: &OsStr,
        reason: &str,
        instead: &str,
    ) -> Self {
        let name = variable.name;
        let value = shown(variable.shown, value);
        let reason = one_line(reason);
        Self {
            kind: FindingKind::Invalid,
            variable: name.to_owned(),
            line: format!("{name}={value} is not valid: {reason}; {instead}"),
        }
    }

    /// A variable that nothing reads. Its value is not shown: it may be a misspelt secret.
    pub(super) fn unknown(name: &OsStr, nearest: Option<&str>) -> Self {
        let name = plain(&name.to_string_lossy());
        let hint = match nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "no known name is near to it".to_owned(),
        };
        Self {
            kind: FindingKind::Unknown,
            line: format!("{name} is not a variable of OmniTrace and is ignored: {hint}"),
            variable: name,
        }
    }

    /// Something to know of an allowed value.
    pub(super) fn note(variable: &Variable, what: &str) -> Self {
        let name = variable.name;
        Self {
            kind: FindingKind::Note,
            variable: name.to_owned(),
            line: format!("{name} {what}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A value as a line shows it.
fn shown(how: Shown, value: &OsStr) -> String {
    match how {
        Shown::Never => MASK.to_owned(),
        Shown::Plain => quoted(&value.to_string_lossy()),
        Shown::Url => quoted(&without_credentials(&value.to_string_lossy())),
    }
}

/// A URL of which at most scheme, host, port and path are left; less if there is any doubt.
pub(super) fn without_credentials(url: &str) -> String {
    // Without a scheme it may be anything, a password alone too.
    let Some((scheme, body)) = url.split_once("://") else {
        return MASK.to_owned();
    };
    let plain_scheme = scheme.len() <= 16 && scheme.bytes().all(|b| b.is_ascii_alphabetic());
    if !plain_scheme {
        MASK.to_owned()
    } else if body.contains(['@', '?', '=', '#', '%']) || !colons_are_ports(body) {
        format!("{scheme}://{MASK}")
    } else {
        url.to_owned()
    }
}

/// Whether each colon is followed by digits alone, up to the next slash. `user:word` is not.
fn colons_are_ports(body: &str) -> bool {
    body.split('/').all(|part| match part.split_once(':') {
        Some((_, port)) => port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()),
        None => true,
    })
}

/// In quotes, escaped and cut.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A reason, which may quote a part of the value.
fn one_line(reason: &str) -> String {
    let line: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS)
        .collect();
    if line.len() < reason.len() {
        line + "…"
    } else {
        line
    }
}

/// A name without quotes unless it needs them.
fn plain(name: &str) -> String {
    let ordinary = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if ordinary && name.len() <= SHOWN_CHARS {
        name.to_owned()
    } else {
        quoted(name)
    }
}
