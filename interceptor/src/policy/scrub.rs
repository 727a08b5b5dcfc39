//! Taking secrets and personal data out of free text.
//!
//! Invariant: scrubbing comes before cutting, so no secret is hidden from it by a cut, and the
//! work per text is bounded: what lies beyond [`WINDOW`] is cut off before, together with
//! [`MARGIN`] bytes of the result, in which a secret may have been cut in two.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::fields::FieldRules;
use super::{card, pairs};

/// Bytes of a text that are looked at.
pub(super) const WINDOW: usize = 64 * 1024;

/// More bytes than are needed to recognise the beginning of any secret.
const MARGIN: usize = 4 * 1024;

/// Compiles one of this module's constant patterns.
pub(super) fn pattern(pattern: &str) -> Regex {
    // Constants, each of which a test compiles.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

pub(super) static PEM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?s)-{4,5} ?BEGIN [^\n-]{0,64}-{4,5}.*?(?:-{4,5} ?END [^\n-]{0,64}-{4,5}|\z)")
});

/// User and password of a URL where the password holds a `/`: up to the last `@` of the word.
pub(super) static URL_PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"://[^\s/?#:@"'<>]*:([^\s"'<>]*)@"#));

pub(super) static URL_USER: LazyLock<Regex> = LazyLock::new(|| pattern(r#"://[^\s/?#"'<>]+@"#));

/// `eyJ`, `eyA`, `ewo`, `ew0` is how a JSON object begins in base64. The first, followed by a payload,
/// counts wherever it stands, the others where a word begins.
pub(super) static JWT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"eyJ[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]*){0,4}|(?-u:\b)e(?:yA|wo|w0)[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]{8,}){2,4}|(?-u:\b)eyJ[A-Za-z0-9_=-]{8,}(?:\.[A-Za-z0-9_=-]*){0,4}|_eyJ[A-Za-z0-9_=-]{8,}",
    )
});

pub(super) static BEARER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)(?-u:\b)bearer[\s:=]{1,4}(?:["']?(?:token|bearer)[\s:=]{1,4})*["']?[^\s"',;]{4,}"#,
    )
});

/// Keys that their prefix gives away, wherever they stand.
pub(super) static CLOUD_KEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9]{16}",
        r"|AIza[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{10,}|GOCSPX-[A-Za-z0-9_-]{10,}",
        r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}",
        r"|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{16,}",
        r"|(?-u:\b)sk-[A-Za-z0-9_-]{16,}|_sk-[A-Za-z0-9_-]{16,}",
        r"|SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}",
        r"|dop_v1_[a-f0-9]{32,}|hv[sb]\.[A-Za-z0-9_-]{20,}|(?-u:\b)SK[a-f0-9]{32}",
    ))
});

/// As long as the secret part of an AWS key; [`is_aws_secret`] decides.
pub(super) static FORTY: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9/+]{40,}"));

/// Bytes of the shortest text that a JWT, a bearer token, a key, an SSN or a card's number is or is in:
/// most ids are shorter.
const SHORTEST: usize = 11;

pub(super) static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\w.!#$%'*+^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.\p{L}[\w-]*"));

pub(super) static SSN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?-u:\b)[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}(?-u:\b)"));

/// Replaces what looks secret or personal by a name in brackets: `[email]`, `[card]`, `[jwt]`, …,
/// and values of secret names by `[redacted]`.
pub(super) fn scrub<'t>(text: &'t str, rules: &FieldRules) -> Cow<'t, str> {
    let mut text = shapes(text);
    step(&mut text, |t| Some(pairs::scrub(t, rules)));
    text
}

