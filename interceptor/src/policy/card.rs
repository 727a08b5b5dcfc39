//! Card numbers in text.
//!
//! Invariant: a number of 13 to 19 digits that begins like a payment card and has a right check
//! digit is found, whether or not blanks, dashes or dots stand between its groups. The work is
//! linear in the text.

use std::borrow::Cow;
use std::ops::Range;

/// Replaces card numbers by `[card]`.
pub(super) fn scrub(text: &str) -> Cow<'_, str> {
    let cards = find(text);
    if cards.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for card in cards {
        out.push_str(&text[from..card.start]);
        out.push_str("[card]");
        from = card.end;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Where card numbers stand, in order, without overlap. All ends are between ASCII digits and
/// something else, so on character boundaries.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let groups = digit_groups(text);
    let mut cards = Vec::new();
    let mut first = 0;
    while let Some(start) = groups.get(first) {
        let mut digits: Vec<u8> = Vec::new();
        let mut found = None;
        for (last, group) in groups.iter().enumerate().skip(first) {
            let joined = last == first || is_separator(&text[groups[last - 1].end..group.start]);
            if !joined || digits.len() + group.len() > 19 {
                break;
            }
            digits.extend(text[group.clone()].bytes().map(|b| b - b'0'));
            if digits.len() >= 13 && begins_like_a_card(&digits) && luhn(&digits) {
                found = Some(last);
            }
        }
        match found {
            Some(last) => {
                cards.push(start.start..groups[last].end);
                first = last + 1;
            }
            None => first += 1,
        }
    }
    cards
}

fn digit_groups(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_digit() {
            match groups.last_mut() {
                Some(group) if group.end == at => group.end = at + 1,
                _ => groups.push(at..at + 1),
            }
        }
    }
    groups
}

fn is_separator(between: &str) -> bool {
    let mut chars = between.chars();
    let known = |c| {
        matches!(
            c,
            ' ' | '-' | '.' | '_' | '\u{A0}' | '\u{2010}'..='\u{2015}'
        )
    };
    chars.next().is_some_and(known) && chars.next().is_none()
}

/// The prefixes of the card networks; without them, every tenth timestamp would be a card.
fn begins_like_a_card(digits: &[u8]) -> bool {
    matches!(digits, [3..=6, ..] | [2, 2..=7, ..])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(d, doubled)| match u32::from(*d) {
            d if !doubled => d,
            d if d > 4 => d * 2 - 9,
            d => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_found_however_they_are_grouped() {
        for (text, expected) in [
            ("card 4111111111111111 declined", "card [card] declined"),
            ("4111 1111 1111 1111", "[card]"),
            ("4111-1111-1111-1111.", "[card]."),
            ("3782 822463 10005", "[card]"),
            ("4\u{A0}1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card]"),
            ("order 77 4111 1111 1111 1111 12", "order 77 [card] 12"),
            ("a4242424242424242b, 5555555555554444", "a[card]b, [card]"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "4111111111111112",
            // A timestamp whose last digit happens to be a right check digit.
            "1700000000000001",
            "41111111111111111111111",
            "4111 1111  1111 1111 1",
            "2024-01-02T03:04:05.123456",
            "",
        ] {
            assert_eq!(scrub(text), text);
        }
    }
}
