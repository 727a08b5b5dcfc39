//! mdBook, which makes a site of the guides.

use std::path::PathBuf;

use super::{Host, crates};
use crate::error::Error;

/// Its version, where we are the ones who choose.
const VERSION: &str = "0.5.4";

/// Finds or builds the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let options = ["--no-default-features", "--features", "search"];
    crates::resolve(host, "mdbook", VERSION, &options)
}
