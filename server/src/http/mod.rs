//! The trace API over HTTP, and the web UI.
//!
//! Invariant: every route is in [`router::router`] and in the OpenAPI document made of it; nothing
//! here writes to the database; nobody reads who was not let in; whatever goes wrong is answered as problem+json that says what to do.

mod access;
mod assets;
mod backend;
mod compare;
mod conditional;
mod cursor;
mod database;
mod executions;
mod export;
mod guard;
mod health;
#[cfg(feature = "fuzzing")]
pub(crate) mod in_process;
mod jwt;
mod keys;
mod listen;
mod me;
mod measure;
mod metrics;
mod outlines;
mod params;
mod patience;
mod problem;
mod router;
mod serve;
mod state;
mod stats;
mod stream;
mod sums;
mod trace;
mod watch;

pub(crate) use backend::{BackendHeader, BackendUrl};
pub(crate) use serve::run;
pub(crate) use state::Dashboard;
