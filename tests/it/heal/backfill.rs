//! `omnitrace backfill` stores what histories say, goes on where it was, and reads encrypted payloads.

use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace_store::compare::compare;
use omnitrace_tests::{RunningWorker, beside, client_with, unique};
use serde_json::json;
use temporalio_client::{
    ClientOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowSignalOptions,
    WorkflowStartOptions,
};

use super::codec_server::CodecServer;
use super::place::{Kind, Place};
use super::runs::{self, Whole};
use crate::codec::converter;
use crate::privacy::payload;
use crate::probes::Carrier;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_where_it_was() {
    let place = Place::new(Kind::Sqlite).await;
    let queue = unique("queue");
    let client = place.client(&[]).await;
    let worker = RunningWorker::start(client.clone(), runs::worker(&queue));
    beside(worker, async {
        for id in ["a", "b", "c"] {
            runs::complete(&client, &queue, id).await;
        }
        runs::start(&client, &queue, "open", true).await;
        place.indexed(3).await;

        let one = place.json(&["backfill", "--workflow-id", "b"]).await;
        assert_eq!(one["runs"], 1);
        assert_eq!(place.stored().await.len(), 1);
        assert!(place.knows("b").await);

        let resumed = ["backfill", "--resume", "done"];
        let first = place.json(&resumed).await;
        assert_eq!(
            (&first["runs"], &first["done_before"]),
            (&json!(4), &json!(0))
        );
        let stored = place.stored().await;
        assert_eq!(stored.len(), 4);
        // The run that goes on is read again.
        let second = place.json(&resumed).await;
        assert_eq!(
            (&second["runs"], &second["done_before"]),
            (&json!(1), &json!(3))
        );
        let noted = std::fs::read_to_string(place.folder().join("done")).expect("the file");
        let mut noted: Vec<&str> = noted.lines().collect();
        noted.sort_unstable();
        let mut closed: Vec<&str> = stored
            .iter()
            .filter(|(run, _)| run.closed_at.is_some())
            .map(|(run, _)| run.key.run_id.as_str())
            .collect();
        closed.sort_unstable();
        assert_eq!(noted, closed);

        // What is noted is not read again, even if it is gone.
        place
            .sql("DELETE FROM omnitrace_runs WHERE workflow_id = 'a'")
            .await;
        place.json(&resumed).await;
        assert!(!place.knows("a").await);
        let whole = place.json(&["backfill"]).await;
        assert_eq!(whole["runs"], 4);
        assert!(place.knows("a").await);

        let signal = WorkflowSignalOptions::default();
        let open = client.get_workflow_handle::<Whole>("open");
        let released = open.signal(Whole::release, (), signal).await;
        released.expect("signaled");
        let result = open.get_result(WorkflowGetResultOptions::default()).await;
        result.expect("completed");
    })
    .await;
    place.indexed(4).await;
    let third = place.json(&["backfill", "--resume", "done"]).await;
    assert_eq!(
        (&third["runs"], &third["done_before"]),
        (&json!(1), &json!(3))
    );
    place.assert_equal(4).await;
    let fourth = place.json(&["backfill", "--resume", "done"]).await;
    assert_eq!(
        (&fourth["runs"], &fourth["done_before"]),
        (&json!(0), &json!(4))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_payloads_are_decoded_by_a_codec_server() {
    let live = Place::new(Kind::Sqlite).await;
    let omnitrace = OmniTrace::start(live.settings());
    let options = ClientOptions::new(&live.namespace)
        .data_converter(converter())
        .plugin(omnitrace.plugin())
        .build();
    let client = client_with(options).await;
    let queue = unique("queue");
    let worker = RunningWorker::start(client.clone(), runs::worker(&queue));
    beside(worker, async {
        let document = payload(
            "json/plain",
            json!({ "id": "order-7", "note": "x y" }).to_string(),
        );
        let start = WorkflowStartOptions::new(&queue, "carrier").build();
        let carrier = client.start_workflow(Carrier::run, document.clone(), start);
        let carrier = carrier.await.expect("started");
        let signal = WorkflowSignalOptions::default();
        let signaled = carrier.signal(Carrier::put, document.clone(), signal).await;
        signaled.expect("signaled");
        let update = WorkflowExecuteUpdateOptions::default();
        let updated = carrier
            .execute_update(Carrier::swap, document, update)
            .await;
        updated.expect("updated");
        let get = WorkflowGetResultOptions::default();
        carrier.get_result(get).await.expect_err("it fails");
        runs::complete(&client, &queue, "whole").await;
    })
    .await;
    let stored = omnitrace.shutdown(Duration::from_secs(10)).await;
    stored.expect("everything is stored");
    live.indexed(2).await;

    let codec = CodecServer::start("Bearer of-the-test");
    let with_codec = [
        "--codec-endpoint",
        &codec.url,
        "--codec-auth",
        "Bearer of-the-test",
    ];
    let filled = live.beside(Kind::Sqlite).await;
    filled
        .json(&[&["backfill"], &with_codec[..]].concat())
        .await;
    let (expected, found) = (live.stored().await, filled.stored().await);
    assert_eq!((expected.len(), found.len()), (2, 2));
    for ((expected, expected_events), (run, events)) in expected.iter().zip(&found) {
        let differences = compare(expected, expected_events, run, events);
        assert_eq!(differences, Ok(Vec::new()));
    }
    assert!(
        codec
            .namespaces()
            .iter()
            .all(|name| *name == live.namespace)
    );
    assert!(!codec.namespaces().is_empty());
    let verified = live.json(&[&["verify"], &with_codec[..]].concat()).await;
    assert_eq!(verified["equal"], 2);

    // Without it, what is stored is what an encrypted payload looks like.
    let said = live.run(&["verify"]).await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains("binary/xor"), "{said:?}");
    // One that refuses is no codec.
    let refused = [
        "verify",
        "--codec-endpoint",
        &codec.url,
        "--codec-auth",
        "no",
    ];
    assert_eq!(live.run(&refused).await.code, 1);
}
