//! What others may know of the writer's state.
//!
//! Invariant: the writer alone writes here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::breaker::Breaker;

/// As of the last time the writer looked up. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    pub(super) live_recorders: Arc<AtomicUsize>,
    pub(super) spool_bytes: Arc<AtomicU64>,
    pub(super) breaker: Arc<Mutex<Breaker>>,
    pub(super) export_breaker: Arc<Mutex<Breaker>>,
    pub(super) collector_up: Arc<Mutex<Option<bool>>>,
}

impl Gauges {
    pub(crate) fn live_recorders(&self) -> usize {
        self.live_recorders.load(Ordering::Relaxed)
    }

    pub(crate) fn spool_bytes(&self) -> u64 {
        self.spool_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn breaker(&self) -> Breaker {
        *locked(&self.breaker)
    }

    pub(crate) fn export_breaker(&self) -> Breaker {
        *locked(&self.export_breaker)
    }

    /// Whether the collector took what it was sent last, if anything was.
    pub(crate) fn collector_up(&self) -> Option<bool> {
        *locked(&self.collector_up)
    }
}

pub(super) fn locked<T>(gauge: &Mutex<T>) -> MutexGuard<'_, T> {
    gauge.lock().unwrap_or_else(PoisonError::into_inner)
}
