//! The `temporal` program, which holds a whole development server. Found on `PATH` or in the tool
//! cache, else downloaded, else built from source; the version is pinned.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Host, cache, go, working};
use crate::error::Error;
use crate::{process, say};

/// Its version, where we are the ones who choose.
const VERSION: &str = "v1.5.1";
/// How long the download may take before it is given up, in seconds.
const DOWNLOAD_LIMIT: &str = "120";

/// The server that the user says is running, once it was seen to answer.
pub(crate) fn given_address(host: &Host) -> Result<Option<String>, Error> {
    let Some(address) = host.text("TEMPORAL_ADDRESS") else {
        return Ok(None);
    };
    if answers(address) {
        return Ok(Some(address.to_owned()));
    }
    Err(Error::Advice(format!(
        "nothing answers at TEMPORAL_ADDRESS={address}: start that server, or unset the variable \
         to have one started"
    )))
}

/// Whether a TCP connection to `host:port`, or to the host of a URL, can be made.
pub(crate) fn answers(address: &str) -> bool {
    host_and_port(address)
        .to_socket_addrs()
        .is_ok_and(|mut resolved| {
            resolved.any(|one| TcpStream::connect_timeout(&one, Duration::from_secs(2)).is_ok())
        })
}

/// `https://host:port/` → `host:port`, with the scheme's port if the URL has none.
fn host_and_port(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let host = rest.split('/').next().unwrap_or_default();
    let after_ipv6 = host.rsplit(']').next().unwrap_or_default();
    match (after_ipv6.contains(':'), scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    }
}

/// Finds or obtains the program.
pub(crate) fn resolve(host: &Host) -> Result<PathBuf, Error> {
    if let Some(found) = host.find("temporal")
        && process::works(&found, &["--version"])?
    {
        say::line("temporal", format_args!("found {}", found.display()));
        return Ok(found);
    }
    let cached = cache::get_or_make(host, "temporal", |folder| obtain(host, folder))?;
    let cached = working(cached, &["--version"])?;
    say::line("temporal", format_args!("found {}", cached.display()));
    Ok(cached)
}

fn obtain(host: &Host, folder: &Path) -> Result<PathBuf, Error> {
    let start = Instant::now();
    let made = match download(host, folder)? {
        Some(program) => Some(program),
        None => build(host, folder)?,
    };
    let program = made.ok_or_else(|| {
        Error::Advice(
            "the Temporal CLI is missing: install it (https://docs.temporal.io/cli), or install Go \
             1.24 or newer and run this again to have it built"
                .to_owned(),
        )
    })?;
    say::line(
        "temporal",
        format_args!("obtained {VERSION} in {}", say::duration(start.elapsed())),
    );
    Ok(program)
}

/// The published program; none, after a line that says so, if it cannot be had.
fn download(host: &Host, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let (Some(curl), Some(tar), Some(platform)) = (host.find("curl"), host.find("tar"), platform())
    else {
        return Ok(None);
    };
    say::line("temporal", format_args!("downloading {VERSION}"));
    let archive = folder.join("temporal.tar.gz");
    let mut get = Command::new(curl);
    get.args([
        "-fsSL",
        "--connect-timeout",
        "5",
        "--max-time",
        DOWNLOAD_LIMIT,
        "-o",
    ])
    .arg(&archive)
    .arg(format!(
        "https://temporal.download/cli/archive/{VERSION}?{platform}"
    ));
    let got = process::capture(&mut get, true)?;
    if got.status.success() {
        let mut unpack = Command::new(tar);
        unpack.arg("-xzf").arg(&archive).arg("-C").arg(folder);
        let unpacked = process::capture(&mut unpack, true)?;
        let program = folder.join("temporal");
        if unpacked.status.success() && process::works(&program, &["--version"])? {
            return Ok(Some(program));
        }
    }
    let reason = got
        .stderr
        .trim()
        .lines()
        .last()
        .unwrap_or("not a usable archive");
    say::line(
        "temporal",
        format_args!("not to be downloaded here ({reason})"),
    );
    Ok(None)
}

