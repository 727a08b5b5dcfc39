//! The configuration: environment first, `with_*` methods over it.
//!
//! Invariant: reading it never fails. Each value that is not allowed is one line in the findings,
//! and fails towards less: the environment becomes `prod`, a rate at most that of `prod`, a switch
//! off, a limit at most its default; a database, a port or an endpoint becomes none rather than
//! another one; and what would have made the data more private turns recording off.

mod builder;
mod defaults;
mod env;
mod finding;
mod parse;
mod reader;
mod secret;
mod settings;
mod telemetry;
#[cfg(test)]
mod tests;
mod variables;

pub use defaults::*;
pub use env::Env;
pub use finding::{Finding, FindingKind};
pub use secret::Secret;
pub use settings::{DatabaseTarget, Settings};
pub use telemetry::{
    Backend, Batching, Endpoint, MetricsTemporality, Otlp, OtlpMetrics, OtlpProtocol, OtlpTls,
    SpanLimits, Telemetry,
};
pub use variables::{Shown, VARIABLES, Variable};
