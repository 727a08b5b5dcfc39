//! The knowledge base: passages to answer from, and the table of orders.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::index::Index;

/// A passage of the knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Its short name.
    pub id: String,
    /// Its heading.
    pub name: String,
    /// Its sentences.
    pub text: String,
}

/// An order as the shop knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number, `ORD-` and digits.
    pub id: String,
    /// What was ordered.
    pub article: String,
    /// Where it is.
    pub status: String,
}

static PASSAGES: LazyLock<(Vec<Passage>, Index)> = LazyLock::new(|| {
    let blocks = include_str!("../../knowledge/passages.txt").split("\n\n");
    let passages: Vec<Passage> = blocks.filter_map(passage).collect();
    let texts: Vec<String> = passages
        .iter()
        .map(|p| format!("{} {}", p.name, p.text))
        .collect();
    let index = Index::new(texts.iter().map(String::as_str));
    (passages, index)
});

/// At most `limit` passages that fit the text, the best first.
pub fn search(text: &str, limit: usize) -> Vec<Passage> {
    let (passages, index) = &*PASSAGES;
    let hits = index.rank(text);
    hits.into_iter()
        .take(limit)
        .map(|(position, _)| passages[position].clone())
        .collect()
}

/// The order with this number, if there is one.
pub fn find_order(id: &str) -> Option<Order> {
    include_str!("../../knowledge/orders.csv")
        .lines()
        .skip(1)
        .find_map(|line| {
            let mut fields = line.split(',').map(str::to_owned);
            let (found, article, status) = (fields.next()?, fields.next()?, fields.next()?);
            (found == id).then_some(Order {
                id: found,
                article,
                status,
            })
        })
}

/// Reads `[id] heading`, a line end, the text.
fn passage(block: &str) -> Option<Passage> {
    let (head, text) = block.split_once('\n')?;
    let (id, name) = head.strip_prefix('[')?.split_once("] ")?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Passage {
        id: id.to_owned(),
        name: name.to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_the_knowledge_base_is_a_passage() {
        let blocks = include_str!("../../knowledge/passages.txt")
            .split("\n\n")
            .count();
        assert_eq!(PASSAGES.0.len(), blocks);
    }

    #[test]
    fn the_passage_that_fits_is_found_first() {
        assert_eq!(search("how long is the warranty?", 3)[0].id, "warranty");
        assert_eq!(
            search("my parcel is late, where is it?", 1)[0].id,
            "delivery-late"
        );
        assert!(search("qqq", 3).is_empty());
    }

    #[test]
    fn an_order_is_found_by_its_whole_number() {
        assert_eq!(find_order("ORD-10377").unwrap().article, "kettle");
        assert_eq!(find_order("ORD-1037"), None);
        assert_eq!(find_order("order"), None);
    }
}
