//! What is seen of a run, whoever saw it: a worker or the reader of a history.
//!
//! Invariant: no type of the SDK and no raw payload in here. Payloads are redacted before they
//! become part of an observation, so whatever is kept of a run in memory is safe and bounded.

use omnitrace_store::row::{Micros, RunKey, Source, Status};

use crate::policy::Redacted;
use crate::propagation::RunTrace;

/// What reached a workflow in one activation.
#[derive(Clone, Debug)]
pub(crate) struct Activation {
    /// Run.
    pub(crate) run_id: String,
    /// Workflow time.
    pub(crate) at: Micros,
    /// Whether history is replayed.
    pub(crate) replaying: bool,
    /// Events of the history up to this task.
    pub(crate) history_length: u32,
    /// In order.
    pub(crate) jobs: Vec<Job>,
}

impl Activation {
    /// Whether it only asks: queries leave nothing in history.
    pub(crate) fn is_query_only(&self) -> bool {
        !self.jobs.is_empty() && self.jobs.iter().all(|job| matches!(job, Job::Query { .. }))
    }

    /// Whether it asks in a task that is there for the query alone.
    pub(crate) fn is_direct_query(&self) -> bool {
        self.is_query_only()
            && (self.jobs.iter()).any(|job| matches!(job, Job::Query { direct: true }))
    }
}

/// One thing that reached a workflow.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Initialize(Box<RunStart>),
    TimerFired {
        seq: u32,
    },
    ActivityResolved {
        seq: u32,
        outcome: Outcome,
    },
    ChildStarted {
        seq: u32,
        run_id: String,
    },
    ChildNotStarted {
        seq: u32,
        failure: Failure,
    },
    ChildResolved {
        seq: u32,
        outcome: Outcome,
    },
    SignalDelivered {
        seq: u32,
        failure: Option<Failure>,
    },
    CancelDelivered {
        seq: u32,
        failure: Option<Failure>,
    },
    Signal {
        event_id: i64,
        name: String,
        input: Redacted,
        sender: Sender,
    },
    CancelRequested {
        reason: Redacted,
    },
    Update {
        protocol_id: String,
        id: String,
        name: String,
        input: Redacted,
        sender: Sender,
    },
    PatchKnown {
        id: String,
    },
    NexusStarted {
        seq: u32,
        failure: Option<Failure>,
    },
    NexusResolved {
        seq: u32,
        outcome: Outcome,
    },
    /// The server ended the run by itself; only history says so.
    RunEnded {
        status: Status,
        failure: Failure,
    },
    Query {
        /// In a task of its own, not beside a workflow task.
        direct: bool,
    },
    Evicted(Eviction),
}

impl Job {
    /// Whether a caller sent what is no trace context.
    pub(crate) fn has_malformed_header(&self) -> bool {
        match self {
            Self::Initialize(start) => start.malformed_header,
            Self::Signal { sender, .. } | Self::Update { sender, .. } => sender.malformed_header,
            _ => false,
        }
    }
}

/// Who sent a signal or an update, if the call said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    /// Its trace context, as W3C writes it.
    pub(crate) traceparent: Option<String>,
    /// What it said is no trace context.
    pub(crate) malformed_header: bool,
}

/// Why a run left a worker's cache, as far as it tells what the server accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// `WORKFLOW_EXECUTION_ENDING`.
    ExecutionEnding,
    /// `CACHE_FULL`.
    CacheFull,
    /// `LANG_REQUESTED`: only the replayer asks for it.
    LangRequested,
    /// `TASK_NOT_FOUND`.
    TaskNotFound,
    /// `FATAL`.
    Fatal,
    /// `NONDETERMINISM`.
    Nondeterminism,
    /// `UNHANDLED_COMMAND`: the closing command was refused.
    UnhandledCommand,
    /// Any other reason.
    Other,
}

