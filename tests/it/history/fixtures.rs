//! Exported histories with the rows that follow from them, worked out by hand from the events.

use omnitrace::history::{Ids, parse};
use omnitrace_store::row::{Micros, RunRow, Status};

use super::compare::read;

/// Key, status, and when it was scheduled, started and ended: seconds within the minute, or nothing.
type Line = (
    &'static str,
    Status,
    &'static str,
    &'static str,
    &'static str,
);

/// Reads a fixture, and compares its rows with these lines; gives the run, and when it ended.
fn check(fixture: &[u8], lines: &[Line]) -> (RunRow, String) {
    let events = parse(fixture).expect("a history");
    let run = Ids::default()
        .of(&events)
        .expect("it says of which run it is");
    let rows = read(&run, events);
    assert!(rows.skipped.is_empty(), "{:?}", rows.skipped);
    let mut expected: Vec<_> = lines
        .iter()
        .map(|(key, status, scheduled, started, ended)| {
            format!("{key} {} {scheduled} {started} {ended}", status.as_str())
        })
        .collect();
    expected.sort();
    let mut found: Vec<_> = rows
        .events
        .iter()
        .map(|row| {
            // When a local activity was scheduled is not in history.
            let data = row.data_redacted.as_deref().unwrap_or_default();
            let is_local = data.contains("\"local\":true");
            let scheduled = row.scheduled_at.filter(|_| !is_local);
            let [scheduled, started, ended] = [scheduled, row.started_at, row.ended_at].map(second);
            let status = row.status.as_str();
            format!("{} {status} {scheduled} {started} {ended}", row.event_key)
        })
        .collect();
    found.sort();
    assert_eq!(found.join("\n"), expected.join("\n"));
    let ended = second(rows.run.closed_at);
    (rows.run, ended)
}

fn second(at: Option<Micros>) -> String {
    at.map_or(String::new(), |at| {
        let at = at % 60_000_000;
        format!("{:02}.{:06}", at / 1_000_000, at % 1_000_000)
    })
}

#[test]
fn local_activities() {
    use Status::{Completed, Failed};
    let lines = [
        ("activity:1:Tools::act:0", Completed, "", "", "02.925063"),
        ("activity:1:Tools::act:3", Completed, "", "", "02.925063"),
        ("activity:2:Tools::act:0", Failed, "", "", "02.926210"),
        ("activity:2:Tools::act:1", Failed, "", "", "02.926210"),
        ("activity:3:Tools::act:0", Failed, "", "", "03.996501"),
        ("activity:3:Tools::act:2", Failed, "", "", "03.996501"),
        ("activity:4:Tools::act:0", Completed, "", "", "05.060790"),
        ("activity:4:Tools::act:3", Completed, "", "", "05.060790"),
        ("activity:5:Tools::act:0", Failed, "", "", "05.061248"),
        ("activity:5:Tools::act:1", Failed, "", "", "05.061248"),
        ("timer:1:timer:1", Completed, "02.926210", "", "03.994882"),
        ("timer:2:timer:1", Completed, "03.996501", "", "05.060238"),
        ("timer:3:timer:1", Completed, "05.061248", "", "06.120737"),
    ];
    let (run, ended) = check(include_bytes!("fixtures/local_activities.json"), &lines);
    assert_eq!((run.status, ended.as_str()), (Completed, "06.120737"));
    assert_eq!((run.workflow_type.as_str(), run.steps_seen), ("Locals", 8));
}

#[test]
fn updates() {
    use Status::{Completed, Failed};
    let first = "32.148066";
    let third = "32.228353";
    let told = "32.282236";
    let lines = [
        ("update:one:change:1", Completed, first, first, first),
        (
            "update:two:change:1",
            Completed,
            "32.171104",
            "32.171104",
            "32.205831",
        ),
        (
            "activity:1:Tools::act:0",
            Completed,
            "32.171104",
            "",
            "32.205831",
        ),
        (
            "activity:1:Tools::act:1",
            Completed,
            "32.182005",
            "32.185089",
            "32.198629",
        ),
        ("update:three:change:1", Failed, third, third, third),
        ("signal:23:tell:1", Completed, told, "", told),
    ];
    let (run, ended) = check(include_bytes!("fixtures/updates.json"), &lines);
    assert_eq!((run.status, ended.as_str()), (Completed, told));
}

#[test]
fn cancellations() {
    use Status::{Canceled, Completed, Scheduled};
    let first = "53.903668";
    let asked = "54.135476";
    let lines = [
        ("timer:2:timer:1", Canceled, first, "", asked),
        // It is waited for.
        (
            "activity:wait:Tools::act:0",
            Canceled,
            first,
            "",
            "54.531677",
        ),
        (
            "activity:wait:Tools::act:1",
            Canceled,
            "53.978372",
            "53.991575",
            "54.477199",
        ),
        // It is not, though its end is in history.
        ("activity:try:Tools::act:0", Canceled, first, "", asked),
        (
            "activity:try:Tools::act:1",
            Canceled,
            "53.978409",
            "53.995221",
            "54.472691",
        ),
        // Nobody was told.
        ("activity:abandon:Tools::act:0", Scheduled, first, "", ""),
        ("signal:9:all_wait:1", Completed, asked, "", asked),
    ];
    let (run, ended) = check(include_bytes!("fixtures/cancellations.json"), &lines);
    assert_eq!((run.status, ended.as_str()), (Completed, "54.531677"));
}

#[test]
fn reset() {
    use Status::Completed;
    let second_task = "15.623201";
    let lines = [
        ("timer:1:timer:1", Completed, "14.607745", "", second_task),
        (
            "patch:a new way:patch:1",
            Completed,
            second_task,
            "",
            second_task,
        ),
        ("timer:2:timer:1", Completed, second_task, "", "16.641003"),
    ];
    let (run, ended) = check(include_bytes!("fixtures/reset.json"), &lines);
    assert_eq!(
        (run.trigger.as_str(), ended.as_str()),
        ("reset", "16.641003")
    );
    assert_eq!(run.key.run_id, "d1cb555b-0815-4735-91cd-0c5d47e8f93a");
    assert_eq!(second(run.started_at), "08.056811");
    let first = "01a1fda7-1558-7c5c-98c6-4a2e1b3bf9d9";
    assert_eq!(run.first_execution_run_id.as_deref(), Some(first));
}
