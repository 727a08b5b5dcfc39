//! What a workflow sends along with its calls: the headers `omnitrace` and `_tracer-data`.
//!
//! Invariant: a pure function of the run, because it runs again on replay; it changes no command
//! but for those headers.

use std::cell::RefCell;
use std::collections::HashMap;

use omnitrace_store::ids;
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::RunKey;
use opentelemetry::trace::{SpanContext, TraceId};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::workflow_interceptors::{
    CancellableWorkflowOutboundFuture, ContinueAsNewInput, ContinueAsNewResult,
    ScheduleActivityInput, ScheduleActivityResult, ScheduleLocalActivityInput, SignalWorkflowInput,
    SignalWorkflowResult, SignalWorkflowTarget, StartChildWorkflowInput, StartChildWorkflowResult,
    StartNexusOperationInput, StartNexusOperationResult, SyncWorkflowInterceptorContext,
    WorkflowInterceptor, WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowNext,
};
use temporalio_sdk::{
    ActivityCancellationType, ChildWorkflowCancellationType, WorkflowContextView,
};

use super::activation::{beginning, called, trigger};
use super::header::StepHeader;
use super::tracer_data;
use crate::propagation::{context, continued, inject};
use crate::sampling::Lineage;
use crate::switches::{Beginning, Switchboard};

/// Writes the headers for every run of a worker. A replayer makes ids up; there it is told the run.
pub(crate) fn constructor(
    switches: Switchboard,
    fixed_run: Option<RunKey>,
) -> WorkflowInterceptorConstructor {
    WorkflowInterceptorConstructor::new(move |view: &WorkflowContextView| {
        HeaderWriter::new(view, &switches, fixed_run.clone())
    })
}

