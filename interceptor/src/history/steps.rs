//! What a history says that its workflow commanded, step by step.
//!
//! Invariant: commands alone, in the order of their events; what reached the workflow is left out.

use omnitrace_store::row::Status;
use temporalio_common::protos::temporal::api::{
    common::v1::{Header, Payload, Payloads, WorkflowExecution},
    history::v1::{HistoryEvent, history_event::Attributes},
};

use super::marker::{self, Marker};
use crate::replay::{Argument, Step, number};
use crate::sdk::header::StepHeader;
use crate::sdk::payload::millis;

/// Set by the server's workers beside a patch.
const CHANGE_VERSION: &str = "TemporalChangeVersion";

/// The steps of a history, its payloads decoded. A patch that may be taken out of the code again is none.
pub(crate) fn steps(events: &[HistoryEvent]) -> Vec<Step> {
    let mut steps: Vec<Step> = (events.iter())
        .filter_map(|event| {
            let step = step(event.attributes.as_ref()?)?;
            let event_id = event.event_id;
            Some(Step { event_id, ..step })
        })
        .collect();
    number(&mut steps);
    steps
}

fn step(attributes: &Attributes) -> Option<Step> {
    use Attributes as E;
    let closing = |status: Status| Step::new("run", "", status.as_str());
    Some(match attributes {
        E::ActivityTaskScheduledEventAttributes(a) => Step {
            input: arguments(a.input.as_ref()),
            nth_use: nth_use(a.header.as_ref()),
            ..Step::new(
                "activity",
                &a.activity_id,
                type_name(a.activity_type.as_ref().map(|t| &t.name)),
            )
        },
        E::TimerStartedEventAttributes(a) => Step {
            lasts_ms: (a.start_to_fire_timeout.as_ref()).map(|d| millis(d.seconds, d.nanos)),
            ..Step::new("timer", &a.timer_id, "timer")
        },
        E::MarkerRecordedEventAttributes(a) => match marker::read(a) {
            Marker::LocalActivity(local) => Step {
                local: true,
                input: arguments(a.details.get("input")),
                ..Step::new("activity", local.activity_id, local.activity_type)
            },
            Marker::Patch(_) if marker::is_deprecated(a) => return None,
            Marker::Patch(id) => Step::new("patch", id, "patch"),
            Marker::Other => return None,
        },
        E::StartChildWorkflowExecutionInitiatedEventAttributes(a) => Step {
            input: arguments(a.input.as_ref()),
            ..Step::new(
                "child_workflow",
                &a.workflow_id,
                type_name(a.workflow_type.as_ref().map(|t| &t.name)),
            )
        },
        E::SignalExternalWorkflowExecutionInitiatedEventAttributes(a) => Step {
            input: arguments(a.input.as_ref()),
            ..Step::new(
                "signal_external",
                workflow_id(a.workflow_execution.as_ref()),
                &a.signal_name,
            )
        },
        E::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(a)
            if !a.child_workflow_only =>
        {
            let target = workflow_id(a.workflow_execution.as_ref());
            Step::new("cancel_external", target, "cancel")
        }
        E::NexusOperationScheduledEventAttributes(a) => Step {
            input: a.input.iter().map(argument).collect(),
            ..Step::new(
                "nexus_operation",
                format!("{}/{}", a.endpoint, a.service),
                &a.operation,
            )
        },
        E::UpsertWorkflowSearchAttributesEventAttributes(a) => {
            let fields = a.search_attributes.as_ref();
            let fields = fields.map(|attributes| &attributes.indexed_fields);
            if fields.is_some_and(|f| f.len() == 1 && f.contains_key(CHANGE_VERSION)) {
                return None;
            }
            Step::new("search_attributes", "", "")
        }
        E::WorkflowPropertiesModifiedEventAttributes(_) => Step::new("memo", "", ""),
        E::WorkflowExecutionCompletedEventAttributes(a) => Step {
            input: arguments(a.result.as_ref()),
            ..closing(Status::Completed)
        },
        E::WorkflowExecutionFailedEventAttributes(_) => closing(Status::Failed),
        E::WorkflowExecutionCanceledEventAttributes(_) => closing(Status::Canceled),
        E::WorkflowExecutionContinuedAsNewEventAttributes(_) => closing(Status::ContinuedAsNew),
        _ => return None,
    })
}

fn type_name(name: Option<&String>) -> &str {
    name.map_or("", String::as_str)
}

fn workflow_id(execution: Option<&WorkflowExecution>) -> &str {
    execution.map_or("", |execution| &execution.workflow_id)
}

fn nth_use(header: Option<&Header>) -> Option<u32> {
    StepHeader::read(&header?.fields)?.nth_use
}

fn arguments(payloads: Option<&Payloads>) -> Vec<Argument> {
    let payloads = payloads.map(|payloads| payloads.payloads.as_slice());
    payloads.unwrap_or_default().iter().map(argument).collect()
}

/// A payload to be compared.
pub(crate) fn argument(payload: &Payload) -> Argument {
    match serde_json::from_slice(&payload.data) {
        Ok(value) => Argument::Json(value),
        Err(_) => Argument::Bytes(payload.data.clone()),
    }
}
