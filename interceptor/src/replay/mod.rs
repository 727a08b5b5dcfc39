//! Stored runs replayed against today's code: would a deploy break those that go on, and where?
//!
//! Invariant: whether a run passes is Temporal's word, that of its `WorkflowReplayer`; what is said of it
//! beside that (which step, what was expected there and what was found) is in the trace's own terms. No
//! value of a payload is told. At most `--at-once` histories are in memory.

mod args;
mod check;
mod outcome;
mod part;
mod report;
mod step;

pub use args::ReplayArgs;
pub use check::{ReplayCheck, ReplayError, replay_check};
pub use outcome::{Outcome, Report};
pub(crate) use step::{Argument, Step, number};

pub use crate::sdk::ReplayWorkflows;
