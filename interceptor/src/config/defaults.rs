//! What holds where nothing is configured, and how far numbers may go.
//!
//! Invariant: each default lies within its range.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// Recording is on.
pub const DEFAULT_ENABLED: bool = true;
/// Sample rate in `dev`.
pub const DEFAULT_SAMPLE_RATE_DEV: f64 = 1.0;
/// Sample rate in `staging`.
pub const DEFAULT_SAMPLE_RATE_STAGING: f64 = 1.0;
/// Sample rate in `prod`, and where a rate cannot be read.
pub const DEFAULT_SAMPLE_RATE_PROD: f64 = 0.1;
/// Days that raw rows are kept in `staging`; in `dev` they stay until they are deleted.
pub const DEFAULT_RETENTION_DAYS_STAGING: u32 = 7;
/// Days that raw rows are kept in `prod`.
pub const DEFAULT_RETENTION_DAYS_PROD: u32 = 14;
/// Event rows that are stored of one run.
pub const DEFAULT_MAX_EVENTS_PER_RUN: u32 = omnitrace_store::DEFAULT_MAX_EVENTS_PER_RUN;
/// Bytes of redacted data that one row keeps.
pub const DEFAULT_MAX_EVENT_BYTES: u32 = 8192;
/// The database, relative to the current directory.
pub const DEFAULT_DATABASE_URL: &str = "sqlite://omnitrace.db";
/// Older schemas are migrated at start.
pub const DEFAULT_MIGRATE: bool = true;
/// Milliseconds after which a step or a run is slow.
pub const DEFAULT_SLOW_MS: u64 = 2000;
/// Bytes of memory for what was observed and not yet written: 8 MiB.
pub const DEFAULT_QUEUE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes on disk for rows that find no room in memory while the database is away: 64 MiB.
pub const DEFAULT_SPOOL_BYTES: u64 = 64 * 1024 * 1024;
/// Folder of the spool beside a database that is no file, relative to the current directory.
pub const DEFAULT_SPOOL_FOLDER: &str = "omnitrace.spool";
/// The system decides when the spool reaches the disk: a killed process loses nothing, a machine
/// without power may.
pub const DEFAULT_SPOOL_FSYNC: bool = false;
/// Runs that ended without a worker seeing it are closed from their history.
pub const DEFAULT_RECONCILE: bool = true;
/// Seconds between two looks at them.
pub const DEFAULT_RECONCILE_S: u64 = 60;
/// Milliseconds that rows are gathered before they are written.
pub const DEFAULT_FLUSH_MS: u64 = 200;
/// Seconds that the attempts of a run that was not sampled are held.
pub const DEFAULT_PROMOTE_WINDOW_S: u64 = 300;
/// A run that continues as new begins a trace.
pub const DEFAULT_TRACE_PER_CHAIN: bool = false;
/// Prompts and responses are hashed like everything else.
pub const DEFAULT_CAPTURE_CONTENT: bool = false;
/// Name of a service that has none, as OpenTelemetry has it.
pub const DEFAULT_SERVICE_NAME: &str = "unknown_service";
/// Nothing leaves the process.
pub const DEFAULT_TELEMETRY_ENABLED: bool = false;
/// Port of the Prometheus endpoint.
pub const DEFAULT_PROM_EXPORT_PORT: u16 = 9090;
/// Nobody but this machine can ask it.
pub const DEFAULT_PROMETHEUS_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Milliseconds between two exports of metrics.
pub const DEFAULT_METRIC_EXPORT_INTERVAL_MS: u64 = 60_000;
/// Milliseconds of one export.
pub const DEFAULT_OTLP_TIMEOUT_MS: u64 = 10_000;
/// Attributes, events or links of a span.
pub const DEFAULT_SPAN_COUNT_LIMIT: u32 = 128;
/// Milliseconds between two exports.
pub const DEFAULT_BSP_SCHEDULE_DELAY_MS: u64 = 5_000;
/// Milliseconds of one batch.
pub const DEFAULT_BSP_EXPORT_TIMEOUT_MS: u64 = 30_000;
/// Spans that wait for export.
pub const DEFAULT_BSP_MAX_QUEUE_SIZE: u32 = 2048;
/// Spans of one batch.
pub const DEFAULT_BSP_MAX_EXPORT_BATCH_SIZE: u32 = 512;

/// Allowed event rows of one run.
pub const MAX_EVENTS_PER_RUN_RANGE: RangeInclusive<u32> = 1..=100_000;
/// Allowed bytes of a row's data.
pub const MAX_EVENT_BYTES_RANGE: RangeInclusive<u32> = 256..=1_048_576;
/// Allowed milliseconds of "slow", up to a day.
pub const SLOW_MS_RANGE: RangeInclusive<u64> = 1..=86_400_000;
/// Allowed bytes of the queue, up to 1 GiB.
pub const QUEUE_BYTES_RANGE: RangeInclusive<u64> = 65_536..=1_073_741_824;
/// Allowed bytes of the spool, up to 1 TiB; 0 is no spool.
pub const SPOOL_BYTES_RANGE: RangeInclusive<u64> = 0..=1_099_511_627_776;
/// Allowed seconds between two looks, up to a day.
pub const RECONCILE_S_RANGE: RangeInclusive<u64> = 1..=86_400;
/// Allowed milliseconds of gathering.
pub const FLUSH_MS_RANGE: RangeInclusive<u64> = 10..=60_000;
/// Allowed seconds of holding, up to a day; 0 holds nothing.
pub const PROMOTE_WINDOW_S_RANGE: RangeInclusive<u64> = 0..=86_400;
/// Allowed milliseconds of an export.
pub(super) const MILLIS_RANGE: RangeInclusive<u64> = 1..=3_600_000;
/// Allowed limits of a span's parts.
pub(super) const COUNT_RANGE: RangeInclusive<u32> = 0..=1_000_000;
/// Allowed sizes of the export queue and its batches.
pub(super) const SIZE_RANGE: RangeInclusive<u32> = 1..=1_000_000;
/// A hash key shorter than this many bytes may be guessed.
pub(super) const GOOD_HASH_KEY_BYTES: usize = 16;
