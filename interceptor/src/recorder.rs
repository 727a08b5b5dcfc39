//! The explicit API: runs and events that user code tells by itself.
//!
//! Invariant: no call fails, waits or panics; what can't be recorded is counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use omnitrace_store::ids;
use omnitrace_store::key::EventKey;
use omnitrace_store::row::{EventRow, Identity, Micros, Phase, RunKey, RunRow, Status};
use serde_json::{Map, Value};

use crate::counters::Counter;
use crate::current::Current;
use crate::omnitrace::{DEFAULT_NAMESPACE, MAX_ID_BYTES};
use crate::policy::{Content, Document, Policy, Redacted};
use crate::queue::{Observation, Queue, Subject};
use crate::sampling::Decision;
use crate::switches::{Beginning, Switchboard};
use crate::tracker::set_usage;

/// Tells one run by hand. Made by [`crate::OmniTrace::recorder`]; cheap to clone.
///
/// ```
/// # async fn example(omnitrace: omnitrace::OmniTrace) {
/// use serde_json::json;
/// use std::time::Duration;
///
/// let recorder = omnitrace.recorder("nightly-import", "4bf92f3577b34da6a3ce929d0e0e4736");
/// recorder.record_run_start(Some("user-17"), json!({ "files": 3 }));
/// recorder.record_event(
///     "tool:1:parse:1", "tool", "parse", Some(Duration::from_millis(12)), json!({ "count": 3 }),
/// );
/// recorder.record_run_complete(json!({ "count": 3 }));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    told: Option<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    queue: Queue,
    switches: Switchboard,
    run: RunKey,
    trace_id: Arc<str>,
    tenant: Option<Arc<str>>,
    decided: Decision,
}

/// What user code told of a run.
#[derive(Debug)]
pub(crate) struct Explicit {
    pub(crate) run: RunKey,
    pub(crate) trace_id: Arc<str>,
    /// Id of its tenant, not hashed.
    pub(crate) tenant: Option<Arc<str>>,
    /// Made once, with its recorder.
    pub(crate) decided: Decision,
    at: Micros,
    said: Said,
}

impl Explicit {
    /// Whether it tells that a run begins.
    pub(crate) fn is_start(&self) -> bool {
        matches!(self.said, Said::Started { .. })
    }
}

#[derive(Debug)]
enum Said {
    Started {
        user_id: Option<String>,
        input: Document,
    },
    Event {
        key: EventKey,
        latency: Option<Duration>,
        data: Document,
    },
    Completed {
        output: Document,
    },
    Failed {
        error_type: String,
        message: String,
    },
    Cleared,
}

#[cfg(test)]
impl Explicit {
    /// The least that can be told.
    pub(crate) fn cleared(run: RunKey) -> Self {
        Self {
            run,
            trace_id: Arc::from(""),
            tenant: None,
            decided: Decision::LeftOut,
            at: 0,
            said: Said::Cleared,
        }
    }
}

impl Recorder {
    pub(crate) fn new(of: Option<(Queue, Switchboard)>, workflow_id: &str, trace_id: &str) -> Self {
        let run_id = ids::explicit_run_id(trace_id);
        let told = of.map(|(queue, switches)| Told {
            decided: switches.decide(trace_id, None, &Beginning::now()),
            queue,
            switches,
            run: RunKey::new(DEFAULT_NAMESPACE, workflow_id, run_id),
            trace_id: trace_id.into(),
            tenant: None,
        });
        Self { told }
    }

