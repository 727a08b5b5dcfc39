//! What the tasks need beside Rust: found if it is there, obtained once if it is not, and if that
//! cannot be, one line says what to install. Nothing is put outside the tool cache.

pub(crate) mod cache;
pub(crate) mod cargo_deny;
pub(crate) mod cargo_fuzz;
pub(crate) mod chromium;
pub(crate) mod collector;
mod crates;
pub(crate) mod dev_server;
mod go;
pub(crate) mod jaeger;
pub(crate) mod manifests;
pub(crate) mod mdbook;
pub(crate) mod postgres;
pub(crate) mod prometheus;
pub(crate) mod protoc;
pub(crate) mod python;
pub(crate) mod server;
pub(crate) mod temporal;
pub(crate) mod toxiproxy;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::process;

/// The machine as a task sees it: its environment variables, in a form a test can make up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    variables: BTreeMap<String, OsString>,
}

impl Host {
    /// This process's environment.
    pub(crate) fn current() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    /// As [`Host::variable`], if it is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variable(name)?.to_str()
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The first executable file of this name on `PATH`.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(self.variable("PATH")?)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|file| is_executable(file))
    }
}

/// A program that was found, if it runs with these arguments.
fn working(program: PathBuf, arguments: &[&str]) -> Result<PathBuf, Error> {
    match process::works(&program, arguments)? {
        true => Ok(program),
        false => Err(does_not_run(&program)),
    }
}

fn does_not_run(found: &Path) -> Error {
    Error::Advice(format!(
        "{} does not run: delete it and try again",
        found.display()
    ))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
pub(crate) mod testing {
    //! A made-up machine: a folder of shell scripts as `PATH`, and an empty tool cache.

    use std::process::Command;

    use super::*;

    pub(crate) struct FakeHost {
        pub(crate) directory: tempfile::TempDir,
        pub(crate) host: Host,
    }

    impl FakeHost {
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut host = Host::default();
            let mut set = |name: &str, sub: &str| {
                let path = directory.path().join(sub);
                std::fs::create_dir(&path).unwrap();
                host.variables.insert(name.to_owned(), path.into());
            };
            set("PATH", "bin");
            set("OMNITRACE_TOOLS", "tools");
            Self { directory, host }
        }

        pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
            self.host.variables.insert(name.to_owned(), value.into());
        }

        pub(crate) fn path(&self, relative: &str) -> PathBuf {
            self.directory.path().join(relative)
        }

        /// Puts a shell script at `relative`.
        pub(crate) fn script(&self, relative: &str, body: &str) -> PathBuf {
            let file = self.path(relative);
            // Written by another process: while a test forks, a file this process has open for
            // writing cannot be executed ("text file busy").
            let written = Command::new("/bin/sh")
                .args([
                    "-c",
                    r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1""#,
                    "sh",
                ])
                .arg(&file)
                .arg(body)
                .status()
                .unwrap();
            assert!(written.success());
            file
        }
    }

    #[test]
    fn only_executable_files_on_the_path_are_found_and_the_first_wins() {
        let mut fake = FakeHost::new();
        std::fs::create_dir(fake.path("second")).unwrap();
        std::fs::create_dir(fake.path("bin/folder")).unwrap();
        std::fs::write(fake.path("bin/plain"), "").unwrap();
        let first = fake.script("bin/tool", "");
        fake.script("second/tool", "");
        let only_second = fake.script("second/plain", "");
        let path = std::env::join_paths([fake.path("bin"), fake.path("second")]).unwrap();
        fake.set("PATH", path);
        assert_eq!(fake.host.find("tool"), Some(first));
        assert_eq!(fake.host.find("plain"), Some(only_second));
        assert_eq!(fake.host.find("folder"), None);
    }
}
