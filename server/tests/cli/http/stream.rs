//! `GET /executions/{execution_id}/trace/stream`.

use std::collections::BTreeSet;
use std::time::Duration;

use omnitrace_store::row::{EventRow, Phase, RunRow, Status};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Store};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Server;
use crate::Database;
use crate::rows;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client that reads event by event.
struct Client {
    stream: TcpStream,
    read: String,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Client {
    async fn open(server: &Server, path: &str, last: Option<&str>) -> Self {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        Self::over(stream, server, path, last).await
    }

    async fn over(mut stream: TcpStream, server: &Server, path: &str, last: Option<&str>) -> Self {
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let host = &server.address;
        // HTTP/1.0, so that the body is not in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut client = Self {
            stream,
            read: String::new(),
            bytes: vec![0; 64 << 10],
        };
        let head = client.until("\r\n\r\n").await.unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        assert!(head.contains("no-store"), "{head}");
        client
    }

    /// What comes before some text; `None` if the connection ends first.
    async fn until(&mut self, end: &str) -> Option<String> {
        let mut looked = 0;
        loop {
            let from = self.read.floor_char_boundary(looked);
            if let Some(at) = self.read[from..].find(end) {
                let rest = self.read.split_off(from + at + end.len());
                return Some(std::mem::replace(&mut self.read, rest));
            }
            looked = self.read.len().saturating_sub(end.len());
            let reading = self.stream.read(&mut self.bytes);
            let n = tokio::time::timeout(PATIENCE, reading).await.unwrap();
            match n {
                // Cut off: at its end, or by a reset.
                Ok(0) | Err(_) => return None,
                Ok(n) => self
                    .read
                    .push_str(str::from_utf8(&self.bytes[..n]).unwrap()),
            }
        }
    }

    /// The next event, as text.
    async fn text(&mut self) -> Option<String> {
        loop {
            let text = self.until("\n\n").await?;
            // A comment keeps the connection open.
            if !text.starts_with(':') {
                return Some(text);
            }
        }
    }

    async fn event(&mut self) -> Option<Event> {
        let text = self.text().await?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        Some(Event {
            name: field("event:"),
            id: field("id:"),
            data: serde_json::from_str(&field("data:")).unwrap(),
        })
    }
}

fn keys(event: &Event) -> BTreeSet<String> {
    let rows = event.data["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["event_key"].as_str().unwrap().to_owned())
        .collect()
}

async fn store(database: &Database) -> Store {
    let url = DatabaseUrl::parse("sqlite://omnitrace.db", database.folder()).unwrap();
    let mut options = OpenOptions::default();
    options.max_events_per_run = 20_000;
    Store::open(&url, options).await.unwrap()
}

fn landed(runs: Vec<RunRow>, events: Vec<EventRow>) -> Batch {
    Batch {
        runs,
        events,
        ..Batch::default()
    }
}

#[tokio::test]
async fn rows_come_as_they_land_and_a_client_that_comes_back_goes_on() {
    let batch = rows::open_order();
    let mut run = batch.runs[0].clone();
    let server = Server::of(Database::with(&[batch]).await, &[]);
    let store = store(&server.database).await;
    let path = "/executions/order-1043/trace/stream";

    let mut client = Client::open(&server, path, None).await;
    let first = client.event().await.unwrap();
    assert_eq!(first.name, "rows");
    let listed = server.json("/executions/order-1043/events");
    assert_eq!(first.data["rows"], listed["events"]);
    assert_eq!(first.data["gone"], json!([]));
    let of_list = server.json("/executions?workflow_id=order-1043")["executions"][0].clone();
    assert_eq!(first.data["run"], of_list);

    let done = rows::activity(&run, "9", "Orders::late", 4_600, 4_700);
    store.write(&landed(vec![], done)).await.unwrap();
    let second = client.event().await.unwrap();
    let late = ["activity:9:Orders::late:0", "activity:9:Orders::late:1"];
    assert_eq!(keys(&second), late.map(str::to_owned).into());
    drop(client);

    // What lands while it is away is all that it gets when it is back.
    let more = rows::activity(&run, "10", "Orders::later", 4_710, 4_720);
    store.write(&landed(vec![], more)).await.unwrap();
    let mut back = Client::open(&server, path, Some(&second.id)).await;
    let third = back.event().await.unwrap();
    let later = ["activity:10:Orders::later:0", "activity:10:Orders::later:1"];
    assert_eq!(keys(&third), later.map(str::to_owned).into());
    // An id of another server, or none: everything.
    for last in [Some("0123.7"), Some("nonsense"), None] {
        let mut new = Client::open(&server, path, last).await;
        assert!(keys(&new.event().await.unwrap()).len() > 4, "{last:?}");
    }

    // What was proposed and never accepted goes when the run closes, and the stream ends.
    run.status = Status::Completed;
    run.phase = Phase::Closed;
    run.closed_at = Some(rows::at(6_000));
    run.accepted_through = rows::at(6_000);
    store.write(&landed(vec![run], vec![])).await.unwrap();
    let last = back.event().await.unwrap();
    assert_eq!(last.data["run"]["status"], "completed");
    assert_eq!(last.data["gone"], json!(["activity:4:Orders::ship:0"]));
    assert_eq!(back.event().await.unwrap().name, "end");
    assert!(back.event().await.is_none());
}

#[tokio::test]
async fn it_ends_when_the_server_stops() {
    let mut server = Server::of(Database::with(&[rows::open_order()]).await, &[]);
    let mut client = Client::open(&server, "/executions/order-1043/trace/stream", None).await;
    client.event().await.unwrap();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(client.event().await.is_none());
    assert!(server.child.wait().unwrap().success());
}
