//! What was erased stays away, whoever tells of it: a worker that goes on, one that replays, a backfill, a
//! reconciler.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use omnitrace::OmniTrace;
use omnitrace::config::{DatabaseTarget, Settings};
use omnitrace_store::row::RunKey;
use omnitrace_store::{DatabaseUrl, OpenOptions, Store};
use omnitrace_tests::{RunningWorker, beside, eventually, unique};
use serde_json::json;
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowHistory, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::MemoValues;
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};

use super::place::{Kind, Place, said};
use super::runs::{self, Whole, worker};
use crate::replay::history;
use crate::spans::collector::Collector;
use crate::spans::free_address;

on_each_database! {
    an_erased_user_is_nowhere_and_stays_away;
    what_waited_on_disk_is_refused_when_the_database_is_back;
}

async fn start(client: &Client, queue: &str, id: &str, user: &str, waits: bool) {
    let mut memo = MemoValues::new();
    memo.insert("user_id", user.to_owned());
    let options = WorkflowStartOptions::new(queue, id).memo(memo).build();
    let started = client.start_workflow(Whole::run, waits, options).await;
    started.expect("started");
}

async fn result(client: &Client, id: &str) {
    let handle = client.get_workflow_handle::<Whole>(id);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), "order-7");
}

/// Workflow ids that are stored, in order.
async fn stored(place: &Place) -> Vec<String> {
    let stored = place.stored().await.into_iter();
    stored.map(|(run, _)| run.key.workflow_id).collect()
}

/// Columns that name one of alice's runs, or her; but for the record of her erasure.
async fn naming(place: &Place) -> BTreeSet<String> {
    let hash = Settings::default().policy().identity("alice");
    let url = DatabaseUrl::parse(&place.url, Path::new("/")).expect("a URL");
    let mut options = OpenOptions::default();
    options.read_only = true;
    let store = Store::open(&url, options).await.expect("a database");
    let tables = store.text_tables().await.expect("tables");
    assert!(tables.len() >= 8, "{tables:?}");
    let mut naming = BTreeSet::new();
    for table in tables
        .iter()
        .filter(|table| table.name != "omnitrace_erasures")
    {
        let rows = store.text_rows(table, None, None, 100_000).await;
        for row in rows.expect("readable") {
            for (column, text) in table.texts.iter().zip(row.texts) {
                if text.is_some_and(|text| text.contains("alice-") || text.contains(&hash)) {
                    naming.insert(format!("{}.{column}", table.name));
                }
            }
        }
    }
    store.close().await;
    naming
}

async fn an_erased_user_is_nowhere_and_stays_away(kind: Kind) {
    let place = Place::new(kind).await;
    let omnitrace = OmniTrace::start(place.settings());
    let client = place.client(&[&omnitrace]).await;
    let queue = unique("queue");
    let running = RunningWorker::start(client.clone(), worker(&queue));
    beside(running, async {
        for (id, user) in [("alice-1", "alice"), ("bob-1", "bob"), ("alice-2", "alice")] {
            start(&client, &queue, id, user, false).await;
            result(&client, id).await;
        }
        // It goes on while she is erased.
        start(&client, &queue, "alice-open", "alice", true).await;
        eventually("the run that goes on is stored", async || {
            omnitrace.flush().await.expect("stored");
            (stored(&place).await.len() == 4).then_some(())
        })
        .await;

        assert!(naming(&place).await.len() >= 3);
        let would = place.json(&["erase", "--user", "alice"]).await;
        assert_eq!(would["runs"], 3, "{would}");
        assert_eq!(stored(&place).await.len(), 4);
        let done = place.json(&["erase", "--user", "alice", "--yes"]).await;
        assert_eq!(done["runs"], 3, "{done}");
        assert_eq!(stored(&place).await, ["bob-1"]);
        assert_eq!(naming(&place).await, BTreeSet::new());

        // Its worker tells of it until it is over, and of a new one.
        let handle = client.get_workflow_handle::<Whole>("alice-open");
        let options = WorkflowSignalOptions::default();
        handle
            .signal(Whole::release, (), options)
            .await
            .expect("sent");
        result(&client, "alice-open").await;
        start(&client, &queue, "alice-new", "alice", false).await;
        result(&client, "alice-new").await;
        omnitrace.flush().await.expect("stored");
    })
    .await;
    assert_eq!(stored(&place).await, ["alice-new", "bob-1"]);
    let refused = |omnitrace: &OmniTrace| omnitrace.counters()["rows.dropped.erased"];
    assert!(refused(&omnitrace) > 0);
    omnitrace
        .shutdown(Duration::from_secs(10))
        .await
        .expect("stored");

    // A replay that records.
    let replaying = OmniTrace::start(place.settings());
    for id in ["alice-1", "alice-open"] {
        let history = history(&client, id).await;
        let plugin = replaying.replay_plugin(run_key(&place, id, &client).await);
        let options = WorkflowReplayerOptions::new()
            .worker_plugin(plugin)
            .register_workflow::<Whole>()
            .expect("a workflow")
            .task_queue(&queue)
            .build();
        let replayer = WorkflowReplayer::new(options).expect("valid options");
        let replayed = replayer
            .replay_workflow(WorkflowHistory::from(history))
            .await;
        replayed.expect("replayed");
    }
    replaying.flush().await.expect("nothing waits");
    assert!(refused(&replaying) > 0);
    replaying
        .shutdown(Duration::from_secs(10))
        .await
        .expect("stored");
    assert_eq!(stored(&place).await, ["alice-new", "bob-1"]);

    // Everything that reads histories.
    place.indexed(5).await;
    let backfilled = place.json(&["backfill"]).await;
    assert_eq!(
        (&backfilled["erased"], &backfilled["runs"]),
        (&json!(3), &json!(2))
    );
    let verified = place.json(&["verify"]).await;
    assert_eq!(
        (&verified["erased"], &verified["missing"]),
        (&json!(3), &json!(0))
    );
    let repaired = place.json(&["verify", "--repair"]).await;
    assert_eq!(
        (&repaired["erased"], &repaired["repaired"]),
        (&json!(3), &json!(0))
    );
    let pass = place.json(&["reconcile", "--once", "--settle", "1s"]).await;
    assert_eq!((&pass["erased"], &pass["recorded"]), (&json!(3), &json!(0)));
    assert_eq!(stored(&place).await, ["alice-new", "bob-1"]);

    // Another erasure takes what came since.
    place.json(&["erase", "--user", "alice", "--yes"]).await;
    assert_eq!(naming(&place).await, BTreeSet::new());
    assert_eq!(stored(&place).await, ["bob-1"]);

    // Spans that are sent of what is stored.
    let collector = Collector::start().await;
    let to = format!("--otlp=http://{}", collector.http);
    let sent = place.json(&["export", &to]).await;
    assert_eq!(sent["runs"], 1, "{sent}");
    let spans = eventually("all spans came", async || {
        let spans = collector.spans();
        (sent["spans"] == spans.len()).then_some(spans)
    })
    .await;
    assert!(!spans.is_empty());
    for span in spans {
        assert_eq!(span.tag("workflow.id"), "bob-1");
    }
}

