//! `omnitrace export --otlp`: stored runs are sent again, and are the same spans.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use omnitrace_tests::{Recording, RunningWorker, beside, eventually, unique};
use serde_json::Value;

use super::collector::Collector;
use super::gate::{Gate, Way};
use super::journey::{travel, worker};
use super::{Place, Run, assert_journey, free_address};

async fn recorded() -> (Recording, Vec<Run>) {
    let recording = Recording::start();
    let client = recording.client().await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue, 100));
    let id = beside(running, travel(&client, &queue)).await;
    let runs = super::journey(async || recording.stored().await, &id).await;
    (recording, runs)
}

async fn export(database: &Path, address: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omnitrace-under-test"));
    command
        .env_clear()
        .env("OTEL_SERVICE_NAME", "guides")
        .args(["export", "--database-url"])
        .arg(format!("sqlite://{}", database.display()))
        .arg(format!("--otlp=http://{address}"))
        .args(more);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("it ran").expect("the command line")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_runs_are_sent_again_and_are_the_same_spans() {
    let (recording, runs) = recorded().await;
    let collector = Collector::start().await;
    let rows: usize = runs.iter().map(|(_, events)| events.len() + 1).sum();

    let output = export(&recording.file(), &collector.http, &["--json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["collector"], format!("http://{}", collector.http));
    let counted = ["runs", "open", "spans", "refused"].map(|name| said[name].as_u64());
    assert_eq!(counted, [3, 0, rows as u64, 0].map(Some));
    assert_journey(&Place::File(&collector), &runs, &[]).await;

    // One of the runs once more.
    let (leg, events) = &runs[1];
    let only = ["--workflow-id", &leg.key.workflow_id];
    let output = export(&recording.file(), &collector.http, &only).await;
    let said = text(&output.stdout);
    let again = events.len() + 1;
    let expected = format!("1 run sent as {again} spans to http://");
    assert!(said.starts_with(&expected), "{said}");
    let all = eventually("they come again", async || {
        let all = collector.spans();
        (all.len() == rows + again).then_some(all)
    })
    .await;
    let mut copies = BTreeMap::new();
    for span in &all {
        copies.entry(&span.id).or_insert_with(Vec::new).push(span);
    }
    for copies in copies.values().filter(|copies| copies.len() > 1) {
        assert_eq!(copies[0].tags["workflow.id"], leg.key.workflow_id);
        assert_eq!(copies[0].tags, copies[1].tags);
        assert_eq!(copies[0].parent, copies[1].parent);
    }
    assert_eq!(copies.len(), rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_said_in_one_line() {
    let (recording, _) = recorded().await;
    let address = free_address();
    let output = export(&recording.file(), &address, &[]).await;
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("the collector at http://{address} took 0 spans")));
    assert_eq!(said.lines().count(), 1, "{said}");

    let mut gate = Gate::to(&address);
    gate.set(Way::Status(400)).await;
    let output = export(&recording.file(), &gate.address, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("3 runs sent as 0 spans"), "{said}");
    assert!(said.contains("refused for good"), "{said}");

    let none = ["--type", "Nothing"];
    let output = export(&recording.file(), &address, &none).await;
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("no run matches in "));
}
