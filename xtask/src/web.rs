//! `cargo xtask web`: checks the web UI and builds the bundle that the `omnitrace` program holds. The
//! bundle is committed, so only who changes the UI needs Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::{cargo, process, say};

/// Hashes of the bundle and of what it is made of.
const SEAL: &str = "bundle.sha256";

/// Writes the client from the API's document, checks types, runs the tests, and builds.
pub(crate) fn run() -> Result<(), Error> {
    if !has_npm()? {
        return Err(Error::Advice(
            "no npm: install Node.js 20.19 or later to build the web UI".to_owned(),
        ));
    }
    let folder = folder();
    if !is_installed(&folder) {
        npm(&folder, &["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&folder, &["run", "--silent", "bundle"])
}

/// As [`run`], and fails if what is there was made of other sources. Without Node.js nothing is built:
/// the server's tests still compare the hashes.
pub(crate) fn check() -> Result<(), Error> {
    if !has_npm()? {
        say::line("web", "no npm, so the web UI is not tested");
        return Ok(());
    }
    let seal = folder().join(SEAL);
    let read = || std::fs::read(&seal).map_err(Error::file("read", &seal));
    let before = read()?;
    run()?;
    if read()? == before {
        return Ok(());
    }
    Err(Error::Advice(
        "the bundle of the web UI was not up to date; it is now: commit web/".to_owned(),
    ))
}

fn folder() -> PathBuf {
    cargo::root().join("web")
}

fn has_npm() -> Result<bool, Error> {
    process::works(Path::new("npm"), &["--version"])
}

/// Whether the packages are those of the lock file.
fn is_installed(folder: &Path) -> bool {
    let changed = |file: &str| std::fs::metadata(folder.join(file))?.modified();
    let installed = changed("node_modules/.package-lock.json");
    matches!((installed, changed("package-lock.json")), (Ok(a), Ok(b)) if a >= b)
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<(), Error> {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    process::expect(
        process::run(&mut npm)?,
        &format!("npm {}", arguments.join(" ")),
    )
}
