//! How a place that refuses what it is sent is left alone: longer each time, and from some refusals
//! on asked with something small first.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Refusals in a row after which the place is asked with something small first.
const TRIPS_AFTER: u32 = 5;

/// A circuit breaker's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breaker {
    /// What is sent is taken.
    #[default]
    Closed,
    /// It was refused several times in a row, and nothing is sent for a while.
    Open,
    /// Something small is sent.
    HalfOpen,
}

impl Breaker {
    /// As it is reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The refusals of one place.
#[derive(Debug)]
pub(crate) struct Refusals {
    backoff: ExponentialBackoff,
    not_before: Option<Instant>,
    /// Since the last success.
    in_a_row: u32,
    /// The last error, until something is taken.
    pub(crate) error: Option<String>,
}

impl Refusals {
    pub(crate) fn none() -> Self {
        Self {
            backoff: backoff(),
            not_before: None,
            in_a_row: 0,
            error: None,
        }
    }

    /// When the place may be asked again; `None` is now.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Forgets how long to wait, as when someone asks for a flush.
    pub(crate) fn hurry(&mut self) {
        self.not_before = None;
        self.backoff = backoff();
    }

    /// Whether the place is to be asked with something small.
    pub(crate) fn is_tripped(&self) -> bool {
        self.in_a_row >= TRIPS_AFTER
    }

    pub(crate) fn breaker(&self, is_busy: bool) -> Breaker {
        match (self.is_tripped(), is_busy) {
            (false, _) => Breaker::Closed,
            (true, false) => Breaker::Open,
            (true, true) => Breaker::HalfOpen,
        }
    }

    /// It refused.
    pub(crate) fn add(&mut self, error: String) {
        // Without end: `without_max_times` below.
        let wait = self.backoff.next().unwrap_or(MAX_BACKOFF);
        self.not_before = Some(Instant::now() + wait);
        self.error = Some(error);
        self.in_a_row = self.in_a_row.saturating_add(1);
    }

    /// It took something.
    pub(crate) fn clear(&mut self) {
        *self = Self::none();
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(MIN_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .with_jitter()
        .without_max_times()
        .build()
}
