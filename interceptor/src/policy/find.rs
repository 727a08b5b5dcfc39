//! Finding what scrubbing would take out, without changing anything.
//!
//! Invariant: what has a shape that [`super::scrub`] replaces is found, and named as it is there.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::card;
use super::fields::FieldRules;
use super::pairs;
use super::scrub::{
    BEARER, CLOUD_KEY, EMAIL, FORTY, JWT, PEM, SSN, URL_PASSWORD, URL_USER, is_aws_secret,
};

/// What looks secret or personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `email`, `card`, `jwt`, `bearer`, `pem`, `key`, `credentials`, `ssn`, `secret`.
    pub kind: &'static str,
    /// Where it stands, in bytes.
    pub at: Range<usize>,
}

/// What stands in the place of something that was scrubbed.
static SCRUBBED: LazyLock<Regex> =
    LazyLock::new(|| super::scrub::pattern(r"\[[a-z]+\]|(?:sha256|hmac):[0-9a-f]{16}"));

static RULES: LazyLock<FieldRules> = LazyLock::new(|| FieldRules::new(&[], &[]));

/// All of it in a text, in order; of two that overlap, the one that begins first, or is longer.
pub fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut add = |kind, at| found.push(Found { kind, at });
    let shapes = [
        ("pem", &*PEM),
        ("jwt", &*JWT),
        ("bearer", &*BEARER),
        ("key", &*CLOUD_KEY),
        ("email", &*EMAIL),
    ];
    for (kind, shape) in shapes {
        for at in shape.find_iter(text) {
            if !SCRUBBED.is_match(at.as_str()) {
                add(kind, at.range());
            }
        }
    }
    for captures in URL_PASSWORD.captures_iter(text) {
        // `host:80/path?to=a@b` is a port and no password.
        let rest = captures[1].trim_start_matches(|c: char| c.is_ascii_digit());
        if let Some(at) = captures.get(0)
            && !rest.starts_with(['/', '?', '#'])
        {
            add("credentials", at.range());
        }
    }
    for at in URL_USER.find_iter(text) {
        // The user of a database is told wherever its address is; a user of others may be a token.
        let before = &text[..at.start()];
        let database = before.ends_with("postgres") || before.ends_with("postgresql");
        if !SCRUBBED.is_match(at.as_str()) && (!database || at.as_str()[3..].contains(':')) {
            add("credentials", at.range());
        }
    }
    for at in FORTY.find_iter(text) {
        if is_aws_secret(at.as_str()) {
            add("key", at.range());
        }
    }
    for at in SSN.find_iter(text) {
        if is_issued(at.as_str()) {
            add("ssn", at.range());
        }
    }
    for at in card::find(text) {
        add("card", at);
    }
    let scrubbed = pairs::scrub(text, &RULES);
    if scrubbed != text {
        add("secret", changed(text, &scrubbed));
    }
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    let mut end = 0;
    found.retain(|found| {
        let is_new = found.at.start >= end;
        end = end.max(found.at.end);
        is_new
    });
    found
}

/// From the first to the last place where a text is changed.
fn changed(before: &str, after: &str) -> Range<usize> {
    fn same(pairs: impl Iterator<Item = (char, char)>) -> usize {
        pairs
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum()
    }
    let start = same(before.chars().zip(after.chars()));
    let (before_rest, after_rest) = (&before[start..], &after[start..]);
    let end = same(before_rest.chars().rev().zip(after_rest.chars().rev()));
    start..before.len() - end
}

/// Whether such a number was ever given to anyone: not 000, 666 or 9xx, no group 00, no serial 0000.
fn is_issued(ssn: &str) -> bool {
    let (area, group, serial) = (&ssn[..3], &ssn[4..6], &ssn[7..]);
    area != "000" && area != "666" && !area.starts_with('9') && group != "00" && serial != "0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(&'static str, &str)> {
        let found = find(text).into_iter();
        found.map(|found| (found.kind, &text[found.at])).collect()
    }

    #[test]
    fn what_is_scrubbed_is_found_where_it_stands() {
        assert_eq!(
            kinds("mail bob@example.com, card 4111-1111-1111-1111, id 078-05-1120"),
            [
                ("email", "bob@example.com"),
                ("card", "4111-1111-1111-1111"),
                ("ssn", "078-05-1120"),
            ]
        );
        let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        assert_eq!(kinds(&format!("x {key} y")), [("key", key.as_str())]);
        assert_eq!(
            kinds("postgres://app:pw@db/x"),
            [("credentials", "://app:pw@")]
        );
        let pem = ["-----BEGIN PRIV", "ATE KEY-----\nMIIE"].concat();
        assert_eq!(kinds(&pem), [("pem", pem.as_str())]);
        assert_eq!(kinds("a password=hunter2, b"), [("secret", "hunter2")]);
    }

    #[test]
    fn what_was_scrubbed_or_was_never_issued_is_not() {
        for text in [
            "[email] and [bearer], password=[redacted], ://[credentials]@db",
            "666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
            "http://h:80/p?to=x",
            "no database at postgres://app@db:5432/x",
            "",
        ] {
            assert_eq!(kinds(text), [], "{text}");
        }
    }
}
