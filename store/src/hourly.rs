//! What is kept of an hour when its rows go: counts, latencies, errors, tokens and cost.
//!
//! Invariant: an hour is that in which a run closed, and all that belongs to the run counts in it. Tokens and
//! cost count once, as in the run's own sums, so the rows of an hour add up to those of its runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::derive::{Usage, Used, counted};
use crate::row::{EventRow, Micros, Phase, RunRow, Status};

/// Microseconds of an hour.
pub const HOUR: Micros = 3_600_000_000;

/// Microseconds of a day.
pub const DAY: Micros = 24 * HOUR;

/// Upper bounds of the buckets of latencies, in milliseconds; each counts what took at most so long.
pub const BUCKETS_MS: [i64; 10] = [
    10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 600_000, 3_600_000,
];

/// What an aggregate is about. Of runs themselves `category` and `model` are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HourlyKey {
    /// Temporal namespace.
    pub namespace: String,
    /// When the hour begins.
    pub hour: Micros,
    /// Workflow type.
    pub workflow_type: String,
    /// What steps are: `model`, `tool`, …, else their kind; empty for the runs themselves.
    pub category: String,
    /// Hashed tenant; empty if unknown.
    pub tenant_id: String,
    /// Model that was called; empty if none.
    pub model: String,
}

/// Counts and sums of one hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hourly {
    /// Runs that closed, or steps and inner events that ended.
    pub count: u64,
    /// Of those, the failed, timed out, terminated and lost ones.
    pub failed: u64,
    /// Sum of the latencies that are known, in milliseconds.
    pub latency_ms: i64,
    /// How many took at most [`BUCKETS_MS`].
    pub buckets: [u64; BUCKETS_MS.len()],
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// US dollars.
    pub cost_usd: f64,
}

/// Aggregates by what they are about.
pub type Hours = BTreeMap<HourlyKey, Hourly>;

/// By what aggregates are added up. By category or model they are of steps, else of runs: a run's tokens and cost
/// are those of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dimension {
    /// Day in which runs closed, UTC.
    Day,
    /// Hour in which runs closed.
    Hour,
    /// Temporal namespace.
    Namespace,
    /// Workflow type.
    WorkflowType,
    /// Category of steps.
    Category,
    /// Hashed tenant.
    Tenant,
    /// Model.
    Model,
}

impl Dimension {
    /// All of them, in the order of a table's columns.
    pub const ALL: [Self; 7] = [
        Self::Day,
        Self::Hour,
        Self::Namespace,
        Self::WorkflowType,
        Self::Category,
        Self::Tenant,
        Self::Model,
    ];
}

/// Which aggregates are added up, and by what.
#[derive(Clone, Debug, Default)]
pub struct SumsFilter {
    /// Of hours that begin at or after.
    pub from: Micros,
    /// Of hours that begin before.
    pub before: Micros,
    /// By what; without any there is one sum.
    pub by: BTreeSet<Dimension>,
    /// Temporal namespace.
    pub namespace: Option<String>,
    /// Workflow type, exact.
    pub workflow_type: Option<String>,
    /// At most so many sums.
    pub limit: u32,
}

impl SumsFilter {
    /// Steps are added up, not runs.
    pub fn of_steps(&self) -> bool {
        self.by.contains(&Dimension::Category) || self.by.contains(&Dimension::Model)
    }

    /// Adds those aggregates that are meant to sums.
    pub fn add_up(&self, hours: &Hours, sums: &mut Hours) {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let meant = hours.iter().filter(|(key, _)| {
            (self.from..self.before).contains(&key.hour)
                && key.category.is_empty() != self.of_steps()
                && is(&self.namespace, &key.namespace)
                && is(&self.workflow_type, &key.workflow_type)
        });
        for (key, hour) in meant {
            *sums.entry(self.sum_of(key)).or_default() += hour;
        }
    }

