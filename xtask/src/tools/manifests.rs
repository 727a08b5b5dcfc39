//! A Python with Kubernetes' schemas, to validate manifests with: a virtual environment in the tool cache.

use std::path::PathBuf;
use std::process::Command;

use super::{Host, cache, working};
use crate::error::Error;
use crate::{process, say};

/// Version of `kubernetes-validate`, which carries the schemas.
const VERSION: &str = "1.37.0";

/// Finds or makes it; the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    let place = cache::get_or_make(host, &format!("kubernetes-validate-{VERSION}"), |folder| {
        let python = host.find("python3").ok_or_else(missing)?;
        let environment = folder.join("environment");
        say::line(
            "manifests",
            format_args!("fetching kubernetes-validate {VERSION}"),
        );
        let mut make = Command::new(python);
        make.args(["-m", "venv"]).arg(&environment);
        if !process::capture(&mut make, true)?.status.success() {
            return Err(missing());
        }
        let mut install = Command::new(environment.join("bin/python"));
        install
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args([
                "--disable-pip-version-check",
                &format!("kubernetes-validate=={VERSION}"),
            ]);
        process::expect(
            process::run_silent(&mut install, "fetching Kubernetes' schemas")?,
            "pip install kubernetes-validate (see above)",
        )?;
        Ok(environment)
    })?;
    working(
        place.join("bin/python"),
        &["-c", "import kubernetes_validate"],
    )
}

fn missing() -> Error {
    Error::Advice(
        "manifests are validated with a program in Python: install Python 3.10 or newer with its venv          module (apt install python3-venv)"
            .to_owned(),
    )
}
