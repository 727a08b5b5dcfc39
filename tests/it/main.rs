//! Everything against a real Temporal server.

mod accounting;
mod background;
mod codec;
mod codec_trouble;
#[macro_use]
mod exact;
mod explicit;
mod fuzzed;
mod heal;
mod history;
mod http;
mod identity;
mod kit;
mod large;
mod load;
mod metrics;
mod outage;
mod privacy;
mod probes;
mod process;
mod recording;
mod replay;
mod replay_check;
mod roles;
mod sampling;
mod secrets;
mod spans;
mod standalone;
mod threats;
mod traced;
mod workflows;
