//! A support desk for orders, run by an agent on Temporal.
//!
//! Each customer mail is one run of [`workflows::OrderSupport`]. All results are computed from
//! the text of the mail and the small knowledge base in `knowledge/`: there is no network beside
//! Temporal, and the same mail always takes the same way.
//!
//! Nothing in workflows and activities knows of OmniTrace; `main.rs` registers it.

pub mod activities;
pub mod driver;
pub mod registration;
pub mod text;
pub mod ticket;
pub mod workflows;
