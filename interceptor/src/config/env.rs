//! The kind of environment and what follows from it.
//!
//! Invariant: of the three, `prod` records the least by default.

use std::fmt;

use super::defaults::*;

/// What kind of environment the process runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Env {
    /// A developer's machine.
    Dev,
    /// Tests before production.
    Staging,
    /// Production.
    Prod,
}

impl Env {
    /// The environment of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "dev" => Some(Self::Dev),
            "staging" => Some(Self::Staging),
            "prod" => Some(Self::Prod),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        }
    }

    /// Part of the runs that is recorded, unless configured.
    pub fn default_sample_rate(self) -> f64 {
        match self {
            Self::Dev => DEFAULT_SAMPLE_RATE_DEV,
            Self::Staging => DEFAULT_SAMPLE_RATE_STAGING,
            Self::Prod => DEFAULT_SAMPLE_RATE_PROD,
        }
    }

    /// Level of log lines, unless configured. Sampling decisions are logged at debug level.
    pub fn default_log_level(self) -> tracing::Level {
        match self {
            Self::Dev => tracing::Level::DEBUG,
            Self::Staging | Self::Prod => tracing::Level::INFO,
        }
    }

    /// Days that raw rows are kept; `None` keeps them until they are deleted.
    pub fn retention_days(self) -> Option<u32> {
        match self {
            Self::Dev => None,
            Self::Staging => Some(DEFAULT_RETENTION_DAYS_STAGING),
            Self::Prod => Some(DEFAULT_RETENTION_DAYS_PROD),
        }
    }
}

impl fmt::Display for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
