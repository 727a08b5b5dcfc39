//! Everything against a real Temporal server.

mod exact;
mod load;
mod recording;
mod workflows;
