//! `cargo xtask deny`: what is depended on, by the rules of `deny.toml`.

use std::process::Command;

use clap::Args;

use crate::error::Error;
use crate::tools::{Host, cargo_deny};
use crate::{cargo, process, say};

/// As cargo-deny calls them.
const CHECKS: [&str; 4] = [ADVISORIES, "bans", "licenses", "sources"];
const ADVISORIES: &str = "advisories";

/// What is looked at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is checked; everything if nothing is named
    #[arg(value_parser = CHECKS)]
    checks: Vec<String>,
}

/// Checks, and fails with what is not allowed. Without a network all but the advisories is checked.
pub(crate) fn run(host: &Host, options: &Options) -> Result<(), Error> {
    let program = cargo_deny::resolve(host)?;
    let deny = |words: &[&str]| {
        let mut deny = Command::new(&program);
        if say::plain() {
            // What is worth seeing and not worth failing fills pages.
            deny.args(["--color", "never", "--log-level", "error"]);
        }
        process::run(deny.args(words).current_dir(cargo::root()))
    };
    let check = |checks: &[&str]| {
        let words = [&["check"], checks].concat();
        process::expect(deny(&words)?, "cargo deny check")
    };
    let mut checks: Vec<&str> = match options.checks.as_slice() {
        [] => CHECKS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    if !checks.contains(&ADVISORIES) || deny(&["fetch", "db"])?.success() {
        return check(&checks);
    }
    checks.retain(|check| *check != ADVISORIES);
    if !checks.is_empty() {
        check(&checks)?;
    }
    Err(Error::Advice(
        "known holes were not looked for: their list, https://github.com/RustSec/advisory-db, could not be fetched \
         (why is above)"
            .to_owned(),
    ))
}
