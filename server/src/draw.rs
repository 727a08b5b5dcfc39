//! A trace as a tree for a terminal.
//!
//! Invariant: no line of the tree is wider than the canvas, but for recorded data and commands,
//! which are to be copied. What does not fit beside a name moves below it instead of vanishing.

mod bar;
mod data;
mod label;
mod unfold;

#[cfg(test)]
mod tests;

use omnitrace_store::row::Status;
use omnitrace_store::tree::{LinkedRun, Node, NodeError, Role, TraceTree};
use owo_colors::{OwoColorize, Style};

use crate::style;
use crate::text::{clean, fit, shell_word, width, wrap};
use crate::when;
use bar::Scale;
use unfold::{Item, View};

/// What the tree is drawn on, and how much of it.
pub(crate) struct Canvas {
    /// Columns of a line.
    pub(crate) columns: usize,
    /// Every attempt, and whole error messages.
    pub(crate) all: bool,
    /// The recorded data too.
    pub(crate) data: bool,
}

/// Columns of a duration.
const DURATION: usize = 9;

/// Columns that a name and its status should have at least.
const ROOM: usize = 36;

/// Lines of an error message, unless all are wanted.
const ERROR_LINES: usize = 3;

/// A piece of a line. The text is clean.
struct Piece {
    text: String,
    style: Style,
}

impl Piece {
    fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

/// Draws a trace, with what is to be said below it.
pub(crate) fn tree(tree: &TraceTree, canvas: &Canvas) -> String {
    let bar = if canvas.columns < 70 {
        0
    } else {
        (canvas.columns / 5).clamp(12, 32)
    };
    let mut drawing = Drawing {
        canvas,
        left: canvas
            .columns
            .saturating_sub(DURATION + bar + usize::from(bar > 0))
            .max(16),
        scale: Scale::new(&tree.root, bar),
        error: tree.root.error.as_ref(),
        out: String::new(),
        hashed: false,
    };
    drawing.node(&tree.root, false, "", ["", ""]);
    drawing.footer(tree);
    drawing.out
}

/// A failure as `Type: message`, in one line.
pub(crate) fn failure(error: &NodeError) -> String {
    let parts = [error.kind.as_deref(), error.message.as_deref()];
    let parts: Vec<_> = parts
        .into_iter()
        .flatten()
        .filter(|p| !p.is_empty())
        .map(clean)
        .collect();
    parts.join(": ")
}

struct Drawing<'a> {
    canvas: &'a Canvas,
    /// Columns left of the duration.
    left: usize,
    scale: Scale,
    /// Of the run: it stands in the header, with its hint.
    error: Option<&'a NodeError>,
    out: String,
    /// Whether a hash was shown.
    hashed: bool,
}

