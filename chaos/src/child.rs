//! Child processes: what they see of the environment, where they write, and how they end.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Settings of the user that must not reach what is started here.
const HIDDEN: [&str; 5] = ["OMNITRACE_", "TEMPORAL_", "OTEL_", "TELEMETRY_", "PROM_"];

/// A program with none of the user's settings, that ends with this process and writes its errors to
/// the end of `log`.
pub(crate) fn command(program: &Path, log: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let hidden = |name: &str| HIDDEN.iter().any(|prefix| name.starts_with(prefix));
        if name.to_str().is_some_and(hidden) {
            command.env_remove(name);
        }
    }
    let log = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

/// Starts it.
pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    let program = command.as_std().get_program().to_owned();
    command
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Asks a child to end. One that has ended already is no error.
pub(crate) fn terminate(child: &Child) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// A port of this machine that nobody listens on now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