/// Replaces what its own shape gives away.
fn shapes(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    step(&mut text, |t| {
        t.contains("BEGIN").then(|| PEM.replace_all(t, "[pem]"))
    });
    step(&mut text, |t| {
        t.contains("://").then(|| {
            URL_PASSWORD.replace_all(t, |c: &Captures<'_>| {
                // `host:80/path?to=a@b` is a port and no password.
                match c[1].trim_start_matches(|c: char| c.is_ascii_digit()) {
                    rest if rest.starts_with(['/', '?', '#']) => c[0].to_owned(),
                    _ => "://[credentials]@".to_owned(),
                }
            })
        })
    });
    step(&mut text, |t| {
        t.contains("://")
            .then(|| URL_USER.replace_all(t, "://[credentials]@"))
    });
    let long = |t: &str| t.len() >= SHORTEST;
    step(&mut text, |t| long(t).then(|| JWT.replace_all(t, "[jwt]")));
    step(&mut text, |t| {
        long(t).then(|| BEARER.replace_all(t, "[bearer]"))
    });
    step(&mut text, |t| {
        long(t).then(|| CLOUD_KEY.replace_all(t, "[key]"))
    });
    step(&mut text, |t| {
        let secret = |c: &Captures<'_>| match is_aws_secret(&c[0]) {
            true => "[key]".to_owned(),
            false => c[0].to_owned(),
        };
        (t.len() >= 40).then(|| FORTY.replace_all(t, secret))
    });
    step(&mut text, |t| {
        (t.contains('@') || t.contains("%40")).then(|| EMAIL.replace_all(t, "[email]"))
    });
    step(&mut text, |t| long(t).then(|| SSN.replace_all(t, "[ssn]")));
    step(&mut text, |t| long(t).then(|| card::scrub(t)));
    // PostgreSQL stores no NUL, neither in text nor in JSON.
    step(&mut text, |t| {
        t.contains('\0')
            .then(|| Cow::Owned(t.replace('\0', "\u{FFFD}")))
    });
    text
}

