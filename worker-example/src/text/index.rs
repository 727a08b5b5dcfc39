//! Finds the texts that are most like a query: tf-idf weights, compared by cosine.

use std::collections::BTreeMap;

use super::tokens::words;

type Vector = BTreeMap<String, f64>;

/// A fixed set of texts that can be searched.
pub(super) struct Index {
    weights: BTreeMap<String, f64>,
    documents: Vec<Vector>,
}

impl Index {
    /// Builds an index; results name the texts by their position.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let counts: Vec<Vector> = texts.into_iter().map(counts).collect();
        let mut occurs_in: BTreeMap<&String, f64> = BTreeMap::new();
        for word in counts.iter().flat_map(BTreeMap::keys) {
            *occurs_in.entry(word).or_default() += 1.0;
        }
        let total = counts.len() as f64;
        let weights: BTreeMap<String, f64> = occurs_in
            .into_iter()
            .map(|(word, n)| (word.clone(), (1.0 + total / n).ln()))
            .collect();
        let documents = counts.iter().map(|counts| unit(counts, &weights)).collect();
        Self { weights, documents }
    }

    /// All texts that share a word with the query, the most alike first, as (position, likeness
    /// above 0 up to 1).
    pub(super) fn rank(&self, query: &str) -> Vec<(usize, f64)> {
        let query = unit(&counts(query), &self.weights);
        let mut hits: Vec<(usize, f64)> = self
            .documents
            .iter()
            .map(|document| {
                query
                    .iter()
                    .filter_map(|(w, x)| Some(x * document.get(w)?))
                    .sum()
            })
            .enumerate()
            .filter(|(_, likeness)| *likeness > 0.0)
            .collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits
    }
}

fn counts(text: &str) -> Vector {
    let mut counts = Vector::new();
    for word in words(text) {
        *counts.entry(word).or_default() += 1.0;
    }
    counts
}

/// The weighted vector of length 1. Words that the index does not know have no weight.
fn unit(counts: &Vector, weights: &BTreeMap<String, f64>) -> Vector {
    let mut vector: Vector = counts
        .iter()
        .filter_map(|(word, n)| Some((word.clone(), (1.0 + n.ln()) * weights.get(word)?)))
        .collect();
    let length = vector.values().map(|x| x * x).sum::<f64>().sqrt();
    for x in vector.values_mut() {
        *x /= length;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_text_comes_first() {
        let index = Index::new([
            "a broken lamp",
            "a late parcel",
            "a parcel with a broken lamp",
        ]);
        let hits = index.rank("my lamp arrived broken");
        assert_eq!(hits.iter().map(|hit| hit.0).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn a_text_is_fully_like_itself() {
        let index = Index::new(["broken lamp", "late parcel"]);
        let likeness = index.rank("late parcel")[0].1;
        assert!((likeness - 1.0).abs() < 1e-9, "{likeness}");
    }

    #[test]
    fn a_query_of_unknown_words_finds_nothing() {
        let index = Index::new(["broken lamp"]);
        assert!(index.rank("配送 ???").is_empty());
        assert!(index.rank("").is_empty());
    }
}
