//! The rows that are shown.
//!
//! Invariant: each key once; ghosts (proposals that the server passed over) not at all.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::key::EventKey;
use crate::merge::merge_event;
use crate::row::{EventRow, Micros, Phase, RunRow};
use crate::store::EventHead;

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

/// How much of the data is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    All,
    /// What the tree itself needs, and what is told of every node.
    Outline,
}

/// Fields of data that an outline keeps.
pub(super) const OUTLINE: [&str; 6] = [
    "_redaction",
    "artifacts",
    "la_backoff",
    "local",
    "original_schedule_time",
    "url",
];

/// The rows that are shown, in display order, each key once.
pub(super) fn shown(run: &RunRow, events: Vec<EventRow>, detail: Detail) -> Vec<Row> {
    let mut by_key: BTreeMap<String, EventRow> = BTreeMap::new();
    for event in events.into_iter().filter(|e| e.run == run.key) {
        let key = event.event_key.clone();
        let merged = match by_key.remove(&key) {
            Some(other) => merge_event(other, event),
            None => event,
        };
        by_key.insert(key, merged);
    }
    let mut events: Vec<_> = by_key.into_values().map(Some).collect();
    let places: Vec<_> = events.iter().flatten().map(Place::of_row).collect();
    let order = order(run, &places);
    drop(places);
    (order.into_iter())
        .filter_map(|(at, phase)| {
            let mut event = events[at].take()?;
            event.phase = phase;
            let data = event.data_redacted.take().map(read);
            let data = match (data, detail) {
                (Some(Value::Object(mut data)), Detail::Outline) => {
                    data.retain(|name, _| OUTLINE.contains(&name.as_str()));
                    Some(Value::Object(data))
                }
                (_, Detail::Outline) => None,
                (data, Detail::All) => data,
            };
            Some(Row { event, data })
        })
        .collect()
}

/// Which of these rows of a run are shown, in display order, and how far each is known to be true.
pub(super) fn shown_heads(run: &RunRow, heads: &[EventHead]) -> Vec<(usize, Phase)> {
    let keys: Vec<_> = heads.iter().map(|h| EventKey::parse(&h.key).ok()).collect();
    let places: Vec<_> = (heads.iter().zip(&keys))
        .map(|(head, key)| Place {
            kind: key.as_ref().map_or("", |key| &key.kind),
            step: key.as_ref().map_or("", |key| key.step.as_str()),
            name: key.as_ref().map_or("", |key| &key.name),
            attempt: key.as_ref().map_or(0, |key| key.attempt),
            key: &head.key,
            phase: head.phase,
            begin: head.begin,
        })
        .collect();
    order(run, &places)
}

/// What decides whether a row is shown, and where.
struct Place<'a> {
    kind: &'a str,
    step: &'a str,
    name: &'a str,
    attempt: u32,
    key: &'a str,
    phase: Phase,
    begin: Option<Micros>,
}

impl<'a> Place<'a> {
    fn of_row(event: &'a EventRow) -> Self {
        Self {
            kind: &event.kind,
            step: &event.step,
            name: &event.name,
            attempt: event.attempt,
            key: &event.event_key,
            phase: event.phase,
            begin: event.scheduled_at.or(event.started_at),
        }
    }
}

fn order(run: &RunRow, places: &[Place<'_>]) -> Vec<(usize, Phase)> {
    let confirmed: HashSet<(&str, &str)> = (places.iter())
        .filter(|p| p.kind == "activity" && p.attempt > 0 && p.phase > Phase::Provisional)
        .map(|p| (p.step, p.name))
        .collect();
    let mut shown: Vec<_> = (places.iter().enumerate())
        .filter_map(|(at, place)| {
            let mut phase = place.phase;
            if phase == Phase::Provisional {
                let is_step = place.kind == "activity" && place.attempt == 0;
                let passed = place.begin.is_some_and(|at| at <= run.accepted_through);
                if is_step && confirmed.contains(&(place.step, place.name)) {
                    phase = Phase::Open;
                } else if passed || run.status.is_closed() {
                    return None;
                }
            }
            Some((at, phase))
        })
        .collect();
    shown.sort_by_cached_key(|&(at, _)| {
        let place = &places[at];
        let begin = place.begin.unwrap_or(Micros::MAX);
        (begin, place.kind, natural(place.step), place.key)
    });
    shown
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
