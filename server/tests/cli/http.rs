//! `omnitrace serve`, asked over HTTP.

mod access;
mod backend;
mod compare;
mod erased;
mod executions;
mod export;
mod fuzz;
mod guard;
mod guides;
mod jwt;
mod reference;
mod replay;
mod run;
mod stats;
mod stream;
mod trace;
mod ui;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Database;

/// A server of a database, which ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// Until the server has ended.
    pub(super) database: Database,
}

impl Server {
    pub(crate) async fn full() -> Self {
        Self::of(Database::full().await, &[])
    }

    /// Started with these arguments, and reached once it says where it is.
    fn of(database: Database, args: &[&str]) -> Self {
        Self::with(database, args, &[])
    }

    /// With these variables too.
    pub(super) fn with(database: Database, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let listen = match args.contains(&"--listen") {
            true => &["serve"][..],
            false => &["serve", "--listen", "127.0.0.1:0"],
        };
        let args = [listen, args].concat();
        let mut command = database.command(&args);
        command.envs(variables.iter().copied());
        Self::started(&mut command, database)
    }

    /// Started with these arguments, and the line that it warns with.
    fn warning(database: Database, args: &[&str]) -> (Self, String) {
        let listen = match args.contains(&"--listen") {
            true => &["serve"][..],
            false => &["serve", "--listen", "127.0.0.1:0"],
        };
        let mut command = database.command(&[listen, args].concat());
        command.stderr(Stdio::piped());
        let mut server = Self::started(&mut command, database);
        let mut line = String::new();
        let mut stderr = BufReader::new(server.child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        (server, line)
    }

    fn started(command: &mut Command, database: Database) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        // One of every address is asked on this machine.
        let address = address.split(' ').next().unwrap();
        let address = address.replace("0.0.0.0:", "127.0.0.1:");
        Self {
            child,
            address,
            database,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send(&format!("{request}\r\n"))
    }

    /// A request as it goes over the wire; HTTP/1.0, so that the answer ends with the connection.
    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::read(&bytes)
    }

    /// What a request is answered that must succeed.
    fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Status and detail of a problem.
    fn problem(&self, path: &str) -> (u16, String) {
        self.get(path).problem()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for a condition.
pub(super) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = bytes.split_at(end.unwrap() + 4);
        let head = str::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], "about:blank");
        assert_ne!(problem["title"], "");
        (self.status, problem["detail"].as_str().unwrap().to_owned())
    }
}