impl Drawing<'_> {
    /// Draws a node and all below it. `before` stands before each of its lines, `branch` and `rest`
    /// before its first and its other lines.
    fn node(&mut self, node: &Node, alike: bool, before: &str, [branch, rest]: [&str; 2]) {
        let view = View::of(node, alike, self.canvas);
        let under = format!("{before}{rest}");
        let stem = if view.items.is_empty() { "  " } else { "│ " };
        self.first_line(
            &view,
            &format!("{before}{branch}"),
            &format!("{under}{stem}"),
        );
        self.details(&view, &format!("{under}{stem}"));
        // Deep nesting stops moving to the right while there is still room for text.
        let deep = width(&under) + ROOM.min(self.left * 2 / 3) > self.left;
        let last = view.items.len().saturating_sub(1);
        for (i, item) in view.items.iter().enumerate() {
            let (branch, rest) = match (i == last, deep) {
                (false, false) => ("├─ ", "│  "),
                (true, false) => ("└─ ", "   "),
                (_, true) => ("", ""),
            };
            match item {
                Item::Node(child) => self.node(child, false, &under, [branch, rest]),
                Item::Alike(child) => self.node(child, true, &under, [branch, rest]),
                Item::Note(note) => {
                    let note = Piece::new(format!("… {note}"), style::dim());
                    self.line(&format!("{under}{branch}"), &[note], None);
                }
            }
        }
    }

    fn first_line(&mut self, view: &View<'_>, before: &str, below: &str) {
        let node = view.node;
        let (glyph, word, status) = style::of_node(node);
        let mut head = vec![Piece::new(format!("{glyph} "), status)];
        let room = self.left.saturating_sub(width(before) + width(&word) + 6);
        head.extend(label::label(node, room));
        head.push(Piece::new(format!("  {word}"), status));

        let mut used = width(before) + head.iter().map(|p| width(&p.text)).sum::<usize>();
        let mut later = Vec::new();
        for tag in label::tags(view) {
            let tag = format!(" · {tag}");
            if later.is_empty() && used + width(&tag) < self.left {
                used += width(&tag);
                head.push(Piece::new(tag, style::dim()));
            } else {
                later.push(tag);
            }
        }
        let bar = self.scale.bar(node);
        let bar = match bar.as_str() {
            "" => bar,
            bar => bar.style(status).to_string(),
        };
        self.line(before, &head, Some((took(node), bar)));
        if !later.is_empty() {
            let text = later.concat();
            self.paragraph(
                below,
                text.trim_start_matches(" · "),
                style::dim(),
                usize::MAX,
            );
        }
    }

    fn details(&mut self, view: &View<'_>, below: &str) {
        let node = view.node;
        // The run's own error stands in the header.
        if node.role != Role::Run {
            let most = if self.canvas.all {
                usize::MAX
            } else {
                ERROR_LINES
            };
            if let Some(error) = node.error.as_ref().filter(|_| view.says_error) {
                self.paragraph(below, &failure(error), style::of(Status::Failed), most);
            }
            let told = node.error.is_some() && node.error.as_ref() == self.error;
            if let Some(hint) = node.hint.filter(|_| view.says_error && !told) {
                self.paragraph(below, &format!("hint: {hint}"), Style::new(), most);
            }
        }
        if let Some(child) = &node.child {
            self.child(below, child);
        }
        if let Some(data) = node.data.as_ref().filter(|_| self.canvas.data) {
            self.hashed |= data::draw(&mut self.out, below, data);
        }
    }

    /// A child run, with the command that shows it on one line.
    fn child(&mut self, before: &str, child: &LinkedRun) {
        let status = format!("{} {}", style::glyph(child.status), child.status.as_str());
        let took = child
            .started_at
            .zip(child.closed_at)
            .map(|(from, to)| format!(" after {}", when::human(to.saturating_sub(from) / 1000)));
        let status = format!("→ {status}{}", took.unwrap_or_default());
        // By run id: the workflow id may have newer runs by now.
        let command = format!("omnitrace show {}", shell_word(&child.key.run_id));
        let line = Piece::new(status, style::of(child.status));
        if width(before) + width(&line.text) + 2 + width(&command) <= self.canvas.columns {
            let command = Piece::new(format!(", {command}"), Style::new());
            self.line(before, &[line, command], None);
        } else {
            self.line(before, &[line], None);
            // Not cut: it is to be copied.
            let before = before.style(style::dim());
            self.out.push_str(&format!("{before}→ {command}\n"));
        }
    }

    /// Text below a node, wrapped, at most so many lines.
    fn paragraph(&mut self, before: &str, text: &str, text_style: Style, most: usize) {
        let room = self.canvas.columns.saturating_sub(width(before)).max(8);
        let lines = wrap(text, room);
        for (i, line) in lines.iter().take(most).enumerate() {
            let cut = i + 1 == most && lines.len() > most;
            let line = if cut {
                fit(&format!("{line} …"), room)
            } else {
                line.clone()
            };
            self.line(before, &[Piece::new(line, text_style)], None);
        }
    }

    fn line(&mut self, before: &str, pieces: &[Piece], right: Option<(String, String)>) {
        self.out.push_str(&before.style(style::dim()).to_string());
        let mut used = width(before);
        for piece in pieces {
            let text = fit(&piece.text, self.canvas.columns.saturating_sub(used));
            used += width(&text);
            self.out.push_str(&text.style(piece.style).to_string());
        }
        let edge = self.left + DURATION;
        if let Some((took, bar)) = right.filter(|(took, _)| used + width(took) <= edge) {
            if !took.is_empty() || !bar.is_empty() {
                let gap = edge - used - width(&took);
                self.out.push_str(&format!("{:gap$}{took}", ""));
            }
            if !bar.is_empty() {
                self.out.push_str(&format!(" {bar}"));
            }
        }
        let end = self.out.trim_end().len();
        self.out.truncate(end);
        self.out.push('\n');
    }

    fn footer(&mut self, tree: &TraceTree) {
        let in_tree: Vec<_> = tree.root.walk().filter_map(|n| n.child.as_ref()).collect();
        let others: Vec<_> = tree
            .children
            .iter()
            .filter(|c| !in_tree.contains(c))
            .collect();
        if !others.is_empty() {
            self.out.push_str("\nOther child runs:\n");
        }
        for child in others {
            let id = clean(&child.key.workflow_id);
            self.line("  ", &[Piece::new(id, style::strong())], None);
            self.child("  ", child);
        }
        if self.hashed {
            self.out.push('\n');
            self.paragraph(
                "",
                "Values shown as sha256:… or hmac:… were hashed before they were stored. To keep \
                 more of later runs readable, set OMNITRACE_ALLOW_FIELDS=<field>,… for fields or \
                 OMNITRACE_CAPTURE_CONTENT=true for prompts and responses.",
                style::dim(),
                usize::MAX,
            );
        }
    }
}

fn took(node: &Node) -> String {
    match (node.duration_ms, node.elapsed_ms()) {
        (Some(ms), _) => when::human(ms),
        (None, Some(ms)) if !node.status.is_closed() && !node.left_open => {
            format!("{}…", when::human(ms))
        }
        _ => String::new(),
    }
}
