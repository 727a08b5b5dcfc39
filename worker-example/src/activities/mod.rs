//! What the agent does outside of its workflows, one group of activities per file.
//!
//! The name of a group is the first half of its activity types (`Policy::check`), so that rules
//! by name can tell a model call from a tool call.

#![expect(
    missing_docs,
    reason = "the SDK's macros make constants without documentation"
)]

mod intake;
mod model;
mod outbox;
mod payments;
mod policy;
mod search;

pub use intake::{Intake, Mail};
pub use model::{Classification, ClassifyRequest, Draft, DraftRequest, Model, Usage};
pub use outbox::{Outbox, Reply, Sent};
pub use payments::{PaymentRequest, Payments, Receipt};
pub use policy::{APPROVAL_LIMIT_CENTS, Policy, PolicyRequest, Verdict};
pub use search::{Search, UPSTREAM_ATTEMPTS};