/// This machine in the words of the download page, if there is a program for it.
fn platform() -> Option<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        _ => return None,
    };
    Some(format!("platform={system}&arch={processor}"))
}

/// Built with Go; none if there is no Go that can.
fn build(host: &Host, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let package = format!("github.com/temporalio/cli/cmd/temporal@{VERSION}");
    go::install(host, "the Temporal CLI", &package, folder)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::testing::FakeHost;
    use super::*;

    /// A `go` that builds a program which works.
    const GO_SCRIPT: &str = r#"case "$1" in
        version) echo go version go1.24.1 linux/amd64;;
        install) printf '#!/bin/sh\n' > "$GOBIN/temporal"; /bin/chmod +x "$GOBIN/temporal";;
        esac"#;

    #[test]
    fn a_program_on_the_path_goes_before_the_cache() {
        let fake = FakeHost::new();
        let found = fake.script("bin/temporal", "");
        fake.script("tools/temporal", "");
        assert_eq!(resolve(&fake.host).unwrap(), found);
    }

    #[test]
    fn a_program_on_the_path_that_does_not_run_is_passed_over() {
        let fake = FakeHost::new();
        fake.script("bin/temporal", "exit 1");
        let cached = fake.script("tools/temporal", "");
        assert_eq!(resolve(&fake.host).unwrap(), cached);
    }

    #[test]
    fn a_download_goes_before_a_build() {
        let fake = FakeHost::new();
        fake.script(
            "bin/curl",
            r#"while [ "$1" != -o ]; do shift; done; echo archive > "$2""#,
        );
        let unpack = r#"while [ "$1" != -C ]; do shift; done
            printf '#!/bin/sh\n# downloaded\n' > "$2/temporal"; /bin/chmod +x "$2/temporal""#;
        fake.script("bin/tar", unpack);
        fake.script("bin/go", GO_SCRIPT);
        let program = resolve(&fake.host).unwrap();
        assert_eq!(program, fake.path("tools/temporal"));
        assert!(
            std::fs::read_to_string(program)
                .unwrap()
                .contains("downloaded")
        );
    }

    #[test]
    fn a_failed_download_falls_back_to_a_build() {
        let fake = FakeHost::new();
        fake.script("bin/curl", "echo no network >&2; exit 6");
        fake.script("bin/tar", "exit 1");
        fake.script("bin/go", GO_SCRIPT);
        assert_eq!(resolve(&fake.host).unwrap(), fake.path("tools/temporal"));
    }

    #[test]
    fn with_nothing_to_obtain_it_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        fake.script("bin/go", "echo go version go1.19.8 linux/amd64");
        let message = resolve(&fake.host).unwrap_err().to_string();
        assert!(message.contains("docs.temporal.io/cli") && message.contains("Go 1.24"));
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn a_failed_build_is_an_error_with_gos_exit_code() {
        let fake = FakeHost::new();
        let body = r#"[ "$1" = version ] && echo go version go1.24.1 linux/amd64 && exit; exit 3"#;
        fake.script("bin/go", body);
        assert_eq!(resolve(&fake.host).unwrap_err().code(), 3);
    }

    #[test]
    fn a_given_address_is_used_only_if_it_answers() {
        let mut fake = FakeHost::new();
        assert_eq!(given_address(&fake.host).unwrap(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        fake.set("TEMPORAL_ADDRESS", &address);
        assert_eq!(given_address(&fake.host).unwrap(), Some(address));
        // A port nobody listens on. Not the one just closed: a test beside this one may get it.
        fake.set("TEMPORAL_ADDRESS", "127.0.0.1:1");
        let message = given_address(&fake.host).unwrap_err().to_string();
        assert!(message.contains("127.0.0.1:1") && message.contains("unset"));
    }

    #[test]
    fn an_address_may_be_a_url() {
        assert_eq!(host_and_port("localhost:7233"), "localhost:7233");
        assert_eq!(host_and_port("http://localhost:7233/"), "localhost:7233");
        assert_eq!(host_and_port("https://a.example"), "a.example:443");
        assert_eq!(host_and_port("http://[::1]"), "[::1]:80");
        assert_eq!(host_and_port("http://[::1]:7233"), "[::1]:7233");
    }
}
