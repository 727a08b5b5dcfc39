//! Cargo as a child: in the workspace's root, with `protoc` set where it must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::tools::Host;
use crate::tools::protoc::Protoc;
use crate::{process, say};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it when it runs us; the value of the build serves a binary started by hand.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// How variables begin that cargo sets of the package that it runs.
const OF_A_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// `cargo`, with nothing chosen yet but where and how it shows progress.
pub(crate) fn command(protoc: &Protoc) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    as_from_a_shell(&mut command);
    if let Some(path) = protoc.to_set() {
        command.env("PROTOC", path);
    }
    if say::plain() {
        command.env("CARGO_TERM_PROGRESS_WHEN", "never");
    }
    command
}

/// Takes off what cargo set for this task. To build scripts it would look like a change of the environment: they,
/// and the SDK with them, would be built once more after each build from a shell.
pub(crate) fn as_from_a_shell(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let is_of_a_package = |name: &str| OF_A_PACKAGE.iter().any(|of| name.starts_with(of));
        if name.to_str().is_some_and(is_of_a_package) {
            command.env_remove(name);
        }
    }
}

/// An error that names the component if cargo's `subcommand` is not installed.
pub(crate) fn require(protoc: &Protoc, subcommand: &str, component: &str) -> Result<(), Error> {
    let version = process::capture(command(protoc).args([subcommand, "--version"]), true)?;
    if version.status.success() {
        return Ok(());
    }
    Err(Error::Advice(format!(
        "cargo {subcommand} is missing: rustup component add {component}"
    )))
}

/// How a build is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The shorter build.
    Dev,
    /// The faster program.
    Release,
}

/// Builds binaries of the workspace, and returns the path of each.
pub(crate) fn build(
    protoc: &Protoc,
    packages: &[&str],
    profile: Profile,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut build = command(protoc);
    build.args([
        "build",
        "--bins",
        "--message-format=json-render-diagnostics",
    ]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    for package in packages {
        build.args(["--package", package]);
    }
    if say::plain() {
        build.arg("--quiet");
    }
    let built = process::capture(&mut build, false)?;
    process::expect(built.status, "the build")?;
    Ok(executables(&built.stdout))
}

/// Builds one program with the features of the whole workspace, so that what the tests built serves
/// it too, and returns its path.
pub(crate) fn build_in_workspace(protoc: &Protoc, program: &str) -> Result<PathBuf, Error> {
    let mut build = command(protoc);
    build.args(["build", "--workspace", "--bin", program]);
    build.arg("--message-format=json-render-diagnostics");
    if say::plain() {
        build.arg("--quiet");
    }
    let built = process::capture(&mut build, false)?;
    process::expect(built.status, "the build")?;
    executables(&built.stdout)
        .remove(program)
        .ok_or_else(|| Error::Advice(format!("the build made no program {program}")))
}

/// The executables in cargo's messages, by the target's name.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let path = message.get("executable")?.as_str()?;
            let name = message.get("target")?.get("name")?.as_str()?;
            Some((name.to_owned(), PathBuf::from(path)))
        })
        .collect()
}

/// Where builds and the demo's data go.
pub(crate) fn target_directory(host: &Host) -> PathBuf {
    root().join(
        host.variable("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from("target"), PathBuf::from),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn only_artifacts_with_an_executable_count() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"omnitrace"},"executable":"/t/debug/omnitrace"}
not json
{"reason":"build-finished","success":true}"#;
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found["omnitrace"], Path::new("/t/debug/omnitrace"));
    }
}
