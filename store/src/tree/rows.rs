//! The rows that are shown.
//!
//! Invariant: each key once; ghosts (proposals that the server passed over) not at all.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::merge::merge_event;
use crate::row::{EventRow, Micros, Phase, RunRow};

/// A row with its data read.
pub(super) struct Row {
    pub(super) event: EventRow,
    pub(super) data: Option<Value>,
}

impl Row {
    pub(super) fn begin(&self) -> Option<Micros> {
        self.event.scheduled_at.or(self.event.started_at)
    }

    pub(super) fn local(&self) -> bool {
        self.flag("local")
    }

    pub(super) fn la_backoff(&self) -> bool {
        self.event.kind == "timer" && self.flag("la_backoff")
    }

    /// What the links of a backoff chain have in common.
    pub(super) fn origin(&self) -> Option<String> {
        let origin = self.data.as_ref()?.get("original_schedule_time")?;
        (!origin.is_null()).then(|| origin.to_string())
    }

    fn flag(&self, name: &str) -> bool {
        self.data.as_ref().and_then(|d| d.get(name)) == Some(&Value::Bool(true))
    }
}

/// The rows that are shown, in display order, each key once.
pub(super) fn shown(run: &RunRow, events: Vec<EventRow>) -> Vec<Row> {
    let mut by_key: BTreeMap<String, EventRow> = BTreeMap::new();
    for event in events.into_iter().filter(|e| e.run == run.key) {
        let key = event.event_key.clone();
        let merged = match by_key.remove(&key) {
            Some(other) => merge_event(other, event),
            None => event,
        };
        by_key.insert(key, merged);
    }
    let confirmed: HashSet<(String, String)> = by_key
        .values()
        .filter(|e| e.kind == "activity" && e.attempt > 0 && e.phase > Phase::Provisional)
        .map(|e| (e.step.clone(), e.name.clone()))
        .collect();
    let mut rows: Vec<_> = by_key
        .into_values()
        .filter_map(|mut event| {
            if event.phase == Phase::Provisional {
                let is_step = event.kind == "activity" && event.attempt == 0;
                let seen = is_step && confirmed.contains(&(event.step.clone(), event.name.clone()));
                let passed = event
                    .scheduled_at
                    .or(event.started_at)
                    .is_some_and(|at| at <= run.accepted_through);
                if seen {
                    event.phase = Phase::Open;
                } else if passed || run.status.is_closed() {
                    return None;
                }
            }
            let data = event.data_redacted.take().map(read);
            Some(Row { event, data })
        })
        .collect();
    rows.sort_by_cached_key(|row| {
        let event = &row.event;
        let begin = row.begin().unwrap_or(Micros::MAX);
        (
            begin,
            event.kind.clone(),
            natural(&event.step),
            event.event_key.clone(),
        )
    });
    rows
}

/// Data as JSON; what is none is shown as the text that it is.
pub(super) fn read(data: String) -> Value {
    serde_json::from_str(&data).unwrap_or(Value::String(data))
}

/// Orders `2` before `10`, and `5.2` before `5.10`.
pub(super) fn natural(step: &str) -> (u64, u64) {
    let (head, tail) = step.split_once('.').unwrap_or((step, ""));
    (
        head.parse().unwrap_or(u64::MAX),
        tail.parse().unwrap_or_default(),
    )
}
