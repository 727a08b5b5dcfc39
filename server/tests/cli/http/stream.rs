//! `GET /executions/{execution_id}/trace/stream`.

use std::collections::{BTreeMap, BTreeSet};

use omnitrace_store::row::{EventRow, Phase, RunRow, Status};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Store};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{PATIENCE, Server, eventually};
use crate::Database;
use crate::rows;

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

    /// One for whom the system keeps little, and who reads the head of the answer and nothing after it.
    async fn idle(server: &Server, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket
            .connect(server.address.parse().unwrap())
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", server.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.0 200"));
        stream
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

    // One that has the rows already is told of the run alone, and then what lands, as little as it wants.
    let changes = format!("{path}?all=false&data=false");
    let mut changes = Client::open(&server, &changes, None).await;
    let here = changes.event().await.unwrap();
    assert_eq!(here.data["run"], of_list);
    assert_eq!(here.data["rows"], json!([]));

    let mut done = rows::activity(&run, "9", "Orders::late", 4_600, 4_700);
    done[1].data_redacted = Some(json!({ "input": 7 }).to_string());
    store.write(&landed(vec![], done)).await.unwrap();
    let second = client.event().await.unwrap();
    let late = ["activity:9:Orders::late:0", "activity:9:Orders::late:1"];
    assert_eq!(keys(&second), late.map(str::to_owned).into());
    let told = changes.event().await.unwrap();
    assert_eq!(keys(&told), late.map(str::to_owned).into());
    let data = |event: &Event| event.data["rows"][1]["data"].clone();
    assert_eq!(
        (data(&second), data(&told)),
        (json!({ "input": 7 }), Value::Null)
    );
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

/// Rows of 8 kB: some hundred of them are more than is kept for a client that takes nothing.
fn large(run: &RunRow, rows: std::ops::Range<i64>) -> Vec<EventRow> {
    let text = "x".repeat(8_000);
    rows.map(|n| {
        let id = format!("large-{n}");
        let mut row = rows::activity(run, &id, "Orders::large", 4_600 + n, 4_700 + n).remove(0);
        row.data_redacted = Some(json!({ "input": text }).to_string());
        row
    })
    .collect()
}

/// How many clients a server cut for this reason.
fn cut(server: &Server, reason: &str) -> u32 {
    let name = format!("omnitrace_clients_cut_total{{reason=\"{reason}\"}} ");
    let metrics = server.get("/metrics").text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_watch_at_once_and_only_those_who_take_nothing_are_cut() {
    const READING: usize = 180;
    const IDLE: usize = 20;
    const ROWS: i64 = 80;
    let batch = rows::open_order();
    let mut run = batch.runs[0].clone();
    let server = Server::of(Database::with(&[batch]).await, &[]);
    let store = store(&server.database).await;
    let path = "/executions/order-1043/trace/stream";

    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(Client::idle(&server, path).await);
    }
    let mut reading = Vec::new();
    for _ in 0..READING {
        let mut client = Client::open(&server, path, None).await;
        // All of them watch before the run grows.
        client.event().await.unwrap();
        reading.push(tokio::spawn(async move {
            let mut seen = BTreeMap::<String, u32>::new();
            // Not parsed: so many clients would be slow themselves.
            while let Some(text) = client.text().await {
                if text.starts_with("event: end") {
                    return seen;
                }
                assert!(text.starts_with("event: rows"), "{text}");
                for row in text.split("\"event_key\":\"").skip(1) {
                    let key = row.split('"').next().unwrap_or_default();
                    *seen.entry(key.to_owned()).or_default() += 1;
                }
            }
            panic!("cut off after {} rows", seen.len());
        }));
    }
    for from in (0..ROWS).step_by(20) {
        let rows = large(&run, from..from + 20);
        store.write(&landed(vec![], rows)).await.unwrap();
    }
    run.status = Status::Completed;
    run.phase = Phase::Closed;
    run.closed_at = Some(rows::at(6_000));
    run.accepted_through = rows::at(6_000);
    store.write(&landed(vec![run], vec![])).await.unwrap();

    let every: BTreeMap<_, _> = (0..ROWS)
        .map(|n| (format!("activity:large-{n}:Orders::large:0"), 1))
        .collect();
    for client in reading {
        let seen = client.await.unwrap();
        assert_eq!(seen, every, "each row once");
    }
    eventually("those who take nothing are cut", || {
        (cut(&server, "stuck") == IDLE as u32).then_some(())
    });
    // Some were found slow before: they were told so in vain.
    assert!(cut(&server, "slow") <= IDLE as u32);
    // The server let go of them at once, and kept nothing for them.
    for mut client in idle {
        let mut rest = Vec::new();
        let end = client.read_to_end(&mut rest).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert!(!String::from_utf8_lossy(&rest).contains("event: end"));
    }
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
