//! mdBook, which makes a site of the guides. Found on `PATH` or in the tool cache, else built by cargo;
//! the version is pinned.

use std::path::PathBuf;
use std::process::Command;

use super::{Host, cache, working};
use crate::error::Error;
use crate::{process, say};

/// Its version, where we are the ones who choose.
const VERSION: &str = "0.5.4";

/// Finds or builds the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let found = match host.find("mdbook") {
        Some(found) => found,
        None => cache::get_or_make(host, &format!("mdbook-{VERSION}"), |folder| {
            say::line("mdbook", "building it: some minutes, this once");
            let cargo = host.variable("CARGO").map_or("cargo".into(), PathBuf::from);
            let mut install = Command::new(cargo);
            install
                .args(["install", "mdbook", "--version", VERSION, "--locked"])
                // It makes some pages: what an optimised build would save, building it costs more.
                .args(["--debug", "--no-default-features", "--features", "search"])
                .arg("--root")
                .arg(folder)
                .env("CARGO_TARGET_DIR", folder.join("target"))
                .current_dir(folder);
            let status = process::run_silent(&mut install, "building mdBook")?;
            process::expect(status, "building mdBook with cargo (see above)")?;
            Ok(folder.join("bin/mdbook"))
        })?,
    };
    working(found, &["--version"])
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_program_on_the_path_goes_before_a_build() {
        let fake = FakeHost::new();
        let found = fake.script("bin/mdbook", "");
        assert_eq!(resolve(&fake.host).unwrap(), found);
    }
}
