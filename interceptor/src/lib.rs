//! OmniTrace records every workflow run and activity attempt of a Temporal worker, without a
//! changed line in workflows or activities.
//!
//! Register one value on the client: see [`OmniTrace`]. What user code wants to add, it tells with
//! [`record_event`], [`record_artifact`] and [`record_usage`] inside an activity, or with a
//! [`Recorder`] anywhere.
//!
//! - [`audit`]: what a process would tell of rows
//! - [`config`]: settings and the environment variables that they are read from
//! - [`history`]: Temporal's own history as rows
//! - [`layer()`]: what `tracing` sees inside activities, recorded without further code
//! - [`logs`]: log lines that say which attempt they belong to
//! - [`metrics`]: what is counted and measured for Prometheus and collectors
//! - [`policy`]: redaction, truncation, categories, token usage and cost
//! - [`spool`]: what waits on disk
//! - `replay` (feature `replay`): stored runs replayed against today's code
//! - [`telemetry`]: what leaves the process as spans
//! - [`Counter`]: what is counted, drops above all

pub mod audit;
pub mod config;
pub mod history;
pub mod logs;
pub mod metrics;
pub mod policy;
#[cfg(feature = "replay")]
pub mod replay;
pub mod spool;
pub mod telemetry;

mod attempt;
mod breaker;
mod clock;
mod counters;
mod current;
mod http_layer;
mod layer;
mod observe;
mod omnitrace;
mod propagation;
mod queue;
mod recent;
mod recorder;
mod sampling;
mod sdk;
mod switches;
mod tracker;
mod writer;

pub use breaker::Breaker;
pub use counters::Counter;
pub use http_layer::{HttpFuture, HttpLayer, HttpService};
pub use layer::layer;
pub use omnitrace::{DEFAULT_NAMESPACE, FlushError, OmniTrace};
pub use omnitrace_store as store;
pub use recorder::{Recorder, Tokens, record_artifact, record_event, record_usage};
#[cfg(feature = "replay")]
pub use replay::replay_check;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use sdk::fuzzing;
pub use sdk::{
    ActivityRecorder, OmniTracePlugin, ReplayPlugin, WorkerRecorder, WorkflowInterceptorConstructor,
};
