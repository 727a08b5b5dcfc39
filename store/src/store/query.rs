//! What is asked, and what is answered that is no row.

use crate::row::{Micros, Phase, RunKey, RunRow, Status};

/// Which of the runs to be compared with history are asked for.
#[derive(Clone, Debug, Default)]
pub struct OpenRuns {
    /// Temporal namespace.
    pub namespace: String,
    /// Only runs started before.
    pub started_before: Option<Micros>,
    /// Only runs that began after this one: (start, key) of the last row of the page before.
    pub after: Option<(Micros, RunKey)>,
    /// At most so many; 0 is no limit.
    pub limit: u32,
}

/// Which runs to list; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Temporal namespace.
    pub namespace: Option<String>,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Workflow id, exact.
    pub workflow_id: Option<String>,
    /// Run id, exact.
    pub run_id: Option<String>,
    /// Workflow type, exact, or with `*` for any text.
    pub workflow_type: Option<String>,
    /// Type of the failure, exact, or with `*` for any text.
    pub error_type: Option<String>,
    /// Hashed tenant, exact.
    pub tenant: Option<String>,
    /// Started at or after.
    pub started_from: Option<Micros>,
    /// Started before.
    pub started_before: Option<Micros>,
    /// Closed, and lasted at least so many microseconds.
    pub min_duration: Option<Micros>,
    /// Closed, and lasted at most so many microseconds.
    pub max_duration: Option<Micros>,
    /// Cost at least so many US dollars.
    pub min_cost_usd: Option<f64>,
    /// Cost at most so many US dollars.
    pub max_cost_usd: Option<f64>,
    /// Part of the workflow id, run id, type, error type or error message, case-insensitive.
    pub text: Option<String>,
    /// Only runs that began before this one: (start, key) of the last row of the page before.
    pub after: Option<(Micros, RunKey)>,
    /// At most so many; 0 is no limit.
    pub limit: u32,
}

/// What a caller may see; `None` is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessScope {
    /// Temporal namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Hashed tenants. A run without a tenant belongs to none of them.
    pub tenants: Option<Vec<String>>,
}

impl AccessScope {
    /// Everything.
    pub const ALL: Self = Self {
        namespaces: None,
        tenants: None,
    };

    /// Whether a run is within it, as the database decides it.
    pub fn has(&self, run: &RunRow) -> bool {
        let tenant = run.tenant.as_ref().map(|tenant| &tenant.hash);
        let namespaces = self.namespaces.as_ref();
        namespaces.is_none_or(|all| all.contains(&run.key.namespace))
            && (self.tenants.as_ref()).is_none_or(|all| tenant.is_some_and(|t| all.contains(t)))
    }
}

/// What tells whether rows of a run changed: equal while none did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How many there are.
    pub rows: u64,
    /// Sum over what they hold.
    pub content: i64,
    /// Sum over how far they are known to be true.
    pub phases: i64,
}

/// Which row there is, without what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Event key.
    pub key: String,
    /// How far it is known to be true.
    pub phase: Phase,
    /// When it was scheduled, else started.
    pub begin: Option<Micros>,
    /// Digest of what it holds.
    pub digest: i64,
}

/// Which runs are counted.
#[derive(Clone, Debug, Default)]
pub struct StatsFilter {
    /// Started at or after.
    pub from: Micros,
    /// Started before.
    pub before: Micros,
    /// Temporal namespace.
    pub namespace: Option<String>,
    /// Workflow type, exact.
    pub workflow_type: Option<String>,
    /// Each hour by itself.
    pub hourly: bool,
    /// At most so many rows.
    pub limit: u32,
}

/// Runs of one type that started in one hour, or in the whole time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStats {
    /// Begin of the hour; 0 for the whole time.
    pub hour: Micros,
    /// Workflow type.
    pub workflow_type: String,
    /// All of them.
    pub started: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended so that someone should look at it.
    pub failed: u64,
    /// Not ended yet.
    pub open: u64,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// US dollars.
    pub cost_usd: f64,
    /// Microseconds that half of the closed ones did not exceed; `None` if none is closed.
    pub p50: Option<Micros>,
    /// The same of 95 %.
    pub p95: Option<Micros>,
    /// The same of 99 %.
    pub p99: Option<Micros>,
}
