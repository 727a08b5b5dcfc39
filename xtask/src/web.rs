//! `cargo xtask web`: checks the web UI and builds the bundle that the `omnitrace` program holds. The
//! bundle is committed, so only who changes the UI needs Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::tools::Host;
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
    install(&folder)?;
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

/// Uses the web UI of a built `omnitrace` as a person does, in Chromium.
pub(crate) fn in_browser(host: &Host, omnitrace: &Path) -> Result<(), Error> {
    let Some(chromium) = chromium(host)?.filter(|_| is_installed(&folder())) else {
        say::line("web", "no Chromium, so the web UI is not used in a browser");
        return Ok(());
    };
    let mut tests = npm_command(&folder(), &["run", "--silent", "e2e"]);
    tests
        .env("OMNITRACE_BIN", omnitrace)
        .env("CHROMIUM", chromium);
    process::expect(process::run(&mut tests)?, "npm run e2e")
}

/// Where Chromium is, under one of its names.
fn chromium(host: &Host) -> Result<Option<PathBuf>, Error> {
    for name in ["chromium", "chromium-browser", "google-chrome"] {
        if let Some(program) = host.find(name)
            && process::works(&program, &["--version"])?
        {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

fn folder() -> PathBuf {
    cargo::root().join("web")
}

pub(crate) fn has_npm() -> Result<bool, Error> {
    process::works(Path::new("npm"), &["--version"])
}

/// Gets the packages of a folder, unless they are there.
pub(crate) fn install(folder: &Path) -> Result<(), Error> {
    if is_installed(folder) {
        return Ok(());
    }
    // Not `npm ci`: it refuses a lock file that lacks the optional packages of other systems, which not
    // every registry has.
    npm(folder, &["install", "--no-audit", "--no-fund"])
}

/// Whether the packages are those of the lock file.
fn is_installed(folder: &Path) -> bool {
    let changed = |file: &str| std::fs::metadata(folder.join(file))?.modified();
    let installed = changed("node_modules/.package-lock.json");
    matches!((installed, changed("package-lock.json")), (Ok(a), Ok(b)) if a >= b)
}

pub(crate) fn npm(folder: &Path, arguments: &[&str]) -> Result<(), Error> {
    process::expect(
        process::run(&mut npm_command(folder, arguments))?,
        &format!("npm {}", arguments.join(" ")),
    )
}

fn npm_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    if say::plain() {
        npm.env("NO_COLOR", "1");
    }
    npm
}
