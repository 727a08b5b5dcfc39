//! What in a text looks secret or personal.
//!
//! Invariant: nothing that is found is told on: only its kind, its place and its length. Ids and hashes of
//! OmniTrace's and Temporal's own are no find, however they look.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use iban::Iban;
use omnitrace::policy;
use regex::{Captures, Regex};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    pub(super) kind: &'a str,
    pub(super) at: Range<usize>,
}

/// A pattern of the caller's.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    name: String,
    regex: Regex,
}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, regex) = text.split_once('=').ok_or("write NAME=REGEX")?;
        let name = name.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err("a name has 1 to 64 letters, digits, _ and -".to_owned());
        }
        let regex = Regex::new(regex).map_err(|error| {
            // The last line says what is wrong; the others draw it.
            let said = error.to_string();
            said.lines().last().unwrap_or_default().to_owned()
        })?;
        if regex.is_match("") {
            return Err("it matches the empty text, so it would be found everywhere".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            regex,
        })
    }
}

/// Ids and hashes of our own. Bare digits of a span's or trace's id only after their name or with a letter
/// among them: else they may be a card's number.
static OWN: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        r"|\b(?:sha256|hmac):[0-9a-f]{16,64}|\bx-[0-9a-f]{16,64}\b",
        r"|\b00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b",
        r#"|(?:span|trace)_?id\\?["']?\s?[=:]\s?\\?["']?(?:[0-9a-f]{32}|[0-9a-f]{16})\b"#,
        r"|\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{16})\b",
    ))
});

/// What names a column of the ids of spans or traces, the last part of a path; and such an id.
static ID_COLUMN: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)(?:^|[._])(?:parent_?)?(?:span|trace)_?id$"));
static ID: LazyLock<Regex> = LazyLock::new(|| constant(r"^(?:[0-9a-f]{32}|[0-9a-f]{16})$"));

/// Whether a column holds an id of a span or a trace: one in two thousand of a span is of digits alone, and one in
/// twenty of those has a card's prefix and check digit.
pub(super) fn is_own_id(column: &str, text: &str) -> bool {
    ID_COLUMN.is_match(column) && ID.is_match(text)
}

static IBAN: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"));

/// Germany's identification number for taxes: 11 digits.
static TAX_ID: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\b[1-9][0-9]{10}\b|\b[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}\b"));

/// France's number of social security: 13 digits and a key of two.
static NIR: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"\b[12] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b")
});

/// Words that may be keys.
static WORD: LazyLock<Regex> = LazyLock::new(|| constant(r"[A-Za-z0-9+/_=-]{24,}"));

fn constant(pattern: &str) -> Regex {
    // Constants, each of which a test compiles.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Whether what has a shape is what it looks like.
type Check = fn(&str) -> bool;

/// Finds them.
#[derive(Debug)]
pub(super) struct Detector {
    own: Vec<Pattern>,
}

impl Detector {
    pub(super) fn new(own: Vec<Pattern>) -> Self {
        Self { own }
    }

    /// All that a text holds; of two that overlap, both.
    pub(super) fn hits(&self, text: &str) -> Vec<Hit<'_>> {
        let masked = without_ids(text);
        let mut hits: Vec<Hit<'_>> = (policy::find(&masked).into_iter())
            .map(|found| Hit {
                kind: found.kind,
                at: found.at,
            })
            .collect();
        let shapes: [(&str, &Regex, Check); 4] = [
            ("iban", &IBAN, is_iban),
            ("tax_id", &TAX_ID, is_tax_id),
            ("nir", &NIR, is_nir),
            ("entropy", &WORD, is_random),
        ];
        for (kind, regex, is_one) in shapes {
            for found in regex.find_iter(&masked) {
                let at = found.range();
                let known = |hit: &Hit<'_>| hit.at.start < at.end && at.start < hit.at.end;
                if is_one(found.as_str()) && !hits.iter().any(known) {
                    hits.push(Hit { kind, at });
                }
            }
        }
        for pattern in &self.own {
            for found in pattern.regex.find_iter(text) {
                hits.push(Hit {
                    kind: &pattern.name,
                    at: found.range(),
                });
            }
        }
        hits
    }

    /// The text, with names in the place of what is found.
    pub(super) fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hits = self.hits(text);
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        hits.sort_by_key(|hit| hit.at.start);
        let mut out = String::new();
        let mut from = 0;
        for hit in hits {
            if hit.at.start >= from {
                out.push_str(&text[from..hit.at.start]);
                out.push_str(&format!("[{}]", hit.kind));
            }
            from = from.max(hit.at.end);
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }
}

