//! The facts that decide what may be done with a mail: order number, amount, card.

use serde::{Deserialize, Serialize};

/// What a mail says, as far as rules are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The first order number.
    pub order: Option<String>,
    /// The largest amount in euros that is named, in cents.
    pub amount_cents: Option<u64>,
    /// Whether the sender says that the card can no longer take money.
    pub card_closed: bool,
}

/// Amounts of more digits than this are no amounts.
const MAX_DIGITS: usize = 12;

/// Reads the facts out of a normalised text.
pub fn facts(text: &str) -> Facts {
    Facts {
        order: order(text),
        amount_cents: amounts(text).max(),
        card_closed: card_closed(text),
    }
}

/// `ORD-` and at least four digits.
fn order(text: &str) -> Option<String> {
    text.match_indices("ORD-").find_map(|(start, prefix)| {
        let digits = text[start + prefix.len()..]
            .chars()
            .take_while(char::is_ascii_digit)
            .count();
        let end = start + prefix.len() + digits;
        (digits >= 4).then(|| text[start..end].to_owned())
    })
}

/// The numbers with `EUR`, `euro` or `€` before or behind them, in cents.
fn amounts(text: &str) -> impl Iterator<Item = u64> {
    numbers(text).filter_map(move |(start, end)| {
        let (before, after) = (text[..start].trim_end(), text[end..].trim_start());
        let named = before.ends_with("EUR")
            || before.ends_with('€')
            || ["EUR", "euro", "€"]
                .iter()
                .any(|unit| after.starts_with(unit));
        named.then(|| cents(&text[start..end])).flatten()
    })
}

/// The byte ranges of the numbers in a text: digits, with single separators between them.
fn numbers(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(|c: char| c.is_ascii_digit())?;
        let length = text[start..]
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')
            .unwrap_or(text.len() - start);
        from = start + length;
        let number = text[start..from].trim_end_matches(['.', ',']);
        Some((start, start + number.len()))
    })
}

/// A separator before the last two digits divides the cents; any other divides thousands.
fn cents(number: &str) -> Option<u64> {
    let (whole, fraction) = match number.as_bytes() {
        [.., b'.' | b',', a, b] if a.is_ascii_digit() && b.is_ascii_digit() => {
            number.split_at(number.len() - 3)
        }
        _ => (number, ""),
    };
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let whole = digits(whole);
    if whole.len() > MAX_DIGITS {
        return None;
    }
    let cents = if fraction.is_empty() {
        0
    } else {
        digits(fraction).parse().ok()?
    };
    Some(whole.parse::<u64>().ok()? * 100 + cents)
}

/// A sentence that names a card and says that it is gone.
fn card_closed(text: &str) -> bool {
    text.to_lowercase().split(['.', '!', '?']).any(|sentence| {
        sentence.contains("card")
            && ["closed", "expired", "blocked", "no longer valid"]
                .iter()
                .any(|word| sentence.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_the_usual_notations() {
        for (text, amount) in [
            ("please refund the 39.90 EUR.", Some(3_990)),
            ("EUR 249.00 for it", Some(24_900)),
            ("it was €74.50", Some(7_450)),
            ("1,894.00 EUR", Some(189_400)),
            ("1.894,00 €", Some(189_400)),
            ("20 euros", Some(2_000)),
            ("5 EUR of 15 EUR", Some(1_500)),
            ("order 4711", None),
            ("12345678901234567890 EUR", None),
            ("€", None),
        ] {
            assert_eq!(facts(text).amount_cents, amount, "{text}");
        }
    }

    #[test]
    fn an_order_number_has_its_prefix_and_four_digits() {
        assert_eq!(
            facts("about ORD-12 and ORD-10377, please").order.as_deref(),
            Some("ORD-10377")
        );
        assert_eq!(facts("order 10377").order, None);
    }

    #[test]
    fn a_closed_card_is_one_sentence() {
        assert!(facts("My card has EXPIRED, sorry.").card_closed);
        assert!(!facts("I paid by card. Your shop was closed.").card_closed);
    }

    #[test]
    fn odd_characters_are_no_trouble() {
        assert_eq!(
            facts("€€ 12é ORD-\u{fffd} ,.,. 👾9,,9 EUR").amount_cents,
            Some(9_900)
        );
    }
}
