//! What is stored of a run beside what its history says.
//!
//! Invariant: pure. Equal is equal in every field but who said it, what is counted in the store, and what
//! one of the two can't know; each of those is named here, and there are no others.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::key::STEP_KINDS;
use crate::row::{EventRow, Phase, RunRow, Status};

/// Fields of a run that history does not say: who said it, why it was recorded, what the store derives,
/// and whether something was lost on the way.
const RUN_APART: [&str; 8] = [
    "source",
    "sampled_by",
    "incomplete",
    "event_count",
    "dropped_events",
    "input_tokens",
    "output_tokens",
    "cost_usd",
];

/// Who an explicit call says a run belongs to; history does not know.
const EXPLICIT_RANK: u8 = 3;

/// Fields of an attempt that are its worker's: its clock, its name, which a plugin does not always know as
/// the server does, and what a workflow that nobody records told it.
const ATTEMPT_APART: [&str; 7] = [
    "source",
    "data.worker",
    "data.traceparent",
    "scheduled_at",
    "started_at",
    "ended_at",
    "latency_ms",
];

/// A difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Key of the event; `None` is the run itself.
    pub event_key: Option<String>,
    /// What differs.
    #[serde(flatten)]
    pub what: What,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// History has it, the store has not.
    Missing,
    /// The store has it, history has not.
    Extra,
    /// Both have it.
    Different {
        /// The fields that differ.
        fields: Vec<Field>,
    },
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// In the store.
    pub stored: Value,
    /// In history.
    pub history: Value,
}

/// Why rows can't be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Their values were redacted by other rules.
    #[error(
        "the rows were made by policy {stored} and these settings are policy {history}: compare with \
         the hash key, fields and limits that the worker has"
    )]
    Policy {
        /// Policy of the stored run.
        stored: String,
        /// Policy of what was read from history.
        history: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.event_key.as_deref().unwrap_or("the run");
        match &self.what {
            What::Missing => write!(f, "{key} is missing"),
            What::Extra => write!(f, "{key} is not in history"),
            What::Different { fields } => {
                write!(f, "{key} differs:")?;
                for field in fields {
                    let Field {
                        name,
                        stored,
                        history,
                    } = field;
                    write!(f, " {name} is {stored} and should be {history};")?;
                }
                Ok(())
            }
        }
    }
}

/// Compares a run.
///
/// Not compared are proposals, updates that were rejected, what was told by hand or inside an attempt,
/// and attempts that history does not know (it has the last one, and the failure of the one before). Rows
/// that the cap cut are not missing.
///
/// # Errors
/// When the rows were made by different policies.
pub fn compare(
    stored: &RunRow,
    stored_events: &[EventRow],
    history: &RunRow,
    history_events: &[EventRow],
) -> Result<Vec<Difference>, CompareError> {
    if stored.policy_id != history.policy_id {
        return Err(CompareError::Policy {
            stored: stored.policy_id.clone(),
            history: history.policy_id.clone(),
        });
    }
    let mut differences = Vec::new();
    let fields = different(run_fields(stored), run_fields(history));
    if !fields.is_empty() {
        differences.push(Difference {
            event_key: None,
            what: What::Different { fields },
        });
    }
    let mut left: BTreeMap<&str, &EventRow> = history_events
        .iter()
        .map(|row| (row.event_key.as_str(), row))
        .collect();
    for row in stored_events
        .iter()
        .filter(|row| row.phase > Phase::Provisional)
    {
        let event_key = Some(row.event_key.clone());
        let what = match left.remove(row.event_key.as_str()) {
            Some(history) => {
                let fields = event_fields(row, history);
                (!fields.is_empty()).then_some(What::Different { fields })
            }
            None => (in_history(row) && !is_unfinished_local(row)).then_some(What::Extra),
        };
        differences.extend(what.map(|what| Difference { event_key, what }));
    }
    if stored.dropped_events == 0 {
        differences.extend(left.into_keys().map(|key| Difference {
            event_key: Some(key.to_owned()),
            what: What::Missing,
        }));
    }
    Ok(differences)
}

/// Whether a stored row says of an event what history says.
pub(crate) fn is_equal(stored: &EventRow, history: &EventRow) -> bool {
    event_fields(stored, history).is_empty()
}

/// Whether history would have this row.
pub(crate) fn in_history(row: &EventRow) -> bool {
    let by_workflow = row.parent_key.is_none() && (row.kind != "activity" || row.attempt == 0);
    by_workflow && STEP_KINDS.contains(&row.kind.as_str()) && !data(row).contains_key("rejected")
}

/// A local activity that had not ended when its run did has left no marker.
fn is_unfinished_local(row: &EventRow) -> bool {
    row.phase < Phase::Closed && data(row).contains_key("local")
}

