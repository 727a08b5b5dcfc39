//! cargo-deny, which looks at what is depended on.

use std::path::PathBuf;

use super::{Host, crates};
use crate::error::Error;

/// Its version, where we are the ones who choose.
const VERSION: &str = "0.20.2";

/// Finds or builds the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    crates::resolve(host, "cargo-deny", VERSION, &[])
}
