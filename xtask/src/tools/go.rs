//! Programs that are had by building them with Go. Each is pinned to a version by its caller.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Host;
use crate::error::Error;
use crate::{process, say};

/// The oldest Go that can build them (an older one from 1.21 on fetches a newer one by itself).
const GO: (u32, u32) = (1, 21);

/// Builds `package@version` into `folder` and returns the program; none if there is no Go that can.
pub(crate) fn install(
    host: &Host,
    what: &str,
    package: &str,
    folder: &Path,
) -> Result<Option<PathBuf>, Error> {
    let Some(go) = host.find("go") else {
        return Ok(None);
    };
    let version = process::capture(Command::new(&go).arg("version"), true)?;
    if go_version(&version.stdout).is_none_or(|found| found < GO) {
        return Ok(None);
    }
    say::line(
        "go",
        format_args!("building {package}: two or three minutes, this once"),
    );
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
