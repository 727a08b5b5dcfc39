//! Everything against a real Temporal server.

mod accounting;
mod codec;
mod exact;
mod identity;
mod large;
mod load;
mod outage;
mod privacy;
mod probes;
mod recording;
mod replay;
mod sampling;
mod workflows;
