//! Writes the reply to a mail out of the passages that were found for it.

use serde::{Deserialize, Serialize};

use super::{Intent, Order, Passage, index::Index};

/// Sentences that are taken from the knowledge base.
const SENTENCES: usize = 3;

/// What the desk has decided, for the reply to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// There was nothing to decide, only to answer.
    Answer,
    /// The refund was paid.
    Refunded,
    /// The refund was refused.
    Refused,
    /// The refund waits for somebody else.
    Escalated,
    /// The refund could not be paid to the card.
    PaymentFailed,
}

/// The reply. `from` is the sender as in the mail; the sentences are those of the passages that
/// are most like the mail, in the order of the knowledge base.
pub fn draft(
    from: &str,
    text: &str,
    intent: Intent,
    decision: Decision,
    order: Option<&Order>,
    passages: &[Passage],
) -> String {
    let mut reply = vec![greeting(from)];
    if let Some(order) = order {
        reply.push(format!(
            "Your order {} ({}) is {}.",
            order.id, order.article, order.status
        ));
    }
    reply.push(opening(intent, decision, order.is_some()).to_owned());
    reply.extend(sentences(text, passages));
    reply.push("Kind regards, your support desk".to_owned());
    reply.join("\n")
}

fn greeting(from: &str) -> String {
    let name = from
        .split('<')
        .next()
        .unwrap_or_default()
        .trim()
        .trim_matches('"');
    if name.is_empty() || name.contains(['@', '=']) {
        "Hello,".to_owned()
    } else {
        format!("Hello {name},")
    }
}

fn opening(intent: Intent, decision: Decision, order_known: bool) -> &'static str {
    match (decision, intent) {
        (Decision::Refunded, _) => "We have paid the money back.",
        (Decision::Refused, _) => "We have checked your refund, and we cannot pay it.",
        (Decision::Escalated, _) => "Your refund is with a manager, who will write to you.",
        (Decision::PaymentFailed, _) => {
            "Your refund is approved, but the bank sent it back. Please name another account."
        }
        (Decision::Answer, Intent::Refund | Intent::Damaged) if !order_known => {
            "Please send us the order number and the amount, so that we can help you."
        }
        (Decision::Answer, Intent::Cancel) => "We will stop the order if it has not been packed.",
        (Decision::Answer, _) => "Thank you for your mail.",
    }
}

fn sentences(text: &str, passages: &[Passage]) -> Vec<String> {
    let all: Vec<&str> = passages
        .iter()
        .flat_map(|passage| passage.text.split_inclusive(". "))
        .map(str::trim)
        .collect();
    let hits = Index::new(all.iter().copied()).rank(text);
    let mut best: Vec<usize> = hits.into_iter().take(SENTENCES).map(|hit| hit.0).collect();
    best.sort_unstable();
    best.into_iter()
        .map(|position| all[position].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{find_order, search};

    fn reply(text: &str, decision: Decision) -> String {
        let order = find_order("ORD-10433");
        let passages = search(text, 3);
        draft(
            "Hanna <h@example.com>",
            text,
            Intent::Question,
            decision,
            order.as_ref(),
            &passages,
        )
    }

    #[test]
    fn the_reply_is_made_of_sentences_that_fit_the_mail() {
        let reply = reply("How long is the warranty?", Decision::Answer);
        assert!(
            reply.starts_with("Hello Hanna,\nYour order ORD-10433 (label printer)"),
            "{reply}"
        );
        assert!(
            reply.contains("Every electric article has a warranty of two years."),
            "{reply}"
        );
        assert!(!reply.contains("gift card"), "{reply}");
    }

    #[test]
    fn the_reply_says_what_was_decided() {
        assert!(reply("refund", Decision::Refunded).contains("paid the money back"));
        assert!(reply("refund", Decision::Refused).contains("cannot pay it"));
    }

    #[test]
    fn an_address_is_no_name() {
        assert_eq!(greeting("tom@example.com"), "Hello,");
        assert_eq!(greeting(""), "Hello,");
        assert_eq!(
            greeting("\"J. Alvarez\" <j@example.com>"),
            "Hello J. Alvarez,"
        );
    }

    #[test]
    fn without_an_order_the_reply_asks_for_it() {
        let reply = draft(
            "",
            "money back",
            Intent::Refund,
            Decision::Answer,
            None,
            &[],
        );
        assert!(reply.contains("send us the order number"), "{reply}");
    }
}
