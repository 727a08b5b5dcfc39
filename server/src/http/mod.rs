//! The trace API over HTTP, and the web UI.
//!
//! Invariant: every route is in [`router::router`] and in the OpenAPI document made of it; nothing
//! here writes to the database; whatever goes wrong is answered as problem+json that says what to do.

mod assets;
mod conditional;
mod cursor;
mod database;
mod executions;
mod guard;
mod health;
mod measure;
mod params;
mod problem;
mod router;
mod serve;
mod state;
mod trace;

pub(crate) use serve::run;
pub(crate) use state::Dashboard;
