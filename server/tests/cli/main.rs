//! The `omnitrace` binary, run against databases that the store wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod book;
mod busy;
mod delivery;
mod doctor;
mod erase;
mod http;
mod import;
mod list;
mod migrate;
mod moments;
mod prune;
mod rows;
mod show;
mod wrong;

use std::path::Path;
use std::process::{Command, Output};

use omnitrace_store::{Batch, DatabaseUrl};
use tempfile::TempDir;

/// Leaves a batch on disk, as a worker does that cannot store it.
fn spool(folder: &Path, batch: &Batch) {
    std::fs::create_dir_all(folder).unwrap();
    let json = serde_json::to_string(batch).unwrap();
    let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
    std::fs::write(folder.join("gone.spool"), line).unwrap();
}

/// A folder with a database, gone at the end of the test.
struct Database {
    folder: TempDir,
}

impl Database {
    /// A database with the runs of [`rows`], and a process that recorded them.
    async fn full() -> Self {
        let process = Batch {
            process: Some(rows::process()),
            ..Batch::default()
        };
        Self::with(&[rows::order(), rows::open_order(), rows::long_run(), process]).await
    }

    async fn with(batches: &[Batch]) -> Self {
        let database = Self::missing();
        let url = DatabaseUrl::parse("sqlite://omnitrace.db", database.folder.path()).unwrap();
        rows::write(&url, batches).await;
        database
    }

    /// A folder without a database.
    fn missing() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command in this folder, with the default URL, 80 columns wide.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omnitrace"));
        command
            .args(args)
            .current_dir(self.folder())
            .env("COLUMNS", "80");
        let ours = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            name.starts_with("OMNITRACE_") || name.starts_with("OTEL_") || name.contains("COLOR")
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command
    }

    /// Standard output of a command that succeeds and has nothing to complain about.
    fn stdout(&self, args: &[&str]) -> String {
        self.answer(&mut self.command(args))
    }

    fn answer(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let (stdout, stderr) = self.texts(&output);
        assert!(
            output.status.success() && stderr.is_empty(),
            "{stdout}{stderr}"
        );
        stdout
    }

    /// Exit code and standard error of a command that fails and prints nothing else.
    fn failure(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().unwrap();
        let (stdout, stderr) = self.texts(&output);
        assert_eq!(stdout, "");
        (output.status.code().unwrap(), stderr)
    }

    /// Both outputs, with the folder's name replaced.
    fn texts(&self, output: &Output) -> (String, String) {
        let real = self.folder().canonicalize().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(real.to_str().unwrap(), "[folder]")
        };
        (text(&output.stdout), text(&output.stderr))
    }
}
