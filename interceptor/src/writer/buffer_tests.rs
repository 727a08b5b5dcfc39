//! The buffer against the pure rule.
