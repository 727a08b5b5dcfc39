//! What is needed to install the program: its version, what completes its commands, its manual, its health.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::Database;

#[test]
fn the_version_tells_the_schema_and_the_same_each_time() {
    let database = Database::missing();
    let version = database.stdout(&["--version"]);
    let schema = omnitrace_store::schema_version();
    assert!(version.starts_with("omnitrace 0."), "{version}");
    assert!(
        version.ends_with(&format!("schema {schema})\n")),
        "{version}"
    );
    assert_eq!(database.stdout(&["--version"]), version);
    assert_eq!(database.stdout(&["-V"]).split(' ').count(), 2);
}

#[test]
fn every_shell_is_told_every_command() {
    let database = Database::missing();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = database.stdout(&["completions", shell]);
        for command in ["serve", "doctor", "switches", "database-url"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
    let (code, line) = database.failure(&["completions", "tcsh"]);
    assert_eq!(code, 2);
    assert!(line.contains("bash"), "{line}");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let database = Database::missing();
    let page = database.stdout(&["man"]);
    assert!(page.contains(".TH omnitrace 1"), "{page}");
    database.stdout(&["man", "."]);
    for page in [
        "omnitrace.1",
        "omnitrace-serve.1",
        "omnitrace-switches-unset.1",
    ] {
        let text = std::fs::read_to_string(database.folder().join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let (code, line) = database.failure(&["man", "missing"]);
    assert_eq!((code, line.lines().count()), (1, 1), "{line}");
}

#[tokio::test]
async fn a_server_says_that_it_lives_and_one_that_is_not_there_does_not() {
    let database = Database::full().await;
    let mut serve = database.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split(' ').next().unwrap().to_owned();
    let said = database.stdout(&["health", "--listen", &address]);
    assert_eq!(said, format!("{address} lives\n"));
    server.kill().unwrap();
    server.wait().unwrap();
    let output = database
        .command(&["health", "--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_switch_is_set_listed_and_taken_back() {
    let database = Database::full().await;
    let set = |args: &[&str]| {
        let args = [args, &["--reason", "rollout", "--by", "ann"]].concat();
        database.stdout(&args)
    };
    assert_eq!(
        set(&["set", "sample_rate", "0.050", "--env", "prod"]),
        "sample_rate is 0.05 for environment prod (change 1): for what begins in 4 seconds\n"
    );
    set(&[
        "set",
        "drop_fields",
        "iban",
        "--tenant",
        "acme",
        "--type",
        "Order",
    ]);
    let list = database.stdout(&["switches", "list", "--json"]);
    let lines: Vec<serde_json::Value> = (list.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [rate, fields] = &lines[..] else {
        panic!("{list}");
    };
    assert_eq!(
        (&rate["name"], &rate["value"]),
        (&"sample_rate".into(), &"0.05".into())
    );
    assert_eq!(rate["set_by"], "ann");
    assert!(rate["set_at"].as_str().unwrap().ends_with('Z'));
    let tenant = fields["tenant"].as_str().unwrap();
    assert!(tenant.starts_with("sha256:"), "{tenant}");
    assert!(!list.contains("acme"), "{list}");

    let doctor = database.command(&["doctor"]).output().unwrap();
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        doctor.contains("sample_rate = 0.05 for environment prod"),
        "{doctor}"
    );

    assert_eq!(
        set(&["switches", "unset", "sample_rate", "--env", "prod"]),
        "sample_rate is taken back for environment prod (change 3): for what begins in 4 seconds\n"
    );
    assert_eq!(
        database
            .stdout(&["switches", "list", "--json"])
            .lines()
            .count(),
        1
    );
    assert_eq!(database.stdout(&["switches", "history"]).lines().count(), 4);
    for (args, said) in [
        (
            &["set", "sample_rate", "5%"][..],
            "write a number from 0 to 1",
        ),
        (&["set", "recording", "no"], "write true or false"),
        (
            &["switches", "unset", "recording"],
            "`omnitrace switches list` shows what is",
        ),
        (&["set", "volume", "1"], "sample_rate"),
    ] {
        let (code, line) = database.failure(&[args, &["--reason", "x"]].concat());
        assert_eq!(code, 2, "{line}");
        assert!(line.contains(said), "{line}");
    }
}
