//! Reads one variable after the other and gathers what is wrong.
//!
//! Invariant: a variable gives at most one finding for its value, and no value stops the reading.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::parse;
use super::secret::Secret;
use super::variables::Variable;

/// Looks a variable up.
pub(super) type Vars<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// What stands for a number that is not allowed. None of them is more than what was asked for.
pub(super) struct Number<T> {
    /// What is allowed.
    pub(super) range: RangeInclusive<T>,
    /// For a number below the range.
    pub(super) below: T,
    /// For a number above it.
    pub(super) above: T,
    /// For what is no number.
    pub(super) unreadable: T,
}

impl<T: Copy> Number<T> {
    /// A limit: the default, or the smallest where less was asked for.
    pub(super) fn limit(range: RangeInclusive<T>, default: T) -> Self {
        let below = *range.start();
        Self {
            range,
            below,
            above: default,
            unreadable: default,
        }
    }

    /// Something that is neither less nor more: always the default.
    pub(super) fn neutral(range: RangeInclusive<T>, default: T) -> Self {
        Self {
            range,
            below: default,
            above: default,
            unreadable: default,
        }
    }
}

pub(super) struct Reader<'a> {
    vars: &'a Vars<'a>,
    /// Relative paths begin here; empty where it is not known.
    pub(super) cwd: &'a Path,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vars: &'a Vars<'a>, cwd: &'a Path) -> Self {
        Self {
            vars,
            cwd,
            findings: Vec::new(),
        }
    }

    /// The value, unless it is unset or empty.
    pub(super) fn untrimmed(&self, variable: &Variable) -> Option<OsString> {
        (self.vars)(variable.name).filter(|value| !value.is_empty())
    }

    /// The value, unless it is unset, empty or blank.
    pub(super) fn raw(&self, variable: &Variable) -> Option<OsString> {
        self.untrimmed(variable)
            .filter(|value| !value.as_encoded_bytes().trim_ascii().is_empty())
    }

    /// The value as it is parsed, without white space around it. `None` is unset; what is not
    /// allowed becomes `wrong`, with a finding that says `instead`.
    pub(super) fn parsed<T>(
        &mut self,
        variable: &Variable,
        wrong: T,
        instead: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let raw = self.raw(variable)?;
        match raw.to_str().map(str::trim) {
            Some("") => None,
            Some(text) => Some(parse(text).unwrap_or_else(|| {
                self.findings
                    .push(Finding::invalid(variable, &raw, instead));
                wrong
            })),
            None => {
                self.findings
                    .push(Finding::invalid(variable, &raw, instead));
                Some(wrong)
            }
        }
    }

    /// `true` or `false`; what is neither is `false`.
    pub(super) fn boolean(&mut self, variable: &Variable, default: bool, instead: &str) -> bool {
        self.parsed(variable, false, instead, parse::boolean)
            .unwrap_or(default)
    }

    /// A number within bounds.
    pub(super) fn number<T>(
        &mut self,
        variable: &Variable,
        number: &Number<T>,
        parse: impl FnOnce(&str) -> Option<i128>,
    ) -> Option<T>
    where
        T: Copy + Display + Into<i128> + TryFrom<i128>,
    {
        let raw = self.raw(variable)?;
        let text = raw.to_str().map(str::trim);
        if text == Some("") {
            return None;
        }
        let (start, end) = ((*number.range.start()).into(), (*number.range.end()).into());
        let used = match text.and_then(parse) {
            Some(value) if value < start => number.below,
            Some(value) if value > end => number.above,
            Some(value) => match T::try_from(value) {
                Ok(value) => return Some(value),
                Err(_) => number.unreadable,
            },
            None => number.unreadable,
        };
        let instead = format!("{used} is used");
        self.findings
            .push(Finding::invalid(variable, &raw, &instead));
        Some(used)
    }

    /// The absolute path of a file. It need not be UTF-8. An inner `None` is a path that cannot be
    /// used.
    pub(super) fn path(&mut self, variable: &Variable, instead: &str) -> Option<Option<PathBuf>> {
        self.located(variable, instead, |bytes| bytes.ends_with(b"/"))
    }

    /// The absolute path of a folder, as [`Reader::path`].
    pub(super) fn folder(&mut self, variable: &Variable, instead: &str) -> Option<Option<PathBuf>> {
        self.located(variable, instead, |_| false)
    }

    fn located(
        &mut self,
        variable: &Variable,
        instead: &str,
        is_wrong: fn(&[u8]) -> bool,
    ) -> Option<Option<PathBuf>> {
        let raw = self.raw(variable)?;
        let path = self.cwd.join(&raw);
        let bytes = raw.as_encoded_bytes();
        if is_wrong(bytes) || bytes.contains(&0) {
            self.findings
                .push(Finding::invalid(variable, &raw, instead));
            return Some(None);
        }
        if !path.is_absolute() {
            let reason = "the current directory cannot be read, so the path must be absolute";
            self.findings
                .push(Finding::invalid_because(variable, &raw, reason, instead));
            return Some(None);
        }
        Some(Some(path))
    }

    /// Headers and the like: pairs whose values are secret. An inner `None` is a bad list.
    pub(super) fn secret_pairs(
        &mut self,
        variable: &Variable,
        instead: &str,
    ) -> Option<Option<Vec<(String, Secret)>>> {
        self.parsed(variable, None, instead, |text| {
            let pairs = parse::pairs(text)?;
            Some(Some(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key, Secret::new(value)))
                    .collect(),
            ))
        })
    }
}
