//! What a customer wants, judged by likeness to labelled examples.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::index::Index;

/// What a mail asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Money back.
    Refund,
    /// An article that arrived broken or incomplete.
    Damaged,
    /// A parcel that has not arrived.
    Delivery,
    /// An order that shall not be sent.
    Cancel,
    /// Anything else.
    Question,
}

struct Examples {
    intents: Vec<Intent>,
    index: Index,
}

static EXAMPLES: LazyLock<Examples> = LazyLock::new(|| {
    let lines = include_str!("../../knowledge/intents.txt").lines();
    let (intents, texts): (Vec<_>, Vec<_>) = lines
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(label, text)| Some((from_label(label)?, text)))
        .unzip();
    let index = Index::new(texts);
    Examples { intents, index }
});

/// The intent of the most alike examples, and how much they are alike, from 0 to 1.
pub fn classify(text: &str) -> (Intent, f64) {
    let examples = &*EXAMPLES;
    match examples.index.rank(text).first() {
        Some(&(position, likeness)) => (examples.intents[position], likeness),
        None => (Intent::Question, 0.0),
    }
}

fn from_label(label: &str) -> Option<Intent> {
    Some(match label {
        "refund" => Intent::Refund,
        "damaged" => Intent::Damaged,
        "delivery" => Intent::Delivery,
        "cancel" => Intent::Cancel,
        "question" => Intent::Question,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_a_label_that_is_known() {
        let lines = include_str!("../../knowledge/intents.txt").lines().count();
        assert_eq!(EXAMPLES.intents.len(), lines);
    }

    #[test]
    fn mails_are_told_apart() {
        for (text, intent) in [
            ("Please refund the price to my card", Intent::Refund),
            (
                "The mug arrived with a crack and is broken",
                Intent::Damaged,
            ),
            (
                "Where is my parcel? Tracking shows nothing",
                Intent::Delivery,
            ),
            ("Please cancel the order", Intent::Cancel),
            ("Could I get an invoice?", Intent::Question),
            ("zzz", Intent::Question),
        ] {
            assert_eq!(classify(text).0, intent, "{text}");
        }
    }
}
