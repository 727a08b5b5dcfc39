//! What the agent reads out of a text, and what it writes.
//!
//! Pure: the same text gives the same result on every machine, to the last bit. Maps are ordered,
//! so that sums of floating-point numbers are always taken in the same order.

mod answer;
mod clean;
mod facts;
mod index;
mod intent;
mod knowledge;
mod tokens;

pub use answer::{Decision, draft};
pub use clean::{normalise, own_words};
pub use facts::{Facts, facts};
pub use intent::{Intent, classify};
pub use knowledge::{Order, Passage, find_order, search};
pub use tokens::count_tokens;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::ticket::Ticket;

    /// What the agent reads out of a sample: intent, order, cents, whether the card is closed.
    fn read(name: &str) -> (Intent, Option<String>, Option<u64>, bool) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("samples")
            .join(name);
        let ticket = Ticket::parse(name, &fs::read(path).unwrap());
        let own = own_words(&normalise(&ticket.text()));
        let facts = facts(&own);
        (
            classify(&own).0,
            facts.order,
            facts.amount_cents,
            facts.card_closed,
        )
    }

    #[test]
    fn the_samples_are_read_as_a_person_would() {
        for (name, intent, order, amount_cents, card_closed) in [
            (
                "01-where-is-my-parcel.txt",
                Intent::Delivery,
                "ORD-10412",
                None,
                false,
            ),
            (
                "02-refund-small.txt",
                Intent::Refund,
                "ORD-10377",
                Some(3_990),
                false,
            ),
            (
                "03-refund-above-limit.txt",
                Intent::Refund,
                "ORD-10288",
                Some(24_900),
                false,
            ),
            (
                "04-damaged-lamp.txt",
                Intent::Damaged,
                "ORD-10455",
                Some(7_450),
                false,
            ),
            (
                "05-card-closed.txt",
                Intent::Refund,
                "ORD-10301",
                Some(5_900),
                true,
            ),
            (
                "06-cancel-order.txt",
                Intent::Cancel,
                "ORD-10466",
                None,
                false,
            ),
            (
                "07-refund-refused.txt",
                Intent::Refund,
                "ORD-09120",
                Some(78_000),
                false,
            ),
            (
                "08-refund-needs-a-manager.txt",
                Intent::Refund,
                "ORD-10190",
                Some(189_400),
                false,
            ),
            (
                "09-invoice-question.txt",
                Intent::Question,
                "ORD-10433",
                None,
                false,
            ),
            ("11-no-details.txt", Intent::Refund, "", None, false),
            (
                "12-delayed-before-holidays.txt",
                Intent::Delivery,
                "ORD-10471",
                None,
                false,
            ),
            (
                "13-long-thread.txt",
                Intent::Damaged,
                "ORD-10099",
                Some(8_900),
                false,
            ),
        ] {
            let order = (!order.is_empty()).then(|| order.to_owned());
            assert_eq!(
                read(name),
                (intent, order, amount_cents, card_closed),
                "{name}"
            );
        }
    }
}