    /// What an aggregate adds to: what sums are not told by is left blank.
    fn sum_of(&self, key: &HourlyKey) -> HourlyKey {
        let mut sum = HourlyKey::default();
        for by in &self.by {
            match by {
                Dimension::Day => sum.hour = sum.hour.max(key.hour - key.hour.rem_euclid(DAY)),
                Dimension::Hour => sum.hour = key.hour,
                Dimension::Namespace => sum.namespace.clone_from(&key.namespace),
                Dimension::WorkflowType => sum.workflow_type.clone_from(&key.workflow_type),
                Dimension::Category => sum.category.clone_from(&key.category),
                Dimension::Tenant => sum.tenant_id.clone_from(&key.tenant_id),
                Dimension::Model => sum.model.clone_from(&key.model),
            }
        }
        sum
    }
}

/// When the hour of a moment begins.
pub fn hour_of(at: Micros) -> Micros {
    at - at.rem_euclid(HOUR)
}

/// Adds a closed run with all its rows.
pub fn add(hours: &mut Hours, run: &RunRow, events: &[EventRow]) {
    let Some(closed_at) = run.closed_at.filter(|_| run.phase == Phase::Closed) else {
        return;
    };
    let key = HourlyKey {
        namespace: run.key.namespace.clone(),
        hour: hour_of(closed_at),
        workflow_type: run.workflow_type.clone(),
        tenant_id: run
            .tenant
            .as_ref()
            .map(|t| t.hash.clone())
            .unwrap_or_default(),
        ..HourlyKey::default()
    };
    let latency_ms = run.started_at.map(|start| (closed_at - start) / 1000);
    (hours.entry(key.clone()).or_default()).count_one(run.status, latency_ms);

    let key_of = |row: &EventRow| HourlyKey {
        category: row.category.clone().unwrap_or_else(|| row.kind.clone()),
        model: row.model.clone().unwrap_or_default(),
        ..key.clone()
    };
    // Attempts are counted as the step that they are of.
    let ended = |row: &&EventRow| {
        row.phase == Phase::Closed && (row.kind != "activity" || row.attempt == 0)
    };
    for row in events.iter().filter(ended) {
        (hours.entry(key_of(row)).or_default()).count_one(row.status, row.latency_ms);
    }
    let used: Vec<Used> = (events.iter())
        .filter(|row| row.phase > Phase::Provisional)
        .map(Used::from)
        .collect();
    let by_key: BTreeMap<&str, &EventRow> = events
        .iter()
        .map(|row| (row.event_key.as_str(), row))
        .collect();
    counted(&used, |row, own| {
        if own == Usage::default() {
            return;
        }
        let keys = [
            Some(key.clone()),
            by_key.get(row.event_key.as_str()).map(|row| key_of(row)),
        ];
        for key in keys.into_iter().flatten() {
            hours.entry(key).or_default().spend(own);
        }
    });
}

impl std::ops::AddAssign<&Self> for Hourly {
    fn add_assign(&mut self, other: &Self) {
        self.count += other.count;
        self.failed += other.failed;
        self.latency_ms = self.latency_ms.saturating_add(other.latency_ms);
        for (count, more) in self.buckets.iter_mut().zip(other.buckets) {
            *count += more;
        }
        self.spend(Usage {
            input_tokens: other.input_tokens,
            output_tokens: other.output_tokens,
            cost_usd: other.cost_usd,
        });
    }
}

impl Hourly {
    fn spend(&mut self, own: Usage) {
        let mut sum = Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_usd: self.cost_usd,
        };
        sum += own;
        self.input_tokens = sum.input_tokens;
        self.output_tokens = sum.output_tokens;
        self.cost_usd = sum.cost_usd;
    }

    fn count_one(&mut self, status: Status, latency_ms: Option<i64>) {
        self.count += 1;
        self.failed += u64::from(status.is_error());
        if let Some(latency) = latency_ms {
            self.latency_ms = self.latency_ms.saturating_add(latency);
            for (count, bound) in self.buckets.iter_mut().zip(BUCKETS_MS) {
                *count += u64::from(latency <= bound);
            }
        }
    }
}
