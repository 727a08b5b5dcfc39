//! Names with secret values inside text: `password=…`, `"apiKey": "…"`, `--token …`, `<pwd>…`.
//!
//! Invariant: the value goes as far as it may be part of the secret: to its closing quote or
//! bracket, else to the next blank or separator; unquoted after `authorization` and `cookie`, to the
//! end of the line. Every byte is looked at a fixed number of times.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::fields::{FieldRules, snake};
use super::scrub::pattern;

/// What a secret value is replaced by.
const REDACTED: &str = "[redacted]";

/// Words that make a name in free text suspicious wherever in it they stand. A field of a document
/// that is named so is hashed; text has no such second line of defence.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "credential",
    "credentials",
];

/// Tails of names that hold secrets in connection strings and signed links.
const SECRET_TAILS: &[&str] = &["access_key", "account_key", "sig", "signature"];

/// A word before the name is taken too, for `api key: …`.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:([A-Za-z][A-Za-z0-9_.-]*) )?([A-Za-z_][A-Za-z0-9_.-]*)\\*["'`]?\]?[ \t]*(?:=>|:=|==?|:)[ \t]*"#,
    )
});

static FLAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(--?)([A-Za-z][A-Za-z0-9_-]{0,63})([ \t]+)([^\s-]\S*)"));

static ELEMENT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"<([A-Za-z_][A-Za-z0-9_.:-]{0,63})([^<>]{0,200}>)([^<]+)"));

/// Replaces the values of names that the rules drop.
pub(super) fn scrub<'t>(text: &'t str, rules: &FieldRules) -> Cow<'t, str> {
    if !text.bytes().any(|b| matches!(b, b'=' | b':' | b'-' | b'<')) {
        return Cow::Borrowed(text);
    }
    let text = assignments(text, rules);
    let text = replace_with(&FLAG, text, |c| {
        let name = &c[2];
        is_secret(name, rules).then(|| format!("{}{name}{}{REDACTED}", &c[1], &c[3]))
    });
    replace_with(&ELEMENT, text, |c| {
        let name = &c[1];
        is_secret(name, rules).then(|| format!("<{name}{}{REDACTED}", &c[2]))
    })
}

fn is_secret(name: &str, rules: &FieldRules) -> bool {
    // `Config.password`, `db.password`: the last part is the name.
    let name = name
        .rsplit('.')
        .find(|part| !part.is_empty())
        .unwrap_or(name);
    if rules.drops(name) {
        return true;
    }
    let name = snake(name);
    name.split('_').any(|word| SECRET_WORDS.contains(&word))
        || SECRET_TAILS.iter().any(|tail| {
            name.strip_suffix(tail)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        })
        || matches!(
            name.as_str(),
            "accountkey" | "sharedaccesskey" | "accesskey"
        )
}

fn replace_with<'t>(
    regex: &Regex,
    text: Cow<'t, str>,
    replacement: impl Fn(&Captures<'_>) -> Option<String>,
) -> Cow<'t, str> {
    let replaced = regex.replace_all(&text, |c: &Captures<'_>| {
        replacement(c).unwrap_or_else(|| c[0].to_owned())
    });
    match replaced {
        Cow::Owned(replaced) if replaced != *text => Cow::Owned(replaced),
        _ => text,
    }
}

