//! The rows that are stored, as every part of OmniTrace sees them.
//!
//! Invariant: a row is whole. Whoever writes one writes all of its content; what is derived in the
//! store (`event_count`, sums, `dropped_events`) or merged field by field (ids of persons, high
//! water marks) is marked so here and takes no part in [`EventRow::digest`] and [`RunRow::digest`].

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key::EventKey;

/// UTC microseconds since 1970.
pub type Micros = i64;

/// Field of an attempt's data: who called it, as W3C writes a trace context, where that is a workflow
/// without the plugin.
pub const TRACEPARENT: &str = "traceparent";

/// Field of a signal's or an update's data: who sent it, as W3C writes a trace context.
pub const SENDER: &str = "_traceparent";

/// One workflow run, or one standalone activity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// Temporal namespace.
    pub namespace: String,
    /// Workflow id; `activity/<activity id>` for a standalone activity.
    pub workflow_id: String,
    /// Run id; `x-` and a hash for a run that is recorded by hand.
    pub run_id: String,
}

impl RunKey {
    /// Makes a key from its parts.
    pub fn new(
        namespace: impl Into<String>,
        workflow_id: impl Into<String>,
        run_id: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            workflow_id: workflow_id.into(),
            run_id: run_id.into(),
        }
    }
}

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All values, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it is stored and printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Reads the stored text back.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

text_enum! {
    /// Status of a run or an event, in Temporal's words.
    Status {
        /// Commanded, nobody works on it yet.
        Scheduled = "scheduled",
        /// Being worked on.
        Running = "running",
        /// Ended well.
        Completed = "completed",
        /// Ended with an error.
        Failed = "failed",
        /// Ended by a cancellation.
        Canceled = "canceled",
        /// Ended by a termination.
        Terminated = "terminated",
        /// Ended by a timeout.
        TimedOut = "timed_out",
        /// Went on as a new run.
        ContinuedAsNew = "continued_as_new",
        /// Its worker went away before it ended.
        Lost = "lost",
    }
}

impl Status {
    /// Whether nothing further can follow.
    pub fn is_closed(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Running)
    }

    /// Whether it ended in a way that someone should look at.
    pub fn is_error(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Terminated | Self::TimedOut | Self::Lost
        )
    }
}

text_enum! {
    /// Why a run was recorded though the sampling rate left it out, or as which sample.
    SampledBy {
        /// Picked by its trace id.
        Ratio = "ratio",
        /// Recorded after all: it failed.
        Error = "error",
        /// Recorded after all: it, or a step of it, was slow.
        Slow = "slow",
        /// Its caller was recorded.
        Parent = "parent",
    }
}

/// How far a row is known to be true.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum Phase {
    /// Proposed by a worker, not yet accepted by the server.
    Provisional = 0,
    /// Accepted and not ended.
    #[default]
    Open = 1,
    /// Ended.
    Closed = 2,
}

/// Who said so.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum Source {
    /// Inferred, as of a future that was dropped, or as the time of a step's end while its task may
    /// still fail.
    Inferred = 0,
    /// Read from Temporal's history.
    History = 1,
    /// Seen by a worker.
    #[default]
    Live = 2,
    /// Read from Temporal's history, and put in the place of what was stored.
    Repaired = 3,
}

/// A hashed user or tenant id, and how sure its source is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// 3 explicit API, 2 memo, 1 search attribute.
    pub rank: u8,
    /// `sha256:…` or `hmac:…`.
    pub hash: String,
}

