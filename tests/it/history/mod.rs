//! What is read from Temporal's history is what a worker saw. Every test of exact rows compares both;
//! here are the shapes that those do not have, and the differences that there must be.

pub(crate) mod compare;
mod fixtures;
pub(crate) mod flows;
mod shapes;
