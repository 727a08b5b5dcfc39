//! Settings from code, over those of the environment.
//!
//! Invariant: a number out of its range becomes the nearest allowed one.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::defaults::*;
use super::env::Env;
use super::secret::Secret;
use super::settings::{DatabaseTarget, Settings, is_baggage_key};
use super::telemetry::Telemetry;
use crate::policy::{CategoryError, CategoryRules};

fn within<T: Ord + Copy>(range: RangeInclusive<T>, value: T) -> T {
    value.clamp(*range.start(), *range.end())
}

impl Settings {
    /// Whether anything is recorded.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Kind of environment. Its sample rate is taken too, unless one was chosen.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        if !self.sample_rate_chosen {
            self.sample_rate = env.default_sample_rate();
        }
        self
    }

    /// Part of the runs that is recorded, from 0 to 1. What is no number is 0.
    #[must_use]
    pub fn with_sample_rate(mut self, rate: f64) -> Self {
        self.sample_rate = if rate.is_nan() {
            0.0
        } else {
            rate.clamp(0.0, 1.0)
        };
        self.sample_rate_chosen = true;
        self
    }

    /// Event rows that are stored of one run, within [`MAX_EVENTS_PER_RUN_RANGE`].
    #[must_use]
    pub fn with_max_events_per_run(mut self, rows: u32) -> Self {
        self.max_events_per_run = within(MAX_EVENTS_PER_RUN_RANGE, rows);
        self
    }

    /// Bytes of redacted data that one row keeps, within [`MAX_EVENT_BYTES_RANGE`].
    #[must_use]
    pub fn with_max_event_bytes(mut self, bytes: u32) -> Self {
        self.max_event_bytes = within(MAX_EVENT_BYTES_RANGE, bytes);
        self
    }

    /// Where rows are stored.
    #[must_use]
    pub fn with_database(mut self, database: DatabaseTarget) -> Self {
        self.database = database;
        self
    }

    /// Whether a missing database is created and an older schema migrated.
    #[must_use]
    pub fn with_migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Milliseconds after which a step or a run is slow, within [`SLOW_MS_RANGE`].
    #[must_use]
    pub fn with_slow_ms(mut self, millis: u64) -> Self {
        self.slow_ms = within(SLOW_MS_RANGE, millis);
        self
    }

    /// Bytes of memory for what was observed and not yet written, within [`QUEUE_BYTES_RANGE`].
    #[must_use]
    pub fn with_queue_bytes(mut self, bytes: u64) -> Self {
        self.queue_bytes = within(QUEUE_BYTES_RANGE, bytes);
        self
    }

    /// Bytes on disk for rows that find no room in memory while the database is away, within
    /// [`SPOOL_BYTES_RANGE`]; 0 is none.
    #[must_use]
    pub fn with_spool_bytes(mut self, bytes: u64) -> Self {
        self.spool_bytes = within(SPOOL_BYTES_RANGE, bytes);
        self
    }

    /// Folder of those rows. A relative path begins at the current directory.
    #[must_use]
    pub fn with_spool_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool_path = std::path::absolute(folder.into()).ok();
        self
    }

    /// Whether each batch in the spool is forced to the disk.
    #[must_use]
    pub fn with_spool_fsync(mut self, fsync: bool) -> Self {
        self.spool_fsync = fsync;
        self
    }

    /// Whether runs that ended without a worker seeing it are closed from their history.
    #[must_use]
    pub fn with_reconcile(mut self, reconcile: bool) -> Self {
        self.reconcile = reconcile;
        self
    }

    /// Seconds between two looks at them, within [`RECONCILE_S_RANGE`].
    #[must_use]
    pub fn with_reconcile_s(mut self, seconds: u64) -> Self {
        self.reconcile_s = within(RECONCILE_S_RANGE, seconds);
        self
    }

    /// Milliseconds that rows are gathered, within [`FLUSH_MS_RANGE`].
    #[must_use]
    pub fn with_flush_ms(mut self, millis: u64) -> Self {
        self.flush_ms = within(FLUSH_MS_RANGE, millis);
        self
    }

    /// Seconds that attempts of a run that was not sampled are held, within
    /// [`PROMOTE_WINDOW_S_RANGE`].
    #[must_use]
    pub fn with_promote_window_s(mut self, seconds: u64) -> Self {
        self.promote_window_s = within(PROMOTE_WINDOW_S_RANGE, seconds);
        self
    }

    /// Whether a run that continues as new goes on in its trace.
    #[must_use]
    pub fn with_trace_per_chain(mut self, per_chain: bool) -> Self {
        self.trace_per_chain = per_chain;
        self
    }

    /// Keys of baggage that calls pass on, beside those of the environment. What is no key, or longer than 64
    /// bytes, is left out.
    #[must_use]
    pub fn with_baggage<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        self.baggage.extend(keys.filter(|key| is_baggage_key(key)));
        self
    }

    /// Rules that give activity types a category, in the place of those of the environment.
    ///
    /// # Errors
    /// When a rule cannot be read.
    pub fn with_categories(mut self, rules: &str) -> Result<Self, CategoryError> {
        self.categories = CategoryRules::parse(rules)?;
        self.categories_text = rules.to_owned();
        Ok(self)
    }

    /// Fields whose values are kept, beside those of the environment and the built-in ones.
    #[must_use]
    pub fn with_allow_fields<T: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> Self {
        self.allow_fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Fields whose values are dropped, beside those of the environment and the built-in ones.
    #[must_use]
    pub fn with_drop_fields<T: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> Self {
        self.drop_fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Key of the hashes, without white space around it. A blank one turns recording off: plain
    /// hashes would show more.
    #[must_use]
    pub fn with_hash_key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.enabled &= !key.trim().is_empty();
        self.hash_key = Some(Secret::new(key.trim()));
        self
    }

    /// Whether prompts and responses stay readable.
    #[must_use]
    pub fn with_capture_content(mut self, capture: bool) -> Self {
        self.capture_content = capture;
        self
    }

    /// A file with a price table. A relative path begins at the current directory.
    #[must_use]
    pub fn with_prices(mut self, file: impl Into<PathBuf>) -> Self {
        self.prices = std::path::absolute(file.into()).ok();
        self
    }

    /// Name of the service.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    /// Spans and metrics: those of [`Settings::telemetry`], changed.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = telemetry;
        self
    }
}
