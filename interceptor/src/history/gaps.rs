//! Whether rows of a closed run seem to be missing or wrong: attempts, which no replay brings back, and
//! steps that a replay gave to the workflow before they had ended.
//!
//! Invariant: pure, and on the side of asking: a run that lacks an attempt which history knows is always
//! found, and one found for nothing costs the reading of its history once.

use std::collections::HashMap;

use omnitrace_store::row::{EventRow, Micros, Phase, Status};

/// Kind of steps and attempts of activities.
const ACTIVITY: &str = "activity";

/// Attempts of one step.
#[derive(Default)]
struct Attempts<'a> {
    known: u32,
    last: Option<&'a EventRow>,
}

/// Whether an attempt that must have been is not there or never ended, or a step ended before it.
pub(super) fn may_differ(events: &[EventRow]) -> bool {
    let rows = || events.iter().filter(|row| row.kind == ACTIVITY);
    let mut attempts: HashMap<(&str, &str), Attempts<'_>> = HashMap::new();
    for row in rows().filter(|row| row.attempt > 0) {
        let step = attempts.entry((&row.step, &row.name)).or_default();
        step.known += 1;
        if step.last.is_none_or(|last| last.attempt < row.attempt) {
            step.last = Some(row);
        }
    }
    let is_closed = |row: &EventRow| row.phase == Phase::Closed;
    let has_gap = |step: &Attempts<'_>| {
        (step.last).is_some_and(|last| last.attempt > step.known || !is_closed(last))
    };
    if attempts.values().any(has_gap) {
        return true;
    }
    let mut steps = rows().filter(|row| row.attempt == 0 && is_closed(row));
    steps.any(|row| {
        let step = attempts.get(&(row.step.as_str(), row.name.as_str()));
        match step.and_then(|step| step.last) {
            // Perhaps nobody ever took it.
            None => true,
            // A step that timed out or was cancelled may have failed before.
            Some(last) => {
                let answered = matches!(row.status, Status::Completed | Status::Failed);
                answered && (last.status != row.status || !is_ended_by(row, last))
            }
        }
    })
}

/// Longer than this between the end of an attempt and its step's, there may have been another one, of a
/// worker that was killed: the server had timed out this one, whatever its worker says.
const LONG: Micros = 1_000_000;

/// Whether a step ended by this attempt: soon after it. Core merges a task that ended without a command
/// with the next one when it replays them, and what the next one brought gets the first one's time. Of
/// a local activity it is no sign: its end is told from its task's start on.
fn is_ended_by(step: &EventRow, attempt: &EventRow) -> bool {
    let (Some(step_end), Some(attempt_end)) = (step.ended_at, attempt.ended_at) else {
        return step.ended_at >= attempt.ended_at;
    };
    (0..=LONG).contains(&(step_end - attempt_end)) || is_local(step)
}

fn is_local(row: &EventRow) -> bool {
    let data = row.data_redacted.as_deref().unwrap_or_default();
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(data)
        .is_ok_and(|data| data.contains_key("local"))
}

#[cfg(test)]
mod tests {
    use omnitrace_store::key::EventKey;
    use omnitrace_store::row::RunKey;

    use super::*;

    fn row(key: &str, status: Status) -> EventRow {
        let run = RunKey {
            namespace: "n".into(),
            workflow_id: "w".into(),
            run_id: "r".into(),
        };
        let mut row = EventRow::new(run, EventKey::parse(key).unwrap());
        row.status = status;
        row.phase = Phase::Closed;
        row
    }

    fn rows(rows: &[(&str, Status)]) -> Vec<EventRow> {
        rows.iter().map(|(key, status)| row(key, *status)).collect()
    }

    #[test]
    fn a_run_with_all_its_attempts_lacks_none() {
        assert!(!may_differ(&rows(&[
            ("activity:1:A::a:0", Status::Completed),
            ("activity:1:A::a:1", Status::Failed),
            ("activity:1:A::a:2", Status::Completed),
            ("activity:2:B::b:0", Status::Failed),
            ("activity:2:B::b:1", Status::Failed),
            // No time was left for another one.
            ("activity:3:C::c:0", Status::TimedOut),
            ("activity:3:C::c:1", Status::Failed),
            ("timer:1:timer:1", Status::Completed),
        ])));
    }

    #[test]
    fn a_step_without_its_last_attempt_is_found() {
        let step = ("activity:1:A::a:0", Status::Completed);
        assert!(may_differ(&rows(&[step])));
        let timed_out = ("activity:1:A::a:0", Status::TimedOut);
        assert!(may_differ(&rows(&[timed_out])));
        let failed = ("activity:1:A::a:1", Status::Failed);
        assert!(may_differ(&rows(&[step, failed])));
        // Of another step.
        let other = ("activity:2:A::a:1", Status::Completed);
        assert!(may_differ(&rows(&[step, other])));
    }

    #[test]
    fn an_attempt_before_the_last_one_is_missed() {
        assert!(may_differ(&rows(&[
            ("activity:1:A::a:0", Status::Completed),
            ("activity:1:A::a:2", Status::Completed),
        ])));
    }

    #[test]
    fn an_attempt_that_never_ended_is_found() {
        let mut rows = rows(&[
            ("activity:1:A::a:0", Status::Canceled),
            ("activity:1:A::a:1", Status::Running),
        ]);
        rows[1].phase = Phase::Open;
        assert!(may_differ(&rows));
    }

    #[test]
    fn a_step_that_ended_before_its_attempt_is_found_unless_it_is_local() {
        let mut rows = rows(&[
            ("activity:1:A::a:0", Status::Completed),
            ("activity:1:A::a:1", Status::Completed),
        ]);
        (rows[0].ended_at, rows[1].ended_at) = (Some(5), Some(4));
        assert!(!may_differ(&rows));
        rows[1].ended_at = Some(6);
        assert!(may_differ(&rows));
        // Time enough for another one.
        rows[0].ended_at = Some(6 + LONG);
        assert!(!may_differ(&rows));
        rows[0].ended_at = Some(7 + LONG);
        assert!(may_differ(&rows));
        rows[0].data_redacted = Some(r#"{"local":true}"#.to_owned());
        assert!(!may_differ(&rows));
    }
}
