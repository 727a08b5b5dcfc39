//! A workflow's answer to an activation, as an observation.

use omnitrace_store::row::Status;
use temporalio_common::protos::coresdk::{
    workflow_commands::{
        ScheduleActivity as ScheduleRemote, ScheduleLocalActivity, UpdateResponse,
        signal_external_workflow_execution::Target, update_response::Response,
        workflow_command::Variant,
    },
    workflow_completion::{WorkflowActivationCompletion, workflow_activation_completion},
};

use super::failure::failure;
use super::header::StepHeader;
use super::payload::{micros, millis, redact, redact_one};
use crate::observe::{Command, Completion, LocalActivity, ScheduleActivity};
use crate::policy::{Content, Policy};

pub(super) fn observe(message: &WorkflowActivationCompletion, policy: &Policy) -> Completion {
    use workflow_activation_completion::Status;
    Completion {
        run_id: message.run_id.clone(),
        commands: match &message.status {
            Some(Status::Successful(success)) => Some(
                success
                    .commands
                    .iter()
                    .filter_map(|command| command.variant.as_ref())
                    .filter_map(|command| observe_command(command, policy))
                    .collect(),
            ),
            Some(Status::Failed(_)) | None => None,
        },
    }
}

fn observe_command(command: &Variant, policy: &Policy) -> Option<Command> {
    Some(match command {
        Variant::StartTimer(timer) => Command::StartTimer {
            seq: timer.seq,
            // As core calls it.
            timer_id: timer.seq.to_string(),
            duration_ms: timer
                .start_to_fire_timeout
                .map_or(0, |d| millis(d.seconds, d.nanos)),
        },
        Variant::CancelTimer(timer) => Command::CancelTimer { seq: timer.seq },
        Variant::ScheduleActivity(activity) => {
            Command::ScheduleActivity(Box::new(remote(activity, policy)))
        }
        Variant::ScheduleLocalActivity(activity) => {
            Command::ScheduleActivity(Box::new(local(activity, policy)))
        }
        Variant::RequestCancelActivity(cancel) => Command::CancelActivity { seq: cancel.seq },
        Variant::RequestCancelLocalActivity(cancel) => Command::CancelActivity { seq: cancel.seq },
        Variant::StartChildWorkflowExecution(child) => Command::StartChild {
            seq: child.seq,
            namespace: child.namespace.clone(),
            workflow_id: child.workflow_id.clone(),
            workflow_type: child.workflow_type.clone(),
            input: redact(&child.input, Content::Plain, policy),
        },
        Variant::CancelChildWorkflowExecution(cancel) => Command::CancelChild {
            seq: cancel.child_workflow_seq,
        },
        Variant::SignalExternalWorkflowExecution(signal) => Command::SignalExternal {
            seq: signal.seq,
            workflow_id: match signal.target.as_ref()? {
                Target::WorkflowExecution(execution) => execution.workflow_id.clone(),
                Target::ChildWorkflowId(workflow_id) => workflow_id.clone(),
            },
            name: signal.signal_name.clone(),
            input: redact(&signal.args, Content::Plain, policy),
        },
        Variant::CancelSignalWorkflow(cancel) => Command::CancelSignal { seq: cancel.seq },
        Variant::RequestCancelExternalWorkflowExecution(cancel) => Command::CancelExternal {
            seq: cancel.seq,
            workflow_id: cancel.workflow_execution.as_ref()?.workflow_id.clone(),
        },
        Variant::SetPatchMarker(patch) => Command::SetPatch {
            id: patch.patch_id.clone(),
        },
        Variant::UpdateResponse(response) => update(response, policy)?,
        Variant::ScheduleNexusOperation(operation) => Command::ScheduleNexus {
            seq: operation.seq,
            endpoint: operation.endpoint.clone(),
            service: operation.service.clone(),
            operation: operation.operation.clone(),
            input: redact(operation.input.as_slice(), Content::Plain, policy),
        },
        Variant::RequestCancelNexusOperation(cancel) => Command::CancelNexus { seq: cancel.seq },
        Variant::CompleteWorkflowExecution(done) => Command::Close {
            status: Status::Completed,
            output: redact_one(done.result.as_ref(), policy),
            failure: None,
        },
        Variant::FailWorkflowExecution(failed) => Command::Close {
            status: Status::Failed,
            output: None,
            failure: failed.failure.as_ref().map(|f| failure(f, policy)),
        },
        Variant::CancelWorkflowExecution(canceled) => Command::Close {
            status: Status::Canceled,
            output: canceled
                .details
                .as_ref()
                .map(|details| redact(&details.payloads, Content::Plain, policy)),
            failure: None,
        },
        Variant::ContinueAsNewWorkflowExecution(next) => Command::Close {
            status: Status::ContinuedAsNew,
            output: Some(redact(&next.arguments, Content::Plain, policy)),
            failure: None,
        },
        Variant::RespondToQuery(_)
        | Variant::UpsertWorkflowSearchAttributes(_)
        | Variant::ModifyWorkflowProperties(_) => return None,
    })
}

fn remote(activity: &ScheduleRemote, policy: &Policy) -> ScheduleActivity {
    ScheduleActivity {
        seq: activity.seq,
        activity_id: activity_id(&activity.activity_id, activity.seq),
        activity_type: activity.activity_type.clone(),
        task_queue: (!activity.task_queue.is_empty()).then(|| activity.task_queue.clone()),
        input: redact(
            &activity.arguments,
            policy.content(&activity.activity_type),
            policy,
        ),
        nth_use: StepHeader::read(&activity.headers).and_then(|header| header.nth_use),
        local: None,
    }
}

fn local(activity: &ScheduleLocalActivity, policy: &Policy) -> ScheduleActivity {
    ScheduleActivity {
        seq: activity.seq,
        activity_id: activity_id(&activity.activity_id, activity.seq),
        activity_type: activity.activity_type.clone(),
        task_queue: None,
        input: redact(
            &activity.arguments,
            policy.content(&activity.activity_type),
            policy,
        ),
        nth_use: StepHeader::read(&activity.headers).and_then(|header| header.nth_use),
        local: Some(LocalActivity {
            attempt: activity.attempt,
            original_schedule_time: activity
                .original_schedule_time
                .map(|t| micros(t.seconds, t.nanos)),
        }),
    }
}

/// Core takes the sequence number where the user sets no id.
pub(super) fn activity_id(id: &str, seq: u32) -> String {
    if id.is_empty() {
        seq.to_string()
    } else {
        id.to_owned()
    }
}

fn update(response: &UpdateResponse, policy: &Policy) -> Option<Command> {
    let protocol_id = response.protocol_instance_id.clone();
    Some(match response.response.as_ref()? {
        Response::Accepted(()) => Command::UpdateAccepted { protocol_id },
        Response::Rejected(rejected) => Command::UpdateRejected {
            protocol_id,
            failure: failure(rejected, policy),
        },
        Response::Completed(output) => Command::UpdateCompleted {
            protocol_id,
            output: redact_one(Some(output), policy).unwrap_or_default(),
        },
    })
}
