//! Rows of OmniTrace, the rule by which they merge, the databases that keep them, and the trace
//! tree that is read back from them.
//!
//! Nothing here knows the Temporal SDK or HTTP. The modules [`key`], [`ids`], [`row`], [`merge`], [`compare`],
//! [`hourly`] and [`tree`] are pure: no I/O, no clock.

pub mod compare;
pub mod hourly;
pub mod ids;
pub mod key;
pub mod merge;
pub mod row;
pub mod tree;

mod derive;
mod erasure;
mod migrations;
mod postgres;
mod repair;
mod retention;
mod sql;
mod sqlite;
mod store;
mod texts;
mod url;

pub use derive::spent_by;
pub use erasure::{Erasable, EraseStep, Erasure, ErasureRequest, Subject};
pub use postgres::{
    DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_STATEMENT_TIMEOUT, MAX_CONNECTIONS,
    PostgresUrl,
};
pub use retention::{Prunable, PruneError, PruneStep, Retention};
pub use sql::search::{CountedRuns, FoundRuns};
pub use store::*;
pub use texts::{TextRow, TextTable};
