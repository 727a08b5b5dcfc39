//! A step of a run, as its history or its workflow's code tells it.
//!
//! Invariant: a step has the key under which the run's row of it is stored.

use std::collections::HashMap;

use omnitrace_store::key::{EventKey, Step as StepKey};
use serde_json::Value;

/// What a workflow commanded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Kind of the event, or `run` for its end, `search_attributes` and `memo` for what is no event.
    pub(crate) kind: &'static str,
    /// Id of the activity or timer, workflow id of a child or target, …
    pub(crate) id: String,
    /// Type of the activity or child, name of the signal, status of the end, …
    pub(crate) name: String,
    /// A local activity, which history tells when it ends.
    pub(crate) local: bool,
    /// Key of the event; empty for the run itself and what is no event.
    pub(crate) key: String,
    /// Of a timer.
    pub(crate) lasts_ms: Option<i64>,
    /// Arguments, or the result of the run.
    pub(crate) input: Vec<Argument>,
    /// The event of the history that tells it; 0 where code does.
    pub(crate) event_id: i64,
    /// The how-manieth use of an activity id this is, if it is told.
    pub(crate) nth_use: Option<u32>,
}

/// A value that is compared.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Json(Value),
    Bytes(Vec<u8>),
    /// The codec does not read it.
    Unknown,
}

impl PartialEq for Argument {
    /// What is not known differs from nothing.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => true,
            (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            _ => false,
        }
    }
}

impl Step {
    pub(crate) fn new(kind: &'static str, id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            id: id.into(),
            name: name.into(),
            local: false,
            key: String::new(),
            lasts_ms: None,
            input: Vec::new(),
            event_id: 0,
            nth_use: None,
        }
    }

    /// Whether Temporal takes one for the other. Of what is sent to another workflow it compares neither what nor to
    /// whom.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let sent = matches!(self.kind, "signal_external" | "cancel_external");
        (self.kind, self.local) == (other.kind, other.local) && (sent || self.is_named_as(other))
    }

    pub(crate) fn is_named_as(&self, other: &Self) -> bool {
        (&self.id, &self.name) == (&other.id, &other.name)
    }

    /// For a person, one line.
    pub(crate) fn say(&self) -> String {
        let Self { id, name, .. } = self;
        let said = match self.kind {
            "activity" if self.local => format!("local activity {id} {name}"),
            "activity" => format!("activity {id} {name}"),
            "timer" => match self.lasts_ms {
                Some(ms) => format!("timer {id} of {ms} ms"),
                None => format!("timer {id}"),
            },
            "child_workflow" => format!("child workflow {id} {name}"),
            "signal_external" => format!("signal {name} to {id}"),
            "cancel_external" => format!("request to cancel {id}"),
            "nexus_operation" => format!("Nexus operation {id} {name}"),
            "patch" => format!("patch {id}"),
            "run" => format!("the run's end: {name}"),
            "search_attributes" => "new search attributes".to_owned(),
            "memo" => "a new memo".to_owned(),
            kind => format!("{kind} {id} {name}"),
        };
        said.replace(char::is_control, "\u{fffd}")
    }
}

/// Gives each step its key; they are in the order in which the run took them.
pub(crate) fn number(steps: &mut [Step]) {
    let mut uses: HashMap<String, u32> = HashMap::new();
    let mut times: HashMap<(&'static str, String, String), u32> = HashMap::new();
    for step in steps {
        let (at, attempt) = match step.kind {
            "activity" => {
                let uses = uses.entry(step.id.clone()).or_default();
                *uses = step.nth_use.unwrap_or(*uses + 1);
                (StepKey::nth_use(&step.id, *uses), 0)
            }
            "timer" | "patch" => (StepKey::new(&step.id), 1),
            "run" | "search_attributes" | "memo" => continue,
            kind => {
                let times = times.entry((kind, step.id.clone(), step.name.clone()));
                let nth = times.or_default();
                *nth += 1;
                (StepKey::new(&step.id), *nth)
            }
        };
        step.key = EventKey::new(step.kind, at, &step.name, attempt).to_string();
    }
}
