//! Child processes. Each is the leader of a process group of its own and never outlives its
//! [`Child`]: dropped, interrupted or failed, the whole group is stopped, grandchildren included.
//! They read nothing from the terminal.

use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::Error;
use crate::{interrupt, say};

/// How often a child is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long its other members may take when the leader has ended.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);
/// How often a silent command's progress is reported where no progress bar is shown.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A running child and its process group.
#[derive(Debug)]
pub(crate) struct Child {
    inner: std::process::Child,
    ended: Option<ExitStatus>,
    stopped: bool,
}

impl Child {
    /// Starts `command` unless the task was interrupted.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Error> {
        interrupt::check()?;
        let inner = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Start {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })?;
        Ok(Self {
            inner,
            ended: None,
            stopped: false,
        })
    }

    /// The exit status, if the child has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // An error would mean that somebody else reaped the child: it has ended all the same.
            self.ended = self
                .inner
                .try_wait()
                .unwrap_or_else(|_| Some(ExitStatus::default()));
        }
        self.ended
    }

    /// Waits for the end; an interrupt stops the child.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.wait_with(|_| ())
    }

    /// As [`Child::wait`]; `tick` is called again and again with the time that went by.
    pub(crate) fn wait_with(
        &mut self,
        mut tick: impl FnMut(Duration),
    ) -> Result<ExitStatus, Error> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                // Ctrl-C may have reached the child first; then its status is not the news.
                interrupt::check()?;
                return Ok(status);
            }
            tick(start.elapsed());
            if let Err(error) = interrupt::pause(POLL) {
                self.stop();
                return Err(error);
            }
        }
    }

    /// Ends the group: asks first; kills after [`GRACE`], after a second Ctrl-C, and what is left
    /// [`LEFTOVER_GRACE`] after its leader ended.
    pub(crate) fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.signal(Some(Signal::SIGTERM));
        self.signal(Some(Signal::SIGCONT));
        let mut deadline = Instant::now() + GRACE;
        while self.signal(None) {
            if self.ended().is_some() {
                deadline = deadline.min(Instant::now() + LEFTOVER_GRACE);
            }
            if interrupt::pause_while_stopping(POLL) || Instant::now() > deadline {
                self.signal(Some(Signal::SIGKILL));
                break;
            }
        }
        if self.ended.is_none() {
            // It was killed: this returns at once.
            self.ended = self.inner.wait().ok();
        }
    }

    /// Sends a signal to the group, or only asks for it; false if nobody is there any more. A
    /// group lives, and its number is not given away, until its last member has ended.
    fn signal(&mut self, signal: Option<Signal>) -> bool {
        self.ended();
        let Ok(id) = i32::try_from(self.inner.id()) else {
            return false;
        };
        killpg(Pid::from_raw(id), signal).is_ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end with our own output; how it ended is the caller's to judge.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus, Error> {
    Child::spawn(command)?.wait()
}

/// As [`run`], for a command that says nothing for minutes: `what` is reported now and then.
pub(crate) fn run_silent(command: &mut Command, what: &str) -> Result<ExitStatus, Error> {
    let mut next = HEARTBEAT;
    Child::spawn(command)?.wait_with(|elapsed| {
        if elapsed >= next {
            say::line("", format_args!("still {what} ({})", say::duration(next)));
            next += HEARTBEAT;
        }
    })
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command and keeps what it writes. `keep_stderr` false leaves its stderr on ours.
pub(crate) fn capture(command: &mut Command, keep_stderr: bool) -> Result<Captured, Error> {
    let temporary = || tempfile::tempfile().map_err(Error::file("create", std::env::temp_dir()));
    let (mut stdout, mut stderr) = (temporary()?, temporary()?);
    let clone = |file: &std::fs::File| {
        file.try_clone()
            .map_err(Error::file("use", std::env::temp_dir()))
    };
    command.stdout(clone(&stdout)?);
    if keep_stderr {
        command.stderr(clone(&stderr)?);
    }
    let status = run(command)?;
    let read = |file: &mut std::fs::File| {
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(Error::file("read", std::env::temp_dir()))?;
        Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Captured {
        status,
        stdout: read(&mut stdout)?,
        stderr: read(&mut stderr)?,
    })
}

/// Whether `program arguments…` can be started and succeeds.
pub(crate) fn works(program: &Path, arguments: &[&str]) -> Result<bool, Error> {
    match capture(Command::new(program).args(arguments), true) {
        Ok(captured) => Ok(captured.status.success()),
        Err(Error::Start { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The status as a shell's exit code: a signal's number plus 128.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}

/// Success, or an error that names `what`.
pub(crate) fn expect(status: ExitStatus, what: &str) -> Result<(), Error> {
    match code(status) {
        0 => Ok(()),
        code => Err(Error::Failed {
            what: what.to_owned(),
            code,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_exit_code_come_back() {
        let captured = capture(&mut shell("echo out; echo err >&2; exit 7"), true).unwrap();
        assert_eq!(captured.stdout, "out\n");
        assert_eq!(captured.stderr, "err\n");
        assert_eq!(code(captured.status), 7);
        assert_eq!(expect(captured.status, "it").unwrap_err().code(), 7);
    }

    #[test]
    fn a_killed_child_has_a_shells_exit_code() {
        assert_eq!(code(run(&mut shell("kill -9 $$")).unwrap()), 137);
    }

    #[test]
    fn a_missing_program_does_not_work_and_a_failing_one_neither() {
        assert!(!works(Path::new("/nowhere/protoc"), &[]).unwrap());
        assert!(!works(Path::new("/bin/sh"), &["-c", "exit 1"]).unwrap());
        assert!(works(Path::new("/bin/sh"), &["-c", "exit 0"]).unwrap());
    }

    #[test]
    fn dropping_a_child_ends_its_grandchildren_too() {
        // The grandchild holds the pipe open: reading to the end means that it is gone.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let child = {
            let mut command = shell("sleep 600 & echo started; wait");
            command.stdout(writer);
            Child::spawn(&mut command).unwrap()
        };
        let mut first = [0; 8];
        reader.read_exact(&mut first).unwrap();
        drop(child);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((&first[..], rest.len()), (&b"started\n"[..], 0));
    }
}
