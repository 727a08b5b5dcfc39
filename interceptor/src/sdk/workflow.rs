//! What a workflow sends along with its calls: the `omnitrace` header.
//!
//! Invariant: a pure function of the run, because it runs again on replay; it changes no command
//! but for that header.

use std::cell::RefCell;
use std::collections::HashMap;

use omnitrace_store::row::RunKey;
use temporalio_sdk::workflow_interceptors::{
    CancellableWorkflowOutboundFuture, ScheduleActivityInput, ScheduleActivityResult,
    ScheduleLocalActivityInput, StartChildWorkflowInput, StartChildWorkflowResult,
    WorkflowInterceptor, WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowNext,
};
use temporalio_sdk::{
    ActivityCancellationType, ChildWorkflowCancellationType, WorkflowContextView,
};

use super::activation::trigger;
use super::header::StepHeader;
use crate::sampling::{Lineage, Sampling};

/// Writes the header for every run of a worker. A replayer makes ids up; there it is told the run.
pub(crate) fn constructor(
    sampling: Sampling,
    fixed_run: Option<RunKey>,
) -> WorkflowInterceptorConstructor {
    WorkflowInterceptorConstructor::new(move |view: &WorkflowContextView| HeaderWriter {
        sampled: is_sampled(view, sampling, fixed_run.as_ref()),
        activity_uses: RefCell::default(),
    })
}

fn is_sampled(view: &WorkflowContextView, sampling: Sampling, fixed_run: Option<&RunKey>) -> bool {
    let raw = view.raw();
    let lineage = Lineage {
        namespace: fixed_run.map_or(view.namespace(), |run| &run.namespace),
        workflow_id: fixed_run.map_or(view.workflow_id(), |run| &run.workflow_id),
        run_id: fixed_run.map_or(view.run_id(), |run| &run.run_id),
        first_execution_run_id: Some(view.first_execution_run_id()).filter(|id| !id.is_empty()),
        continued_from_run_id: view.continued_from_run_id(),
        trigger: trigger(raw, fixed_run.map_or(view.run_id(), |run| &run.run_id)),
    };
    let parent_sampled = StepHeader::read(&raw.headers).and_then(|header| header.sampled);
    sampling
        .decide(&lineage.trace_id(), parent_sampled)
        .is_some()
}

#[derive(Debug)]
struct HeaderWriter {
    sampled: bool,
    /// Uses of each activity id that the user set. Ids that core makes up are never used twice.
    activity_uses: RefCell<HashMap<String, u32>>,
}

impl HeaderWriter {
    fn header(&self, cancellation_type: &'static str) -> StepHeader {
        StepHeader {
            sampled: Some(self.sampled),
            nth_use: None,
            cancellation_type: Some(cancellation_type.into()),
        }
    }

    fn activity(&self, id: Option<&String>, cancellation: ActivityCancellationType) -> StepHeader {
        let nth_use = id.map(|id| {
            let mut uses = self.activity_uses.borrow_mut();
            let uses = uses.entry(id.clone()).or_default();
            *uses += 1;
            *uses
        });
        StepHeader {
            nth_use,
            ..self.header(match cancellation {
                ActivityCancellationType::WaitCancellationCompleted => {
                    "wait_cancellation_completed"
                }
                ActivityCancellationType::Abandon => "abandon",
                _ => "try_cancel",
            })
        }
    }
}

impl WorkflowInterceptor for HeaderWriter {
    fn schedule_activity(
        &self,
        _ctx: WorkflowInterceptorContext,
        mut input: ScheduleActivityInput,
        next: WorkflowNext<
            'static,
            ScheduleActivityInput,
            CancellableWorkflowOutboundFuture<ScheduleActivityResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<ScheduleActivityResult> {
        let options = input.options();
        self.activity(options.activity_id.as_ref(), options.cancellation_type)
            .write(input.headers_mut());
        next.run(input)
    }

    fn schedule_local_activity(
        &self,
        _ctx: WorkflowInterceptorContext,
        mut input: ScheduleLocalActivityInput,
        next: WorkflowNext<
            'static,
            ScheduleLocalActivityInput,
            CancellableWorkflowOutboundFuture<ScheduleActivityResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<ScheduleActivityResult> {
        let options = input.options();
        self.activity(options.activity_id.as_ref(), options.cancel_type)
            .write(input.headers_mut());
        next.run(input)
    }

    fn start_child_workflow(
        &self,
        _ctx: WorkflowInterceptorContext,
        mut input: StartChildWorkflowInput,
        next: WorkflowNext<
            'static,
            StartChildWorkflowInput,
            CancellableWorkflowOutboundFuture<StartChildWorkflowResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<StartChildWorkflowResult> {
        let cancellation = match input.options().cancel_type {
            ChildWorkflowCancellationType::TryCancel => "try_cancel",
            ChildWorkflowCancellationType::WaitCancellationCompleted => {
                "wait_cancellation_completed"
            }
            ChildWorkflowCancellationType::WaitCancellationRequested => {
                "wait_cancellation_requested"
            }
            _ => "abandon",
        };
        self.header(cancellation).write(input.headers_mut());
        next.run(input)
    }
}
