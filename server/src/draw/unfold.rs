//! What of a node's children is drawn: a lone attempt that says nothing new is drawn as its step,
//! and of many attempts the first and last ones.

use omnitrace_store::tree::{Node, Role};

use super::Canvas;

/// Attempts of a step that are drawn before some are left out, and how many of them then.
const MANY: usize = 6;
const FIRST: usize = 2;
const LAST: usize = 3;

/// A node as it is drawn.
pub(super) struct View<'a> {
    pub(super) node: &'a Node,
    /// What is drawn below it.
    pub(super) items: Vec<Item<'a>>,
    /// Whether its error is not said elsewhere: by its last attempt, or the attempt before it.
    pub(super) says_error: bool,
    /// An attempt whose error is that of the attempt before it.
    pub(super) alike: bool,
    /// An activity that failed and will be tried again.
    pub(super) retry_pending: bool,
    /// The attempt that is drawn as its step.
    lifted: Option<&'a Node>,
}

/// One thing below a node.
pub(super) enum Item<'a> {
    Node(&'a Node),
    /// An attempt that failed as the one before it did.
    Alike(&'a Node),
    Note(String),
}

impl<'a> View<'a> {
    pub(super) fn of(node: &'a Node, alike: bool, canvas: &Canvas) -> Self {
        let attempts: Vec<_> = node
            .children
            .iter()
            .filter(|c| c.role == Role::Attempt)
            .collect();
        let last = attempts.last().copied();
        let lifted = last
            .filter(|_| attempts.len() == 1)
            .filter(|a| says_nothing_new(node, a, canvas));
        let others = node
            .children
            .iter()
            .filter(|c| c.role != Role::Attempt)
            .map(Item::Node);
        let items = match lifted {
            Some(attempt) => attempt
                .children
                .iter()
                .map(Item::Node)
                .chain(others)
                .collect(),
            None => unfold(&attempts, canvas.all)
                .into_iter()
                .chain(others)
                .collect(),
        };
        let told = last.is_some_and(|a| lifted.is_none() && a.error == node.error);
        let failed = last.is_some_and(|a| a.status.is_error());
        Self {
            node,
            items,
            says_error: !told && !alike,
            alike,
            retry_pending: failed && !node.status.is_closed() && !node.left_open,
            lifted,
        }
    }

    pub(super) fn lifted_category(&self) -> Option<&'a String> {
        self.lifted?.category.as_ref()
    }

    pub(super) fn lifted_model(&self) -> Option<&'a String> {
        self.lifted?.model.as_ref()
    }
}

fn says_nothing_new(step: &Node, attempt: &Node, canvas: &Canvas) -> bool {
    !canvas.all
        && attempt.attempt == 1
        && attempt.reported.is_none()
        && attempt.status == step.status
        && (attempt.error.is_none() || attempt.error == step.error)
        && (attempt.hint.is_none() || attempt.hint == step.hint)
        && !(canvas.data && attempt.data.is_some())
}

/// Attempts, with notes where some are missing.
fn unfold<'a>(attempts: &[&'a Node], all: bool) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let mut before: u32 = 0;
    let left_out = if all || attempts.len() <= MANY {
        0..0
    } else {
        FIRST..attempts.len() - LAST
    };
    for (i, attempt) in attempts.iter().enumerate() {
        if left_out.contains(&i) {
            if i == left_out.start {
                let n = left_out.len();
                let s = if n == 1 { "" } else { "s" };
                items.push(Item::Note(format!("{n} more attempt{s}, see --all")));
            }
            before = attempt.attempt;
            continue;
        }
        let missing = attempt.attempt.saturating_sub(before.saturating_add(1));
        if missing == 1 {
            items.push(Item::Note(format!(
                "attempt {} was not recorded",
                before + 1
            )));
        } else if missing > 1 {
            let (from, to) = (before + 1, attempt.attempt - 1);
            items.push(Item::Note(format!(
                "attempts {from} to {to} were not recorded"
            )));
        }
        before = attempt.attempt;
        let shown_before = match items.last() {
            Some(Item::Node(other) | Item::Alike(other)) => other.error.as_ref(),
            _ => None,
        };
        if shown_before.is_some() && shown_before == attempt.error.as_ref() {
            items.push(Item::Alike(attempt));
        } else {
            items.push(Item::Node(attempt));
        }
    }
    items
}