/// Files of the spool.
fn spool_files(place: &Place) -> usize {
    let files = std::fs::read_dir(place.folder().join("spool"));
    files.map_or(0, Iterator::count)
}

async fn what_waited_on_disk_is_refused_when_the_database_is_back(kind: Kind) {
    let place = Place::new(kind).await;
    let queue = unique("queue");
    // Of a process, and what became of its rows.
    let recorded = async |settings: Settings, runs: &[(&str, &str)]| {
        let omnitrace = OmniTrace::start(settings);
        let client = place.client(&[&omnitrace]).await;
        let running = RunningWorker::start(client.clone(), worker(&queue));
        beside(running, async {
            for (id, user) in runs {
                start(&client, &queue, id, user, false).await;
                result(&client, id).await;
            }
        })
        .await;
        let stored = omnitrace.shutdown(Duration::from_secs(5)).await;
        stored.expect("stored, or on disk");
        omnitrace.counters()
    };
    recorded(place.settings(), &[("bob-1", "bob")]).await;
    let nowhere = format!("postgres://{}/nowhere", free_address());
    let nowhere = DatabaseUrl::parse(&nowhere, Path::new("/")).expect("a URL");
    let away = place.settings().with_database(DatabaseTarget::Url(nowhere));
    let spooled = recorded(away, &[("alice-1", "alice"), ("bob-2", "bob")]).await["rows.spooled"];
    assert_eq!(spool_files(&place), 1);

    let erase = |more: &[&str]| {
        let mut command =
            place.command(&[&["erase", "--user", "alice", "--json"][..], more].concat());
        command.env("OMNITRACE_SPOOL_PATH", place.folder().join("spool"));
        said(command)
    };
    let would = erase(&[]).await.json();
    let waiting = would["spooled"].as_u64().expect("a number");
    assert!(0 < waiting && waiting < spooled, "{would}");
    assert_eq!(erase(&["--yes"]).await.json()["runs"], 0);
    assert_eq!(spool_files(&place), 1, "they are their worker's");

    let next = OmniTrace::start(place.settings());
    eventually("the next process has read them all", async || {
        let adopted = next.counters().get("rows.adopted").copied();
        (adopted == Some(spooled) && spool_files(&place) == 0).then_some(())
    })
    .await;
    assert_eq!(next.counters()["rows.dropped.erased"], waiting);
    let stored_all = next.shutdown(Duration::from_secs(10)).await;
    stored_all.expect("everything is stored");
    assert_eq!(stored(&place).await, ["bob-1", "bob-2"]);
    assert_eq!(naming(&place).await, BTreeSet::new());
}

async fn run_key(place: &Place, id: &str, client: &Client) -> RunKey {
    let described = runs::handle(client, id).describe(Default::default()).await;
    let described = described.expect("a run");
    RunKey::new(&place.namespace, id, described.run_id())
}
