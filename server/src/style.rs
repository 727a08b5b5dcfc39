//! Colours and glyphs. Colour never says something alone: each status has its glyph and its word.

use omnitrace_store::row::Status;
use omnitrace_store::tree::Node;
use owo_colors::{OwoColorize, Style};

/// The style of a status.
pub(crate) fn of(status: Status) -> Style {
    let style = Style::new();
    match status {
        Status::Completed => style.green(),
        Status::Failed | Status::TimedOut | Status::Terminated | Status::Lost => style.red(),
        Status::Running => style.cyan(),
        Status::Canceled => style.yellow(),
        Status::ContinuedAsNew => style.blue(),
        Status::Scheduled => style.dimmed(),
    }
}

/// One column.
pub(crate) fn glyph(status: Status) -> &'static str {
    match status {
        Status::Completed => "✓",
        Status::Failed => "✗",
        Status::Running => "▸",
        Status::Scheduled => "○",
        Status::Canceled => "⊘",
        Status::Terminated => "■",
        Status::TimedOut => "◷",
        Status::ContinuedAsNew => "↻",
        Status::Lost => "?",
    }
}

/// Glyph, word and style of a node.
pub(crate) fn of_node(node: &Node) -> (&'static str, String, Style) {
    if node.provisional {
        return ("◌", "proposed".to_owned(), Style::new().dimmed());
    }
    if node.left_open {
        let word = format!("{}, never ended", node.status.as_str());
        return ("…", word, Style::new().dimmed());
    }
    (
        glyph(node.status),
        node.status.as_str().to_owned(),
        of(node.status),
    )
}

/// What stands back: labels, branches, hashes.
pub(crate) fn dim() -> Style {
    Style::new().dimmed()
}

/// What stands out: names.
pub(crate) fn strong() -> Style {
    Style::new().bold()
}

/// Notices that something is not whole.
pub(crate) fn warning() -> Style {
    Style::new().yellow()
}

/// The beginning of a line of what is likely not as it was meant.
pub(crate) fn warn(text: &str) -> String {
    text.style(warning().bold()).to_string()
}

/// The beginning of an error line.
pub(crate) fn error(text: &str) -> String {
    text.style(Style::new().red().bold()).to_string()
}
