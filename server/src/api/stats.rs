//! Runs in numbers.

use omnitrace_store::RunStats;
use serde::Serialize;
use utoipa::ToSchema;

use crate::when;

/// Runs by type, in each hour and in the whole time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Hours without runs are left out.
    pub(crate) hours: Vec<TypeStats>,
    /// The whole time.
    pub(crate) types: Vec<TypeStats>,
    /// There are more hours: ask for a shorter time or one type.
    pub(crate) more: bool,
}

/// Runs of one type that started in a time.
#[derive(Serialize, ToSchema)]
pub(crate) struct TypeStats {
    /// Its begin, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<String>,
    workflow_type: String,
    started: u64,
    completed: u64,
    /// Failed, timed out, terminated or lost.
    failed: u64,
    /// Canceled, or continued as a new run.
    other: u64,
    open: u64,
    /// Failed ones among those that ended, from 0 to 1; null if none did.
    error_rate: Option<f64>,
    /// How long half of those that ended took at most.
    p50_ms: Option<i64>,
    p95_ms: Option<i64>,
    p99_ms: Option<i64>,
    input_tokens: i64,
    output_tokens: i64,
    cost_usd: f64,
}

impl TypeStats {
    pub(crate) fn of_hour(stats: RunStats) -> Self {
        let hour = Some(when::short(stats.hour));
        Self {
            hour,
            ..Self::of_range(stats)
        }
    }

    pub(crate) fn of_range(stats: RunStats) -> Self {
        let ended = stats.started.saturating_sub(stats.open);
        let ms = |micros: Option<i64>| micros.map(|micros| micros.max(0) / 1000);
        Self {
            hour: None,
            workflow_type: stats.workflow_type,
            started: stats.started,
            completed: stats.completed,
            failed: stats.failed,
            other: ended.saturating_sub(stats.completed + stats.failed),
            open: stats.open,
            error_rate: (ended > 0).then(|| stats.failed as f64 / ended as f64),
            p50_ms: ms(stats.p50),
            p95_ms: ms(stats.p95),
            p99_ms: ms(stats.p99),
            input_tokens: stats.input_tokens,
            output_tokens: stats.output_tokens,
            cost_usd: stats.cost_usd,
        }
    }
}
