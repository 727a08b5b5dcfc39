//! The columns of runs and events: their names, their values, and how they are read.
//!
//! Invariant: names, values and reading follow one order, that of the lists here.

use super::statement::{Field, Fields, Value};
use crate::row::{EventRow, Identity, Phase, RunKey, RunRow, SampledBy, Source, Status};
use crate::store::ReadError;

/// Columns of a run's key.
pub(crate) const RUN_KEY: [&str; 3] = ["namespace", "workflow_id", "run_id"];

/// Columns that the winning row brings with it.
pub(crate) const RUN_CONTENT: [&str; 29] = [
    "workflow_type",
    "task_queue",
    "trace_id",
    "span_id",
    "parent_span_id",
    "status",
    "started_at",
    "closed_at",
    "input_redacted",
    "output_redacted",
    "error_type",
    "error_message",
    "attempt",
    "max_attempts",
    "first_execution_run_id",
    "continued_from_run_id",
    "parent_namespace",
    "parent_workflow_id",
    "parent_run_id",
    "root_workflow_id",
    "root_run_id",
    "trigger",
    "build_id",
    "sampled_by",
    "phase",
    "source",
    "policy_id",
    "start_time",
    "digest",
];

/// Columns that are merged apart.
pub(crate) const RUN_APART: [&str; 7] = [
    "user_id",
    "user_rank",
    "tenant_id",
    "tenant_rank",
    "accepted_through",
    "steps_seen",
    "incomplete",
];

/// Columns that the store derives.
pub(crate) const RUN_DERIVED: [&str; 5] = [
    "event_count",
    "dropped_events",
    "input_tokens",
    "output_tokens",
    "cost_usd",
];

/// Columns of an event's key.
pub(crate) const EVENT_KEY: [&str; 4] = ["namespace", "workflow_id", "run_id", "event_key"];

/// Columns that the winning row brings with it.
pub(crate) const EVENT_CONTENT: [&str; 24] = [
    "kind",
    "category",
    "step",
    "name",
    "attempt",
    "status",
    "scheduled_at",
    "started_at",
    "ended_at",
    "latency_ms",
    "data_redacted",
    "error_type",
    "error_message",
    "span_id",
    "parent_key",
    "model",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "phase",
    "source",
    "policy_id",
    "start_time",
    "digest",
];

/// Columns of what a process says of itself.
pub(crate) const PROCESS: [&str; 10] = [
    "id",
    "service",
    "host",
    "pid",
    "version",
    "started_at",
    "updated_at",
    "counters",
    "last_error",
    "last_error_at",
];

/// All columns of a run that are read.
pub(crate) fn run_columns() -> String {
    [&RUN_KEY[..], &RUN_CONTENT, &RUN_APART, &RUN_DERIVED]
        .concat()
        .join(", ")
}

pub(crate) fn key_values(key: &RunKey) -> [Value<'_>; 3] {
    [&key.namespace, &key.workflow_id, &key.run_id].map(|part| Value::text(part))
}

/// Columns of a run that are written.
pub(crate) fn run_written() -> Vec<&'static str> {
    [&RUN_KEY[..], &RUN_CONTENT, &RUN_APART].concat()
}

