//! Chromium: that of `CHROMIUM`, the one on `PATH`, or the system's package where this task may install it.

use std::path::PathBuf;
use std::process::Command;

use nix::unistd::Uid;

use super::{Host, working};
use crate::error::Error;
use crate::{process, say};

/// Where the user says that it is.
const VARIABLE: &str = "CHROMIUM";
/// Names that it goes by.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The program, one that runs.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    if let Some(given) = host.variable(VARIABLE) {
        return working(given.into(), &["--version"]);
    }
    if let Some(found) = find(host)? {
        return Ok(found);
    }
    if install(host)?
        && let Some(found) = find(host)?
    {
        return Ok(found);
    }
    Err(Error::Advice(format!(
        "no Chromium: install it (apt-get install chromium), or set {VARIABLE} to its program"
    )))
}

fn find(host: &Host) -> Result<Option<PathBuf>, Error> {
    for name in NAMES {
        // Some systems have a placeholder of that name that only says what to install.
        if let Some(program) = host.find(name)
            && process::works(&program, &["--version"])?
        {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// Whether the system's package was installed; only root can.
fn install(host: &Host) -> Result<bool, Error> {
    let Some(apt) = host.find("apt-get").filter(|_| Uid::effective().is_root()) else {
        return Ok(false);
    };
    say::line("chromium", "apt-get install chromium");
    for arguments in [
        &["--quiet", "update"][..],
        &[
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "install",
            "chromium",
        ],
    ] {
        let mut command = Command::new(&apt);
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        if !process::run_silent(&mut command, "installing Chromium")?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}