    /// Tells the run in this namespace, in the place of `default`. Call it before anything is told. A name
    /// that is empty or longer than 1,000 bytes is refused and counted: the recorder then records nothing.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        if let Some(told) = &mut self.told {
            namespace.clone_into(&mut told.run.namespace);
        }
        self.unless((1..=MAX_ID_BYTES).contains(&namespace.len()))
    }

    /// Tells whose run it is. The tenant's id is stored as a hash, and goes before that of a memo or a search
    /// attribute. Call it before anything is told. An id that is empty or longer than 1,000 bytes is refused
    /// and counted: the recorder then records nothing.
    ///
    /// ```
    /// # async fn example(omnitrace: omnitrace::OmniTrace) {
    /// let recorder = omnitrace.recorder("nightly-import", "4bf92f3577b34da6a3ce929d0e0e4736");
    /// let recorder = recorder.with_namespace("imports").with_tenant("acme");
    /// recorder.record_run_start(None, serde_json::json!({}));
    /// # }
    /// ```
    #[must_use]
    pub fn with_tenant(mut self, tenant_id: &str) -> Self {
        if let Some(told) = &mut self.told {
            told.tenant = Some(tenant_id.into());
            if told.switches.names_tenants() {
                let of = told.switches.explicit(Some(tenant_id));
                told.decided = told.switches.decide(&told.trace_id, None, &of);
            }
        }
        self.unless((1..=MAX_ID_BYTES).contains(&tenant_id.len()))
    }

    /// This one if what it was told is good.
    fn unless(mut self, is_good: bool) -> Self {
        if let Some(told) = self.told.take_if(|_| !is_good) {
            told.queue.counters().add(Counter::DroppedInvalidKey, 1);
        }
        self
    }

    /// What it tells, unless recording is switched off.
    fn told(&self) -> Option<&Told> {
        (self.told.as_ref()).filter(|told| told.decided != Decision::Off)
    }

    /// Whether the run is recorded whatever becomes of it. If not, it still is when it fails or is
    /// slow, so tell it all the same unless making the data costs much.
    pub fn should_record(&self) -> bool {
        (self.told.as_ref()).is_some_and(|told| told.decided.why().is_some())
    }

    /// The run begins. The user's id is stored as a hash.
    pub fn record_run_start(&self, user_id: Option<&str>, input: Value) {
        let input = Document::new(input);
        self.tell(input.size(), || Said::Started {
            user_id: user_id.map(ToOwned::to_owned),
            input,
        });
    }

    /// Something happened, just now, and took so long. The key is `<kind>:<step>:<name>:<attempt>` and
    /// must agree with kind and name; the same key again replaces nothing that is as good.
    pub fn record_event(
        &self,
        key: &str,
        kind: &str,
        name: &str,
        latency: Option<Duration>,
        data: Value,
    ) {
        let data = Document::new(data);
        let Some(told) = self.told() else { return };
        match EventKey::parse(key) {
            Ok(key) if key.kind == kind && key.name == name => {
                self.tell(data.size(), || Said::Event { key, latency, data });
            }
            _ => told.queue.counters().add(Counter::DroppedInvalidKey, 1),
        }
    }

    /// The run ended well.
    pub fn record_run_complete(&self, output: Value) {
        let output = Document::new(output);
        self.tell(output.size(), || Said::Completed { output });
    }

    /// The run failed.
    pub fn record_run_failed(&self, error_type: &str, message: &str) {
        self.tell(message.len(), || Said::Failed {
            error_type: error_type.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Forgets the run without an end: it stays open in the store. Ending it clears it, too.
    pub fn clear_recorder(&self) {
        self.tell(0, || Said::Cleared);
    }

    fn tell(&self, bytes: usize, said: impl FnOnce() -> Said) {
        let Some(told) = self.told() else { return };
        told.queue.offer(256 + bytes, Subject::Row(&told.run), || {
            Observation::Explicit(Box::new(Explicit {
                run: told.run.clone(),
                trace_id: told.trace_id.clone(),
                tenant: told.tenant.clone(),
                decided: told.decided,
                at: told.queue.now(),
                said: said(),
            }))
        });
    }
}

/// Runs that are told by hand and have not ended.
#[derive(Debug, Default)]
pub(crate) struct ExplicitRuns {
    open: HashMap<RunKey, RunRow>,
}

/// Runs told by hand that are followed at once; the oldest are not known apart, so more are told
/// without their beginning.
const MAX_OPEN: usize = 100_000;

impl ExplicitRuns {
    pub(crate) fn live(&self) -> usize {
        self.open.len()
    }

    /// Whether a run was begun and has not ended.
    pub(crate) fn follow(&self, run: &RunKey) -> bool {
        self.open.contains_key(run)
    }

    /// Rows that follow from what was told.
    pub(crate) fn rows(
        &mut self,
        explicit: Explicit,
        policy: &Policy,
    ) -> (Option<EventRow>, Option<RunRow>) {
        let Explicit {
            run,
            trace_id,
            tenant,
            at,
            said,
            ..
        } = explicit;
        let new_row = || new_row(&run, &trace_id, tenant.as_deref(), policy);
        match said {
            Said::Started { user_id, input } => {
                let mut row = new_row();
                row.started_at = Some(at);
                let input = policy.document(&input, Content::Plain);
                row.input_redacted = policy.compose(&[("input", &input)]);
                row.user = user_id.map(|id| told_identity(&id, policy));
                if self.open.len() < MAX_OPEN {
                    self.open.insert(run, row.clone());
                }
                (None, Some(row))
            }
            Said::Event { key, latency, data } => {
                let row = event_row(run, key, at, latency, &Map::new(), data, policy);
                (Some(row), None)
            }
            Said::Completed { output } => {
                let mut row = self.close(&run, at, Status::Completed, new_row);
                let output = policy.document(&output, Content::Plain);
                row.output_redacted = policy.compose(&[("output", &output)]);
                (None, Some(row))
            }
            Said::Failed {
                error_type,
                message,
            } => {
                let mut row = self.close(&run, at, Status::Failed, new_row);
                row.error_type = Some(policy.error_type(&error_type));
                row.error_message = Some(policy.error_message(&message));
                (None, Some(row))
            }
            Said::Cleared => {
                self.open.remove(&run);
                (None, None)
            }
        }
    }

    fn close(
        &mut self,
        run: &RunKey,
        at: Micros,
        status: Status,
        new_row: impl FnOnce() -> RunRow,
    ) -> RunRow {
        let open = self.open.remove(run);
        let mut row = open.unwrap_or_else(new_row);
        row.phase = Phase::Closed;
        row.status = status;
        row.closed_at = Some(at);
        row
    }
}

/// An id that somebody told goes before all others.
fn told_identity(id: &str, policy: &Policy) -> Identity {
    Identity {
        rank: 3,
        hash: policy.identity(id),
    }
}

fn new_row(run: &RunKey, trace_id: &str, tenant: Option<&str>, policy: &Policy) -> RunRow {
    let mut row = RunRow::new(run.clone());
    row.tenant = tenant.map(|id| told_identity(id, policy));
    row.workflow_type.clone_from(&run.workflow_id);
    trace_id.clone_into(&mut row.trace_id);
    "api".clone_into(&mut row.trigger);
    policy.id().clone_into(&mut row.policy_id);
    row
}

/// The row of an event that is over when it is told.
pub(crate) fn event_row(
    run: RunKey,
    key: EventKey,
    at: Micros,
    latency: Option<Duration>,
    detail: &Map<String, Value>,
    data: Document,
    policy: &Policy,
) -> EventRow {
    let mut row = EventRow::new(run, key);
    let micros = latency.map_or(0, |latency| {
        Micros::try_from(latency.as_micros()).unwrap_or(Micros::MAX)
    });
    row.status = Status::Completed;
    row.phase = Phase::Closed;
    row.started_at = Some(at.saturating_sub(micros));
    row.ended_at = Some(at);
    row.latency_ms = latency.map(|_| micros / 1000);
    row.category = Some(row.kind.clone());
    let content = match row.kind.as_str() {
        "model" => Content::Model,
        _ => Content::Plain,
    };
    // What was made is told so that it can be looked at.
    let link = data.text("url").filter(|_| row.kind == "artifact");
    let link = link.map(|url| Redacted::plain(policy.link(url).into()));
    let data = policy.document(&data, content);
    set_usage(&mut row, data.usage());
    let detail = detail.iter().map(|(name, value)| {
        let value = match value {
            Value::String(text) => policy.error_type(text).into(),
            number => number.clone(),
        };
        (name.as_str(), Redacted::plain(value))
    });
    let detail: Vec<(&str, Redacted)> = detail.collect();
    let mut parts = vec![("data", &data)];
    parts.extend(link.as_ref().map(|link| ("url", link)));
    parts.extend(detail.iter().map(|(name, value)| (*name, value)));
    row.data_redacted = policy.compose(&parts);
    policy.id().clone_into(&mut row.policy_id);
    row
}

/// Records something that happened inside the current attempt of an activity. Outside one it does
/// nothing. `kind` is `tool`, `model`, `policy`, `cache`, … (`[a-z_]+`).
///
/// ```
/// omnitrace::record_event("tool", "search", None, serde_json::json!({ "count": 3 }));
/// ```
pub fn record_event(kind: &str, name: &str, latency: Option<Duration>, data: Value) {
    Current::with(|current| current.record(kind, name, latency, data));
}

/// Records that the current attempt made something that can be looked at: a file, a page, a
/// report. The URL stays readable; a secret in it is scrubbed.
pub fn record_artifact(name: &str, url: &str) {
    Current::with(|current| {
        let data = serde_json::json!({ "url": url });
        current.record("artifact", name, None, data);
    });
}

/// Tokens that a call of a language model used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// Records the tokens that the current attempt used of a model. The cost comes from the price table.
pub fn record_usage(model: &str, tokens: Tokens) {
    Current::with(|current| {
        let data = serde_json::json!({
            "model": model,
            "usage": { "input_tokens": tokens.input, "output_tokens": tokens.output },
        });
        current.record("model", model, None, data);
    });
}
