//! What is wrong is one line that says what to do, and an exit code; nothing is half-written.

use super::place::{Kind, Place, said};
use super::runs::recorded;

/// A case: arguments, exit code, parts of the line.
type Case = (&'static [&'static str], i32, &'static [&'static str]);

const CASES: &[Case] = &[
    (
        &["--address", "127.0.0.1:1"],
        1,
        &["no Temporal server answers at 127.0.0.1:1: ", "--address"],
    ),
    (
        &["--address", "no host"],
        1,
        &["the server's address is none: write host:port", "--address"],
    ),
    (
        &["--namespace", "nobody-has-this"],
        1,
        &[
            "the server has no namespace \"nobody-has-this\"",
            "--namespace",
        ],
    ),
    (
        &["--codec-endpoint", "ftp://codec"],
        1,
        &[
            "the codec endpoint is no http:// or https:// address",
            "--codec-endpoint",
        ],
    ),
    (
        &["--tls", "--tls-ca-path", "no-such-file.pem"],
        1,
        &["no-such-file.pem"],
    ),
    (
        &["--profile", "nobodys", "--config-file", "no-such-file.toml"],
        1,
        &["no-such-file.toml"],
    ),
];

const SELECTED: &[Case] = &[
    (
        &["--query", "WorkflowType = "],
        1,
        &["the server does not understand the query: "],
    ),
    (&["--query", "Colour = 'red'"], 1, &["Colour"]),
    (&["--since", "yesterday"], 2, &["yesterday", "--since"]),
    (&["--at-once", "0"], 2, &["--at-once"]),
];

const RECONCILED: &[Case] = &[
    (&["--every", "soon"], 2, &["--every", "30s"]),
    (&["--every", "0s"], 2, &["--every", "more than nothing"]),
    (&["--settle=-1"], 2, &["--settle"]),
];

async fn check(place: &Place, command: &str, case: &Case) {
    let (arguments, code, parts) = case;
    let found = place.run(&[&[command], *arguments].concat()).await;
    assert_eq!(
        (found.code, found.out.as_str()),
        (*code, ""),
        "{arguments:?}: {found:?}"
    );
    for part in *parts {
        assert!(
            found.err.contains(part),
            "{arguments:?}: {part} in {found:?}"
        );
    }
    // Usage is told by the reader of the arguments, with a hint.
    if *code == 1 {
        assert!(found.err.starts_with("error: "), "{found:?}");
        assert_eq!(found.err.lines().count(), 1, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_one_line_and_changes_nothing() {
    let place = Place::new(Kind::Sqlite).await;
    recorded(&place, 1).await;
    let before = place.stored().await;
    let mistyped: Case = (&["--workflow-id", "nobodys"], 2, &["nothing is compared: "]);
    check(&place, "verify", &mistyped).await;
    let empty = place.beside(Kind::Sqlite).await;
    for command in ["backfill", "verify", "reconcile"] {
        let own = if command == "reconcile" {
            RECONCILED
        } else {
            SELECTED
        };
        for case in CASES.iter().chain(own) {
            check(&place, command, case).await;
        }
        // Nobody gets a database because of a server that is not there.
        for case in CASES.iter().filter(|_| command != "verify") {
            check(&empty, command, case).await;
            assert!(!empty.file().exists(), "{command} {:?}", case.0);
        }
    }
    assert_eq!(place.stored().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_missing_or_cannot_be_written_is_said() {
    let place = Place::new(Kind::Sqlite).await;
    let missing: Case = (
        &[],
        1,
        &["no database at ", "omnitrace.db", "OMNITRACE_DATABASE_URL"],
    );
    check(&place, "verify", &missing).await;
    assert!(!place.file().exists());

    recorded(&place, 1).await;
    let before = place.stored().await;
    let damage = "DELETE FROM omnitrace_events WHERE kind = 'timer'";
    place.sql(damage).await;
    let damaged = place.stored().await;
    place.checkpoint().await;
    crate::outage::set_write_version(&place.file(), 9);
    for arguments in [
        &["backfill"][..],
        &["verify", "--repair"],
        &["reconcile", "--once"],
    ] {
        let found = place.run(arguments).await;
        assert_eq!((found.code, found.out.as_str()), (1, ""), "{found:?}");
        assert!(found.err.contains("readonly"), "{found:?}");
        assert_eq!(found.err.lines().count(), 1, "{found:?}");
    }
    // Who only reads is not stopped by it.
    assert_eq!(place.run(&["verify"]).await.code, 1);
    crate::outage::set_write_version(&place.file(), 2);
    assert_eq!(place.stored().await, damaged);
    assert_eq!(place.run(&["verify", "--repair"]).await.code, 0);
    assert_eq!(place.stored().await.len(), before.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_policy_are_not_compared() {
    let place = Place::new(Kind::Sqlite).await;
    recorded(&place, 2).await;
    let before = place.stored().await;
    for arguments in [&["verify"][..], &["verify", "--repair"]] {
        let mut command = place.command(arguments);
        command.env("OMNITRACE_HASH_KEY", "another key than the worker's");
        let found = said(command).await;
        assert_eq!(found.code, 1, "{found:?}");
        // A line for each run, and the key is in none.
        assert_eq!(found.err.lines().count(), 2, "{found:?}");
        assert!(found.err.contains("hash key") && !found.err.contains("another key"));
        assert!(found.out.contains("2 runs not comparable"), "{found:?}");
    }
    assert_eq!(place.stored().await, before);
}
