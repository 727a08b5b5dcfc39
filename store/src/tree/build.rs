//! Builds the tree: nests the nodes, settles them from the leaves up, and finishes them from the
//! run down.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::chain::{Chain, chains};
use super::hint::NOT_STARTED;
use super::layout::{Layout, Parent};
use super::node::{chain_node, row_node, run_node, synthetic_node};
use super::rows::{Detail, Row, natural, shown};
use super::settle::settle;
use super::{LinkedRun, NO_WORKER_AFTER, Node, Role, Totals, TraceTree, hint};
use crate::row::{EventRow, Micros, RunRow};

impl TraceTree {
    /// Builds the tree of a run from its rows. `children` are the runs that it started, `now` is
    /// the moment up to which open things are measured. Rows of other runs are left out.
    pub fn build(run: &RunRow, events: Vec<EventRow>, children: &[RunRow], now: Micros) -> Self {
        Self::of_rows(run, &shown(run, events, Detail::All), children, now)
    }

    /// The same tree, but of the data of its events only what redaction did and where artifacts are: small
    /// enough to be kept. [`Node::data_key`] tells whose data is a node's.
    pub fn outline(run: &RunRow, events: Vec<EventRow>, children: &[RunRow], now: Micros) -> Self {
        Self::of_rows(run, &shown(run, events, Detail::Outline), children, now)
    }

    fn of_rows(run: &RunRow, rows: &[Row], children: &[RunRow], now: Micros) -> Self {
        let chains = chains(rows);
        let mut layout = Layout::new(rows, &chains);
        layout.cut_cycles_and_depth();
        let children: Vec<_> = children.iter().map(LinkedRun::from).collect();
        let mut root = assemble(&layout, run, rows, &chains);
        link_children(&mut root, &children);
        let until = run.closed_at.filter(|_| run.status.is_closed());
        finish(&mut root, until.unwrap_or(now), false, now);
        Self {
            run: run.clone(),
            root,
            children,
        }
    }
}

/// Nests the nodes, deepest first, so that a node is settled when all below it is there.
fn assemble(layout: &Layout, run: &RunRow, rows: &[Row], chains: &[Chain]) -> Node {
    let run_over = run.status.is_closed();
    let mut links: HashMap<usize, &Chain> = HashMap::new();
    for chain in chains {
        links.insert(chain.links[0], chain);
    }
    let mut nodes: Vec<Option<Node>> = (0..rows.len())
        .map(|i| {
            (!layout.folded.contains_key(&i)).then(|| match links.get(&i) {
                Some(chain) => chain_node(rows, chain),
                None => row_node(&rows[i]),
            })
        })
        .collect();
    let mut steps: Vec<_> = layout
        .synthetic
        .iter()
        .map(|s| synthetic_node(&s.0, &s.1))
        .collect();
    let mut root = run_node(run);

    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| (Reverse(layout.depths[i]), i));
    for i in order {
        let Some(mut node) = nodes[i].take() else {
            continue;
        };
        complete(&mut node, run_over);
        match layout.parents[i] {
            Parent::Run => root.children.push(node),
            Parent::Synthetic(step) => steps[step].children.push(node),
            Parent::Row(up) => match nodes[up].as_mut() {
                Some(parent) => parent.children.push(node),
                None => root.children.push(node),
            },
        }
    }
    for mut step in steps {
        complete(&mut step, run_over);
        root.children.push(step);
    }
    complete(&mut root, run_over);
    root
}

/// Orders what is below a node, settles it, and sums up.
fn complete(node: &mut Node, run_over: bool) {
    node.children.sort_by_cached_key(|child| {
        let order = match child.role {
            Role::Attempt => (0, i64::from(child.attempt)),
            _ => (1, start(child).unwrap_or(Micros::MAX)),
        };
        (
            order,
            child.kind.clone(),
            natural(&child.step),
            child.key.clone(),
        )
    });
    if node.role == Role::Step && node.kind == "activity" {
        settle(node, run_over);
    }
    let below = node
        .children
        .iter()
        .fold(Totals::default(), |sum, child| sum.plus(child.total));
    node.total = node.total.or(below);
}

/// When a node begins; one without times of its own begins with what is below it.
fn start(node: &Node) -> Option<Micros> {
    node.scheduled_at
        .or(node.started_at)
        .or_else(|| node.children.iter().filter_map(start).min())
}

/// Sets from when to when a node is drawn; `over` is when it ended at the latest.
pub(super) fn set_extent(node: &mut Node, over: Option<Micros>) {
    let Some(from) = start(node).or(node.ended_at) else {
        return;
    };
    let by_duration = || Some(from.saturating_add(node.duration_ms?.saturating_mul(1000)));
    let to = node.ended_at.or_else(by_duration).or(over).unwrap_or(from);
    node.extent = Some((from, to.max(from)));
}

/// From the run downwards: what is left open, how long things last so far, and hints.
fn finish(node: &mut Node, until: Micros, over: bool, now: Micros) {
    let closed = node.status.is_closed();
    node.left_open = over && !closed;
    if node.extent.is_none() {
        set_extent(node, (!closed).then_some(until));
    }
    let (kind, message) = node
        .error
        .as_ref()
        .map_or((None, None), |e| (e.kind.as_deref(), e.message.as_deref()));
    node.hint = hint(node.role, node.status, kind, message);
    let unseen = node.role == Role::Step && node.kind == "activity" && node.children.is_empty();
    if unseen && !node.local && !closed && !over && !node.provisional {
        let waited = node.scheduled_at.map(|at| now.saturating_sub(at));
        node.hint = waited
            .filter(|&w| w >= NO_WORKER_AFTER)
            .map(|_| NOT_STARTED);
    }
    let end = node
        .extent
        .filter(|_| closed)
        .map_or(until, |(_, to)| to.min(until));
    for child in &mut node.children {
        finish(child, end, over || closed, now);
    }
}

/// Joins child workflow steps with the runs that they started: the n-th use of a workflow id with
/// the n-th chain of runs of that id, and of a chain its newest run.
fn link_children(root: &mut Node, children: &[LinkedRun]) {
    let mut chains: HashMap<&str, Vec<(&str, &LinkedRun)>> = HashMap::new();
    for child in children {
        let first = child
            .first_execution_run_id
            .as_deref()
            .unwrap_or(&child.key.run_id);
        let of_id = chains.entry(&child.key.workflow_id).or_default();
        match of_id.iter_mut().find(|(id, _)| *id == first) {
            Some((_, newest)) if newest.started_at <= child.started_at => *newest = child,
            Some(_) => {}
            None => of_id.push((first, child)),
        }
    }
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if node.kind == "child_workflow"
            && let Some(of_id) = chains.get(node.step.as_str())
        {
            let n = node.attempt.saturating_sub(1) as usize;
            node.child = of_id.get(n).map(|(_, run)| (*run).clone());
        }
        open.extend(&mut node.children);
    }
}
