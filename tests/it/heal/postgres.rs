//! A PostgreSQL server of a test's own, like the one that all share, so that it can be stopped.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use omnitrace_tests::eventually;
use sqlx::{Connection, PgConnection};

use crate::spans::free_address;

/// Its data are gone with it.
pub(super) struct Server {
    programs: PathBuf,
    /// User and group that it runs as: not root.
    owner: (u32, u32),
    folder: tempfile::TempDir,
    address: String,
    running: Option<Child>,
}

impl Server {
    /// Made with the programs of the server that has this URL, and as its user; starts it.
    pub(super) async fn like(url: &str) -> Self {
        let mut shared = PgConnection::connect(url).await.expect("a server");
        let data = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut shared);
        let data: String = data.await.expect("the role may know it");
        let data = Path::new(&data);
        let command =
            std::fs::read_to_string(data.join("postmaster.opts")).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; the server has to be on this machine",
                    data.display()
                )
            });
        let program = Path::new(command.split_whitespace().next().expect("a program"));
        let of = data.metadata().expect("its folder");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::os::unix::fs::chown(folder.path(), Some(of.uid()), Some(of.gid()))
            .expect("given away");
        let mut server = Self {
            programs: program.parent().expect("a folder").to_owned(),
            owner: (of.uid(), of.gid()),
            folder,
            address: free_address(),
            running: None,
        };
        let arguments = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        ];
        let made = server
            .program("initdb")
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success());
        server.start().await;
        server
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address)
    }

    /// Starts it, and waits until it answers.
    pub(super) async fn start(&mut self) {
        let (host, port) = self.address.split_once(':').expect("host:port");
        let mut command = self.program("postgres");
        command
            .args(["-p", port, "-c", &format!("listen_addresses={host}")])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            .stderr(Stdio::null());
        self.running = Some(command.spawn().expect("a server"));
        let url = self.url();
        eventually("the server answers", async || {
            PgConnection::connect(&url).await.ok()
        })
        .await;
    }

    /// Stops it as an operator does, who waits for nobody's transaction.
    pub(super) fn stop(&mut self) {
        let mut server = self.running.take().expect("it runs");
        let stopped = self
            .program("pg_ctl")
            .args(["stop", "-m", "fast", "-w"])
            .stdout(Stdio::null())
            .status();
        assert!(stopped.expect("pg_ctl").success());
        server.wait().expect("it ended");
    }

    /// A program of PostgreSQL's, on its data.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .uid(self.owner.0)
            .gid(self.owner.1)
            .current_dir(self.folder.path())
            .env("PGDATA", self.folder.path().join("data"))
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut server) = self.running.take() {
            // The test is over: nothing of it is wanted.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