/// Ids of our own are replaced by something of the same length that is nothing.
fn without_ids(text: &str) -> Cow<'_, str> {
    OWN.replace_all(text, |found: &Captures<'_>| {
        let found = &found[0];
        match found.bytes().all(|b| b.is_ascii_digit()) {
            true => found.to_owned(),
            false => "~".repeat(found.len()),
        }
    })
}

fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    plain.parse::<Iban>().is_ok()
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// One digit stands twice or three times among the first ten; the last one is a check digit by ISO 7064.
fn is_tax_id(text: &str) -> bool {
    let digits = digits(text);
    let Some((check, body)) = digits.split_last().filter(|(_, body)| body.len() == 10) else {
        return false;
    };
    let mut counts = [0; 10];
    for digit in body {
        counts[*digit as usize] += 1;
    }
    let more: Vec<_> = counts.iter().filter(|n| **n > 1).collect();
    if !matches!(more[..], [2 | 3]) {
        return false;
    }
    let product = body.iter().fold(10, |product, digit| {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    *check == (11 - product) % 10
}

/// The key is 97 less the rest of the number by 97; a month is one of twelve, or made up.
fn is_nir(text: &str) -> bool {
    let digits = digits(text);
    if digits.len() != 15 {
        return false;
    }
    let number = |part: &[u32]| part.iter().fold(0u64, |n, d| n * 10 + u64::from(*d));
    let month = number(&digits[3..5]);
    let is_month = (1..=12).contains(&month) || (20..=42).contains(&month) || month >= 50;
    is_month && number(&digits[13..]) == 97 - number(&digits[..13]) % 97
}

/// Whether a word looks random: letters of both cases with digits, or of one case.
fn is_random(word: &str) -> bool {
    let is_part = |c: char| matches!(c, '+' | '/' | '_' | '=' | '-');
    is_mixed(word) || word.split(is_part).any(is_of_one_case)
}

const DIGIT: u8 = b'0';

/// Upper case, lower case, digit.
fn classes(word: &str) -> Vec<u8> {
    let class = |c: u8| match c {
        b'A'..=b'Z' => Some(b'A'),
        b'a'..=b'z' => Some(b'a'),
        b'0'..=b'9' => Some(DIGIT),
        _ => None,
    };
    word.bytes().filter_map(class).collect()
}

/// How often classes change, and how often of that from or to a digit.
fn changes(classes: &[u8]) -> (usize, usize) {
    let changes = || classes.windows(2).filter(|two| two[0] != two[1]);
    let of_digits = changes().filter(|two| two.contains(&DIGIT)).count();
    (changes().count(), of_digits)
}

/// Letters of both cases and digits that change too often for words put together, and repeat too seldom. Names
/// have few digits, and those together.
fn is_mixed(word: &str) -> bool {
    let classes = classes(word);
    let of = |class| classes.iter().filter(|c| **c == class).count();
    let (changes, of_digits) = changes(&classes);
    [b'A', b'a', DIGIT].into_iter().all(|class| of(class) >= 3)
        && changes * 5 >= classes.len() * 2
        && of_digits * 7 >= classes.len()
        && entropy(word.as_bytes()) >= 3.8
}

/// Shorter ones are ids, as ULIDs are.
const OF_ONE_CASE: usize = 32;

/// Letters of one case and digits in one piece, as in base 32. They stand too mixed for names with numbers, and have
/// too few vowels for words. What has letters up to f alone may be a hash.
fn is_of_one_case(word: &str) -> bool {
    let classes = classes(word);
    let letters = word.bytes().filter(u8::is_ascii_alphabetic);
    let vowels = letters.clone().filter(|c| b"aeiouAEIOU".contains(c));
    let of_hex = letters.clone().filter(u8::is_ascii_hexdigit);
    let (changes, of_digits) = changes(&classes);
    word.len() >= OF_ONE_CASE
        && changes == of_digits
        && changes * 7 >= word.len()
        && of_hex.count() * 4 < letters.clone().count() * 3
        && vowels.count() * 5 <= letters.count() * 2
        && entropy(word.as_bytes()) >= 3.8
}

/// Bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let all = bytes.len() as f64;
    (counts.iter().filter(|n| **n > 0))
        .map(|n| f64::from(*n) / all)
        .map(|p| -p * p.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        let detector = Detector::new(vec!["order=ORD-[0-9]+".parse().unwrap()]);
        let hits = detector.hits(text).into_iter();
        hits.map(|hit| format!("{}:{}", hit.kind, &text[hit.at]))
            .collect()
    }

    #[test]
    fn numbers_of_people_are_found_by_their_check_digits() {
        assert_eq!(
            kinds("pay DE89 3704 0044 0532 0130 00 now")[0],
            "iban:DE89 3704 0044 0532 0130 00"
        );
        assert_eq!(
            kinds("GB82WEST12345698765432"),
            ["iban:GB82WEST12345698765432"]
        );
        assert_eq!(kinds("id 86095742719, ok"), ["tax_id:86095742719"]);
        assert_eq!(
            kinds("NIR 1 85 05 78 006 084 91"),
            ["nir:1 85 05 78 006 084 91"]
        );
        for wrong in [
            "GB82WEST12345698765433",
            "86095742718",
            "12345678901",
            "1 85 05 78 006 084 92",
        ] {
            assert_eq!(kinds(wrong), [""; 0], "{wrong}");
        }
    }

    #[test]
    fn random_words_and_patterns_of_the_callers_are_found() {
        let key = ["q8Zr2LxV9c", "T4bN7mWk1Y", "p6Hs3D"].concat();
        assert_eq!(kinds(&format!("k {key}")), [format!("entropy:{key}")]);
        assert_eq!(kinds("ORD-17 and ORD-18"), ["order:ORD-17", "order:ORD-18"]);
        // Of one case: a password, a seed of one-time passwords, what an operator gives out.
        for key in [
            ["k3v9x0q7zt2m8w", "4r1y6pf5hj0l", "s8n2d7c4b9g3uq"].concat(),
            ["JBSWY3DPEHPK3PXP", "MZXW6YTBOI2T4QRZ"].concat(),
            ["9XK2V7QHT4", "N0RZ8MJ5WD3", "PL6YB1CGS7F"].concat(),
        ] {
            assert_eq!(kinds(&format!("k {key}")), [format!("entropy:{key}")]);
        }
        let mail = Detector::new(Vec::new());
        assert_eq!(mail.masked("of bob@example.com"), "of [email]");
    }

    /// Of words that are made of hashes.
    #[test]
    fn random_words_of_one_case_are_nearly_all_found() {
        let made = |alphabet: &[u8], length: usize, n: u32| -> String {
            let digest = |part: u8| Sha256::digest([&n.to_le_bytes()[..], &[part]].concat());
            let bytes: Vec<u8> = (0..2).flat_map(digest).take(length).collect();
            let letter = |byte: u8| char::from(alphabet[usize::from(byte) % alphabet.len()]);
            bytes.into_iter().map(letter).collect()
        };
        for (alphabet, length) in [
            (&b"abcdefghijklmnopqrstuvwxyz0123456789"[..], 40),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 52),
        ] {
            let found = (0..500).filter(|n| is_random(&made(alphabet, length, *n)));
            assert!(found.count() > 450, "{length}");
        }
        // What is of hexadecimal digits is an id.
        let found = (0..500).filter(|n| is_random(&made(b"0123456789abcdef", 48, *n)));
        assert_eq!(found.count(), 0);
    }

    #[test]
    fn ids_of_our_own_and_names_are_not() {
        for text in [
            "0b5e7a1c-1d2e-4f3a-8b9c-0d1e2f3a4b5c",
            "sha256:4111111111111111, hmac:0123456789012345",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "x-5feceb66ffc86f38d952786c6d696c79c2dbc239",
            "span_id=4111111111111111 \"traceId\": \"4111111111111111\"",
            r#"{\"span_id\":\"4111111111111111\"}"#,
            "RunOrderSupportWorkflowWithRetriesV2Step3Of12",
            "activity:12:OrderTools::search_2024_products:1",
            "order-1042-item-3-page-12-of-40-line-7",
            "customerorder20261121item4711of4712",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "internationalisation2017localisation2018",
            "ACCOUNTSRECEIVABLE2026Q4REPORTFINALV2",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "[email] [card] [redacted]",
            "2026-11-21T20:19:40.123456Z",
            "1795292350795174",
        ] {
            assert_eq!(kinds(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn an_id_of_digits_alone_is_known_by_its_column() {
        let card = "4111111111111111";
        for column in [
            "span_id",
            "parent_span_id",
            "trace_id",
            "api.events.span_id",
            "resourceSpans.scopeSpans.spans.parentSpanId",
        ] {
            assert!(is_own_id(column, card), "{column}");
            assert!(!is_own_id(column, "4111 1111 1111 1111"), "{column}");
            assert!(!is_own_id(column, "41111111111111112"), "{column}");
        }
        for column in ["", "name", "workspan_id", "span_id.value", "workflow_id"] {
            assert!(!is_own_id(column, card), "{column}");
        }
        assert_eq!(kinds(card), [format!("card:{card}")]);
    }

    #[test]
    fn a_pattern_is_a_name_and_an_expression() {
        for wrong in ["a", "=x", "a b=x", "a=(", "a=x*"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