/// One run: a row of `omnitrace_runs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Primary key.
    pub key: RunKey,
    /// Workflow type, or the activity type of a standalone activity.
    pub workflow_type: String,
    /// Task queue.
    pub task_queue: String,
    /// 32 hex digits, or any text that a caller of the explicit API gave.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// Span of the caller, if it gave one.
    pub parent_span_id: Option<String>,
    /// Status.
    pub status: Status,
    /// When the server started the run.
    pub started_at: Option<Micros>,
    /// Workflow time of its end.
    pub closed_at: Option<Micros>,
    /// Redacted arguments, JSON.
    pub input_redacted: Option<String>,
    /// Redacted result, JSON.
    pub output_redacted: Option<String>,
    /// Type of the failure.
    pub error_type: Option<String>,
    /// Scrubbed message of the failure.
    pub error_message: Option<String>,
    /// 1, or more in a chain of workflow retries.
    pub attempt: u32,
    /// Attempts that the retry policy allows; `None` is without limit or without policy.
    pub max_attempts: Option<u32>,
    /// First run of the chain.
    pub first_execution_run_id: Option<String>,
    /// Run before this one in the chain.
    pub continued_from_run_id: Option<String>,
    /// Parent workflow.
    pub parent: Option<RunKey>,
    /// Workflow id and run id of the root of the tree of children.
    pub root: Option<(String, String)>,
    /// `client`, `schedule`, `cron`, `parent`, `retry`, `continue_as_new`, `reset`, `activity`, `api`.
    pub trigger: String,
    /// Build id of the worker that started it.
    pub build_id: Option<String>,
    /// Why it was recorded.
    pub sampled_by: SampledBy,
    /// Merge order.
    pub phase: Phase,
    /// Merge order.
    pub source: Source,
    /// Hash key and redaction rules that made this row.
    pub policy_id: String,

    /// Merged apart: the better rank, then the smaller hash.
    pub user: Option<Identity>,
    /// Merged apart: the better rank, then the smaller hash.
    pub tenant: Option<Identity>,
    /// Merged apart by maximum: workflow time up to which the server accepted the run's tasks.
    /// A provisional row at or before it was never accepted.
    pub accepted_through: Micros,
    /// Merged apart by maximum: steps that the run took, stored or not.
    pub steps_seen: u32,
    /// Merged apart by "or": an observation of the run was lost.
    pub incomplete: bool,

    /// Derived in the store: rows of the run that are not provisional.
    #[serde(default)]
    pub event_count: u32,
    /// Derived in the store: rows that caps cut.
    #[serde(default)]
    pub dropped_events: u32,
    /// Derived in the store.
    #[serde(default)]
    pub input_tokens: i64,
    /// Derived in the store.
    #[serde(default)]
    pub output_tokens: i64,
    /// Derived in the store, US dollars.
    #[serde(default)]
    pub cost_usd: f64,
}

/// One event of a run: a row of `omnitrace_events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// Primary key, with `event_key`.
    pub run: RunKey,
    /// Primary key, with `run`. `kind`, `step`, `name` and `attempt` are its parts.
    pub event_key: String,
    /// First part of the key.
    pub kind: String,
    /// What it is: `tool`, `model`, `policy`, `cache`, `approval`, `publish`, …
    pub category: Option<String>,
    /// Second part of the key, encoded.
    pub step: String,
    /// Third part of the key.
    pub name: String,
    /// Last part of the key.
    pub attempt: u32,
    /// Status.
    pub status: Status,
    /// When it was commanded or received: workflow time for steps.
    pub scheduled_at: Option<Micros>,
    /// When work on it began: the worker's clock for attempts.
    pub started_at: Option<Micros>,
    /// When it ended: workflow time for steps, the worker's clock for attempts.
    pub ended_at: Option<Micros>,
    /// Milliseconds from start (or scheduling) to end.
    pub latency_ms: Option<i64>,
    /// Redacted data, a JSON object.
    pub data_redacted: Option<String>,
    /// Type of the failure.
    pub error_type: Option<String>,
    /// Scrubbed message of the failure.
    pub error_message: Option<String>,
    /// 16 hex digits.
    pub span_id: String,
    /// Key of the event that this one is part of; `None` is the run itself.
    pub parent_key: Option<String>,
    /// Language model that answered.
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<i64>,
    /// Tokens of the answer.
    pub output_tokens: Option<i64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Merge order.
    pub phase: Phase,
    /// Merge order.
    pub source: Source,
    /// Hash key and redaction rules that made this row.
    pub policy_id: String,
}

impl EventRow {
    /// A row with the parts of its key and its span id filled in, and nothing else.
    pub fn new(run: RunKey, key: EventKey) -> Self {
        let event_key = key.to_string();
        Self {
            span_id: crate::ids::span_id(&run, &event_key),
            run,
            event_key,
            kind: key.kind,
            category: None,
            step: key.step.as_str().to_owned(),
            name: key.name,
            attempt: key.attempt,
            status: Status::Running,
            scheduled_at: None,
            started_at: None,
            ended_at: None,
            latency_ms: None,
            data_redacted: None,
            error_type: None,
            error_message: None,
            parent_key: None,
            model: None,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            phase: Phase::Open,
            source: Source::Live,
            policy_id: String::new(),
        }
    }

