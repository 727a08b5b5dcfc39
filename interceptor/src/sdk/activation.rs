//! An activation of the SDK as an observation.

use std::collections::HashMap;

use omnitrace_store::row::{Identity, RunKey, Source, Status};
use opentelemetry::trace::SpanContext;
use temporalio_common::protos::{
    coresdk::{
        activity_result::{ActivityResolution, activity_resolution},
        child_workflow::{ChildWorkflowResult, child_workflow_result},
        nexus::{NexusOperationResult, nexus_operation_result},
        workflow_activation::{
            InitializeWorkflow, ResolveChildWorkflowExecutionStart, WorkflowActivation,
            remove_from_cache::EvictionReason, resolve_child_workflow_execution_start,
            resolve_nexus_operation_start, workflow_activation_job::Variant,
        },
    },
    temporal::api::{common::v1::Payload, enums::v1::ContinueAsNewInitiator},
};

use super::failure::{failure, named};
use super::header::StepHeader;
use super::payload::{self, micros, millis, redact, redact_one};
use super::tracer_data;
use super::worker::Origin;
use crate::observe::{Activation, Eviction, Job, Outcome, RunStart};
use crate::policy::{Content, Policy};
use crate::propagation::RunTrace;
use crate::switches::{Beginning, Switchboard};

/// The id that core gives to a query whose task is there for it alone.
const DIRECT_QUERY: &str = "legacy_query";

pub(super) fn observe(
    message: &WorkflowActivation,
    origin: &Origin,
    policy: &Policy,
) -> Activation {
    Activation {
        run_id: message.run_id.clone(),
        at: message.timestamp.map_or(0, |t| micros(t.seconds, t.nanos)),
        replaying: message.is_replaying,
        history_length: message.history_length,
        jobs: message
            .jobs
            .iter()
            .filter_map(|job| job.variant.as_ref())
            .filter_map(|job| observe_job(job, message, origin, policy))
            .collect(),
    }
}

fn observe_job(
    job: &Variant,
    message: &WorkflowActivation,
    origin: &Origin,
    policy: &Policy,
) -> Option<Job> {
    Some(match job {
        Variant::InitializeWorkflow(start) => {
            let key = origin.fixed_run.clone().unwrap_or_else(|| {
                RunKey::new(&origin.namespace, &start.workflow_id, &message.run_id)
            });
            let version = message.deployment_version_for_current_task.as_ref();
            Job::Initialize(Box::new(RunStart {
                task_queue: origin.task_queue().to_owned(),
                build_id: version.and_then(|version| filled(&version.build_id)),
                source: match origin.fixed_run {
                    Some(_) => Source::History,
                    None => Source::Live,
                },
                trace_per_chain: origin.trace_per_chain,
                ..run_start(start, key, policy)
            }))
        }
        Variant::FireTimer(timer) => Job::TimerFired { seq: timer.seq },
        Variant::ResolveActivity(resolved) => Job::ActivityResolved {
            seq: resolved.seq,
            outcome: activity(resolved.result.as_ref(), policy),
        },
        Variant::ResolveChildWorkflowExecutionStart(start) => child_start(start, policy)?,
        Variant::ResolveChildWorkflowExecution(resolved) => Job::ChildResolved {
            seq: resolved.seq,
            outcome: child(resolved.result.as_ref(), policy),
        },
        Variant::ResolveSignalExternalWorkflow(resolved) => Job::SignalDelivered {
            seq: resolved.seq,
            failure: resolved.failure.as_ref().map(|f| failure(f, policy)),
        },
        Variant::ResolveRequestCancelExternalWorkflow(resolved) => Job::CancelDelivered {
            seq: resolved.seq,
            failure: resolved.failure.as_ref().map(|f| failure(f, policy)),
        },
        Variant::SignalWorkflow(signal) => Job::Signal {
            event_id: signal.originating_event_id,
            name: signal.signal_name.clone(),
            input: redact(&signal.input, Content::Plain, policy),
            sender: tracer_data::sender(&signal.headers),
        },
        Variant::CancelWorkflow(cancel) => Job::CancelRequested {
            reason: policy.json(
                serde_json::json!({ "reason": cancel.reason }),
                Content::Plain,
            ),
        },
        Variant::DoUpdate(update) => Job::Update {
            protocol_id: update.protocol_instance_id.clone(),
            id: update
                .meta
                .as_ref()
                .map_or(&update.id, |meta| &meta.update_id)
                .clone(),
            name: update.name.clone(),
            input: redact(&update.input, Content::Plain, policy),
            sender: tracer_data::sender(&update.headers),
        },
        Variant::NotifyHasPatch(patch) => Job::PatchKnown {
            id: patch.patch_id.clone(),
        },
        Variant::ResolveNexusOperationStart(start) => Job::NexusStarted {
            seq: start.seq,
            failure: match start.status.as_ref()? {
                resolve_nexus_operation_start::Status::Failed(f) => Some(failure(f, policy)),
                resolve_nexus_operation_start::Status::OperationToken(_)
                | resolve_nexus_operation_start::Status::StartedSync(_) => None,
            },
        },
        Variant::ResolveNexusOperation(resolved) => Job::NexusResolved {
            seq: resolved.seq,
            outcome: nexus(resolved.result.as_ref(), policy),
        },
        Variant::QueryWorkflow(query) => Job::Query {
            direct: query.query_id == DIRECT_QUERY,
        },
        Variant::RemoveFromCache(remove) => Job::Evicted(match remove.reason() {
            EvictionReason::WorkflowExecutionEnding => Eviction::ExecutionEnding,
            EvictionReason::CacheFull => Eviction::CacheFull,
            EvictionReason::LangRequested => Eviction::LangRequested,
            EvictionReason::TaskNotFound => Eviction::TaskNotFound,
            EvictionReason::Fatal => Eviction::Fatal,
            EvictionReason::Nondeterminism => Eviction::Nondeterminism,
            EvictionReason::UnhandledCommand => Eviction::UnhandledCommand,
            _ => Eviction::Other,
        }),
        Variant::UpdateRandomSeed(_) => return None,
    })
}