/// Runs one replacement. Nothing is copied unless it changed something.
fn step(text: &mut Cow<'_, str>, replace: impl for<'a> FnOnce(&'a str) -> Option<Cow<'a, str>>) {
    let changed = match replace(text) {
        Some(Cow::Owned(changed)) if changed != **text => changed,
        _ => return,
    };
    *text = Cow::Owned(changed);
}

pub(super) fn is_aws_secret(word: &str) -> bool {
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    word.len() == 40
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

/// Whether scrubbing would change the text: it is or holds a secret.
pub(super) fn looks_secret(text: &str, rules: &FieldRules) -> bool {
    scrub(text, rules) != text
}

/// Whether the text holds what its own shape gives away.
pub(super) fn has_secret_shape(text: &str) -> bool {
    shapes(text) != text
}

/// Scrubs a text and cuts it at so many characters and bytes. Also says whether it cut.
pub(super) fn scrub_and_cut(
    text: &str,
    rules: &FieldRules,
    max_chars: usize,
    max_bytes: usize,
) -> (String, bool) {
    let window = &text[..text.floor_char_boundary(WINDOW)];
    let scrubbed = scrub(window, rules);
    let mut kept = &*scrubbed;
    if window.len() < text.len() {
        kept = &kept[..kept.floor_char_boundary(kept.len().saturating_sub(MARGIN))];
    }
    kept = &kept[..kept.floor_char_boundary(max_bytes)];
    if let Some((end, _)) = kept.char_indices().nth(max_chars) {
        kept = &kept[..end];
    }
    let cut = kept.len() < scrubbed.len() || window.len() < text.len();
    (kept.to_owned(), cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> FieldRules {
        FieldRules::new(&[], &[])
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(scrub(text, &rules()), expected, "{text}");
    }

    // Parts are joined at run time so that no scanner takes them for real secrets.
    fn glued(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn personal_data_is_replaced() {
        check(
            "mail bob.o'neil+x@mail.example.co.uk now",
            "mail [email] now",
        );
        check("to=j%C3%B6rg%40example.com", "to=[email]");
        check("jörg@münchen.de!", "[email]!");
        check("card 4111-1111-1111-1111", "card [card]");
        check("id 078-05-1120, 078 05 1120", "id [ssn], [ssn]");
    }

    #[test]
    fn credentials_are_replaced() {
        let jwt = glued(&[
            "eyJ",
            "hbGciOiJIUzI1NiJ9",
            ".eyJzdWIiOiIxIn0",
            ".c2lnbmF0dXJl-_",
        ]);
        check(&format!("jwt {jwt} expired"), "jwt [jwt] expired");
        check(&format!("x{jwt}"), "x[jwt]");
        check("cut eyJhbGciOiJIUzI1NiJ9", "cut [jwt]");
        check("Bearer abcd.efgh~1+/= rest", "[bearer] rest");
        check("bearer token: abcdef", "[bearer]");
        check("bearer Bearer abcdef rest", "[bearer] rest");
        check(
            "postgres://app:p@ss/w:rd@db:5432/x",
            "postgres://[credentials]@db:5432/x",
        );
        check("https://tokenuser@host/x", "https://[credentials]@host/x");
        check("http://h:80/p?to=x", "http://h:80/p?to=x");
        check("http://h:80/p?to=a@b.cc", "http://h:80/p?to=[email]");
    }

    #[test]
    fn pem_blocks_are_replaced_also_unfinished_ones() {
        let begin = glued(&["-----BEGIN RSA PRIV", "ATE KEY-----"]);
        let end = glued(&["-----END RSA PRIV", "ATE KEY-----"]);
        check(&format!("a {begin}\nMIIE\n{end} b"), "a [pem] b");
        check(&format!("a {begin}\\nMIIE\\nabc"), "a [pem]");
        check(
            &format!("password: {begin}\nMII E\n{end}"),
            "password: [redacted]",
        );
    }

    #[test]
    fn cloud_keys_are_replaced() {
        for key in [
            glued(&["AKIA", "IOSFODNN7EXAMPLE"]),
            glued(&["ASIA", "IOSFODNN7EXAMPLE"]),
            glued(&["AIza", "SyA1234567890abcdefghijklmnopqrstuv"]),
            glued(&["ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"]),
            glued(&["gho_", "abcdefghijklmnopqrstuvwxyz0123456789"]),
            glued(&["github_pat_", "11ABCDEFG0abcdefghijkl_mnopqrs"]),
            glued(&["xoxb-", "123456789012-abcdefghijkl"]),
            glued(&["sk_live_", "abcdefghijklmnop"]),
            glued(&["sk-", "abcdefghijklmnopqrstuvwx"]),
            glued(&["sk-proj-", "abcdefghijklmnopqrstuvwx"]),
            glued(&["sk-ant-", "api03-abcdefghijklmnop"]),
            glued(&["wJalrXUtnFEMI/", "K7MDENG/bPxRfiCYEXAMPLEKEY"]),
        ] {
            check(&format!("key {key}."), "key [key].");
            check(&format!("\"{key}\""), "\"[key]\"");
        }
    }

    #[test]
    fn harmless_text_stays_and_is_not_copied() {
        for text in [
            "connection refused (os error 111)",
            "at /src/main.rs:12:34",
            "commit 0123456789abcdef0123456789abcdef01234567",
            "use serde@1.0.2 in task-runner-with-a-long-name",
            "task-proj-reporting-daily, disk-or-volume-missing, risk_test_something",
            "com.example.neworderservice.processpayment.handler",
            "2024-01-02T03:04:05.678901Z",
            "0b5e7a1c-1d2e-4f3a-8b9c-0d1e2f3a4b5c",
            "",
        ] {
            assert!(
                matches!(scrub(text, &rules()), Cow::Borrowed(t) if t == text),
                "{text}"
            );
        }
        check("a\0b", "a\u{FFFD}b");
    }

    #[test]
    fn a_secret_across_the_cut_is_gone() {
        let key = glued(&["ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"]);
        for at in [200, 230, 250, 255, WINDOW - 20, WINDOW - 3] {
            let text = format!("{}{key}{}", "é ".repeat(at / 3), " x".repeat(200));
            let (out, cut) = scrub_and_cut(&text, &rules(), 256, usize::MAX);
            assert!(
                cut && out.chars().count() <= 256 && !out.contains("ghp"),
                "{at}"
            );
        }
        // What is scrubbed away may bring the end of the window into sight.
        let begin = glued(&["-----BEGIN PRIV", "ATE KEY-----"]);
        let end = glued(&["-----END PRIV", "ATE KEY-----"]);
        let body = "A".repeat(WINDOW - begin.len() - end.len() - 10);
        let text = format!("{begin}{body}{end} {key}");
        let (out, _) = scrub_and_cut(&text, &rules(), 256, usize::MAX);
        assert!(!out.contains("gh"), "{out}");
    }

    #[test]
    fn bytes_are_cut_between_characters() {
        assert_eq!(scrub_and_cut("aé", &rules(), 10, 2), ("a".to_owned(), true));
        assert_eq!(
            scrub_and_cut("aé", &rules(), 10, 3),
            ("aé".to_owned(), false)
        );
        assert_eq!(scrub_and_cut("aé", &rules(), 1, 3), ("a".to_owned(), true));
    }
}
