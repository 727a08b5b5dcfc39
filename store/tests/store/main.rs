//! The store's contract, as any of its databases must keep it, and what is SQLite's own.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]
#![expect(
    clippy::duplicate_mod,
    reason = "the contract is the same for each database"
)]

mod postgres;
mod sqlite;
mod support;