    /// Whether it is over, as far as is known: when a step ended is inferred until its task is accepted, and
    /// then it is written again.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Closed
            && (self.source > Source::Inferred || self.status == Status::Lost)
    }

    /// When it began, for the merge order.
    pub fn start_time(&self) -> Micros {
        self.started_at.or(self.scheduled_at).unwrap_or_default()
    }

    /// Digest of all content that is not in the merge order already.
    pub fn digest(&self) -> i64 {
        let mut d = ContentDigest::default();
        d.text(self.category.as_deref());
        d.text(Some(self.status.as_str()));
        d.number(self.scheduled_at);
        d.number(self.started_at);
        d.number(self.ended_at);
        d.number(self.latency_ms);
        d.text(self.data_redacted.as_deref());
        d.text(self.error_type.as_deref());
        d.text(self.error_message.as_deref());
        d.text(self.parent_key.as_deref());
        d.text(self.model.as_deref());
        d.number(self.input_tokens);
        d.number(self.output_tokens);
        d.number(self.cost_usd.map(|c| c.to_bits().cast_signed()));
        d.text(Some(&self.policy_id));
        d.finish()
    }

    /// Bytes that the row takes, about: what bounds a buffer of rows.
    pub fn size(&self) -> usize {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        256 + self.event_key.len() * 2
            + self.run.workflow_id.len()
            + text(&self.data_redacted)
            + text(&self.error_message)
            + text(&self.parent_key)
    }
}

impl RunRow {
    /// A run of which only the key is known.
    pub fn new(key: RunKey) -> Self {
        Self {
            span_id: crate::ids::span_id(&key, ""),
            key,
            workflow_type: String::new(),
            task_queue: String::new(),
            trace_id: String::new(),
            parent_span_id: None,
            status: Status::Running,
            started_at: None,
            closed_at: None,
            input_redacted: None,
            output_redacted: None,
            error_type: None,
            error_message: None,
            attempt: 1,
            max_attempts: None,
            first_execution_run_id: None,
            continued_from_run_id: None,
            parent: None,
            root: None,
            trigger: "client".to_owned(),
            build_id: None,
            sampled_by: SampledBy::Ratio,
            phase: Phase::Open,
            source: Source::Live,
            policy_id: String::new(),
            user: None,
            tenant: None,
            accepted_through: 0,
            steps_seen: 0,
            incomplete: false,
            event_count: 0,
            dropped_events: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: 0.0,
        }
    }

    /// Whether Temporal has a history of it: not of a run told by hand, nor of a standalone activity.
    pub fn has_history(&self) -> bool {
        !self.key.run_id.starts_with("x-") && !self.key.workflow_id.starts_with("activity/")
    }

    /// When it began, for the merge order.
    pub fn start_time(&self) -> Micros {
        self.started_at.unwrap_or_default()
    }

    /// Digest of all content that is neither in the merge order nor merged apart nor derived.
    pub fn digest(&self) -> i64 {
        let mut d = ContentDigest::default();
        d.text(Some(&self.workflow_type));
        d.text(Some(&self.task_queue));
        d.text(Some(&self.trace_id));
        d.text(self.parent_span_id.as_deref());
        d.text(Some(self.status.as_str()));
        d.number(self.started_at);
        d.number(self.closed_at);
        d.text(self.input_redacted.as_deref());
        d.text(self.output_redacted.as_deref());
        d.text(self.error_type.as_deref());
        d.text(self.error_message.as_deref());
        d.number(Some(self.attempt.into()));
        d.number(self.max_attempts.map(Into::into));
        d.text(self.first_execution_run_id.as_deref());
        d.text(self.continued_from_run_id.as_deref());
        let parent = self.parent.as_ref();
        d.text(parent.map(|p| p.namespace.as_str()));
        d.text(parent.map(|p| p.workflow_id.as_str()));
        d.text(parent.map(|p| p.run_id.as_str()));
        d.text(self.root.as_ref().map(|r| r.0.as_str()));
        d.text(self.root.as_ref().map(|r| r.1.as_str()));
        d.text(Some(&self.trigger));
        d.text(self.build_id.as_deref());
        d.text(Some(self.sampled_by.as_str()));
        d.text(Some(&self.policy_id));
        d.finish()
    }

    /// Bytes that the row takes, about: what bounds a buffer of rows.
    pub fn size(&self) -> usize {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        512 + self.key.workflow_id.len()
            + text(&self.input_redacted)
            + text(&self.output_redacted)
            + text(&self.error_message)
    }
}

/// Length-prefixed SHA-256, so that no two contents are written alike.
#[derive(Default)]
struct ContentDigest(Sha256);

impl ContentDigest {
    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.0.update([0]),
            Some(text) => {
                self.0.update([1]);
                self.0.update((text.len() as u64).to_le_bytes());
                self.0.update(text.as_bytes());
            }
        }
    }

    fn number(&mut self, number: Option<i64>) {
        match number {
            None => self.0.update([0]),
            Some(number) => {
                self.0.update([1]);
                self.0.update(number.to_le_bytes());
            }
        }
    }

    fn finish(self) -> i64 {
        let hash = self.0.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        i64::from_le_bytes(first)
    }
}