#[derive(Debug)]
struct HeaderWriter {
    run: RunKey,
    trace_id: TraceId,
    sampled: bool,
    /// What switches go by; `None` where nothing was ever switched.
    began: Option<Beginning>,
    /// Uses of each activity id that the user set. Ids that core makes up are never used twice.
    activity_uses: RefCell<HashMap<String, u32>>,
    /// Calls by kind, step and name.
    calls: RefCell<HashMap<(&'static str, Step, String), u32>>,
}

impl HeaderWriter {
    fn new(view: &WorkflowContextView, switches: &Switchboard, fixed_run: Option<RunKey>) -> Self {
        let raw = view.raw();
        let run = fixed_run
            .unwrap_or_else(|| RunKey::new(view.namespace(), view.workflow_id(), view.run_id()));
        let trigger = trigger(raw, &run.run_id);
        let lineage = Lineage {
            namespace: &run.namespace,
            workflow_id: &run.workflow_id,
            run_id: &run.run_id,
            first_execution_run_id: Some(view.first_execution_run_id()).filter(|id| !id.is_empty()),
            continued_from_run_id: view.continued_from_run_id(),
            trigger,
        };
        let caller = tracer_data::read(&raw.headers);
        let (trace, parent_sampled) = called(&raw.headers, &caller, trigger);
        let trace_id = trace.map_or_else(|| lineage.trace_id(), |trace| trace.trace_id);
        let began = (!switches.is_untouched()).then(|| beginning(raw, switches));
        let of = began.clone().unwrap_or_default();
        Self {
            sampled: (switches.decide(&trace_id, parent_sampled, &of).why()).is_some(),
            began,
            trace_id: TraceId::from_hex(&trace_id).unwrap_or(TraceId::INVALID),
            run,
            activity_uses: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    fn header(&self, cancellation_type: &'static str) -> StepHeader {
        StepHeader {
            sampled: Some(self.sampled),
            nth_use: None,
            cancellation_type: Some(cancellation_type.into()),
            tenant: self.began.as_ref().and_then(|began| began.tenant.clone()),
            began: self.began.as_ref().map(|began| began.at),
        }
    }

    /// The context of the span with this key; the run's own has the empty one.
    fn context(&self, event_key: &str) -> SpanContext {
        let span_id = ids::span_id(&self.run, event_key);
        context(self.trace_id, &span_id, self.sampled)
    }

    /// The context of a step whose number counts what is alike. Its callee is told before the server
    /// accepts the command; of one that is cancelled at once there is no callee either.
    fn counted(&self, kind: &'static str, id: &str, name: &str) -> SpanContext {
        let step = Step::new(id);
        let mut calls = self.calls.borrow_mut();
        let calls = calls
            .entry((kind, step.clone(), name.to_owned()))
            .or_default();
        *calls += 1;
        self.context(&EventKey::new(kind, step, name, *calls).to_string())
    }

    fn activity(
        &self,
        id: Option<&str>,
        name: &str,
        cancellation: ActivityCancellationType,
        headers: &mut HashMap<String, Payload>,
    ) {
        let nth_use = id.map(|id| {
            let mut uses = self.activity_uses.borrow_mut();
            let uses = uses.entry(id.to_owned()).or_default();
            *uses += 1;
            *uses
        });
        // An id that core makes up is not known yet. Our own workers compute the step from it; others
        // lie under the run.
        let key = id.zip(nth_use).map(|(id, nth_use)| {
            EventKey::new("activity", Step::nth_use(id, nth_use), name, 0).to_string()
        });
        tracer_data::write(&self.context(&key.unwrap_or_default()), headers);
        let header = StepHeader {
            nth_use,
            ..self.header(match cancellation {
                ActivityCancellationType::WaitCancellationCompleted => {
                    "wait_cancellation_completed"
                }
                ActivityCancellationType::Abandon => "abandon",
                _ => "try_cancel",
            })
        };
        header.write(headers);
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
        let (id, cancellation) = (
            input.options().activity_id.clone(),
            input.options().cancellation_type,
        );
        let name = input.activity_type().to_owned();
        self.activity(id.as_deref(), &name, cancellation, input.headers_mut());
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
        let (id, cancellation) = (
            input.options().activity_id.clone(),
            input.options().cancel_type,
        );
        let name = input.activity_type().to_owned();
        self.activity(id.as_deref(), &name, cancellation, input.headers_mut());
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
        let id = input.options().workflow_id.as_deref().unwrap_or_default();
        // An id that the SDK makes up is not known yet.
        let context = match id.is_empty() {
            true => self.context(""),
            false => self.counted("child_workflow", id, input.workflow_type()),
        };
        tracer_data::write(&context, input.headers_mut());
        self.header(cancellation).write(input.headers_mut());
        next.run(input)
    }

    fn signal_workflow(
        &self,
        _ctx: WorkflowInterceptorContext,
        mut input: SignalWorkflowInput,
        next: WorkflowNext<
            'static,
            SignalWorkflowInput,
            CancellableWorkflowOutboundFuture<SignalWorkflowResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<SignalWorkflowResult> {
        let context = match input.target() {
            SignalWorkflowTarget::Child { workflow_id }
            | SignalWorkflowTarget::External { workflow_id, .. } => {
                self.counted("signal_external", workflow_id, input.signal_name())
            }
            _ => self.context(""),
        };
        tracer_data::write(&context, input.headers_mut());
        next.run(input)
    }

    fn continue_as_new(
        &self,
        _ctx: SyncWorkflowInterceptorContext,
        mut input: ContinueAsNewInput,
        next: WorkflowNext<'static, ContinueAsNewInput, ContinueAsNewResult>,
    ) -> ContinueAsNewResult {
        let context = continued(&self.run, self.trace_id, self.sampled);
        tracer_data::write(&context, input.headers_mut());
        next.run(input)
    }

    fn start_nexus_operation(
        &self,
        _ctx: WorkflowInterceptorContext,
        mut input: StartNexusOperationInput,
        next: WorkflowNext<
            'static,
            StartNexusOperationInput,
            CancellableWorkflowOutboundFuture<StartNexusOperationResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<StartNexusOperationResult> {
        let options = input.options();
        let step = format!("{}/{}", options.endpoint, options.service);
        let context = self.counted("nexus_operation", &step, &options.operation);
        // Here headers are a string map themselves.
        let headers = &mut input.options_mut().nexus_header;
        if !headers.contains_key("traceparent") {
            headers.extend(
                inject(&context)
                    .into_iter()
                    .filter(|(_, text)| !text.is_empty()),
            );
        }
        next.run(input)
    }
}
