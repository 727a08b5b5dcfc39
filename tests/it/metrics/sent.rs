//! Metrics that a collector is sent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;

use omnitrace::config::{Backend, Endpoint, OtlpProtocol};
use omnitrace_tests::{Recording, eventually, unique};
use serde_json::json;

use super::measuring;
use crate::spans::collector::Collector;

/// Takes messages as a collector does, and passes them on as they came.
fn receive(mut stream: TcpStream, sent: &Sender<String>) {
    let mut message = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        message.extend_from_slice(&part[..n]);
        let head = message.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(head) = head else { continue };
        let text = String::from_utf8_lossy(&message).into_owned();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse::<usize>().expect("a number"))
        });
        if message.len() < head + 4 + length.expect("a length") {
            continue;
        }
        message.clear();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        // `Err` means: the test is over.
        let _ = stream.write_all(answer.as_bytes());
        let _ = sent.send(text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_is_sent_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sent, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, sent) = (stream.expect("a connection"), sent.clone());
            std::thread::spawn(move || receive(stream, &sent));
        }
    });
    let recording = Recording::with(|settings| {
        let mut settings = measuring(settings).with_service_name("books");
        settings.telemetry.backends = [Backend::Otel].into();
        settings.telemetry.otlp.endpoint = Endpoint::parse(&format!("http://{address}"));
        settings.telemetry.otlp.metrics.interval_ms = 50;
        settings
    });
    assert_eq!(
        recording.omnitrace.metrics().address(),
        None,
        "only what is chosen"
    );
    let recorder = recording.omnitrace.recorder("told", &"cd".repeat(16));
    recorder.record_run_start(None, json!({}));
    recorder.record_run_complete(json!({}));
    let found = tokio::task::spawn_blocking(move || {
        let wanted = [
            "POST /v1/metrics",
            "traces_total",
            "told",
            "books",
            "omnitrace_stored_total",
        ];
        let all = |text: &String| wanted.iter().all(|wanted| text.contains(wanted));
        received.iter().find(all)
    });
    found.await.expect("found").expect("it was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_tells_prometheus_what_it_was_sent_by_either_protocol() {
    let collector = Collector::start().await;
    for (protocol, address) in [
        (OtlpProtocol::HttpProtobuf, &collector.http),
        (OtlpProtocol::Grpc, &collector.grpc),
    ] {
        let recording = Recording::with(|settings| {
            let mut settings = measuring(settings);
            settings.telemetry.backends = [Backend::Otel].into();
            settings.telemetry.otlp.metrics.protocol = protocol;
            settings.telemetry.otlp.endpoint = Endpoint::parse(&format!("http://{address}"));
            settings.telemetry.otlp.metrics.interval_ms = 50;
            settings
        });
        let id = unique("told");
        let recorder = recording.omnitrace.recorder(&id, &"cd".repeat(16));
        recorder.record_run_start(None, json!({}));
        recorder.record_run_complete(json!({}));
        let url = format!("http://{}/metrics", collector.prometheus);
        let wanted = format!(r#"job="{id}""#);
        let line = eventually("Prometheus could read it", async || {
            let url = url.clone();
            let asked = tokio::task::spawn_blocking(move || {
                ureq::get(url).call().ok()?.body_mut().read_to_string().ok()
            });
            let text = asked.await.expect("asked")?;
            let mut lines = text.lines();
            let line =
                lines.find(|line| line.starts_with("traces_total{") && line.contains(&wanted))?;
            Some(line.to_owned())
        })
        .await;
        assert!(
            line.contains(r#"status="completed""#)
                && line.contains("instance=")
                && line.ends_with(" 1"),
            "{line}"
        );
    }
}