fn run_fields(run: &RunRow) -> Map<String, Value> {
    let mut fields = object(run);
    for name in RUN_APART {
        fields.remove(name);
    }
    for (name, identity) in [("user", &run.user), ("tenant", &run.tenant)] {
        if identity.as_ref().is_some_and(|i| i.rank == EXPLICIT_RANK) {
            fields.remove(name);
        }
    }
    fields
}

fn event_fields(stored: &EventRow, history: &EventRow) -> Vec<Field> {
    let is_attempt = stored.kind == "activity" && stored.attempt > 0;
    if is_attempt {
        attempt_fields(stored, history)
    } else {
        step_fields(stored, history)
    }
}

fn step_fields(stored: &EventRow, history: &EventRow) -> Vec<Field> {
    let (mut a, mut b) = (with_data(stored), with_data(history));
    let is_local = a.contains_key("data.local");
    // Its result may have reached the workflow in a later task than that of its marker.
    if is_local && stored.ended_at > history.ended_at && history.ended_at.is_some() {
        a.remove("ended_at");
        b.remove("ended_at");
    }
    for fields in [&mut a, &mut b] {
        fields.remove("source");
        if fields.contains_key("data.local") {
            // Live alone: markers say neither when it was scheduled nor with which arguments.
            for name in [
                "scheduled_at",
                "latency_ms",
                "data.input",
                "data._redaction",
            ] {
                fields.remove(name);
            }
        }
    }
    // Abandoned by its workflow: its end is in nobody's history.
    if stored.status == Status::Canceled && history.phase < Phase::Closed {
        for name in [
            "status",
            "phase",
            "ended_at",
            "latency_ms",
            "error_type",
            "error_message",
        ] {
            a.remove(name);
            b.remove(name);
        }
    }
    different(a, b)
}

fn attempt_fields(stored: &EventRow, history: &EventRow) -> Vec<Field> {
    // Whatever its worker still said of it, the server had given it up.
    if history.status == Status::TimedOut && stored.status.is_closed() {
        return Vec::new();
    }
    let (mut a, mut b) = (with_data(stored), with_data(history));
    let known_worker = b.contains_key("data.worker");
    // A worker does not know what only the payload converter can write of an output.
    let known_output = a.contains_key("data.output");
    for fields in [&mut a, &mut b] {
        for name in ATTEMPT_APART {
            fields.remove(name);
        }
        // Of the one before the last, history knows the failure and no more.
        fields.retain(|name, _| known_worker || !name.starts_with("data."));
        if !known_output {
            fields.remove("data.output");
            fields.remove("data._redaction");
        }
    }
    different(a, b)
}

/// A row with the parts of its data as fields of their own.
fn with_data(row: &EventRow) -> Map<String, Value> {
    let mut fields = object(row);
    fields.remove("data_redacted");
    for (name, value) in data(row) {
        fields.insert(format!("data.{name}"), value);
    }
    fields
}

fn data(row: &EventRow) -> Map<String, Value> {
    let data = row.data_redacted.as_deref();
    // Always an object: see `Policy::compose`.
    data.and_then(|data| serde_json::from_str(data).ok())
        .unwrap_or_default()
}

fn object(row: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        // Rows are structs with fields that always serialize.
        _ => Map::new(),
    }
}

