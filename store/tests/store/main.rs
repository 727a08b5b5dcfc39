//! The store's contract, as any of its databases must keep it, and what is SQLite's own.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cap;
mod file;
mod merge;
mod read;
mod support;
mod usage;
