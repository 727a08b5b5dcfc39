//! `omnitrace verify` finds whatever differs, and `--repair` puts it right without touching what only a
//! worker knew.

use omnitrace_store::row::{EventRow, Source};
use serde_json::{Value, json};

use super::place::{Kind, Place};
use super::runs::recorded;

on_each_database! {
    every_kind_of_difference_is_found_and_repaired;
}

/// A step of [`super::runs::Whole`].
const ECHO: &str = "activity:1:Acts::echo:0";
const LAST_ATTEMPT: &str = "activity:2:Acts::flaky:4";

/// What is done to the rows, and what is to be said of it.
fn damages() -> [(String, &'static str, Value); 8] {
    let event = |what: &str, key: &str| format!("{what} WHERE event_key = '{key}' AND {RUN}");
    let different = |key: &str, name: &str, stored: Value, history: Value| {
        let field = json!({ "name": name, "stored": stored, "history": history });
        let key = (!key.is_empty()).then_some(key);
        json!({ "event_key": key, "difference": "different", "fields": [field] })
    };
    [
        (
            event("DELETE FROM omnitrace_events", ECHO),
            "activity:1:Acts::echo:0 is missing",
            json!({ "event_key": ECHO, "difference": "missing" }),
        ),
        (
            event("UPDATE omnitrace_events SET status = 'failed'", ECHO),
            "activity:1:Acts::echo:0 differs: status is \"failed\" and should be \"completed\";",
            different(ECHO, "status", json!("failed"), json!("completed")),
        ),
        (
            event(
                "UPDATE omnitrace_events SET ended_at = 7",
                "timer:1:timer:1",
            ),
            "timer:1:timer:1 differs: ended_at is 7 and should be ",
            Value::Null,
        ),
        (
            event(
                r#"UPDATE omnitrace_events SET data_redacted = '{"input":["y"],"task_queue":"?"}'"#,
                ECHO,
            ),
            "activity:1:Acts::echo:0 differs: data.",
            Value::Null,
        ),
        (
            event(
                "UPDATE omnitrace_events SET status = 'failed'",
                LAST_ATTEMPT,
            ),
            "activity:2:Acts::flaky:4 differs: status is \"failed\" and should be \"completed\";",
            different(LAST_ATTEMPT, "status", json!("failed"), json!("completed")),
        ),
        (
            format!(
                "CREATE TEMPORARY TABLE extra AS SELECT * FROM omnitrace_events \
                   WHERE event_key = 'timer:1:timer:1' AND {RUN}; \
                 UPDATE extra SET event_key = 'timer:99:timer:1', step = '99'; \
                 INSERT INTO omnitrace_events SELECT * FROM extra"
            ),
            "timer:99:timer:1 is not in history",
            json!({ "event_key": "timer:99:timer:1", "difference": "extra" }),
        ),
        (
            format!("UPDATE omnitrace_runs SET status = 'terminated' WHERE {RUN}"),
            "the run differs: status is \"terminated\" and should be \"completed\";",
            different("", "status", json!("terminated"), json!("completed")),
        ),
        (
            format!(
                "DELETE FROM omnitrace_events WHERE {RUN}; DELETE FROM omnitrace_runs WHERE {RUN}"
            ),
            "the run is missing",
            Value::Null,
        ),
    ]
}

const RUN: &str = "workflow_id = 'whole-1'";

/// What a worker alone knows: attempts, what happens inside them, a local activity's arguments.
fn live_only(events: &[EventRow]) -> Vec<&EventRow> {
    let is_attempt = |row: &&EventRow| row.kind != "activity" || row.attempt > 0;
    let is_local = |row: &&EventRow| {
        let data = row.data_redacted.as_deref().unwrap_or_default();
        data.contains("\"local\":true") && data.contains("\"input\"")
    };
    let live = events.iter().filter(|row| row.source == Source::Live);
    live.filter(|row| (is_attempt(row) && row.kind != "timer") || is_local(row))
        .collect()
}

async fn every_kind_of_difference_is_found_and_repaired(kind: Kind) {
    let place = Place::new(kind).await;
    recorded(&place, 3).await;
    place.assert_equal(3).await;
    let mut before = place.stored().await;
    let (_, events) = place.run_of("whole-1").await;
    // Attempts, the events inside one, the local activity.
    assert_eq!(live_only(&events).len(), 7 + 4 + 1, "{events:#?}");

    for (sql, line, difference) in damages() {
        place.sql(&sql).await;
        let damaged = place.stored().await;
        assert_ne!(damaged, before, "{sql}");
        let is_gone = line == "the run is missing";

        let said = place.run(&["verify"]).await;
        assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
        let (of_run, summary) = said.out.split_once('\n').expect("lines");
        assert!(
            of_run.starts_with("whole-1 ") && of_run.contains(line),
            "{said:?}"
        );
        assert!(
            summary.starts_with("3 runs compared, 2 equal: "),
            "{summary}"
        );
        assert_eq!(summary.lines().count(), 1, "{summary}");

        let said = place.run(&["verify", "--json"]).await;
        assert_eq!(said.code, 1);
        let found = said.json();
        assert_eq!((&found["runs"], &found["equal"]), (&json!(3), &json!(2)));
        let counted = ["missing", "extra", "different"].map(|name| found[name].as_u64());
        assert_eq!(counted.into_iter().flatten().sum::<u64>(), 1, "{found}");
        let of_run = &found["differences"][0];
        assert_eq!(found["differences"].as_array().map(Vec::len), Some(1));
        assert_eq!(of_run["namespace"], place.namespace);
        assert_eq!(of_run["workflow_id"], "whole-1");
        assert_eq!(of_run["missing"], is_gone);
        if !difference.is_null() {
            assert_eq!(of_run["differences"], json!([difference]));
        }
        // Looking changes nothing.
        assert_eq!(place.stored().await, damaged);

        let said = place.run(&["verify", "--repair"]).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{sql}: {said:?}");
        assert!(said.out.ends_with("; 1 run repaired\n"), "{said:?}");
        let repaired = place.stored().await;
        place.assert_equal(3).await;
        for ((run, events), (_, damaged)) in repaired.iter().zip(&before) {
            assert_eq!(run.event_count as usize, events.len());
            if run.key.workflow_id != "whole-1" {
                assert_eq!(events, damaged, "others stay as they are");
            } else if !is_gone {
                // But for the one that was damaged itself.
                let kept: Vec<_> = live_only(damaged)
                    .into_iter()
                    .filter(|row| !sql.contains(&row.event_key))
                    .collect();
                assert!(kept.len() >= 9);
                for row in kept {
                    assert!(events.contains(row), "{} survives", row.event_key);
                }
            }
        }
        let again = place.json(&["verify", "--repair"]).await;
        assert_eq!(again["repaired"], 0);
        assert_eq!(
            place.stored().await,
            repaired,
            "a second repair changes nothing"
        );
        before = repaired;
    }
}