/// Where a run comes from.
#[derive(Clone, Debug)]
pub(crate) struct RunStart {
    pub(crate) key: RunKey,
    pub(crate) workflow_type: String,
    pub(crate) task_queue: String,
    pub(crate) started_at: Option<Micros>,
    pub(crate) input: Redacted,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) first_execution_run_id: Option<String>,
    pub(crate) continued_from_run_id: Option<String>,
    pub(crate) parent: Option<RunKey>,
    pub(crate) root: Option<(String, String)>,
    pub(crate) trigger: &'static str,
    pub(crate) build_id: Option<String>,
    pub(crate) user: Option<omnitrace_store::row::Identity>,
    pub(crate) tenant: Option<omnitrace_store::row::Identity>,
    /// Of the run's rows. A replayer does not know all of a run, its task queue for one.
    pub(crate) source: Source,
    /// What the caller said of sampling, in the `omnitrace` header or its trace's.
    pub(crate) parent_sampled: Option<bool>,
    /// Where its caller puts it among traces; `None` if it did not say.
    pub(crate) trace: Option<RunTrace>,
    /// Whether runs that continue as new go on in their trace, where nobody said anything of it.
    pub(crate) trace_per_chain: bool,
    /// What its caller said of that is no trace context.
    pub(crate) malformed_header: bool,
}

/// What a workflow answered to an activation.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) run_id: String,
    /// `None`: the task failed.
    pub(crate) commands: Option<Vec<Command>>,
}

/// One thing that a workflow proposes.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    StartTimer {
        seq: u32,
        timer_id: String,
        duration_ms: i64,
    },
    CancelTimer {
        seq: u32,
    },
    ScheduleActivity(Box<ScheduleActivity>),
    CancelActivity {
        seq: u32,
    },
    StartChild {
        seq: u32,
        namespace: String,
        workflow_id: String,
        workflow_type: String,
        input: Redacted,
    },
    CancelChild {
        seq: u32,
    },
    SignalExternal {
        seq: u32,
        workflow_id: String,
        name: String,
        input: Redacted,
    },
    CancelSignal {
        seq: u32,
    },
    CancelExternal {
        seq: u32,
        workflow_id: String,
    },
    SetPatch {
        id: String,
    },
    /// A marker of another SDK; only history shows it.
    RecordMarker {
        name: String,
        details: Redacted,
    },
    UpdateAccepted {
        protocol_id: String,
    },
    UpdateRejected {
        protocol_id: String,
        failure: Failure,
    },
    UpdateCompleted {
        protocol_id: String,
        output: Redacted,
    },
    ScheduleNexus {
        seq: u32,
        endpoint: String,
        service: String,
        operation: String,
        input: Redacted,
    },
    CancelNexus {
        seq: u32,
    },
    Close {
        status: Status,
        output: Option<Redacted>,
        failure: Option<Failure>,
    },
}

/// An activity, local or not, that a workflow schedules.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleActivity {
    pub(crate) seq: u32,
    pub(crate) activity_id: String,
    pub(crate) activity_type: String,
    pub(crate) task_queue: Option<String>,
    pub(crate) input: Redacted,
    /// How often the id was used in this run so far, from the `omnitrace` header.
    pub(crate) nth_use: Option<u32>,
    pub(crate) local: Option<LocalActivity>,
}

/// What only a local activity has.
#[derive(Clone, Debug)]
pub(crate) struct LocalActivity {
    /// More than 1 in a chain of backoffs.
    pub(crate) attempt: u32,
    /// When the first link of a chain of backoffs was scheduled.
    pub(crate) original_schedule_time: Option<Micros>,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Completed(Option<Redacted>),
    Failed(Failure),
    /// A local activity is tried again after a timer.
    Backoff {
        duration_ms: i64,
        original_schedule_time: Option<Micros>,
    },
}

/// A failure without its wrappers, scrubbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) error_type: String,
    pub(crate) message: Option<String>,
    pub(crate) stack: Option<String>,
}
