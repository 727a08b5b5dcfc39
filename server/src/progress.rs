//! What long work says on a terminal; in a pipe it is silent.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that counts runs. It goes away when it is dropped.
pub(crate) fn runs(doing: &'static str) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {prefix} {pos} runs, {per_sec} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(doing);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
