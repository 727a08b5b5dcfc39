//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use omnitrace_store::row::Micros;

/// Now, in microseconds since 1970.
pub(crate) fn now() -> Micros {
    micros(SystemTime::now())
}

/// A time in microseconds since 1970; times before it are negative.
pub(crate) fn micros(time: SystemTime) -> Micros {
    let of = |d: std::time::Duration| Micros::try_from(d.as_micros()).unwrap_or(Micros::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => of(since),
        Err(before) => -of(before.duration()),
    }
}
