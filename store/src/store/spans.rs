//! Rows that become spans.

use crate::row::{EventRow, RunKey, RunRow};

/// Names a row that becomes a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanKey {
    /// The run.
    pub run: RunKey,
    /// Key of the event; the run itself has the empty one.
    pub event_key: String,
}

impl SpanKey {
    /// The run itself.
    pub fn of_run(run: RunKey) -> Self {
        Self {
            run,
            event_key: String::new(),
        }
    }

    /// Whether it is the run itself.
    pub fn is_run(&self) -> bool {
        self.event_key.is_empty()
    }
}

/// Rows of one run that are to be exported.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRows {
    /// The run.
    pub run: RunRow,
    /// Whether it is to be exported itself.
    pub itself: bool,
    /// Trace of the run before it in the chain, if that is stored.
    pub continued_from_trace: Option<String>,
    /// Events to be exported.
    pub events: Vec<EventRow>,
}
