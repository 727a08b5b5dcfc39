//! What long work says on a terminal; in a pipe it is silent.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that counts runs. It goes away when it is dropped.
pub(crate) fn runs(doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(doing);
    styled(bar, "{spinner} {prefix} {pos} runs, {per_sec} {msg}")
}

/// A line that counts rows. It goes away when it is dropped.
pub(crate) fn rows(doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(doing);
    styled(bar, "{spinner} {prefix} {pos} rows, {per_sec}")
}

/// Hours so far: how many there are is not known.
pub(crate) fn hours(doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(doing);
    styled(bar, "{spinner} {prefix} {pos} hours, {per_sec}")
}

/// A line for what takes long only where others hold the database. It goes away when it is dropped.
pub(crate) fn writing(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_prefix(what);
    styled(bar, "{spinner} {prefix}")
}

/// A line that names the file at hand.
pub(crate) fn files(number: usize) -> ProgressBar {
    styled(
        ProgressBar::new(number as u64),
        "{spinner} {pos}/{len} {msg}",
    )
}

/// Hidden by itself where standard error is no terminal.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
