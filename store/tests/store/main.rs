//! The store's contract, as any of its databases must keep it, and what is SQLite's own.

mod cap;
mod file;
mod merge;
mod read;
mod support;
mod usage;
