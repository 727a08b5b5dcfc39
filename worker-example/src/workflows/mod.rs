//! The workflows of the desk. They are deterministic: no clock, no randomness, no I/O of their own.

#![expect(
    missing_docs,
    reason = "the SDK's macros make constants without documentation"
)]

mod options;
mod order_support;
mod payment;
mod support_batch;

pub use order_support::{
    Approval, MAX_NOTE_CHARS, OrderSupport, Outcome, POLICY_VIOLATION, Progress, Stage,
    SupportRequest,
};
pub use payment::{COMPENSATION_FAILED, Paid, Payment};
pub use support_batch::{BatchReport, BatchRequest, SupportBatch};
