//! The columns of runs and events: their names, what is bound to them, and how they are read.
//!
//! Invariant: names, binding and reading follow one order, that of the lists here.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};

use crate::row::{EventRow, Identity, Phase, RunKey, RunRow, SampledBy, Source, Status};
use crate::store::ReadError;

pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

/// Columns of a run's key.
pub(super) const RUN_KEY: [&str; 3] = ["namespace", "workflow_id", "run_id"];

/// Columns that the winning row brings with it.
pub(super) const RUN_CONTENT: [&str; 29] = [
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
pub(super) const RUN_APART: [&str; 7] = [
    "user_id",
    "user_rank",
    "tenant_id",
    "tenant_rank",
    "accepted_through",
    "steps_seen",
    "incomplete",
];

/// Columns that the store derives.
pub(super) const RUN_DERIVED: [&str; 5] = [
    "event_count",
    "dropped_events",
    "input_tokens",
    "output_tokens",
    "cost_usd",
];

/// Columns of an event's key.
pub(super) const EVENT_KEY: [&str; 4] = ["namespace", "workflow_id", "run_id", "event_key"];

/// Columns that the winning row brings with it.
pub(super) const EVENT_CONTENT: [&str; 24] = [
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

/// All columns of a run that are read.
pub(super) fn run_columns() -> String {
    [&RUN_KEY[..], &RUN_CONTENT, &RUN_APART, &RUN_DERIVED]
        .concat()
        .join(", ")
}

/// All columns of an event that are read.
pub(super) fn event_columns() -> String {
    [&EVENT_KEY[..], &EVENT_CONTENT].concat().join(", ")
}

pub(super) fn bind_key<'q>(query: Bound<'q>, key: &'q RunKey) -> Bound<'q> {
    query
        .bind(&key.namespace)
        .bind(&key.workflow_id)
        .bind(&key.run_id)
}

pub(super) fn bind_run<'q>(query: Bound<'q>, run: &'q RunRow) -> Bound<'q> {
    let parent = run.parent.as_ref();
    let root = run.root.as_ref();
    let user = run.user.as_ref();
    let tenant = run.tenant.as_ref();
    bind_key(query, &run.key)
        .bind(&run.workflow_type)
        .bind(&run.task_queue)
        .bind(&run.trace_id)
        .bind(&run.span_id)
        .bind(&run.parent_span_id)
        .bind(run.status.as_str())
        .bind(run.started_at)
        .bind(run.closed_at)
        .bind(&run.input_redacted)
        .bind(&run.output_redacted)
        .bind(&run.error_type)
        .bind(&run.error_message)
        .bind(run.attempt)
        .bind(run.max_attempts)
        .bind(&run.first_execution_run_id)
        .bind(&run.continued_from_run_id)
        .bind(parent.map(|p| &p.namespace))
        .bind(parent.map(|p| &p.workflow_id))
        .bind(parent.map(|p| &p.run_id))
        .bind(root.map(|r| &r.0))
        .bind(root.map(|r| &r.1))
        .bind(&run.trigger)
        .bind(&run.build_id)
        .bind(run.sampled_by.as_str())
        .bind(run.phase as u8)
        .bind(run.source as u8)
        .bind(&run.policy_id)
        .bind(run.start_time())
        .bind(run.digest())
        .bind(user.map(|u| &u.hash))
        .bind(user.map(|u| u.rank))
        .bind(tenant.map(|t| &t.hash))
        .bind(tenant.map(|t| t.rank))
        .bind(run.accepted_through)
        .bind(run.steps_seen)
        .bind(run.incomplete)
}

pub(super) fn bind_event<'q>(query: Bound<'q>, event: &'q EventRow) -> Bound<'q> {
    bind_key(query, &event.run)
        .bind(&event.event_key)
        .bind(&event.kind)
        .bind(&event.category)
        .bind(&event.step)
        .bind(&event.name)
        .bind(event.attempt)
        .bind(event.status.as_str())
        .bind(event.scheduled_at)
        .bind(event.started_at)
        .bind(event.ended_at)
        .bind(event.latency_ms)
        .bind(&event.data_redacted)
        .bind(&event.error_type)
        .bind(&event.error_message)
        .bind(&event.span_id)
        .bind(&event.parent_key)
        .bind(&event.model)
        .bind(event.input_tokens)
        .bind(event.output_tokens)
        .bind(event.cost_usd)
        .bind(event.phase as u8)
        .bind(event.source as u8)
        .bind(&event.policy_id)
        .bind(event.start_time())
        .bind(event.digest())
}

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn take<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.next += 1;
        self.row.try_get(self.next - 1)
    }

    /// The value, or its type's default where there is none.
    pub(super) fn or_default<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + Default,
    {
        Ok(self.take::<Option<T>>()?.unwrap_or_default())
    }

    pub(super) fn key(&mut self) -> Result<RunKey, sqlx::Error> {
        Ok(RunKey {
            namespace: self.take()?,
            workflow_id: self.take()?,
            run_id: self.take()?,
        })
    }

    /// A value that this program knows, or an error that names the column and the value.
    fn known<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Result<T, ReadError> {
        let text: &str = self.take()?;
        parse(text).ok_or_else(|| unknown(text))
    }

    pub(super) fn status(&mut self) -> Result<Status, ReadError> {
        self.known(Status::parse)
    }

    pub(super) fn sampled_by(&mut self) -> Result<SampledBy, ReadError> {
        self.known(SampledBy::parse)
    }

    pub(super) fn phase(&mut self) -> Result<Phase, ReadError> {
        match self.take()? {
            0i64 => Ok(Phase::Provisional),
            1 => Ok(Phase::Open),
            2 => Ok(Phase::Closed),
            other => Err(unknown(&other.to_string())),
        }
    }

    pub(super) fn source(&mut self) -> Result<Source, ReadError> {
        match self.take()? {
            0i64 => Ok(Source::Inferred),
            1 => Ok(Source::History),
            2 => Ok(Source::Live),
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

fn unknown(value: &str) -> ReadError {
    ReadError::Database(format!("a row holds the unknown value {value:?}"))
}

pub(super) fn read_run(row: &SqliteRow) -> Result<RunRow, ReadError> {
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

pub(super) fn read_event(row: &SqliteRow) -> Result<EventRow, ReadError> {
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
