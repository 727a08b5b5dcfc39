//! `omnitrace show`.

use std::process::Stdio;

use serde_json::Value;

use crate::Database;
use crate::rows::{self, at};

#[tokio::test]
async fn a_trace_at_eighty_columns() {
    insta::assert_snapshot!(Database::full().await.stdout(&["show", "order-1042"]));
}

#[tokio::test]
async fn a_trace_at_a_hundred_and_forty_columns() {
    let database = Database::full().await;
    let mut command = database.command(&["show", "order-1042"]);
    insta::assert_snapshot!(database.answer(command.env("COLUMNS", "140")));
}

#[tokio::test]
async fn a_trace_with_all_attempts_and_data() {
    let database = Database::full().await;
    insta::assert_snapshot!(database.stdout(&["show", "order-1042", "--all", "--data"]));
}

#[tokio::test]
async fn a_trace_as_json() {
    let database = Database::full().await;
    let text = database.stdout(&["show", "order-1042", "--json"]);
    insta::assert_snapshot!(text);
    let trace: Value = serde_json::from_str(&text).unwrap();
    let charge = &trace["root"]["children"][2];
    assert_eq!(charge["children"][1]["status"], "timed_out");
    assert_eq!(charge["children"][1]["reported_status"], "completed");
}

#[tokio::test]
async fn a_child_is_found_by_the_command_that_its_parent_shows() {
    let database = Database::full().await;
    let parent = database.stdout(&["show", "order-1042"]);
    let command = parent
        .lines()
        .find_map(|l| l.split_once("→ omnitrace "))
        .unwrap()
        .1;
    let child = database.stdout(&command.split(' ').collect::<Vec<_>>());
    assert!(child.starts_with("ShippingWorkflow ship-1042\n"), "{child}");
    let back = child
        .lines()
        .find_map(|l| l.split_once("omnitrace "))
        .unwrap()
        .1;
    let parent_again = database.stdout(&back.split(' ').collect::<Vec<_>>());
    assert_eq!(parent_again, parent);
}

#[tokio::test]
async fn a_trace_id_shows_the_run_that_the_others_came_of() {
    let database = Database::with(&[rows::order()]).await;
    let run = &rows::order().runs[0];
    let trace_id = run.trace_id.to_uppercase();
    assert_eq!(
        database.stdout(&["show", &trace_id]),
        database.stdout(&["show", &run.key.workflow_id])
    );
    let listed = database.stdout(&["list", "--json", "--text", &trace_id]);
    assert!(listed.contains(&run.key.run_id), "{listed}");
}

#[tokio::test]
async fn a_workflow_id_shows_its_newest_run_and_run_id_another() {
    let mut again = rows::long_run();
    again.events.clear();
    again.runs[0].key.run_id = "again".to_owned();
    again.runs[0].started_at = Some(at(60_000));
    again.runs[0].closed_at = Some(at(61_000));
    let old = again.runs[0].clone();
    let database = Database::with(&[rows::long_run(), again]).await;
    let newest = database.stdout(&["show", "import-7"]);
    assert!(newest.contains("again (newest of 2)"), "{newest}");
    let first_id = rows::long_run().runs[0].key.run_id.clone();
    let first = database.stdout(&["show", "import-7", "--run-id", &first_id]);
    assert!(first.contains("(1 newer of 2)"), "{first}");
    assert_eq!(database.stdout(&["show", &old.key.run_id]), newest);
}

#[tokio::test]
async fn a_hostile_name_does_not_reach_the_terminal() {
    let database = Database::full().await;
    let mut command = database.command(&["show", "order-1042", "--all", "--data"]);
    let plain = database.answer(&mut command);
    let control = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert_eq!(plain.find(control), None);
    assert!(plain.contains(r"evil\x1b[2J\r\nname\u{202e}"));
    // Colours are on, and yet only colours: what is between ESC and m is digits.
    let coloured = database.answer(command.env("CLICOLOR_FORCE", "1"));
    for (at, _) in coloured.match_indices('\x1b') {
        let rest = coloured[at + 1..].trim_start_matches('[');
        let code = rest.split_once('m').unwrap().0;
        assert!(
            code.bytes().all(|b| b.is_ascii_digit() || b == b';'),
            "{code}"
        );
    }
}

#[tokio::test]
async fn colours_appear_only_where_they_are_wanted() {
    let database = Database::full().await;
    let show = |set: &[(&str, &str)]| {
        let mut command = database.command(&["show", "order-1042"]);
        database.answer(command.envs(set.iter().copied()))
    };
    assert!(!show(&[]).contains('\x1b'), "a pipe");
    assert!(show(&[("CLICOLOR_FORCE", "1")]).contains('\x1b'));
    assert!(!show(&[("NO_COLOR", "1")]).contains('\x1b'));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let database = Database::full().await;
    let mut command = database.command(&["show", "import-7"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let (_, stderr) = database.texts(&output);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
}
