//! Rows of OmniTrace, the rule by which they merge, the databases that keep them, and the trace
//! tree that is read back from them.
//!
//! Nothing here knows the Temporal SDK or HTTP. The modules [`key`], [`ids`], [`row`], [`merge`], [`compare`],
//! [`hourly`] and [`tree`] are pure: no I/O, no clock.

pub mod compare;
pub mod content;
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
mod replays;
mod retention;
mod sql;
mod sqlite;
mod store;
mod switches;
mod texts;
mod url;

pub use derive::spent_by;
pub use erasure::{Erasable, EraseStep, Erasure, ErasureRequest, Subject};
pub use postgres::{
    DEFAULT_APPLICATION_NAME, DEFAULT_CONNECT_TIMEOUT, DEFAULT_STATEMENT_TIMEOUT, MAX_CONNECTIONS,
    PostgresUrl,
};
pub use replays::{ReplayRow, ReplayVerdict};
pub use retention::{Prunable, PruneError, PruneStep, Retention};
pub use sql::search::{CountedRuns, FoundRuns};
pub use store::*;
pub use switches::{
    NewSwitch, SWITCH_DELAY, SwitchName, SwitchRow, SwitchScope, Switched, Switches,
};
pub use texts::{TextRow, TextTable};

/// Version of the schema that this program makes, the same for both databases.
pub fn schema_version() -> i64 {
    sqlite::schema_version()
}
