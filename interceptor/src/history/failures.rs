//! Failures that core makes up of events that hold none.
//!
//! Invariant: in type and text as core's, so that import and worker agree.

use omnitrace_store::row::Status;
use temporalio_common::protos::temporal::api::{
    enums::v1::{
        CancelExternalWorkflowExecutionFailedCause as CancelCause,
        SignalExternalWorkflowExecutionFailedCause as SignalCause,
    },
    failure::v1::Failure as Proto,
};

use crate::observe::Failure;
use crate::policy::Policy;
use crate::sdk::failure::{failure, named};

pub(super) fn canceled() -> Failure {
    named(Status::Canceled, "CanceledFailure")
}

pub(super) fn terminated() -> Failure {
    named(Status::Terminated, "TerminatedFailure")
}

/// Of a run, whose own timeouts are all of this kind.
pub(super) fn timed_out() -> Failure {
    named(Status::TimedOut, "TimeoutFailure.StartToClose")
}

/// A failure that an event holds, or else the name of its wrapper.
pub(super) fn held(proto: Option<&Proto>, wrapper: &str, policy: &Policy) -> Failure {
    proto.map_or_else(
        || named(Status::Failed, wrapper),
        |proto| failure(proto, policy),
    )
}

pub(super) fn not_signaled(cause: SignalCause) -> Failure {
    let reason = match cause {
        SignalCause::Unspecified => "unknown",
        SignalCause::ExternalWorkflowExecutionNotFound | SignalCause::NamespaceNotFound => {
            "it was not found"
        }
        SignalCause::SignalCountLimitExceeded => "The per-workflow signal limit was exceeded",
    };
    Failure {
        message: Some(format!(
            "Unable to signal external workflow because {reason}"
        )),
        ..named(Status::Failed, &cause.to_string())
    }
}

pub(super) fn not_canceled(cause: CancelCause) -> Failure {
    let reason = match cause {
        CancelCause::Unspecified => "unknown",
        CancelCause::ExternalWorkflowExecutionNotFound | CancelCause::NamespaceNotFound => {
            "not found"
        }
    };
    Failure {
        message: Some(format!(
            "Unable to cancel external workflow because {reason}"
        )),
        ..named(Status::Failed, &cause.to_string())
    }
}
