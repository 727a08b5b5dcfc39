//! A Temporal development server of our own: on free ports of this machine, in memory or in a file, alive as
//! long as its [`DevServer`] and never longer than the task.

use std::io::{Read, Seek};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Host, temporal};
use crate::error::Error;
use crate::process::Child;
use crate::{interrupt, process, say};

/// How long a start may take.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
/// A free port may be taken by somebody else before the server has it; then others are tried.
const ATTEMPTS: u32 = 3;
/// Between two looks at a starting server.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// How many lines of a failed server's output are shown.
pub(super) const SHOWN_LINES: usize = 10;

/// Whether the server has a web UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ui {
    /// None: for tests.
    Headless,
    /// On a port of its own.
    Served,
}

/// A server that is starting or running.
#[derive(Debug)]
pub(crate) struct DevServer {
    program: PathBuf,
    setpriv: Option<PathBuf>,
    variables: Vec<String>,
    ui: Ui,
    file: Option<PathBuf>,
    started: Instant,
    running: Running,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: std::fs::File,
    port: u16,
    ui_port: u16,
}

impl DevServer {
    /// Starts a server and does not wait for it.
    pub(crate) fn start(host: &Host, program: PathBuf, ui: Ui) -> Result<Self, Error> {
        Self::start_with(host, program, ui, None)
    }

    /// With all runs in a file instead of in memory.
    pub(crate) fn start_with(
        host: &Host,
        program: PathBuf,
        ui: Ui,
        file: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let setpriv = host.find("setpriv");
        let variables = temporal_variables(host);
        let running = launch(
            &program,
            setpriv.as_deref(),
            &variables,
            ui,
            file.as_deref(),
        )?;
        Ok(Self {
            program,
            setpriv,
            variables,
            ui,
            file,
            started: Instant::now(),
            running,
        })
    }

    /// Waits until the server serves its namespace.
    pub(crate) fn wait_ready(&mut self) -> Result<(), Error> {
        for attempt in 1..=ATTEMPTS {
            if self.serves()? {
                say::line(
                    "temporal",
                    format_args!(
                        "server at {} (ready after {})",
                        self.address(),
                        say::duration(self.started.elapsed())
                    ),
                );
                return Ok(());
            }
            if attempt < ATTEMPTS {
                self.running = launch(
                    &self.program,
                    self.setpriv.as_deref(),
                    &self.variables,
                    self.ui,
                    self.file.as_deref(),
                )?;
            }
        }
        say::text(last_lines(&mut self.running.log, SHOWN_LINES));
        Err(Error::Advice(format!(
            "the Temporal server ended before it was ready (its last words are above): try {} \
             server start-dev by hand",
            self.program.display()
        )))
    }

    /// Waits for this process; false if it ended.
    fn serves(&mut self) -> Result<bool, Error> {
        let address = self.address();
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if self.running.child.ended().is_some() {
                return Ok(false);
            }
            if temporal::answers(&address) && self.has_namespace(&address)? {
                return Ok(true);
            }
            interrupt::pause(POLL)?;
        }
        say::text(last_lines(&mut self.running.log, SHOWN_LINES));
        Err(Error::Advice(format!(
            "the Temporal server was not ready after {}: free some memory or processor time and \
             try again",
            say::duration(START_LIMIT)
        )))
    }

    fn has_namespace(&self, address: &str) -> Result<bool, Error> {
        let mut describe = Command::new(&self.program);
        describe.args([
            "operator",
            "namespace",
            "describe",
            "default",
            "--address",
            address,
        ]);
        clean(&mut describe, &self.variables);
        Ok(process::capture(&mut describe, true)?.status.success())
    }

    /// Its gRPC address, `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.running.port)
    }

    /// The address of its web UI.
    pub(crate) fn ui_url(&self) -> Option<String> {
        (self.ui == Ui::Served).then(|| format!("http://127.0.0.1:{}", self.running.ui_port))
    }

    /// An error if the server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.running.child.ended() {
            None => Ok(()),
            Some(_) => {
                say::text(last_lines(&mut self.running.log, SHOWN_LINES));
                Err(Error::Advice(
                    "the Temporal server has ended (its last words are above): run this again"
                        .to_owned(),
                ))
            }
        }
    }
}

fn launch(
    program: &Path,
    setpriv: Option<&Path>,
    variables: &[String],
    ui: Ui,
    file: Option<&Path>,
) -> Result<Running, Error> {
    let [port, ui_port] = free_ports()?;
    let log = tempfile::tempfile().map_err(Error::file("create", std::env::temp_dir()))?;
    let output = || {
        log.try_clone()
            .map_err(Error::file("use", std::env::temp_dir()))
    };
    let mut command = unless_orphaned(setpriv, program);
    command
        .args([
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--log-level",
            "error",
        ])
        // The default of 20 makes a lone run wait about 47 ms for each task.
        .args([
            "--dynamic-config-value",
            "history.transferProcessorMaxPollRPS=5000",
        ])
        .args(["--port", &port.to_string()])
        .stdout(output()?)
        .stderr(output()?);
    match ui {
        Ui::Headless => command.arg("--headless"),
        Ui::Served => command.args(["--ui-port", &ui_port.to_string()]),
    };
    if let Some(file) = file {
        command.arg("--db-filename").arg(file);
    }
    clean(&mut command, variables);
    Ok(Running {
        child: Child::spawn(&mut command)?,
        log,
        port,
        ui_port,
    })
}

/// A command that the kernel ends when this task dies without cleaning up (`kill -9`), where
/// `setpriv` can say so. It counts from the thread that starts it: start it from the main thread.
pub(super) fn unless_orphaned(setpriv: Option<&Path>, program: &Path) -> Command {
    let Some(setpriv) = setpriv else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// The user's settings for other servers: addresses, keys and TLS that would not fit ours.
pub(crate) fn temporal_variables(host: &Host) -> Vec<String> {
    host.names()
        .filter(|name| name.starts_with("TEMPORAL_"))
        .map(str::to_owned)
        .collect()
}

pub(super) fn clean(command: &mut Command, variables: &[String]) {
    for name in variables {
        command.env_remove(name);
    }
    command.args(["--disable-config-file", "--disable-config-env"]);
}

/// Different ports that nobody listens on now.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let failed = |e| Error::Advice(format!("no free port on 127.0.0.1: {e}"));
    // All are held until the last is found, so no two are the same.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        *port = listener.local_addr().map_err(failed)?.port();
        held.push(listener);
    }
    Ok(ports)
}

pub(super) fn last_lines(log: &mut std::fs::File, count: usize) -> String {
    let mut bytes = Vec::new();
    // Only for the reader's information: what cannot be read is not shown.
    let _ = log.rewind().and_then(|()| log.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_server_that_ends_at_once_is_tried_again_and_then_reported() {
        let fake = FakeHost::new();
        let program = fake.script(
            "bin/temporal",
            &format!("echo once >> {}; exit 1", fake.path("starts").display()),
        );
        let mut server = DevServer::start(&fake.host, program, Ui::Headless).unwrap();
        let message = server.wait_ready().unwrap_err().to_string();
        assert!(message.contains("ended before it was ready"));
        let starts = std::fs::read_to_string(fake.path("starts")).unwrap();
        assert_eq!(starts.lines().count(), 3);
    }

    #[test]
    fn the_users_settings_for_other_servers_do_not_reach_ours() {
        let mut fake = FakeHost::new();
        fake.set("TEMPORAL_API_KEY", "key");
        assert_eq!(temporal_variables(&fake.host), ["TEMPORAL_API_KEY"]);
    }
}
