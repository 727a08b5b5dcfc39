//! A step of a run from its command to its end.
//!
//! Invariant: a step writes its whole row each time, and its content depends on the run alone, not
//! on which worker saw it or how often.

use omnitrace_store::key::{EventKey, Step as StepKey};
use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, SENDER, Status};
use serde_json::{Map, Value, json};

use crate::observe::{Failure, Sender};
use crate::policy::{Content, Policy, Redacted, Usage};

/// What identifies a step between its command and its resolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum StepId {
    Timer(u32),
    Activity(u32),
    Child(u32),
    Signal(u32),
    Cancel(u32),
    Nexus(u32),
    Update(String),
}

/// Kinds of steps whose names are a user's, which rules of categories are asked of.
const RULED: &[&str] = &[
    "activity",
    "child_workflow",
    "signal",
    "signal_external",
    "update",
];

/// How far the cancellation of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancellation {
    None,
    /// Asked for in a task that the server has not accepted yet.
    Proposed,
    Accepted,
}

/// A step that is open, or closed in a task that the server has not accepted yet.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) kind: &'static str,
    pub(super) step: StepKey,
    pub(super) name: String,
    /// The attempt number of the key counts accepted commands of the same kind, step and name.
    pub(super) counted: bool,
    pub(super) attempt: u32,
    /// A local activity: its result is a proposal until its task is accepted.
    pub(super) local: bool,
    pub(super) status: Status,
    pub(super) scheduled_at: Micros,
    pub(super) started_at: Option<Micros>,
    pub(super) ended_at: Option<Micros>,
    pub(super) detail: Map<String, Value>,
    pub(super) input: Option<Redacted>,
    pub(super) output: Option<Redacted>,
    pub(super) failure: Option<Failure>,
    pub(super) accepted: bool,
    pub(super) cancellation: Cancellation,
}

impl Step {
    pub(super) fn new(
        kind: &'static str,
        step: StepKey,
        name: impl Into<String>,
        attempt: u32,
        scheduled_at: Micros,
    ) -> Self {
        Self {
            kind,
            step,
            name: name.into(),
            counted: false,
            attempt,
            local: false,
            status: Status::Scheduled,
            scheduled_at,
            started_at: None,
            ended_at: None,
            detail: Map::new(),
            input: None,
            output: None,
            failure: None,
            accepted: false,
            cancellation: Cancellation::None,
        }
    }

    pub(super) fn counted(mut self, attempt: u32) -> Self {
        self.counted = true;
        self.attempt = attempt;
        self
    }

    pub(super) fn with_input(mut self, input: Redacted) -> Self {
        self.input = Some(input);
        self
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn sent_by(self, sender: Sender) -> Self {
        match sender.traceparent {
            Some(context) => self.with(SENDER, context),
            None => self,
        }
    }

    pub(super) fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Ends the step well.
    pub(super) fn complete(&mut self, output: Option<Redacted>, at: Micros) {
        self.status = Status::Completed;
        self.output = output;
        self.ended_at = Some(at);
    }

    /// Ends the step with an error or a cancellation.
    pub(super) fn fail(&mut self, failure: Failure, at: Micros) {
        self.status = failure.status;
        self.failure = Some(failure);
        self.ended_at = Some(at);
    }

    /// Whose content its result is, by the rules on its name.
    pub(super) fn content(&self, policy: &Policy) -> Content {
        match RULED.contains(&self.kind) {
            true => policy.content(&self.name),
            false => Content::Plain,
        }
    }

    /// The row as it stands.
    pub(super) fn row(&self, run: &RunKey, phase: Phase, policy: &Policy) -> EventRow {
        let key = EventKey::new(self.kind, self.step.clone(), &self.name, self.attempt);
        let mut row = EventRow::new(run.clone(), key);
        row.status = self.status;
        row.scheduled_at = Some(self.scheduled_at);
        row.started_at = self.started_at;
        row.ended_at = self.ended_at;
        row.latency_ms = self.ended_at.map(|end| (end - self.scheduled_at) / 1000);
        if let Some(failure) = &self.failure {
            row.error_type = Some(failure.error_type.clone());
            row.error_message.clone_from(&failure.message);
        }
        let usage = self.output.as_ref().and_then(Redacted::usage);
        row.category = match RULED.contains(&self.kind) {
            true => policy.category(&self.name, usage),
            false => usage.map(|_| "model".to_owned()),
        };
        set_usage(&mut row, usage);
        row.data_redacted = self.data(policy);
        row.phase = phase;
        row.policy_id = policy.id().to_owned();
        row
    }

    fn data(&self, policy: &Policy) -> Option<String> {
        let stack = self.failure.as_ref().and_then(|f| f.stack.as_ref());
        let stack = stack.map(|stack| Redacted::plain(json!(stack)));
        let parts = [
            ("input", self.input.as_ref()),
            ("output", self.output.as_ref()),
            ("stack", stack.as_ref()),
        ];
        compose(&self.detail, &parts, policy)
    }
}

/// The data of a row: what Temporal says of it, beside the payloads.
pub(crate) fn compose(
    detail: &Map<String, Value>,
    payloads: &[(&str, Option<&Redacted>)],
    policy: &Policy,
) -> Option<String> {
    let detail: Vec<(&str, Redacted)> = detail
        .iter()
        .map(|(name, value)| (name.as_str(), Redacted::plain(value.clone())))
        .collect();
    let payloads = payloads
        .iter()
        .filter_map(|(name, payload)| payload.map(|payload| (*name, payload)));
    let parts: Vec<(&str, &Redacted)> = detail
        .iter()
        .map(|(name, value)| (*name, value))
        .chain(payloads)
        .collect();
    policy.compose(&parts)
}

/// Puts token usage into its columns.
pub(crate) fn set_usage(row: &mut EventRow, usage: Option<&Usage>) {
    if let Some(usage) = usage {
        row.model.clone_from(&usage.model);
        row.input_tokens = Some(usage.input_tokens);
        row.output_tokens = Some(usage.output_tokens);
        row.cost_usd = usage.cost_usd;
    }
}