pub(crate) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What switches of a run go by. Whose it is is looked for only where that matters.
pub(crate) fn beginning(start: &InitializeWorkflow, switches: &Switchboard) -> Beginning {
    let memo = start.memo.as_ref().map(|memo| &memo.fields);
    let attributes = start.search_attributes.as_ref();
    let attributes = attributes.map(|attributes| &attributes.indexed_fields);
    let policy = switches.configured_policy();
    let tenant = (switches.names_tenants())
        .then(|| identity("tenant_id", memo, attributes, policy))
        .flatten();
    Beginning {
        workflow_type: start.workflow_type.clone(),
        tenant: tenant.map(|tenant| tenant.hash),
        at: start.start_time.map_or(0, |t| micros(t.seconds, t.nanos)),
    }
}

/// What a run's first event says of it.
pub(crate) fn run_start(start: &InitializeWorkflow, key: RunKey, policy: &Policy) -> RunStart {
    let memo = start.memo.as_ref().map(|memo| &memo.fields);
    let attributes = start
        .search_attributes
        .as_ref()
        .map(|attributes| &attributes.indexed_fields);
    let identity = |name: &str| identity(name, memo, attributes, policy);
    let trigger = trigger(start, &key.run_id);
    let caller = tracer_data::read(&start.headers);
    let (trace, parent_sampled) = called(&start.headers, &caller, trigger);
    RunStart {
        workflow_type: start.workflow_type.clone(),
        task_queue: String::new(),
        started_at: start.start_time.map(|t| micros(t.seconds, t.nanos)),
        input: redact(&start.arguments, Content::Plain, policy),
        attempt: start.attempt.max(1).cast_unsigned(),
        max_attempts: start
            .retry_policy
            .as_ref()
            .and_then(|retry| u32::try_from(retry.maximum_attempts).ok())
            .filter(|attempts| *attempts > 0),
        first_execution_run_id: filled(&start.first_execution_run_id),
        continued_from_run_id: filled(&start.continued_from_execution_run_id),
        parent: start
            .parent_workflow_info
            .as_ref()
            .map(|parent| RunKey::new(&parent.namespace, &parent.workflow_id, &parent.run_id)),
        root: start
            .root_workflow
            .as_ref()
            .map(|root| (root.workflow_id.clone(), root.run_id.clone())),
        trigger,
        build_id: None,
        user: identity("user_id"),
        tenant: identity("tenant_id"),
        source: Source::History,
        parent_sampled,
        trace,
        trace_per_chain: false,
        malformed_header: caller.is_err(),
        key,
    }
}

/// Where a caller puts a run among traces, and what it says of sampling.
pub(super) fn called(
    headers: &HashMap<String, Payload>,
    caller: &Result<Option<SpanContext>, tracer_data::Malformed>,
    trigger: &str,
) -> (Option<RunTrace>, Option<bool>) {
    let caller = caller.as_ref().ok().and_then(Option::as_ref);
    let trace = RunTrace::of_caller(caller, trigger);
    let header = StepHeader::read(headers).and_then(|header| header.sampled);
    let sampled = trace.as_ref().is_some_and(|trace| trace.sampled);
    let said = header.or(sampled.then_some(true));
    (trace, said)
}

