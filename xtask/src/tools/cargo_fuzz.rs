//! cargo-fuzz, which wants a nightly compiler.

use std::path::PathBuf;
use std::process::Command;

use super::{Host, crates};
use crate::error::Error;

/// Its version, where we are the ones who choose.
const VERSION: &str = "0.13.2";

/// Finds or obtains the program, and says what is missing where it cannot run.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let rustup = host.find("rustup").ok_or_else(no_nightly)?;
    let nightly = Command::new(rustup)
        .args(["run", "nightly", "rustc", "--version"])
        .output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        return Err(no_nightly());
    }
    crates::resolve(host, "cargo-fuzz", VERSION, &[])
}

fn no_nightly() -> Error {
    Error::Advice(
        "fuzzers want a nightly compiler: rustup toolchain install nightly --profile minimal"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_program_on_the_path_serves_where_there_is_a_nightly_compiler() {
        let fake = FakeHost::new();
        fake.script("bin/rustup", "");
        let found = fake.script("bin/cargo-fuzz", "");
        assert_eq!(resolve(&fake.host).unwrap(), found);
    }

    #[test]
    fn without_a_nightly_compiler_one_line_says_how_to_get_it() {
        let fake = FakeHost::new();
        let missing = |fake: &FakeHost| {
            let message = resolve(&fake.host).unwrap_err().to_string();
            assert!(message.contains("rustup toolchain install"), "{message}");
            assert_eq!(message.lines().count(), 1);
        };
        missing(&fake);
        fake.script("bin/rustup", "exit 1");
        missing(&fake);
    }
}