fn assignments<'t>(text: &'t str, rules: &FieldRules) -> Cow<'t, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(found) = ASSIGNMENT.captures_at(text, from) {
        let (Some(all), Some(name)) = (found.get(0), found.get(2)) else {
            break;
        };
        from = all.end();
        // `auth::token::Expired` is a path, and no assignment.
        if all.as_str().ends_with(':') && text[all.end()..].starts_with(':') {
            continue;
        }
        let two_words = found
            .get(1)
            .map(|word| format!("{}_{}", word.as_str(), name.as_str()));
        let secret =
            is_secret(name.as_str(), rules) || two_words.is_some_and(|words| rules.drops(&words));
        if !secret {
            continue;
        }
        let to_line_end = {
            let name = snake(name.as_str());
            name.ends_with("authorization") || name.ends_with("cookie")
        };
        let value = value_end(&text[from..], to_line_end);
        if value > 0 {
            out.push_str(&text[copied..from]);
            out.push_str(REDACTED);
            from += value;
            copied = from;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// How many bytes of `text` are the value that it begins with.
fn value_end(text: &str, to_line_end: bool) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' | b'\r' => break,
            b'\\' | b'"' | b'\'' | b'`' => {
                let (end, quoted) = quoted_end(bytes, at);
                let whole = quoted && at == 0;
                at = end;
                if whole {
                    break;
                }
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            b' ' | b'\t' if depth == 0 && !to_line_end => {
                // `Secret { value: … }` goes on.
                let rest = text[at..].trim_start_matches([' ', '\t']);
                if at == 0 || !rest.starts_with(['(', '[', '{']) {
                    break;
                }
                at = text.len() - rest.len();
                continue;
            }
            b',' | b';' | b'&' if depth == 0 && !to_line_end => break,
            _ => {}
        }
        at += 1;
    }
    at
}

/// From a quote, perhaps escaped, the place after the one that closes it: the next same quote with
/// no more escapes. An unclosed one ends with the text. A backslash before no quote is passed alone.
fn quoted_end(bytes: &[u8], at: usize) -> (usize, bool) {
    let escapes = count_backslashes(&bytes[at..]);
    let Some(quote) = bytes.get(at + escapes).filter(|b| b"\"'`".contains(b)) else {
        return (at + escapes.max(1), false);
    };
    let mut end = at + escapes + 1;
    let mut run = 0;
    while let Some(byte) = bytes.get(end) {
        end += 1;
        if *byte == b'\\' {
            run += 1;
        } else if byte == quote && run <= escapes {
            return (end, true);
        } else {
            run = 0;
        }
    }
    (bytes.len(), true)
}

fn count_backslashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| **b == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let rules = FieldRules::new(&[], &["pin".to_owned()]);
        assert_eq!(scrub(text, &rules), expected, "{text}");
    }

    #[test]
    fn the_value_of_a_secret_name_is_replaced() {
        check("password=hunter2", "password=[redacted]");
        check(
            "userPassword: hunter2, next",
            "userPassword: [redacted], next",
        );
        check(
            "?access_token=abc&page=2",
            "?access_token=[redacted]&page=2",
        );
        check("the api key: abc", "the api key: [redacted]");
        check(
            "params[\"secret\"] = 'a b'",
            "params[\"secret\"] = [redacted]",
        );
        check(
            r#"{"password":"a\"b c","n":1}"#,
            r#"{"password":[redacted],"n":1}"#,
        );
        check(
            r#"{\"password\":\"a \\\" b\",\"n\":1}"#,
            r#"{\"password\":[redacted],\"n\":1}"#,
        );
        check("password: Some(\"a b\") }", "password: [redacted] }");
        check(
            "token: Secret { value: \"x\" }, n: 1",
            "token: [redacted], n: 1",
        );
        check(
            "--db-password hunter2 --n 1",
            "--db-password [redacted] --n 1",
        );
        check("<pwd x='1'>hunter2</pwd>", "<pwd x='1'>[redacted]</pwd>");
        check("PIN=1234;a=b", "PIN=[redacted];a=b");
        check("secretAccessKey=a/b+c", "secretAccessKey=[redacted]");
        check("AccountKey=abc==;X=1", "AccountKey=[redacted];X=1");
    }

    #[test]
    fn credentials_of_a_request_go_to_the_end_of_the_line() {
        check(
            "Authorization: Basic abc def\nHost: x",
            "Authorization: [redacted]\nHost: x",
        );
        check("Set-Cookie: a=b; c=d", "Set-Cookie: [redacted]");
        check(
            r#"{"cookie": "a=b; c", "n": 1}"#,
            r#"{"cookie": [redacted], "n": 1}"#,
        );
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "auth::token::Expired",
            "a: b, c=d",
            "prompt_tokens=12",
            "password",
            "password:",
            "password=\nnext",
            "",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn an_unclosed_value_is_replaced_whole() {
        check("password=\"hunter2 and more", "password=[redacted]");
        check("password=[\"a\", \"b\", (", "password=[redacted]");
        check("password=\\", "password=[redacted]");
    }
}