fn different(mut stored: Map<String, Value>, mut history: Map<String, Value>) -> Vec<Field> {
    let mut names: Vec<String> = stored.keys().chain(history.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let stored = stored.remove(&name).unwrap_or_default();
            let history = history.remove(&name).unwrap_or_default();
            (stored != history).then_some(Field {
                name,
                stored,
                history,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{EventKey, Step};
    use crate::row::{RunKey, Source};

    fn run() -> RunRow {
        RunRow::new(RunKey::new("default", "order", "run"))
    }

    fn row(kind: &str, step: &str, attempt: u32, change: impl FnOnce(&mut EventRow)) -> EventRow {
        let key = EventKey::new(kind, Step::new(step), "name", attempt);
        let mut row = EventRow::new(run().key, key);
        row.phase = Phase::Closed;
        row.status = Status::Completed;
        change(&mut row);
        row
    }

    fn lines(stored: &[EventRow], history: &[EventRow]) -> Vec<String> {
        let differences = compare(&run(), stored, &run(), history).unwrap();
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_said_it_is_no_difference_and_everything_else_is() {
        let step = row("timer", "1", 1, |_| ());
        let from_history = row("timer", "1", 1, |row| row.source = Source::History);
        assert_eq!(lines(&[step], &[from_history]), Vec::<String>::new());
        let step = row("timer", "1", 1, |row| row.ended_at = Some(1));
        let other = row("timer", "1", 1, |row| row.ended_at = Some(2));
        assert_eq!(
            lines(&[step], &[other]),
            ["timer:1:name:1 differs: ended_at is 1 and should be 2;"]
        );
    }

    #[test]
    fn a_run_is_compared_but_for_what_history_does_not_say() {
        let mut stored = run();
        (stored.event_count, stored.incomplete) = (7, true);
        assert_eq!(compare(&stored, &[], &run(), &[]), Ok(vec![]));
        stored.status = Status::Failed;
        let differences = compare(&stored, &[], &run(), &[]).unwrap();
        assert_eq!(
            differences[0].to_string(),
            "the run differs: status is \"failed\" and should be \"running\";"
        );
    }

    #[test]
    fn what_one_side_lacks_is_missing_or_extra() {
        let one = row("activity", "1", 0, |_| ());
        let two = row("activity", "2", 0, |_| ());
        assert_eq!(
            lines(&[one], &[two]),
            [
                "activity:1:name:0 is not in history",
                "activity:2:name:0 is missing"
            ]
        );
    }

    #[test]
    fn what_history_never_has_is_not_extra() {
        let stored = [
            row("activity", "1", 1, |_| ()),
            row("tool", "1.1", 1, |row| {
                row.parent_key = Some("activity:1:name:1".to_owned());
            }),
            row("my_own", "1", 1, |_| ()),
            row("update", "u", 1, |row| {
                row.data_redacted = Some(r#"{"rejected":true}"#.to_owned());
            }),
            row("timer", "9", 1, |row| row.phase = Phase::Provisional),
        ];
        assert_eq!(lines(&stored, &[]), Vec::<String>::new());
    }

    #[test]
    fn rows_that_the_cap_cut_are_not_missing() {
        let mut stored = run();
        stored.dropped_events = 1;
        let cut = row("timer", "1", 1, |_| ());
        assert_eq!(compare(&stored, &[], &run(), &[cut]), Ok(vec![]));
    }

    #[test]
    fn of_a_local_activity_a_marker_says_neither_schedule_nor_arguments() {
        let local = |data: &str, at| {
            row("activity", "1", 0, |row| {
                row.data_redacted = Some(data.to_owned());
                row.scheduled_at = at;
            })
        };
        let live = local(r#"{"local":true,"input":[1]}"#, Some(5));
        let marker = local(r#"{"local":true}"#, Some(6));
        assert_eq!(lines(&[live], &[marker]), Vec::<String>::new());
    }

    #[test]
    fn the_result_of_a_local_activity_may_come_in_a_later_task_and_never_before_its_end() {
        let local = |at| {
            row("activity", "1", 0, |row| {
                row.data_redacted = Some(r#"{"local":true}"#.to_owned());
                row.ended_at = at;
            })
        };
        let differences = |stored, history| lines(&[local(stored)], &[local(history)]).len();
        assert_eq!(differences(Some(9), Some(5)), 0);
        assert_eq!(differences(Some(4), Some(5)), 1);
        assert_eq!(differences(Some(4), None), 1);
        assert_eq!(differences(None, Some(5)), 1);
    }

    #[test]
    fn of_an_abandoned_step_the_end_is_live_alone() {
        let canceled = row("activity", "1", 0, |row| {
            row.status = Status::Canceled;
            row.ended_at = Some(9);
            row.error_type = Some("CanceledFailure".to_owned());
        });
        let open = row("activity", "1", 0, |row| {
            (row.status, row.phase) = (Status::Scheduled, Phase::Open);
        });
        assert_eq!(
            lines(&[canceled], std::slice::from_ref(&open)),
            Vec::<String>::new()
        );
        let completed = row("activity", "1", 0, |_| ());
        assert_eq!(lines(&[completed], &[open]).len(), 1);
    }

    #[test]
    fn an_attempt_is_compared_but_for_its_workers_clock() {
        let attempt = |status, at| {
            row("activity", "1", 1, |row| {
                row.status = status;
                row.ended_at = Some(at);
            })
        };
        let completed = attempt(Status::Completed, 1);
        assert!(
            lines(
                std::slice::from_ref(&completed),
                &[attempt(Status::Completed, 2)]
            )
            .is_empty()
        );
        assert_eq!(
            lines(
                std::slice::from_ref(&completed),
                &[attempt(Status::Failed, 1)]
            )
            .len(),
            1
        );
        assert!(lines(&[completed], &[attempt(Status::TimedOut, 2)]).is_empty());
    }

    #[test]
    fn rows_of_two_policies_are_not_compared() {
        let mut other = run();
        "other".clone_into(&mut other.policy_id);
        let error = compare(&run(), &[], &other, &[]).unwrap_err();
        assert!(error.to_string().contains("policy other"), "{error}");
    }
}
