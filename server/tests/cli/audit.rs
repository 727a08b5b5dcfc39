//! `omnitrace audit`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use omnitrace_store::{Batch, ProcessReport};
use serde_json::Value;

use crate::{Database, rows};

/// The finds, and the exit code.
fn audit(database: &Database, args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let args = [&["audit", "--json"], args].concat();
    let output = database.command(&args).output().unwrap();
    let (stdout, stderr) = database.texts(&output);
    assert_eq!(stderr, "");
    let finds = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (finds.collect(), output.status.code())
}

/// Where something of a kind was found: table and column.
fn places(finds: &[Value], kind: &str) -> Vec<String> {
    let of_kind = finds.iter().filter(|find| find["kind"] == kind);
    let mut places: Vec<String> = of_kind
        .map(|find| {
            let text = |field: &str| find[field].as_str().unwrap().to_owned();
            format!("{}.{}", text("table"), text("column"))
        })
        .collect();
    places.sort();
    places.dedup();
    places
}

#[tokio::test]
async fn what_was_recorded_as_it_should_be_holds_nothing() {
    let database = Database::full().await;
    let (finds, code) = audit(&database, &[]);
    assert_eq!((finds, code), (Vec::new(), Some(0)));
    let text = database.stdout(&["audit"]);
    assert!(text.starts_with("nothing found in "), "{text}");
}

#[tokio::test]
async fn ids_that_look_like_a_card_are_nothing() {
    let mut batch = rows::order();
    batch.runs[0].span_id = "4111111111111111".to_owned();
    for event in &mut batch.events {
        event.span_id = "5555555555554444".to_owned();
    }
    let database = Database::with(&[batch]).await;
    assert_eq!(audit(&database, &[]), (Vec::new(), Some(0)));
}

