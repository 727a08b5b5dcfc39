//! Hourly aggregates, added up.

use omnitrace_store::hourly::{BUCKETS_MS, Dimension, Hourly, HourlyKey, SumsFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::when;

/// Sums of hours that are aggregated.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sums {
    /// Runs that closed before are aggregated, UTC: what closed later is in `/stats` alone; null if nothing is.
    pub(crate) through: Option<String>,
    pub(crate) sums: Vec<Sum>,
    /// There are more: ask for a shorter time, or by less.
    pub(crate) more: bool,
}

/// A sum, with what it is told by.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sum {
    /// The day in which runs closed, or the hour, by its begin, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) begin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workflow_type: Option<String>,
    /// `model`, `tool`, …, else the kind of the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    /// Hashed; empty if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<String>,
    /// Empty for steps that called none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Runs that closed; by category or model: steps that ended.
    pub(crate) count: u64,
    /// Of them those that failed, timed out, were terminated or lost.
    pub(crate) failed: u64,
    /// Sum of the latencies that are known.
    pub(crate) latency_ms: i64,
    /// How many took at most so many milliseconds.
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cost_usd: f64,
}

/// How many took at most so long.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bucket {
    pub(crate) le_ms: i64,
    pub(crate) count: u64,
}

impl Sum {
    pub(crate) fn new(filter: &SumsFilter, key: HourlyKey, hour: &Hourly) -> Self {
        let has = |by| filter.by.contains(&by);
        let is_of_time = has(Dimension::Day) || has(Dimension::Hour);
        let buckets = BUCKETS_MS.into_iter().zip(hour.buckets);
        Self {
            begin: is_of_time.then(|| when::short(key.hour)),
            namespace: has(Dimension::Namespace).then_some(key.namespace),
            workflow_type: has(Dimension::WorkflowType).then_some(key.workflow_type),
            category: has(Dimension::Category).then_some(key.category),
            tenant_id: has(Dimension::Tenant).then_some(key.tenant_id),
            model: has(Dimension::Model).then_some(key.model),
            count: hour.count,
            failed: hour.failed,
            latency_ms: hour.latency_ms,
            buckets: buckets
                .map(|(le_ms, count)| Bucket { le_ms, count })
                .collect(),
            input_tokens: hour.input_tokens,
            output_tokens: hour.output_tokens,
            cost_usd: hour.cost_usd,
        }
    }
}

/// As it is written in arguments and queries.
pub(crate) fn dimension(text: &str) -> Option<Dimension> {
    let named = Dimension::ALL.into_iter().zip(DIMENSIONS);
    named
        .into_iter()
        .find_map(|(by, name)| (name == text).then_some(by))
}

/// Names of [`Dimension::ALL`].
pub(crate) const DIMENSIONS: [&str; Dimension::ALL.len()] = [
    "day",
    "hour",
    "namespace",
    "type",
    "category",
    "tenant",
    "model",
];
