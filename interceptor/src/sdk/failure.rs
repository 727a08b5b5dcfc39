//! A Temporal failure as a status, a type and a scrubbed message.
//!
//! Invariant: wrappers that have a cause are taken off, and nothing deeper.

use omnitrace_store::row::Status;
use temporalio_common::protos::temporal::api::{
    enums::v1::TimeoutType,
    failure::v1::{Failure as Proto, failure::FailureInfo},
};

use crate::observe::Failure;
use crate::policy::Policy;

/// Reads a failure whose `encoded_attributes` the codec has decoded.
pub(crate) fn failure(proto: &Proto, policy: &Policy) -> Failure {
    let mut proto = proto;
    let mut in_child = false;
    while let (
        Some(
            wrapper @ (FailureInfo::ActivityFailureInfo(_)
            | FailureInfo::ChildWorkflowExecutionFailureInfo(_)
            | FailureInfo::NexusOperationExecutionFailureInfo(_)),
        ),
        Some(cause),
    ) = (&proto.failure_info, &proto.cause)
    {
        in_child |= matches!(wrapper, FailureInfo::ChildWorkflowExecutionFailureInfo(_));
        proto = cause;
    }
    let (status, error_type) = kind(proto);
    let (message, stack) = text(proto);
    // Of a child that timed out, was terminated or canceled, core makes up the text.
    let made_up = in_child && status != Status::Failed;
    Failure {
        status,
        error_type: policy.error_type(&error_type),
        message: (!made_up && !message.is_empty()).then(|| policy.error_message(&message)),
        stack: (!made_up && !stack.is_empty()).then(|| policy.stack(&stack)),
    }
}

/// The failure of something of which only the fact is known.
pub(crate) fn named(status: Status, error_type: &str) -> Failure {
    Failure {
        status,
        error_type: error_type.to_owned(),
        message: None,
        stack: None,
    }
}

fn kind(proto: &Proto) -> (Status, String) {
    let named = |name: &str| name.to_owned();
    match &proto.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) if info.r#type.is_empty() => {
            (Status::Failed, named("ApplicationFailure"))
        }
        Some(FailureInfo::ApplicationFailureInfo(info)) => (Status::Failed, info.r#type.clone()),
        Some(FailureInfo::TimeoutFailureInfo(info)) => {
            let kind = match info.timeout_type() {
                TimeoutType::StartToClose => "StartToClose",
                TimeoutType::ScheduleToStart => "ScheduleToStart",
                TimeoutType::ScheduleToClose => "ScheduleToClose",
                TimeoutType::Heartbeat => "Heartbeat",
                TimeoutType::Unspecified => "Unspecified",
            };
            (Status::TimedOut, format!("TimeoutFailure.{kind}"))
        }
        Some(FailureInfo::CanceledFailureInfo(_)) => (Status::Canceled, named("CanceledFailure")),
        Some(FailureInfo::TerminatedFailureInfo(_)) => {
            (Status::Terminated, named("TerminatedFailure"))
        }
        Some(FailureInfo::ServerFailureInfo(_)) => (Status::Failed, named("ServerFailure")),
        Some(FailureInfo::ResetWorkflowFailureInfo(_)) => {
            (Status::Failed, named("ResetWorkflowFailure"))
        }
        Some(FailureInfo::ActivityFailureInfo(_)) => (Status::Failed, named("ActivityFailure")),
        Some(FailureInfo::ChildWorkflowExecutionFailureInfo(_)) => {
            (Status::Failed, named("ChildWorkflowExecutionFailure"))
        }
        Some(FailureInfo::NexusOperationExecutionFailureInfo(_)) => {
            (Status::Failed, named("NexusOperationFailure"))
        }
        Some(FailureInfo::NexusHandlerFailureInfo(_)) => {
            (Status::Failed, named("NexusHandlerFailure"))
        }
        None => (Status::Failed, named("Failure")),
    }
}

/// Message and stack, which a failure converter may have put into `encoded_attributes`.
fn text(proto: &Proto) -> (String, String) {
    #[derive(serde::Deserialize)]
    struct Encoded {
        #[serde(default)]
        message: String,
        #[serde(default)]
        stack_trace: String,
    }
    proto
        .encoded_attributes
        .as_ref()
        .and_then(|payload| serde_json::from_slice::<Encoded>(&payload.data).ok())
        .map_or_else(
            || (proto.message.clone(), proto.stack_trace.clone()),
            |encoded| (encoded.message, encoded.stack_trace),
        )
}
