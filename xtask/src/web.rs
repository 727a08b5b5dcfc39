//! `cargo xtask web`: checks the web UI and builds the bundle that the `omnitrace` program holds. The
//! bundle is committed, so only who changes the UI needs Node.js.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::tools::protoc::{self, Protoc};
use crate::tools::{Host, chromium, temporal};
use crate::{cargo, process, say};

/// Hashes of the bundle and of what it is made of.
const SEAL: &str = "bundle.sha256";

/// Writes the client from the API's document, checks types, runs the tests, and builds.
pub(crate) fn run() -> Result<(), Error> {
    require_packages()?;
    npm(&folder(), &["run", "--silent", "bundle"])
}

/// Installs the packages of the lock file where others are, or none.
pub(crate) fn require_packages() -> Result<(), Error> {
    if !has_npm()? {
        return Err(Error::Advice(
            "no npm: install Node.js 20.19 or later for the web UI".to_owned(),
        ));
    }
    install(&folder())
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

/// As [`run`], and draws the pictures of the guide if they are wanted.
pub(crate) fn run_and_draw(host: &Host, pictures: bool) -> Result<(), Error> {
    run()?;
    if !pictures {
        return Ok(());
    }
    let chromium = chromium::resolve(host)?;
    let omnitrace = cargo::build_in_workspace(&protoc::resolve(host)?, "omnitrace")?;
    in_chromium(&["run", "--silent", "pictures"], &chromium, &omnitrace, &[])
}

/// Uses the web UI of a built `omnitrace` as a person does, in Chromium, with runs of the example worker among
/// others.
pub(crate) fn in_browser(host: &Host, protoc: &Protoc, omnitrace: &Path) -> Result<(), Error> {
    if !is_installed(&folder()) {
        say::line("web", "no npm, so the web UI is not used in a browser");
        return Ok(());
    }
    match chromium::resolve(host) {
        Ok(chromium) => {
            let worker = cargo::build_in_workspace(protoc, "worker-example")?;
            let temporal = temporal::resolve(host)?;
            let programs = [
                ("TEMPORAL_BIN", temporal.as_os_str()),
                ("WORKER_BIN", worker.as_os_str()),
            ];
            in_chromium(&["run", "--silent", "e2e"], &chromium, omnitrace, &programs)
        }
        Err(Error::Advice(advice)) => {
            let line = format!("{advice}; so the web UI is not used in a browser");
            say::line("web", line);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Runs a script of the web UI that needs Chromium and a built `omnitrace`.
pub(crate) fn in_chromium(
    arguments: &[&str],
    chromium: &Path,
    omnitrace: &Path,
    more: &[(&str, &OsStr)],
) -> Result<(), Error> {
    let mut script = npm_command(&folder(), arguments);
    script
        .env("OMNITRACE_BIN", omnitrace)
        .env("CHROMIUM", chromium)
        .envs(more.iter().copied());
    let what = format!("npm {}", arguments.join(" "));
    process::expect(process::run(&mut script)?, &what)
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
