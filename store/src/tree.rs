//! The trace tree: run → steps → attempts → events inside an attempt.
//!
//! Invariant: a pure function of rows and of "now". Every row appears exactly once, as a node's key
//! or among a node's [`Node::folded`] keys; only ghosts (proposals that the server passed over) are
//! left out. The tree is never deeper than [`MAX_DEPTH`], so whoever walks it may recurse.

mod align;
mod build;
mod chain;
mod hint;
mod layout;
mod node;
mod rows;
mod settle;
mod spans;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::row::{EventRow, Micros, Phase, RunKey, RunRow, Status};
use crate::store::EventHead;

pub use align::{Aligned, align};
pub use hint::hint;
pub use spans::{ForeignSpan, MAX_SPANS, Merged};

/// Levels below the run. What a caller nests deeper hangs at this level. JSON of a tree stays well
/// under the nesting that common parsers allow.
pub const MAX_DEPTH: usize = 32;

/// Microseconds after which a scheduled activity without an attempt is worth a hint.
pub const NO_WORKER_AFTER: Micros = 10_000_000;

/// The rows of a run that are shown, in the order in which it took them, each with its data read.
/// Ghosts are left out.
pub fn shown(run: &RunRow, events: Vec<EventRow>) -> Vec<(EventRow, Option<Value>)> {
    (rows::shown(run, events, rows::Detail::All).into_iter())
        .map(|row| (row.event, row.data))
        .collect()
}

/// Of rows of a run those that are shown, by their place in the slice and in the order in which the run
/// took them, and how far each is known to be true. The same rows as of [`shown`].
pub fn shown_heads(run: &RunRow, heads: &[EventHead]) -> Vec<(usize, Phase)> {
    rows::shown_heads(run, heads)
}

/// Data of a row, as [`shown`] reads it.
pub fn read_data(event: &mut EventRow) -> Option<Value> {
    event.data_redacted.take().map(rows::read)
}

/// A run as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceTree {
    /// The run.
    pub run: RunRow,
    /// Its node, with everything below.
    pub root: Node,
    /// All runs that it started as children, oldest first.
    pub children: Vec<LinkedRun>,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The run itself.
    Run,
    /// Something that the run did or received.
    Step,
    /// One attempt of an activity step.
    Attempt,
    /// Something inside an attempt, or of the explicit API.
    Inner,
    /// A span that another part of the system made.
    Span,
}

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it stands for.
    pub role: Role,
    /// First part of the event key; `workflow` or `activity` for the run.
    pub kind: String,
    /// What it is: `tool`, `model`, …
    pub category: Option<String>,
    /// Event key; empty for the run. A synthetic step has the key that its row would have.
    pub key: String,
    /// Keys of rows that are shown as part of this node: the other links of a local activity's
    /// backoff chain and the timers between them.
    pub folded: Vec<String>,
    /// Second part of the key, decoded: activity id, timer id, workflow id of a child, …
    pub step: String,
    /// Activity type, signal name, …; the workflow type for the run.
    pub name: String,
    /// Last part of the key; of the run its attempt in a chain of workflow retries.
    pub attempt: u32,
    /// Status, settled: what others prove goes before what the row says.
    pub status: Status,
    /// What the row says where `status` had to be concluded otherwise.
    pub reported: Option<Status>,
    /// Proposed by a worker, not yet accepted by the server.
    pub provisional: bool,
    /// Made from its attempts: no row of the step itself is stored.
    pub synthetic: bool,
    /// Open by its row, though what it is part of has ended: it will not go on.
    pub left_open: bool,
    /// A local activity.
    pub local: bool,
    /// When it was commanded or received.
    pub scheduled_at: Option<Micros>,
    /// When work on it began.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// Milliseconds from start (or scheduling) to end; `None` while it is open.
    pub duration_ms: Option<i64>,
    /// Milliseconds from scheduling to the first start.
    pub waiting_ms: Option<i64>,
    /// From when to when it lasted: to its end, or to now, or to the end of what it was part of.
    pub extent: Option<(Micros, Micros)>,
    /// The failure.
    pub error: Option<NodeError>,
    /// What to do about its state, one sentence.
    pub hint: Option<&'static str>,
    /// Language model that answered.
    pub model: Option<String>,
    /// Service that made the span.
    pub service: Option<String>,
    /// Tokens and cost of it and everything below. A step, its attempts and the events inside may
    /// all tell of the same call, so each value counts where it stands highest, as in the store.
    pub total: Totals,
    /// The run that a child workflow step started.
    pub child: Option<LinkedRun>,
    /// Redacted data; of the run its `input` and `output`.
    pub data: Option<Value>,
    /// What is part of it: attempts by number, then the rest in the order of their start.
    pub children: Vec<Self>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// Type of the failure, where it is known.
    pub kind: Option<String>,
    /// Scrubbed message.
    pub message: Option<String>,
}

/// Tokens and cost. `None` is "not known", which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Tokens of prompts.
    pub input_tokens: Option<i64>,
    /// Tokens of answers.
    pub output_tokens: Option<i64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
}

/// Another run that this one is linked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedRun {
    /// Which run.
    pub key: RunKey,
    /// Its workflow type.
    pub workflow_type: String,
    /// Its status.
    pub status: Status,
    /// When it started.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub closed_at: Option<Micros>,
    /// Its first run, where it is one of a chain.
    pub first_execution_run_id: Option<String>,
}

impl From<&RunRow> for LinkedRun {
    fn from(run: &RunRow) -> Self {
        Self {
            key: run.key.clone(),
            workflow_type: run.workflow_type.clone(),
            status: run.status,
            started_at: run.started_at,
            closed_at: run.closed_at,
            first_execution_run_id: run.first_execution_run_id.clone(),
        }
    }
}

impl Node {
    /// Key of the row whose data is the node's: of a chain of backoffs its last link.
    pub fn data_key(&self) -> &str {
        let links = self.folded.iter().rev();
        let mut links = links.filter(|key| key.starts_with("activity:"));
        links.next().unwrap_or(&self.key)
    }

    /// What redaction did to the node's data: its `_redaction` object.
    pub fn redaction(&self) -> Option<&Value> {
        self.data.as_ref()?.get("_redaction")
    }

    /// Milliseconds that it lasted so far, open or not.
    pub fn elapsed_ms(&self) -> Option<i64> {
        self.duration_ms
            .or_else(|| self.extent.map(|(from, to)| to.saturating_sub(from) / 1000))
    }

    /// This node and all below it, parents before children.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children.iter().rev());
            Some(node)
        })
    }
}

impl Totals {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: join(self.input_tokens, other.input_tokens, i64::saturating_add),
            output_tokens: join(self.output_tokens, other.output_tokens, i64::saturating_add),
            cost_usd: join(self.cost_usd, other.cost_usd, |a, b| a + b),
        }
    }

    /// Each value by itself, else from below.
    fn or(self, below: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(below.input_tokens),
            output_tokens: self.output_tokens.or(below.output_tokens),
            cost_usd: self.cost_usd.or(below.cost_usd),
        }
    }
}

fn join<T>(a: Option<T>, b: Option<T>, f: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(f(a, b)),
        (a, b) => a.or(b),
    }
}
