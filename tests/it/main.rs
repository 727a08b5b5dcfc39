//! Everything against a real Temporal server.

mod exact;
mod recording;
mod workflows;
