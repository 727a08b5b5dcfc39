//! What stands beside a node's glyph: its name, and what is worth knowing in a word.

use omnitrace_store::row::Status;
use omnitrace_store::tree::{Node, Role};

use super::Piece;
use super::unfold::View;
use crate::style;
use crate::text::{clean, fit, thousands, width};
use crate::{api, when};

/// A wait shorter than this is not worth a word, milliseconds.
const WAITED: i64 = 100;

/// The name of a node, cut to so many columns.
pub(super) fn label(node: &Node, columns: usize) -> Vec<Piece> {
    let (before, name, after) = words(node);
    let mut room = columns.max(8);
    let mut pieces = Vec::new();
    for (text, style) in [
        (before, style::dim()),
        (name, style::strong()),
        (after, style::dim()),
    ] {
        if text.is_empty() || room < 2 {
            continue;
        }
        let gap = if pieces.is_empty() { "" } else { " " };
        let text = format!("{gap}{}", fit(&text, room - gap.len()));
        room -= width(&text);
        pieces.push(Piece::new(text, style));
    }
    pieces
}

/// Words before the name, the name, and words after it.
fn words(node: &Node) -> (String, String, String) {
    let (name, step) = (clean(&node.name), clean(&node.step));
    let plain = |before: &str| (before.to_owned(), name.clone(), String::new());
    match (node.role, node.kind.as_str()) {
        (Role::Run, _) => (String::new(), name, String::new()),
        (Role::Attempt, _) => (
            String::new(),
            format!("attempt {}", node.attempt),
            String::new(),
        ),
        // An id that is a number is the SDK's own; another one says something.
        (_, "activity") if step.bytes().all(|b| b.is_ascii_digit()) => plain(""),
        (_, "activity") => (String::new(), name, step),
        (_, "timer" | "patch" | "marker") => (node.kind.clone(), step, String::new()),
        (_, "child_workflow") => ("child".to_owned(), name, step),
        (_, "signal_external") => ("signal".to_owned(), name, format!("to {step}")),
        (_, "cancel_external") => ("cancel".to_owned(), step, String::new()),
        (_, "nexus_operation") => ("nexus".to_owned(), name, format!("at {step}")),
        (_, "cancel_request") => (String::new(), "cancel requested".to_owned(), String::new()),
        (_, kind) => plain(&clean(kind)),
    }
}

/// Short remarks on a node.
pub(super) fn tags(view: &View<'_>) -> Vec<String> {
    let node = view.node;
    let mut tags = Vec::new();
    if view.alike {
        tags.push("same error".to_owned());
    }
    // That it still runs is no contradiction: its end was not seen.
    if let Some(reported) = node.reported.filter(|r| r.is_closed()) {
        tags.push(format!("its worker said {}", reported.as_str()));
    }
    if view.retry_pending {
        tags.push("waits for its next attempt".to_owned());
    }
    let kind = |c: &&String| **c != node.kind;
    if let Some(category) = node
        .category
        .as_ref()
        .or(view.lifted_category())
        .filter(kind)
    {
        tags.push(clean(category));
    }
    let told = |m: &&String| !node.name.contains(m.as_str());
    if let Some(model) = node.model.as_ref().or(view.lifted_model()).filter(told) {
        tags.push(clean(model));
    }
    if node.role != Role::Run {
        usage(node, &mut tags);
    }
    if node.local && node.role == Role::Step {
        tags.push("local".to_owned());
    }
    if node.synthetic {
        tags.push("seen by its worker only".to_owned());
    }
    // A first attempt waited as long as its step says.
    let says_wait = node.role != Role::Run && !(node.role == Role::Attempt && node.attempt == 1);
    if let Some(waited) = node.waiting_ms.filter(|&ms| ms >= WAITED && says_wait) {
        tags.push(format!("waited {}", when::human(waited)));
    }
    if node.status == Status::Running && !node.folded.is_empty() {
        tags.push("backs off".to_owned());
    }
    tags
}

fn usage(node: &Node, tags: &mut Vec<String>) {
    let total = &node.total;
    let tokens = |n: Option<i64>| thousands(u64::try_from(n.unwrap_or_default()).unwrap_or(0));
    if total.input_tokens.is_some() || total.output_tokens.is_some() {
        let (input, output) = (tokens(total.input_tokens), tokens(total.output_tokens));
        tags.push(format!("{input}→{output} tokens"));
    }
    if let Some(usd) = total.cost_usd {
        tags.push(api::dollars(usd));
    }
}
