//! From a worker that is gone to a message on somebody's screen: Prometheus with our rules, Alertmanager
//! with our routes, and a receiver that stands for Slack and PagerDuty.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use omnitrace_tests::eventually;
use serde_json::Value;

use super::{Running, changed, deploy, program};
use crate::http::request;
use crate::spans::free_address;

type Posts = Arc<Mutex<Vec<(String, Value)>>>;

/// Keeps what is posted to it; it ends with the test's process.
fn receiver() -> (String, Posts) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let posts = Posts::default();
    let kept = posts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Some((head, body)) = request(&mut BufReader::new(&stream)) else {
                continue;
            };
            let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
            let body = serde_json::from_slice(&body).expect("JSON");
            kept.lock().expect("unpoisoned").push((path, body));
            let answer =
                "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            // Who asked may be gone.
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (address, posts)
}

fn alertmanager(folder: &Path, address: &str, receiver: &str) -> Running {
    let secrets = folder.join("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    let slack = format!("http://{receiver}/slack");
    std::fs::write(secrets.join("slack_url"), slack).expect("a file");
    std::fs::write(secrets.join("pagerduty_key"), "routing-key").expect("a file");
    let pagerduty = format!("global: {{pagerduty_url: 'http://{receiver}/pagerduty'}}\nroute:\n");
    let file = folder.join("alertmanager.yml");
    changed(
        &deploy("alertmanager/alertmanager.yml"),
        &file,
        &[
            ("/etc/alertmanager/secrets", &secrets.display().to_string()),
            ("group_wait: 10s", "group_wait: 1s"),
            ("\nroute:\n", &format!("\n{pagerduty}")),
        ],
    );
    changed(
        &deploy("alertmanager/omnitrace.tmpl"),
        &folder.join("omnitrace.tmpl"),
        &[("https://git.example.com", "https://git.example.org")],
    );
    Running::start(
        program("OMNITRACE_TEST_ALERTMANAGER_BIN")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--storage.path={}", folder.display()))
            .arg("--cluster.listen-address="),
    )
}

/// Prometheus, which looks for a worker where there is none.
fn prometheus(folder: &Path, alertmanager: &str, worker: &str) -> Running {
    let rules = folder.join("rules");
    std::fs::create_dir(&rules).expect("a folder");
    let quick = [("interval: 15s", "interval: 1s"), ("for: 1m", "for: 1s")];
    changed(
        &deploy("prometheus/rules/alerts.yml"),
        &rules.join("alerts.yml"),
        &quick,
    );
    changed(
        &deploy("prometheus/rules/settings.yml"),
        &rules.join("settings.yml"),
        &quick[..1],
    );
    let file = folder.join("prometheus.yml");
    changed(
        &deploy("prometheus/prometheus.yml"),
        &file,
        &[
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("evaluation_interval: 15s", "evaluation_interval: 1s"),
            ("127.0.0.1:9093", alertmanager),
            ("127.0.0.1:9464", worker),
        ],
    );
    Running::start(
        program("OMNITRACE_TEST_PROMETHEUS_BIN")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={}", free_address()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            )),
    )
}

#[tokio::test]
async fn a_worker_that_is_gone_reaches_slack_and_pagerduty() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (receiver, posts) = receiver();
    let [of_alertmanager, worker] = [free_address(), free_address()];
    let _alertmanager = alertmanager(folder.path(), &of_alertmanager, &receiver);
    let _prometheus = prometheus(folder.path(), &of_alertmanager, &worker);
    let posted = async |path: &str| {
        eventually(&format!("something is posted to {path}"), async || {
            let posts = posts.lock().expect("unpoisoned");
            let mut found = posts.iter().filter(|(to, _)| to == path);
            found.next().map(|(_, body)| body.clone())
        })
        .await
    };
    let runbook =
        "https://git.example.org/omnitrace/blob/main/docs/runbooks/WorkerDown.md".to_owned();
    let text = format!("no metrics from {worker}");

    let slack = posted("/slack").await;
    assert_eq!(slack["channel"], "#omnitrace");
    let message = &slack["attachments"][0];
    assert_eq!(message["title"], "1 × WorkerDown");
    assert_eq!(message["title_link"], runbook);
    assert_eq!(message["text"].as_str().map(str::trim), Some(&text[..]));

    let page = posted("/pagerduty").await;
    assert_eq!(page["routing_key"], "routing-key");
    assert_eq!(page["event_action"], "trigger");
    assert_eq!(page["payload"]["summary"], "1 × WorkerDown");
    assert_eq!(page["payload"]["severity"], "critical");
    assert_eq!(page["links"][0]["href"], runbook);
    let details = page["payload"]["custom_details"]["alerts"].as_str();
    assert_eq!(details.map(str::trim), Some(&text[..]));
}
