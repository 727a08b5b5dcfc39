//! Which part of a trace is shown.
//!
//! Invariant: what a view leaves out is counted where it would be.

use std::collections::HashMap;

use omnitrace_store::tree::Node;
use serde_json::Value;

use super::node::{holds_data, is_model};

/// Beside what is always told of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Include {
    pub(crate) prompts: bool,
    pub(crate) responses: bool,
    pub(crate) artifacts: bool,
    pub(crate) attributes: bool,
}

/// Which part of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) include: Include,
    /// Levels below the root.
    pub(crate) depth: usize,
    /// At most so many nodes.
    pub(crate) nodes: usize,
    /// Only children of the root after the one with this key.
    pub(crate) after: Option<&'a str>,
    /// Data by the keys of rows; without it, what the nodes hold.
    pub(crate) data: Option<&'a HashMap<String, Value>>,
}

impl<'a> View<'a> {
    /// Keys of the rows whose data this view of a node and what is below it tells.
    pub(crate) fn data_keys<'n>(&self, root: &'n Node) -> Vec<&'n str> {
        let include = &self.include;
        let content = include.prompts || include.responses;
        let mut keys = Vec::new();
        if content || include.attributes {
            let mut nodes = self.nodes;
            let mut add = |node: &'n Node, _: Vec<()>, _: usize| {
                if !holds_data(node) && (include.attributes || is_model(node)) {
                    keys.push(node.data_key());
                }
            };
            part(root, self.after, self.depth, &mut nodes, &mut add);
        }
        keys
    }

    pub(super) fn data<'n>(&self, node: &'n Node) -> Option<&'n Value>
    where
        'a: 'n,
    {
        match self.data {
            Some(data) if !holds_data(node) => data.get(node.data_key()),
            _ => node.data.as_ref(),
        }
    }

    /// Everything.
    pub(crate) const WHOLE: Self = Self {
        include: Include {
            prompts: true,
            responses: true,
            artifacts: true,
            attributes: true,
        },
        depth: usize::MAX,
        nodes: usize::MAX,
        after: None,
        data: None,
    };
}

/// The part of a tree below a node that a view shows: what `make` makes of each node, of what it made of
/// those below, and of how many are left out. Recursion is bounded: a tree is at most
/// [`omnitrace_store::tree::MAX_DEPTH`] levels deep.
pub(super) fn part<'a, T>(
    node: &'a Node,
    after: Option<&str>,
    depth: usize,
    nodes: &mut usize,
    make: &mut impl FnMut(&'a Node, Vec<T>, usize) -> T,
) -> T {
    *nodes = nodes.saturating_sub(1);
    let skip = after.and_then(|key| {
        let at = node.children.iter().position(|child| child.key == key);
        at.map(|at| at + 1)
    });
    let rest = &node.children[skip.unwrap_or_default()..];
    let mut children = Vec::new();
    while depth > 0 && *nodes > 0 && children.len() < rest.len() {
        let child = &rest[children.len()];
        children.push(part(child, None, depth - 1, nodes, make));
    }
    let more = rest.len() - children.len();
    make(node, children, more)
}
