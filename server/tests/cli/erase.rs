//! `omnitrace erase`.

use omnitrace::config::Settings;
use omnitrace_store::row::{Identity, RunRow};
use omnitrace_store::{Batch, DatabaseUrl, OpenOptions, Store};
use serde_json::Value;

use crate::{Database, rows};

fn hash(id: &str) -> String {
    Settings::default().policy().identity(id)
}

/// Rows whose runs have a user and a tenant.
pub(crate) fn of(mut batch: Batch, user: &str, tenant: &str) -> Batch {
    let identity = |id| {
        let hash = hash(id);
        Some(Identity { rank: 2, hash })
    };
    let policy_id = Settings::default().policy().id().to_owned();
    for run in &mut batch.runs {
        *run = RunRow {
            user: identity(user),
            tenant: identity(tenant),
            policy_id: policy_id.clone(),
            ..run.clone()
        };
    }
    batch
}

/// The full one, with a user and a tenant for each run.
pub(crate) async fn of_users() -> Database {
    Database::with(&[
        of(rows::order(), "alice", "east"),
        of(rows::open_order(), "bob", "west"),
        of(rows::long_run(), "bob", "west"),
    ])
    .await
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// All that the terminal says of all runs.
fn everything(database: &Database) -> String {
    let list = database.stdout(&["list", "--json"]);
    let ids: Vec<String> = list
        .lines()
        .map(|line| json(line)["run_id"].as_str().unwrap().to_owned())
        .collect();
    let shown = ids
        .iter()
        .map(|id| database.stdout(&["show", id, "--json"]))
        .collect::<String>();
    list + &shown
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_yes_does_it() {
    let database = of_users().await;
    let before = everything(&database);
    let alice = ["erase", "--user", "alice", "--json"];
    let would = json(&database.stdout(&alice));
    assert_eq!(would["dry_run"], true);
    assert_eq!(would["subject"], hash("alice"));
    assert!(would["runs"].as_u64() > Some(0) && would["events"].as_u64() > Some(3));
    assert_eq!(everything(&database), before);
    let text = database.stdout(&["erase", "--user", "alice", "--dry-run"]);
    assert!(
        text.starts_with("would go: ") && text.contains("--yes does it"),
        "{text}"
    );

    let yes = ["--yes", "--reason", "request 7", "--by", "the desk"];
    let done = json(&database.stdout(&[&alice[..], &yes].concat()));
    for what in ["runs", "events", "cuts", "promotions"] {
        assert_eq!(done[what], would[what], "{what}");
    }
    let after = everything(&database);
    assert!(!after.contains(&hash("alice")) && after != before);
    let kept = json(&database.stdout(&["erase", "--list", "--json"]));
    assert_eq!(kept["id"], done["record"]);
    assert_eq!(
        (&kept["reason"], &kept["done_by"]),
        (&"request 7".into(), &"the desk".into())
    );
    assert_eq!(kept["runs"], would["runs"]);
    assert!(kept["done_at"].as_str().unwrap().ends_with('Z'), "{kept}");

    let again = json(&database.stdout(&alice));
    assert_eq!((&again["runs"], &again["events"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn what_was_switched_for_a_tenant_goes_with_it() {
    let database = of_users().await;
    let set = [
        "set",
        "recording",
        "false",
        "--reason",
        "asked",
        "--by",
        "ann",
    ];
    database.stdout(&[&set[..], &["--tenant", "acme"]].concat());
    database.stdout(&[&set[..], &["--type", "OrderWorkflow"]].concat());
    let history = || database.stdout(&["switches", "history", "--json"]);
    assert!(history().contains(&hash("acme")));
    let acme = ["erase", "--tenant", "acme"];
    let would = database.stdout(&acme);
    assert!(would.contains("1 × change of a switch"), "{would}");
    let done = database.stdout(&[&acme[..], &["--yes", "--json"]].concat());
    assert_eq!(json(&done)["switches"], 1);
    let left = history();
    assert!(
        !left.contains(&hash("acme")) && left.contains("OrderWorkflow"),
        "{left}"
    );
    let kept = json(&database.stdout(&["erase", "--list", "--json"]));
    assert_eq!(kept["switches"], 1);
}

#[tokio::test]
async fn another_hash_key_is_told_from_a_user_who_is_not_there() {
    let database = of_users().await;
    let output = database
        .command(&["erase", "--user", "alice", "--yes"])
        .env("OMNITRACE_HASH_KEY", "another")
        .output()
        .unwrap();
    let (stdout, stderr) = database.texts(&output);
    assert_eq!((output.status.code(), &*stdout), (Some(1), ""));
    assert!(
        stderr.contains("OMNITRACE_HASH_KEY") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert!(!stderr.contains("another\""), "{stderr}");
    assert_eq!(
        database.stdout(&["erase", "--list"]),
        "nothing was erased yet\n"
    );
    // Known by the hash that a trace shows, whatever the key.
    let shown = database
        .command(&["erase", "--user", &hash("alice"), "--json"])
        .env("OMNITRACE_HASH_KEY", "another")
        .output()
        .unwrap();
    assert!(json(&database.texts(&shown).0)["runs"].as_u64() > Some(0));
    // With the right key, somebody of whom nothing is stored.
    let nobody = ["erase", "--user", "carol", "--json", "--yes"];
    let nobody = json(&database.stdout(&[&nobody[..], &["--keep-away"]].concat()));
    assert_eq!(nobody["runs"], 0);
}

#[tokio::test]
async fn an_id_that_may_be_mistyped_is_no_success() {
    let database = of_users().await;
    let before = everything(&database);
    for (wrong, said) in [
        (
            &["--workflow-id", "order-*"][..],
            "\"order-*\", and `*` is no pattern in an id",
        ),
        (
            &["--workflow-id", "order-1042", "--namespace", "nobody"],
            "\"order-1042\" in namespace \"nobody\"",
        ),
        (&["--user", "carol"], "user sha256:"),
    ] {
        let erase = [&["erase"], wrong].concat();
        let would = database.stdout(&erase);
        assert!(
            would.starts_with("nothing is stored of ") && would.contains(said),
            "{would}"
        );
        let (code, line) = database.failure(&[&erase[..], &["--yes"]].concat());
        assert_eq!(code, 1);
        assert!(
            line.contains(said) && line.contains("--keep-away"),
            "{line}"
        );
    }
    for empty in ["--user", "--tenant", "--workflow-id"] {
        let (code, _) = database.failure(&["erase", empty, "", "--yes"]);
        assert_eq!(code, 2, "{empty}");
    }
    let (code, _) = database.failure(&["erase", "--user", "alice", "--yes", "--reason", ""]);
    assert_eq!(code, 2);
    assert_eq!(everything(&database), before);
    assert_eq!(
        database.stdout(&["erase", "--list"]),
        "nothing was erased yet\n"
    );
    // What was erased may be erased again.
    let yes = ["erase", "--user", "alice", "--yes", "--json"];
    assert!(json(&database.stdout(&yes))["runs"].as_u64() > Some(0));
    assert_eq!(json(&database.stdout(&yes))["runs"], 0);
}

#[tokio::test]
async fn it_must_be_said_who_and_only_once() {
    let database = of_users().await;
    for wrong in [
        &["erase"][..],
        &["erase", "--user", "a", "--tenant", "b"],
        &["erase", "--user", "a", "--yes", "--dry-run"],
        &["erase", "--list", "--yes"],
    ] {
        let (code, _) = database.failure(wrong);
        assert_eq!(code, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn what_waits_on_disk_is_counted() {
    let database = of_users().await;
    let batch = rows::order();
    let id = batch.runs[0].key.workflow_id.clone();
    let of_run = batch
        .events
        .iter()
        .filter(|event| event.run.workflow_id == id);
    let rows_of_run = 1 + of_run.count();
    crate::spool(&database.folder().join("omnitrace.db.spool"), &batch);
    let would = json(&database.stdout(&["erase", "--workflow-id", &id, "--json"]));
    assert_eq!(would["spooled"], rows_of_run as u64);
    // What a worker that comes later offers of it is refused, and of its child.
    database.stdout(&["erase", "--workflow-id", &id, "--yes"]);
    let url = DatabaseUrl::parse("sqlite://omnitrace.db", database.folder()).unwrap();
    let store = Store::open(&url, OpenOptions::default()).await.unwrap();
    let report = store.write(&batch).await.unwrap();
    store.close().await;
    assert_eq!(
        (report.erased_runs + report.erased_events) as usize,
        batch.runs.len() + batch.events.len()
    );
}

#[tokio::test]
async fn an_import_of_an_erased_run_brings_nothing_back() {
    let database = Database::missing();
    std::fs::write(database.folder().join("h.json"), crate::import::HISTORY).unwrap();
    database.stdout(&["import", "h.json"]);
    assert!(database.stdout(&["list"]).contains("order-1"));
    database.stdout(&["erase", "--workflow-id", "order-1", "--yes"]);
    for _ in 0..2 {
        let imported = json(&database.stdout(&["import", "h.json", "--json"]));
        assert_eq!(
            (&imported["erased"], &imported["rows_stored"]),
            (&true.into(), &0.into())
        );
    }
    let text = database.stdout(&["import", "h.json"]);
    assert!(text.contains("the run was erased, 0 rows stored"), "{text}");
    assert_eq!(database.stdout(&["list", "--json"]), "");
    // Under another run id too: the workflow id is what was erased.
    let other = ["import", "h.json", "--run-id", "other", "--json"];
    assert_eq!(json(&database.stdout(&other))["erased"], true);
}
