//! Metrics: what Prometheus and a collector are told of runs, queues, calls, cost, and of OmniTrace's own
//! health.
//!
//! Invariant: [`names`] is the only place that spells a metric's name.

pub mod names;