/// Values of the columns of [`run_written`].
pub(crate) fn run_values(run: &RunRow) -> Vec<Value<'_>> {
    let parent = run.parent.as_ref();
    let root = run.root.as_ref();
    let user = run.user.as_ref();
    let tenant = run.tenant.as_ref();
    let mut values = Vec::with_capacity(RUN_KEY.len() + RUN_CONTENT.len() + RUN_APART.len());
    values.extend(key_values(&run.key));
    values.extend([
        Value::text(&run.workflow_type),
        Value::text(&run.task_queue),
        Value::text(&run.trace_id),
        Value::text(&run.span_id),
        Value::maybe_text(run.parent_span_id.as_deref()),
        Value::text(run.status.as_str()),
        Value::maybe_int(run.started_at),
        Value::maybe_int(run.closed_at),
        Value::maybe_text(run.input_redacted.as_deref()),
        Value::maybe_text(run.output_redacted.as_deref()),
        Value::maybe_text(run.error_type.as_deref()),
        Value::maybe_text(run.error_message.as_deref()),
        Value::int(run.attempt),
        Value::maybe_int(run.max_attempts),
        Value::maybe_text(run.first_execution_run_id.as_deref()),
        Value::maybe_text(run.continued_from_run_id.as_deref()),
        Value::maybe_text(parent.map(|p| p.namespace.as_str())),
        Value::maybe_text(parent.map(|p| p.workflow_id.as_str())),
        Value::maybe_text(parent.map(|p| p.run_id.as_str())),
        Value::maybe_text(root.map(|r| r.0.as_str())),
        Value::maybe_text(root.map(|r| r.1.as_str())),
        Value::text(&run.trigger),
        Value::maybe_text(run.build_id.as_deref()),
        Value::text(run.sampled_by.as_str()),
        Value::int(run.phase as u8),
        Value::int(run.source as u8),
        Value::text(&run.policy_id),
        Value::int(run.start_time()),
        Value::int(run.digest()),
        Value::maybe_text(user.map(|u| u.hash.as_str())),
        Value::maybe_int(user.map(|u| u.rank)),
        Value::maybe_text(tenant.map(|t| t.hash.as_str())),
        Value::maybe_int(tenant.map(|t| t.rank)),
        Value::int(run.accepted_through),
        Value::int(run.steps_seen),
        Value::Flag(run.incomplete),
    ]);
    values
}

/// Columns of an event.
pub(crate) fn event_written() -> Vec<&'static str> {
    [&EVENT_KEY[..], &EVENT_CONTENT].concat()
}

/// Values of the columns of [`event_written`].
pub(crate) fn event_values(event: &EventRow) -> Vec<Value<'_>> {
    let mut values = Vec::with_capacity(EVENT_KEY.len() + EVENT_CONTENT.len());
    values.extend(key_values(&event.run));
    values.extend([
        Value::text(&event.event_key),
        Value::text(&event.kind),
        Value::maybe_text(event.category.as_deref()),
        Value::text(&event.step),
        Value::text(&event.name),
        Value::int(event.attempt),
        Value::text(event.status.as_str()),
        Value::maybe_int(event.scheduled_at),
        Value::maybe_int(event.started_at),
        Value::maybe_int(event.ended_at),
        Value::maybe_int(event.latency_ms),
        Value::maybe_text(event.data_redacted.as_deref()),
        Value::maybe_text(event.error_type.as_deref()),
        Value::maybe_text(event.error_message.as_deref()),
        Value::text(&event.span_id),
        Value::maybe_text(event.parent_key.as_deref()),
        Value::maybe_text(event.model.as_deref()),
        Value::maybe_int(event.input_tokens),
        Value::maybe_int(event.output_tokens),
        Value::float(event.cost_usd),
        Value::int(event.phase as u8),
        Value::int(event.source as u8),
        Value::text(&event.policy_id),
        Value::int(event.start_time()),
        Value::int(event.digest()),
    ]);
    values
}

/// Reads the columns of a row from left to right.
pub(crate) struct Columns<'r, R> {
    row: &'r R,
    next: usize,
}

impl<'r, R: Fields> Columns<'r, R> {
    pub(crate) fn new(row: &'r R) -> Self {
        Self::at(row, 0)
    }

    /// From a column on.
    pub(crate) fn at(row: &'r R, next: usize) -> Self {
        Self { row, next }
    }

    pub(crate) fn take<T: Field>(&mut self) -> Result<T, sqlx::Error> {
        self.next += 1;
        T::read(self.row, self.next - 1)
    }

    pub(crate) fn key(&mut self) -> Result<RunKey, sqlx::Error> {
        Ok(RunKey {
            namespace: self.take()?,
            workflow_id: self.take()?,
            run_id: self.take()?,
        })
    }

    /// A value that this program knows, or an error that names the column and the value.
    fn known<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Result<T, ReadError> {
        let text: String = self.take()?;
        parse(&text).ok_or_else(|| unknown(&text))
    }

    pub(crate) fn status(&mut self) -> Result<Status, ReadError> {
        self.known(Status::parse)
    }

