//! OmniTrace.

pub mod policy;
