//! Everything against a real Temporal server.

mod recording;
mod workflows;
