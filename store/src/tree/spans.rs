//! Spans of the rest of a system, merged into the tree of a run.
//!
//! Invariant: pure. A span that is one of the run's own rows is left out; every other one that lies below
//! the run appears once; the tree's own nodes stay as they are.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::node::empty;
use super::{MAX_DEPTH, Node, NodeError, Role, TraceTree};
use crate::ids::span_id;
use crate::row::{Micros, Status};

/// Nodes that are made of spans.
pub const MAX_SPANS: usize = 10_000;

/// A span that another part of the system made, of the run's trace.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignSpan {
    /// 16 hex digits.
    pub span_id: String,
    /// Span that it is part of.
    pub parent_span_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Name of the service that made it.
    pub service: Option<String>,
    /// When it began.
    pub start: Micros,
    /// When it ended.
    pub end: Micros,
    /// Why it failed, if it did; may be empty.
    pub error: Option<String>,
    /// What it tells of itself, a JSON object.
    pub attributes: Value,
}

/// What became of spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// How many are in the tree now.
    pub below: usize,
    /// Those that the run is part of, the outermost first.
    pub callers: Vec<ForeignSpan>,
    /// How many are elsewhere in the trace, or beyond [`MAX_SPANS`].
    pub elsewhere: usize,
}

impl TraceTree {
    /// Hangs spans under what they are part of.
    pub fn merge(&mut self, spans: Vec<ForeignSpan>) -> Merged {
        let run = self.run.key.clone();
        let mut own = HashSet::from([self.run.span_id.clone()]);
        for node in self.root.walk() {
            own.insert(span_id(&run, &node.key));
            own.extend(node.folded.iter().map(|key| span_id(&run, key)));
        }
        let mut all: HashMap<String, ForeignSpan> = HashMap::new();
        for span in spans {
            if !own.contains(&span.span_id) {
                all.insert(span.span_id.clone(), span);
            }
        }
        let callers = callers(self.run.parent_span_id.as_deref(), &mut all);
        let mut below: HashMap<String, Vec<ForeignSpan>> = HashMap::new();
        let mut in_order: Vec<_> = all.into_values().collect();
        in_order.sort_by(|a, b| (b.start, &b.span_id).cmp(&(a.start, &a.span_id)));
        let found = in_order.len();
        for span in in_order {
            let parent = span.parent_span_id.clone().unwrap_or_default();
            below.entry(parent).or_default().push(span);
        }
        let mut merge = Merge { below, made: 0 };
        let of_run = [self.run.span_id.clone(), span_id(&run, "")];
        let mut open = vec![(&mut self.root, 0)];
        while let Some((node, depth)) = open.pop() {
            let mut ids: Vec<String> = match node.role {
                Role::Run => of_run.to_vec(),
                _ => vec![span_id(&run, &node.key)],
            };
            ids.extend(node.folded.iter().map(|key| span_id(&run, key)));
            ids.dedup();
            let before = node.children.len();
            for id in ids {
                merge.hang(&id, &mut node.children, depth + 1);
            }
            let (own, _) = node.children.split_at_mut(before);
            open.extend(own.iter_mut().map(|child| (child, depth + 1)));
        }
        Merged {
            below: merge.made,
            callers,
            elsewhere: found - merge.made,
        }
    }
}

/// Takes out the spans that the run is part of, from the one that started it outwards.
fn callers(mut above: Option<&str>, all: &mut HashMap<String, ForeignSpan>) -> Vec<ForeignSpan> {
    let mut callers: Vec<ForeignSpan> = Vec::new();
    let mut id = above.take().map(str::to_owned);
    // Ends also where spans are each other's parents: each is taken out once.
    while let Some(caller) = id.and_then(|id| all.remove(&id)) {
        id = caller.parent_span_id.clone();
        callers.push(caller);
    }
    callers.reverse();
    callers
}

struct Merge {
    /// Spans by their parent, the latest first.
    below: HashMap<String, Vec<ForeignSpan>>,
    made: usize,
}

impl Merge {
    /// Adds what is part of a span to the children of its node; what lies too deep hangs at the deepest
    /// level. Recursion is bounded by that.
    fn hang(&mut self, id: &str, children: &mut Vec<Node>, depth: usize) {
        let mut waiting = self.below.remove(id).unwrap_or_default();
        while let Some(span) = waiting.pop() {
            if self.made == MAX_SPANS {
                return;
            }
            self.made += 1;
            let id = span.span_id.clone();
            let mut node = span_node(span);
            if depth < MAX_DEPTH {
                self.hang(&id, &mut node.children, depth + 1);
            } else {
                waiting.extend(self.below.remove(&id).unwrap_or_default());
            }
            children.push(node);
        }
    }
}

