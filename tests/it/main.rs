//! Everything against a real Temporal server.

mod accounting;
mod exact;
mod load;
mod outage;
mod recording;
mod workflows;