    pub(crate) fn sampled_by(&mut self) -> Result<SampledBy, ReadError> {
        self.known(SampledBy::parse)
    }

    pub(crate) fn phase(&mut self) -> Result<Phase, ReadError> {
        let number: i64 = self.take()?;
        phase(number).ok_or_else(|| unknown(&number.to_string()))
    }

    pub(crate) fn source(&mut self) -> Result<Source, ReadError> {
        match self.take()? {
            0i64 => Ok(Source::Inferred),
            1 => Ok(Source::History),
            2 => Ok(Source::Live),
            3 => Ok(Source::Repaired),
            other => Err(unknown(&other.to_string())),
        }
    }

    fn identity(&mut self) -> Result<Option<Identity>, sqlx::Error> {
        let hash: Option<String> = self.take()?;
        let rank: Option<u8> = self.take()?;
        Ok(hash.map(|hash| Identity {
            rank: rank.unwrap_or_default(),
            hash,
        }))
    }
}

/// `None` for what is no phase, as that of a row that only locks.
pub(crate) fn phase(number: i64) -> Option<Phase> {
    [Phase::Provisional, Phase::Open, Phase::Closed]
        .into_iter()
        .find(|phase| *phase as i64 == number)
}

fn unknown(value: &str) -> ReadError {
    ReadError::Database(format!("a row holds the unknown value {value:?}"))
}

pub(crate) fn read_run(row: &impl Fields) -> Result<RunRow, ReadError> {
    let c = &mut Columns::new(row);
    let key = c.key()?;
    let mut run = RunRow {
        workflow_type: c.take()?,
        task_queue: c.take()?,
        trace_id: c.take()?,
        span_id: c.take()?,
        parent_span_id: c.take()?,
        status: c.status()?,
        started_at: c.take()?,
        closed_at: c.take()?,
        input_redacted: c.take()?,
        output_redacted: c.take()?,
        error_type: c.take()?,
        error_message: c.take()?,
        attempt: c.take()?,
        max_attempts: c.take()?,
        first_execution_run_id: c.take()?,
        continued_from_run_id: c.take()?,
        parent: all(c.take()?, c.take()?, c.take()?),
        root: Option::zip(c.take()?, c.take()?),
        trigger: c.take()?,
        build_id: c.take()?,
        sampled_by: c.sampled_by()?,
        phase: c.phase()?,
        source: c.source()?,
        policy_id: c.take()?,
        ..RunRow::new(key)
    };
    let _start_time: i64 = c.take()?;
    let _digest: i64 = c.take()?;
    run.user = c.identity()?;
    run.tenant = c.identity()?;
    run.accepted_through = c.take()?;
    run.steps_seen = c.take()?;
    run.incomplete = c.take()?;
    run.event_count = c.take()?;
    run.dropped_events = c.take()?;
    run.input_tokens = c.take()?;
    run.output_tokens = c.take()?;
    run.cost_usd = c.take()?;
    Ok(run)
}

fn all(
    namespace: Option<String>,
    workflow_id: Option<String>,
    run_id: Option<String>,
) -> Option<RunKey> {
    Some(RunKey {
        namespace: namespace?,
        workflow_id: workflow_id?,
        run_id: run_id?,
    })
}

pub(crate) fn read_event(row: &impl Fields) -> Result<EventRow, ReadError> {
    let c = &mut Columns::new(row);
    Ok(EventRow {
        run: c.key()?,
        event_key: c.take()?,
        kind: c.take()?,
        category: c.take()?,
        step: c.take()?,
        name: c.take()?,
        attempt: c.take()?,
        status: c.status()?,
        scheduled_at: c.take()?,
        started_at: c.take()?,
        ended_at: c.take()?,
        latency_ms: c.take()?,
        data_redacted: c.take()?,
        error_type: c.take()?,
        error_message: c.take()?,
        span_id: c.take()?,
        parent_key: c.take()?,
        model: c.take()?,
        input_tokens: c.take()?,
        output_tokens: c.take()?,
        cost_usd: c.take()?,
        phase: c.phase()?,
        source: c.source()?,
        policy_id: c.take()?,
    })
}