fn span_node(span: ForeignSpan) -> Node {
    let end = span.end.max(span.start);
    Node {
        kind: "span".to_owned(),
        key: format!("span:{}:{}:1", span.span_id, span.name),
        step: span.span_id,
        name: span.name,
        attempt: 1,
        status: match span.error {
            Some(_) => Status::Failed,
            None => Status::Completed,
        },
        started_at: Some(span.start),
        ended_at: Some(end),
        duration_ms: Some((end - span.start) / 1000),
        extent: Some((span.start, end)),
        error: span.error.map(|message| NodeError {
            kind: None,
            message: Some(message).filter(|message| !message.is_empty()),
        }),
        service: span.service,
        data: Some(span.attributes).filter(|of| of.as_object().is_some_and(|of| !of.is_empty())),
        ..empty(Role::Span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{EventKey, Step};
    use crate::row::{EventRow, RunKey, RunRow};

    fn span(id: &str, parent: &str, start: Micros) -> ForeignSpan {
        ForeignSpan {
            span_id: id.to_owned(),
            parent_span_id: (!parent.is_empty()).then(|| parent.to_owned()),
            name: id.to_owned(),
            service: None,
            start,
            end: start + 1,
            error: None,
            attributes: Value::Null,
        }
    }

    fn tree() -> (TraceTree, String) {
        let key = RunKey::new("default", "wf", "r");
        let mut run = RunRow::new(key.clone());
        run.span_id = span_id(&key, "");
        run.parent_span_id = Some("start".to_owned());
        let step = EventKey::new("activity", Step::new("1"), "T", 0);
        let mut step = EventRow::new(key.clone(), step);
        step.scheduled_at = Some(10);
        let attempt = EventKey::new("activity", Step::new("1"), "T", 1);
        let mut attempt = EventRow::new(key, attempt);
        attempt.started_at = Some(11);
        let id = attempt.span_id.clone();
        (TraceTree::build(&run, vec![step, attempt], &[], 100), id)
    }

    /// Names of all that are not the run's own, with their level.
    fn names(node: &Node, depth: usize, into: &mut Vec<(String, usize)>) {
        if node.role == Role::Span {
            into.push((node.name.clone(), depth));
        }
        for child in &node.children {
            names(child, depth + 1, into);
        }
    }

    #[test]
    fn spans_hang_under_what_they_are_part_of_in_any_order() {
        let (tree, attempt) = tree();
        let own = span(&attempt, "start", 11);
        let spans = [
            own,
            span("db", &attempt, 13),
            span("http", &attempt, 12),
            span("sql", "db", 14),
            span("of run", &tree.run.span_id, 5),
            span("start", "request", 1),
            span("request", "", 0),
            span("other branch", "request", 2),
            span("lost", "unknown", 3),
        ];
        for turn in 0..spans.len() {
            let mut spans = spans.to_vec();
            spans.rotate_left(turn);
            let mut merged_tree = tree.clone();
            let merged = merged_tree.merge(spans);
            let mut found = Vec::new();
            names(&merged_tree.root, 0, &mut found);
            let expected = [("http", 3), ("db", 3), ("sql", 4), ("of run", 1)];
            assert_eq!(
                found,
                expected.map(|(name, depth)| (name.to_owned(), depth))
            );
            let callers: Vec<_> = merged
                .callers
                .iter()
                .map(|span| span.name.as_str())
                .collect();
            assert_eq!(callers, ["request", "start"]);
            assert_eq!((merged.below, merged.elsewhere), (4, 2));
        }
    }

    #[test]
    fn no_shape_of_spans_is_too_much() {
        let (tree, attempt) = tree();
        let mut spans = vec![
            span("a", "b", 1),
            span("b", "a", 2),
            span("self", "self", 3),
        ];
        let mut parent = attempt;
        for n in 0..2 * MAX_SPANS {
            let id = format!("s{n}");
            spans.push(span(&id, &parent, n as i64));
            parent = id;
        }
        let mut tree = tree;
        let merged = tree.merge(spans);
        assert_eq!(merged.below, MAX_SPANS);
        assert_eq!(merged.elsewhere, MAX_SPANS + 3);
        let mut found = Vec::new();
        names(&tree.root, 0, &mut found);
        assert_eq!(found.len(), MAX_SPANS);
        assert!(found.iter().all(|(_, depth)| *depth <= MAX_DEPTH));
    }
}
