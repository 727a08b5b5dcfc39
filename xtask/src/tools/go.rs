//! Programs that are had by building them with Go. Each is pinned to a version by its caller.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Host;
use crate::error::Error;
use crate::{process, say};

/// The oldest Go that can build them (an older one from 1.21 on fetches a newer one by itself).
const GO: (u32, u32) = (1, 21);

/// Go, if it can build them.
fn find(host: &Host, package: &str) -> Result<Option<PathBuf>, Error> {
    let Some(go) = host.find("go") else {
        return Ok(None);
    };
    let version = process::capture(Command::new(&go).arg("version"), true)?;
    if go_version(&version.stdout).is_none_or(|found| found < GO) {
        return Ok(None);
    }
    say::line(
        "go",
        format_args!("building {package}: some minutes, this once"),
    );
    Ok(Some(go))
}

/// Builds a package of a module that `go install` refuses, because it replaces modules that it needs.
pub(crate) fn build(
    host: &Host,
    what: &str,
    module: &str,
    package: &str,
    folder: &Path,
) -> Result<Option<PathBuf>, Error> {
    let Some(go) = find(host, module)? else {
        return Ok(None);
    };
    let mut download = Command::new(&go);
    download.args(["mod", "download", "-json", module]);
    let answer = process::capture(&mut download, false)?;
    let described = serde_json::from_str::<serde_json::Value>(&answer.stdout).unwrap_or_default();
    let Some(source) = described["Dir"].as_str() else {
        process::expect(answer.status, &format!("downloading {what} with Go"))?;
        return Err(Error::Advice(format!(
            "Go did not say where it put the source of {what}: run `go mod download -json {module}`"
        )));
    };
    // Go keeps its downloads read-only, and has to note what it builds.
    let copy = folder.join("source");
    let mut copying = Command::new("cp");
    copying.arg("-R").arg(source).arg(&copy);
    process::expect(process::run(&mut copying)?, "copying the source")?;
    let mut writable = Command::new("chmod");
    writable.args(["-R", "u+w"]).arg(&copy);
    process::expect(process::run(&mut writable)?, "making the source writable")?;
    let program = folder.join("program");
    let mut build = Command::new(go);
    build
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(&copy)
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    let status = process::run_silent(&mut build, &format!("building {what}"))?;
    process::expect(status, &format!("building {what} with Go (see above)"))?;
    Ok(Some(program))
}

/// Builds `package@version` into `folder` and returns the program; none if there is no Go that can.
pub(crate) fn install(
    host: &Host,
    what: &str,
    package: &str,
    folder: &Path,
) -> Result<Option<PathBuf>, Error> {
    let Some(go) = find(host, package)? else {
        return Ok(None);
    };
    let mut install = Command::new(go);
    install
        .args(["install", package])
        .env("GOBIN", folder)
        .env_remove("GOOS")
        .env_remove("GOARCH");
    let status = process::run_silent(&mut install, &format!("building {what}"))?;
    process::expect(status, &format!("building {what} with Go (see above)"))?;
    let (path, _) = package.split_once('@').unwrap_or((package, ""));
    let program = path.rsplit('/').next().unwrap_or(path);
    Ok(Some(folder.join(program)))
}

/// `go version go1.26.8 linux/amd64` → (1, 26).
fn go_version(output: &str) -> Option<(u32, u32)> {
    let version = output.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_read() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(
            go_version("go version go1.21rc2 linux/amd64"),
            Some((1, 21))
        );
        assert_eq!(go_version("go version devel +1234"), None);
    }
}
