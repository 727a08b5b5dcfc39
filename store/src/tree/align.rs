//! The steps of two runs, side by side.
//!
//! Invariant: pure; every step of either run appears once, those of each run in its order.

use std::collections::{HashMap, VecDeque};

use super::Node;

/// A step of one run, of the other, or of both.
#[derive(Clone, Copy, Debug)]
pub struct Aligned<'a> {
    /// In the first run.
    pub a: Option<&'a Node>,
    /// In the second.
    pub b: Option<&'a Node>,
}

/// Aligns the nodes below two runs: by their keys, and where the other run lacks a key, as with the ids
/// of signals and children, by their kind and name in their order.
pub fn align<'a>(a: &'a Node, b: &'a Node) -> Vec<Aligned<'a>> {
    let by_key: HashMap<&str, usize> = (b.children.iter().enumerate())
        .map(|(at, node)| (node.key.as_str(), at))
        .collect();
    let mut partner: Vec<Option<usize>> = (a.children.iter())
        .map(|node| by_key.get(node.key.as_str()).copied())
        .collect();
    let mut taken = vec![false; b.children.len()];
    for &at in partner.iter().flatten() {
        taken[at] = true;
    }
    let mut left: HashMap<(&str, &str), VecDeque<usize>> = HashMap::new();
    for (at, node) in b.children.iter().enumerate().filter(|(at, _)| !taken[*at]) {
        let alike = left.entry((&node.kind, &node.name)).or_default();
        alike.push_back(at);
    }
    for (node, partner) in a.children.iter().zip(&mut partner) {
        if partner.is_none() {
            let alike = left.get_mut(&(node.kind.as_str(), node.name.as_str()));
            *partner = alike.and_then(VecDeque::pop_front);
        }
    }

    // What only the second run has comes after what it came after there.
    let mut place = vec![None; b.children.len()];
    for (at, partner) in partner.iter().enumerate() {
        if let Some(partner) = *partner {
            place[partner] = Some(at);
        }
    }
    let mut after: Vec<Vec<&Node>> = vec![Vec::new(); a.children.len() + 1];
    let mut last = 0;
    for (node, place) in b.children.iter().zip(place) {
        match place {
            Some(at) => last = at + 1,
            None => after[last].push(node),
        }
    }
    let only_b = |nodes: &[&'a Node]| -> Vec<Aligned<'a>> {
        let b = nodes.iter().copied().map(Some);
        b.map(|b| Aligned { a: None, b }).collect()
    };
    let mut aligned = only_b(&after[0]);
    for ((node, partner), after) in a.children.iter().zip(partner).zip(&after[1..]) {
        aligned.push(Aligned {
            a: Some(node),
            b: partner.map(|at| &b.children[at]),
        });
        aligned.extend(only_b(after));
    }
    aligned
}
