//! The files of `deploy/` that put `omnitrace serve` somewhere: manifests against Kubernetes' schemas, the unit by
//! systemd itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::tools::{Host, manifests};
use crate::{cargo, process, say};

/// Where the unit has the program.
const INSTALLED: &str = "/usr/local/bin/omnitrace";

/// Checks them; `program` stands for the installed one.
pub(crate) fn check(host: &Host, program: &Path) -> Result<(), Error> {
    let folder = cargo::root().join("deploy");
    let python = manifests::resolve(host)?;
    let mut validate = Command::new(python);
    validate
        .args(["-m", "kubernetes_validate", "--strict"])
        .args(files(&folder.join("kubernetes"))?);
    said_if_bad(&mut validate, "validating deploy/kubernetes")?;

    let Some(analyze) = host.find("systemd-analyze") else {
        say::line("systemd", "no systemd-analyze, so the unit is not verified");
        return Ok(());
    };
    let unit = folder.join("systemd/omnitrace.service");
    let text = std::fs::read_to_string(&unit).map_err(Error::file("read", &unit))?;
    let text = text.replace(INSTALLED, &program.to_string_lossy());
    let copy = cargo::target_directory(host).join("omnitrace.service");
    std::fs::write(&copy, text).map_err(Error::file("write", &copy))?;
    let mut verify = Command::new(analyze);
    verify.args(["verify", "--man=no"]).arg(&copy);
    said_if_bad(&mut verify, "systemd-analyze verify omnitrace.service")
}

/// What it says is shown only where it finds something.
fn said_if_bad(command: &mut Command, what: &str) -> Result<(), Error> {
    let captured = process::capture(command, true)?;
    if !captured.status.success() {
        say::line(
            "deploy",
            format_args!("{}{}", captured.stdout, captured.stderr),
        );
    }
    process::expect(captured.status, what)
}

/// The manifests; what says which they are is none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let files = std::fs::read_dir(folder)?;
        files.map(|file| Ok(file?.path())).collect()
    };
    let mut files = read().map_err(Error::file("read", folder))?;
    files.retain(|file| {
        file.file_name()
            .is_some_and(|name| name != "kustomization.yaml")
    });
    files.sort();
    Ok(files)
}