/// What started the run.
pub(super) fn trigger(start: &InitializeWorkflow, run_id: &str) -> &'static str {
    let attributes = start.search_attributes.as_ref();
    let attributes = attributes.map(|attributes| &attributes.indexed_fields);
    let scheduled = attributes.is_some_and(|fields| fields.contains_key("TemporalScheduledById"));
    let original = &start.original_execution_run_id;
    match start.continued_initiator() {
        ContinueAsNewInitiator::Workflow => "continue_as_new",
        ContinueAsNewInitiator::Retry => "retry",
        ContinueAsNewInitiator::CronSchedule => "cron",
        ContinueAsNewInitiator::Unspecified if !original.is_empty() && original != run_id => {
            "reset"
        }
        ContinueAsNewInitiator::Unspecified if start.parent_workflow_info.is_some() => "parent",
        ContinueAsNewInitiator::Unspecified if scheduled => "schedule",
        ContinueAsNewInitiator::Unspecified if !start.cron_schedule.is_empty() => "cron",
        ContinueAsNewInitiator::Unspecified => "client",
    }
}

/// Whose run it is: from the memo, else from a search attribute.
fn identity(
    name: &str,
    memo: Option<&HashMap<String, Payload>>,
    attributes: Option<&HashMap<String, Payload>>,
    policy: &Policy,
) -> Option<Identity> {
    [(2, memo), (1, attributes)]
        .into_iter()
        .find_map(|(rank, fields)| {
            let hash = payload::identity(fields?, name, policy)?;
            Some(Identity { rank, hash })
        })
}

fn activity(resolution: Option<&ActivityResolution>, policy: &Policy) -> Outcome {
    use activity_resolution::Status as Resolved;
    match resolution.and_then(|resolution| resolution.status.as_ref()) {
        Some(Resolved::Completed(done)) => {
            Outcome::Completed(redact_one(done.result.as_ref(), policy))
        }
        Some(Resolved::Failed(failed)) => Outcome::Failed(failed.failure.as_ref().map_or_else(
            || named(Status::Failed, "ActivityFailure"),
            |f| failure(f, policy),
        )),
        Some(Resolved::Cancelled(canceled)) => {
            Outcome::Failed(canceled.failure.as_ref().map_or_else(
                || named(Status::Canceled, "CanceledFailure"),
                |f| failure(f, policy),
            ))
        }
        Some(Resolved::Backoff(backoff)) => Outcome::Backoff {
            duration_ms: backoff
                .backoff_duration
                .map_or(0, |d| millis(d.seconds, d.nanos)),
            original_schedule_time: backoff
                .original_schedule_time
                .map(|t| micros(t.seconds, t.nanos)),
        },
        None => Outcome::Failed(named(Status::Failed, "ActivityFailure")),
    }
}

fn child_start(start: &ResolveChildWorkflowExecutionStart, policy: &Policy) -> Option<Job> {
    use resolve_child_workflow_execution_start::Status as Started;
    let seq = start.seq;
    Some(match start.status.as_ref()? {
        Started::Succeeded(started) => Job::ChildStarted {
            seq,
            run_id: started.run_id.clone(),
        },
        Started::Failed(failed) => Job::ChildNotStarted {
            seq,
            failure: named(Status::Failed, child_cause(failed.cause().as_str_name())),
        },
        Started::Cancelled(canceled) => Job::ChildNotStarted {
            seq,
            failure: canceled.failure.as_ref().map_or_else(
                || named(Status::Canceled, "CanceledFailure"),
                |f| failure(f, policy),
            ),
        },
    })
}

/// `WORKFLOW_ALREADY_EXISTS` and the like, without the enum's prefix.
pub(crate) fn child_cause(name: &str) -> &str {
    name.strip_prefix("START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_")
        .unwrap_or(name)
}

fn child(result: Option<&ChildWorkflowResult>, policy: &Policy) -> Outcome {
    use child_workflow_result::Status as Resolved;
    match result.and_then(|result| result.status.as_ref()) {
        Some(Resolved::Completed(done)) => {
            Outcome::Completed(redact_one(done.result.as_ref(), policy))
        }
        Some(Resolved::Failed(failed)) => Outcome::Failed(failed.failure.as_ref().map_or_else(
            || named(Status::Failed, "ChildWorkflowExecutionFailure"),
            |f| failure(f, policy),
        )),
        Some(Resolved::Cancelled(canceled)) => {
            Outcome::Failed(canceled.failure.as_ref().map_or_else(
                || named(Status::Canceled, "CanceledFailure"),
                |f| failure(f, policy),
            ))
        }
        None => Outcome::Failed(named(Status::Failed, "ChildWorkflowExecutionFailure")),
    }
}

fn nexus(result: Option<&NexusOperationResult>, policy: &Policy) -> Outcome {
    use nexus_operation_result::Status as Resolved;
    match result.and_then(|result| result.status.as_ref()) {
        Some(Resolved::Completed(payload)) => Outcome::Completed(redact_one(Some(payload), policy)),
        Some(Resolved::Failed(f) | Resolved::Cancelled(f) | Resolved::TimedOut(f)) => {
            Outcome::Failed(failure(f, policy))
        }
        None => Outcome::Failed(named(Status::Failed, "NexusOperationFailure")),
    }
}
