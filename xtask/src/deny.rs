//! `cargo xtask deny`: what is depended on, by the rules of `deny.toml`.

use std::process::Command;

use clap::Args;

use crate::error::Error;
use crate::tools::{Host, cargo_deny};
use crate::{cargo, process, say};

/// As cargo-deny calls them.
const CHECKS: [&str; 4] = ["advisories", "bans", "licenses", "sources"];

/// What is looked at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is checked; everything if nothing is named
    #[arg(value_parser = CHECKS)]
    checks: Vec<String>,
}

/// Checks, and fails with what is not allowed.
pub(crate) fn run(host: &Host, options: &Options) -> Result<(), Error> {
    let mut deny = Command::new(cargo_deny::resolve(host)?);
    if say::plain() {
        // What is worth seeing and not worth failing fills pages.
        deny.args(["--color", "never", "--log-level", "error"]);
    }
    deny.arg("check")
        .args(&options.checks)
        .current_dir(cargo::root());
    process::expect(process::run(&mut deny)?, "cargo deny check")
}
