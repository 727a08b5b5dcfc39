//! Prometheus and Alertmanager, which check and try what is in `deploy`. Found on `PATH` or in the tool
//! cache; else Prometheus is unpacked from Debian's package or built from source, and Alertmanager is built:
//! Debian's looks for its templates where only an installed package has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Host, cache, go, working};
use crate::error::Error;
use crate::{process, say};

/// Version of Prometheus's module, where it is built; the program's own is 3.15.
const VERSION: &str = "v0.315.0";
/// Debian's name of both it and promtool.
const PACKAGE: &str = "prometheus";
/// Version of Alertmanager.
const ALERTMANAGER_VERSION: &str = "v0.28.1";

/// The programs.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
    pub(crate) alertmanager: PathBuf,
}

/// Finds or obtains them.
pub(crate) fn resolve(host: &Host) -> Result<Programs, Error> {
    let module = format!("github.com/prometheus/prometheus@{VERSION}");
    let of_prometheus = |name: &str| {
        program(host, &[name], |folder| match unpack(host, name, folder)? {
            Some(unpacked) => Ok(Some(unpacked)),
            None => go::build(host, name, &module, &format!("./cmd/{name}"), folder),
        })
    };
    let programs = Programs {
        prometheus: of_prometheus("prometheus")?,
        promtool: of_prometheus("promtool")?,
        alertmanager: program(
            host,
            &["prometheus-alertmanager", "alertmanager"],
            |folder| {
                let package = format!(
                    "github.com/prometheus/alertmanager/cmd/alertmanager@{ALERTMANAGER_VERSION}"
                );
                go::install(host, "Alertmanager", &package, folder)
            },
        )?,
    };
    say::line(
        "prometheus",
        format_args!("found {}", programs.prometheus.display()),
    );
    say::line(
        "alertmanager",
        format_args!("found {}", programs.alertmanager.display()),
    );
    Ok(programs)
}

/// A program under one of its names, else made and kept under the last.
fn program(
    host: &Host,
    names: &[&str],
    make: impl FnOnce(&Path) -> Result<Option<PathBuf>, Error>,
) -> Result<PathBuf, Error> {
    let on_path = names.iter().find_map(|name| host.find(name));
    let found = match (on_path, names) {
        (Some(found), _) => found,
        (None, [.., name]) => cache::get_or_make(host, name, |folder| {
            make(folder)?.ok_or_else(|| {
                Error::Advice(format!(
                    "{name} is missing: install it (apt install prometheus prometheus-alertmanager), or \
                     install Go 1.24 or newer and run this again to have it built"
                ))
            })
        })?,
        (None, []) => return Err(Error::Advice("a program without a name".to_owned())),
    };
    working(found, &["--version"])
}

/// A program of Debian's package, without installing it; none where there is none.
fn unpack(host: &Host, program: &str, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let (Some(apt), Some(dpkg)) = (host.find("apt-get"), host.find("dpkg-deb")) else {
        return Ok(None);
    };
    say::line(program, format_args!("downloading the package {PACKAGE}"));
    let mut get = Command::new(apt);
    get.args(["download", "--quiet", PACKAGE])
        .current_dir(folder);
    if !process::capture(&mut get, true)?.status.success() {
        say::line(program, "not to be downloaded here");
        return Ok(None);
    }
    let files = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let archive = (files.flatten().map(|file| file.path()))
        .find(|file| file.extension().is_some_and(|extension| extension == "deb"));
    let Some(archive) = archive else {
        return Ok(None);
    };
    let place = folder.join("package");
    let mut unpack = Command::new(dpkg);
    unpack.arg("-x").arg(archive).arg(&place);
    process::expect(process::run(&mut unpack)?, "unpacking the package")?;
    let program = place.join("usr/bin").join(program);
    Ok(process::works(&program, &["--version"])?.then_some(program))
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn programs_on_the_path_go_before_everything() {
        let fake = FakeHost::new();
        for name in ["prometheus", "promtool", "prometheus-alertmanager"] {
            fake.script(&format!("bin/{name}"), "");
        }
        let programs = resolve(&fake.host).unwrap();
        assert_eq!(programs.promtool, fake.path("bin/promtool"));
        assert_eq!(
            programs.alertmanager,
            fake.path("bin/prometheus-alertmanager")
        );
    }

    #[test]
    fn a_package_is_unpacked_and_its_program_kept() {
        let fake = FakeHost::new();
        fake.script("bin/apt-get", r#": > "$3.deb""#);
        fake.script("bin/alertmanager", "");
        let unpack = r#"/bin/mkdir -p "$3/usr/bin"
            for name in prometheus promtool; do
                printf '#!/bin/sh\n' > "$3/usr/bin/$name"; /bin/chmod +x "$3/usr/bin/$name"
            done"#;
        fake.script("bin/dpkg-deb", unpack);
        let programs = resolve(&fake.host).unwrap();
        assert_eq!(programs.prometheus, fake.path("tools/prometheus"));
        fake.script("bin/apt-get", "exit 1");
        assert_eq!(resolve(&fake.host).unwrap().promtool, programs.promtool);
    }

    #[test]
    fn with_nothing_to_obtain_them_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        fake.script("bin/apt-get", "exit 1");
        let message = resolve(&fake.host).unwrap_err().to_string();
        assert!(message.contains("apt install prometheus"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
