//! The example's workflows, all of them: agents with approvals and sagas, child payments, a batch that
//! continues as new.

use std::path::Path;
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace_store::compare::compare;
use omnitrace_store::row::{EventRow, RunKey, RunRow, Source};
use omnitrace_tests::{RunningWorker, beside, eventually, unique};
use serde_json::json;
use temporalio_client::Client;
use worker_example::driver::{self, Plan};
use worker_example::registration::worker_options;
use worker_example::ticket::Ticket;

use super::place::{Kind, Place};

on_each_database! {
    a_store_deleted_in_the_middle_is_filled_from_histories;
}

/// The mails that come with the example.
fn tickets() -> Vec<Ticket> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker-example/samples");
    let files = std::fs::read_dir(folder).expect("the samples");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let ticket = |file: &std::path::PathBuf| {
        let id = file.file_stem().expect("a name").to_string_lossy();
        Ticket::parse(id, &std::fs::read(file).expect("a mail"))
    };
    let tickets: Vec<_> = files.iter().map(ticket).collect();
    assert!(tickets.len() >= 13);
    tickets
}

/// Handles all mails, each by a run of its own and all by a batch.
async fn handle(client: &Client, queue: &str) {
    let plan = |name: &str| Plan {
        task_queue: queue.to_owned(),
        prefix: unique(name),
        approval_timeout: Duration::from_secs(1),
    };
    let (each, batch) = (plan("each"), plan("batch"));
    let ended = |ended: driver::Ended| assert!(!ended.is_failure(), "{ended:?}");
    let (each, batch) = tokio::join!(
        driver::drive_each(client, tickets(), &each, ended),
        driver::drive_batch(client, tickets(), 5, &batch, ended),
    );
    each.expect("all ended");
    batch.expect("all ended");
}

/// Two recorders watch the same runs. Of one, the store is deleted in their middle; from histories it
/// becomes what the other's is.
async fn a_store_deleted_in_the_middle_is_filled_from_histories(kind: Kind) {
    let lost = Place::new(kind).await;
    let kept = lost.beside(Kind::Sqlite).await;
    let recorders = [&lost, &kept].map(|place| OmniTrace::start(place.settings()));
    let client = lost.client(&recorders.each_ref()[..]).await;
    let queue = unique("queue");
    let options = worker_options(&queue).expect("options");
    let worker = RunningWorker::start(client.clone(), options);
    beside(worker, async {
        let runs = handle(&client, &queue);
        let deletion = async {
            eventually("some runs are stored and some are not over", async || {
                recorders[0].flush().await.expect("rows are stored");
                let stored = lost.stored().await;
                let closed = stored.iter().filter(|(run, _)| run.closed_at.is_some());
                let closed = closed.count();
                (closed >= 10 && closed < stored.len()).then_some(())
            })
            .await;
            lost.wipe().await;
        };
        tokio::join!(runs, deletion);
    })
    .await;
    for omnitrace in &recorders {
        let stored = omnitrace.shutdown(Duration::from_secs(20)).await;
        stored.expect("everything is stored");
    }
    let live = kept.stored().await;
    lost.indexed(live.len()).await;
    // Of an attempt that the server timed out before a starved worker got it, only history knows.
    kept.reconcile().await;
    let undisturbed = kept.stored().await;
    assert_eq!(keys(&live), keys(&undisturbed));
    let added = rows(&undisturbed).filter(|row| !rows(&live).any(|known| known == *row));
    for row in added {
        let what = (row.source, row.error_type.as_deref());
        let timeout = "TimeoutFailure.StartToClose";
        assert_eq!(what, (Source::History, Some(timeout)), "{row:#?}");
    }
    // 13 mails twice, the batch with its continuations, and payments.
    assert!(undisturbed.len() >= 2 * 13 + 3 + 4, "{}", undisturbed.len());
    for workflow_type in ["OrderSupport", "Payment", "SupportBatch"] {
        assert!(
            undisturbed
                .iter()
                .any(|(run, _)| run.workflow_type == workflow_type)
        );
    }
    kept.assert_equal(undisturbed.len()).await;
    let rows_left = keys(&lost.stored().await).len();
    assert!(rows_left < keys(&undisturbed).len(), "rows are missing");

    let summary = lost.json(&["backfill"]).await;
    assert_eq!(summary["runs"], undisturbed.len());
    assert!(summary["rows_stored"].as_u64() > Some(0), "{summary}");
    let filled = lost.stored().await;
    assert_same(&filled, &undisturbed);
    lost.assert_equal(undisturbed.len()).await;

    let summary = lost.json(&["backfill"]).await;
    assert_eq!(summary["rows_stored"], 0, "{summary}");
    assert_eq!(lost.stored().await, filled);
    let repaired = lost.json(&["verify", "--repair"]).await;
    assert_eq!(repaired["repaired"], json!(0));
    assert_eq!(lost.stored().await, filled);
    // What customers wrote is in the mails, and nowhere here.
    let audited = lost.run(&["audit"]).await;
    assert_eq!((audited.code, audited.err.as_str()), (0, ""), "{audited:?}");
}

type Stored = [(RunRow, Vec<EventRow>)];

fn rows(stored: &Stored) -> impl Iterator<Item = &EventRow> {
    stored.iter().flat_map(|(_, events)| events)
}

/// Keys of the rows that a history has: of an activity's attempts the last.
fn keys(stored: &Stored) -> Vec<(&RunKey, &str)> {
    let steps = rows(stored).filter(|row| row.kind != "activity" || row.attempt == 0);
    steps
        .map(|row| (&row.run, row.event_key.as_str()))
        .collect()
}

fn assert_same(filled: &Stored, undisturbed: &Stored) {
    assert_eq!(filled.len(), undisturbed.len());
    assert_eq!(keys(filled), keys(undisturbed));
    for ((run, events), (expected, expected_events)) in filled.iter().zip(undisturbed) {
        assert_eq!(run.key, expected.key);
        let differences = compare(expected, expected_events, run, events);
        assert_eq!(differences, Ok(Vec::new()), "{:?}", run.key);
        assert_eq!(run.event_count as usize, events.len(), "{:?}", run.key);
        let derived = |run: &RunRow| (run.input_tokens, run.output_tokens, run.cost_usd);
        assert_eq!(derived(run), derived(expected), "{:?}", run.key);
        assert!(!run.incomplete && run.dropped_events == expected.dropped_events);
    }
}