#[tokio::test]
async fn what_is_planted_is_found_in_each_place_and_not_printed() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let mut batch = rows::order();
    let run = &mut batch.runs[0];
    run.error_message = Some("mail of bob@example.com".to_owned());
    run.workflow_type = "Order4111111111111111".to_owned();
    batch.events[0].data_redacted = Some(format!("{{\"attributes\":{{\"id\":\"{key}\"}}}}"));
    batch.events[1].name = "DE89370400440532013000".to_owned();
    batch.process = Some(ProcessReport {
        service: "078-05-1120".to_owned(),
        ..rows::process()
    });
    let database = Database::with(&[batch]).await;
    let mut spooled = rows::open_order();
    spooled.events[0].error_message = Some("of carol@example.com".to_owned());
    let folder = database.folder().join("omnitrace.db.spool");
    crate::spool(&folder, &spooled);
    std::fs::write(folder.join("x.spool"), "torn dave@example.com").unwrap();
    let log = database.folder().join("worker.log");
    std::fs::write(&log, "ok\nlogin of erin@example.com\n").unwrap();

    let args = [
        "--logs",
        log.to_str().unwrap(),
        "--pattern",
        "mine=login of",
    ];
    let (finds, code) = audit(&database, &args);
    assert_eq!(code, Some(1));
    let mails = places(&finds, "email");
    for place in [
        "omnitrace_runs.error_message",
        "spool.events.error_message",
        "spool.torn line",
        "logs.line",
        "api.execution.error.message",
    ] {
        assert!(
            mails.iter().any(|mail| mail == place),
            "{place} in {mails:?}"
        );
    }
    assert!(
        mails.iter().any(|mail| mail.starts_with("api.trace")),
        "{mails:?}"
    );
    assert!(
        mails.iter().any(|mail| mail.starts_with("spans.")),
        "{mails:?}"
    );
    assert!(places(&finds, "key").contains(&"omnitrace_events.data_redacted".to_owned()));
    let cards = places(&finds, "card");
    assert!(
        cards.contains(&"omnitrace_runs.workflow_type".to_owned()),
        "{cards:?}"
    );
    assert!(cards.contains(&"metrics.labels".to_owned()), "{cards:?}");
    assert!(places(&finds, "iban").contains(&"omnitrace_events.name".to_owned()));
    assert_eq!(places(&finds, "ssn"), ["omnitrace_processes.service"]);
    assert_eq!(places(&finds, "mine"), ["logs.line"]);

    let output = database
        .command(&["audit", args[0], args[1]])
        .output()
        .unwrap();
    let (stdout, stderr) = database.texts(&output);
    let all = format!("{finds:?}{stdout}{stderr}");
    for value in ["example.com", "4111", "IOSFODNN", "DE8937", "05-1120"] {
        assert!(!all.contains(value), "{value} in {all}");
    }
    let find = (finds.iter())
        .find(|find| find["column"] == "error_message")
        .unwrap();
    assert_eq!(find["length"], "bob@example.com".len());
    // Few are printed, all are counted.
    let text = database
        .command(&["audit", "--limit", "1"])
        .output()
        .unwrap();
    let (text, _) = database.texts(&text);
    assert!(
        text.contains(" more:\n") && text.contains("omnitrace_processes.service: 1 × ssn"),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_that_holds_it_is_named_without_it() {
    let mut batch = rows::order();
    let id = "order-of-bob@example.com";
    for run in &mut batch.runs {
        run.key.workflow_id = id.to_owned();
    }
    for event in &mut batch.events {
        event.run.workflow_id = id.to_owned();
    }
    let database = Database::with(&[Batch {
        runs: batch.runs,
        events: batch.events,
        ..Batch::default()
    }])
    .await;
    let (finds, code) = audit(&database, &["--limit", "100000"]);
    assert_eq!(code, Some(1));
    let find = (finds.iter())
        .find(|find| find["column"] == "workflow_id")
        .unwrap();
    assert!(find["key"].as_str().unwrap().contains("[email]"), "{find}");
    assert!(!format!("{finds:?}").contains("bob"), "{finds:?}");
}

#[tokio::test]
async fn what_it_could_not_look_at_is_no_find() {
    let missing = Database::missing();
    let (code, line) = missing.failure(&["audit"]);
    assert_eq!(code, 2);
    assert!(line.contains("not audited: no database at"), "{line}");
    let database = Database::full().await;
    for wrong in ["a", "a=(", "a=x*", "b c=d"] {
        let (code, _) = database.failure(&["audit", "--pattern", wrong]);
        assert_eq!(code, 2, "{wrong}");
    }
    let file = database.folder().join("house.patterns");
    std::fs::write(&file, "# ours\nok=ORD-[0-9]+\nwrong=[\n").unwrap();
    let (code, line) = database.failure(&["audit", "--patterns", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(line.contains("line 3"), "{line}");
    for wrong in ["--logs", "--spool"] {
        let (code, line) = database.failure(&["audit", wrong, "nowhere"]);
        assert_eq!(code, 2);
        assert!(line.contains("cannot read nowhere"), "{line}");
    }
}

#[tokio::test]
async fn lines_come_by_standard_input() {
    let database = Database::full().await;
    let mut child = database
        .command(&["audit", "--logs", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\nof bob@example.com").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let find: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(find["key"], "standard input:2");
}

/// One of each kind, as no program would take it for what it is in this file.
fn samples() -> Vec<(&'static str, String)> {
    let jwt = [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJzdWIiOiIxMjM0In0",
        "c2lnbmF0dXJl",
    ]
    .join(".");
    let pem = [
        "-----BEGIN PRIVATE",
        " KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    ]
    .concat();
    vec![
        ("email", "of bob@example.com".to_owned()),
        ("card", "4111 1111 1111 1111".to_owned()),
        ("ssn", "078-05-1120".to_owned()),
        ("iban", "DE89370400440532013000".to_owned()),
        ("tax_id", "86095742719".to_owned()),
        ("nir", "1 85 05 78 006 084 91".to_owned()),
        ("key", ["AKIA", "IOSFODNN7EXAMPLE"].concat()),
        ("jwt", jwt),
        ("bearer", ["Bearer ", "abcdef0123456789"].concat()),
        ("pem", pem),
        (
            "credentials",
            ["https://bob:", "hunter2@example.com/"].concat(),
        ),
        ("secret", ["password", "=hunter2"].concat()),
        ("entropy", ["q8Zr2LxV9c", "T4bN7mWk1Y", "p6Hs3D"].concat()),
        ("entropy", ["JBSWY3DPEHPK3PXP", "MZXW6YTBOI2T4QRZ"].concat()),
    ]
}

#[tokio::test]
async fn each_kind_of_the_guide_is_found_where_it_stands() {
    let guide = include_str!("../../../docs/audit.md");
    let (_, table) = guide.split_once("## What it finds").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let kinds: BTreeSet<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    let samples = samples();
    let sampled: BTreeSet<&str> = samples.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, sampled);

    let mut batch = rows::open_order();
    batch.events.truncate(samples.len());
    assert_eq!(batch.events.len(), samples.len());
    for (event, (_, text)) in batch.events.iter_mut().zip(&samples) {
        event.phase = omnitrace_store::row::Phase::Closed;
        event.error_message = Some(format!("it said {text}"));
    }
    let database = Database::with(std::slice::from_ref(&batch)).await;
    let (finds, code) = audit(&database, &["--limit", "100000"]);
    assert_eq!(code, Some(1));
    for (event, (kind, text)) in batch.events.iter().zip(&samples) {
        let here = |find: &&Value| {
            find["column"] == "error_message"
                && find["key"].as_str().unwrap().ends_with(&event.event_key)
        };
        let found: Vec<_> = finds
            .iter()
            .filter(here)
            .map(|find| &find["kind"])
            .collect();
        assert_eq!(found, [kind], "{text}");
    }
}

#[tokio::test]
async fn what_began_before_is_left_out_and_patterns_come_from_a_file() {
    let run = |n: i64, said: &str| {
        let mut run = rows::run("r", "Order", (n * 86_400_000, None));
        run.key.workflow_id = format!("of-day-{n}");
        run.error_message = Some(said.to_owned());
        run
    };
    let runs = vec![
        run(0, "CUST-000001"),
        run(9, "CUST-000002 and ORD-7"),
        run(10, "ord-8"),
    ];
    let database = Database::with(&[Batch {
        runs,
        ..Batch::default()
    }])
    .await;
    let file = database.folder().join("house.patterns");
    std::fs::write(
        &file,
        "# ours\n\ncustomer=CUST-[0-9]{6}\nbusiness-order=(?i)ord-[0-9]\n",
    )
    .unwrap();
    let patterns = ["--patterns", "house.patterns"];
    let found = |more: &[&str]| {
        let (finds, code) = audit(&database, &[&patterns, more].concat());
        let of_rows = (finds.iter()).filter(|find| find["table"] == "omnitrace_runs");
        let found: Vec<String> = of_rows
            .map(|find| {
                let key = find["key"].as_str().unwrap().split('/').nth(1).unwrap();
                format!("{key} {}", find["kind"].as_str().unwrap())
            })
            .collect();
        // What would leave is of the same runs.
        let days: BTreeSet<String> = (finds.iter())
            .filter_map(|find| find["key"].as_str()?.split('/').nth(1).map(str::to_owned))
            .collect();
        assert!(
            days.iter()
                .all(|day| found.iter().any(|found| found.starts_with(day)))
        );
        (found, code)
    };
    let all = [
        "of-day-0 customer",
        "of-day-10 business-order",
        "of-day-9 customer",
        "of-day-9 business-order",
    ];
    assert_eq!(found(&[]), (all.map(str::to_owned).to_vec(), Some(1)));
    let late = all[1..].iter().map(|found| (*found).to_owned()).collect();
    assert_eq!(found(&["--since", "2026-01-09"]), (late, Some(1)));
    assert_eq!(found(&["--since", "2026-01-30"]), (Vec::new(), Some(0)));
}
