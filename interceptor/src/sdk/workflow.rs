//! What a workflow sends along with its calls: the headers `omnitrace` and `_tracer-data`. And whose code runs,
//! for its log lines.
//!
//! Invariant: a pure function of the run, because it runs again on replay; it changes no command
//! but for those headers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use omnitrace_store::ids;
use omnitrace_store::key::{EventKey, Step};
use omnitrace_store::row::RunKey;
use opentelemetry::trace::{SpanContext, TraceId, TraceState};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::workflow_interceptors::{
    CancellableWorkflowOutboundFuture, ContinueAsNewInput, ContinueAsNewResult,
    ExecuteWorkflowInput, ExecuteWorkflowResult, HandleSignalInput, HandleSignalResult,
    HandleUpdateInput, HandleUpdateResult, ScheduleActivityInput, ScheduleActivityResult,
    ScheduleLocalActivityInput, SignalWorkflowInput, SignalWorkflowResult, SignalWorkflowTarget,
    StartChildWorkflowInput, StartChildWorkflowResult, StartNexusOperationInput,
    StartNexusOperationResult, SyncWorkflowInterceptorContext, WorkflowInterceptor,
    WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowInterceptorFuture,
    WorkflowNext,
};
use temporalio_sdk::{
    ActivityCancellationType, ChildWorkflowCancellationType, WorkflowContextView,
};

use super::activation::{beginning, called, trigger};
use super::header::StepHeader;
use super::tracer_data;
use crate::current::CurrentRun;
use crate::propagation::{BAGGAGE, context, continued, inject, passed_on};
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
    /// Its context has the caller's tracestate, for those that the run calls.
    run: Arc<CurrentRun>,
    trace_per_chain: bool,
    baggage: Option<String>,
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
            trace_per_chain: switches.trace_per_chain(),
        };
        let caller = tracer_data::read(&raw.headers);
        let (trace, parent_sampled) = called(&raw.headers, &caller, trigger);
        let trace_state = match (&trace, &caller) {
            (Some(_), Ok(Some(caller))) => passed_on(caller),
            _ => TraceState::default(),
        };
        let trace_id = trace.map_or_else(|| lineage.trace_id(), |trace| trace.trace_id);
        let began = (!switches.is_untouched()).then(|| beginning(raw, switches));
        let of = began.clone().unwrap_or_default();
        let sampled = (switches.decide(&trace_id, parent_sampled, &of).why()).is_some();
        let trace_id = TraceId::from_hex(&trace_id).unwrap_or(TraceId::INVALID);
        let span_id = ids::span_id(&run, "");
        Self {
            began,
            trace_per_chain: lineage.trace_per_chain,
            baggage: tracer_data::baggage(&raw.headers, switches.baggage()),
            run: Arc::new(CurrentRun {
                key: run,
                context: context(trace_id, &span_id, sampled, trace_state),
            }),
            activity_uses: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    fn header(&self, cancellation_type: &'static str) -> StepHeader {
        StepHeader {
            sampled: Some(self.run.context.is_sampled()),
            nth_use: None,
            cancellation_type: Some(cancellation_type.into()),
            schedule_to_close_ms: None,
            tenant: self.began.as_ref().and_then(|began| began.tenant.clone()),
            began: self.began.as_ref().map(|began| began.at),
        }
    }

    /// The context of the span of the event with this key.
    fn context(&self, event_key: &str) -> SpanContext {
        let span_id = ids::span_id(&self.run.key, event_key);
        let of = &self.run.context;
        let state = of.trace_state().clone();
        context(of.trace_id(), &span_id, of.is_sampled(), state)
    }

    /// That of the run's own span.
    fn own_context(&self) -> SpanContext {
        self.run.context.clone()
    }

    /// Its code runs as that of the run.
    fn scope<'a, F: Future + 'a>(&self, code: F) -> WorkflowInterceptorFuture<'a, F::Output> {
        WorkflowInterceptorFuture::new(CurrentRun::scope(self.run.clone(), code))
    }

    fn write(&self, context: &SpanContext, headers: &mut HashMap<String, Payload>) {
        tracer_data::write(context, self.baggage.clone(), headers);
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
        schedule_to_close: Option<Duration>,
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
        let context = key.map_or_else(|| self.own_context(), |key| self.context(&key));
        self.write(&context, headers);
        let header = StepHeader {
            nth_use,
            schedule_to_close_ms: schedule_to_close
                .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
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
    fn execute<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: ExecuteWorkflowInput,
        next: WorkflowNext<
            'a,
            ExecuteWorkflowInput,
            WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
        self.scope(next.run(input))
    }

    fn handle_signal<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: HandleSignalInput,
        next: WorkflowNext<
            'a,
            HandleSignalInput,
            WorkflowInterceptorFuture<'a, HandleSignalResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, HandleSignalResult> {
        self.scope(next.run(input))
    }

    fn handle_update<'a>(
        &'a self,
        _ctx: WorkflowInterceptorContext,
        input: HandleUpdateInput,
        next: WorkflowNext<
            'a,
            HandleUpdateInput,
            WorkflowInterceptorFuture<'a, HandleUpdateResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, HandleUpdateResult> {
        self.scope(next.run(input))
    }

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
        let (id, cancellation) = (options.activity_id.clone(), options.cancellation_type);
        let limit = options.close_timeouts.schedule_to_close();
        let name = input.activity_type().to_owned();
        let headers = input.headers_mut();
        self.activity(id.as_deref(), &name, cancellation, limit, headers);
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
        let (id, cancellation) = (options.activity_id.clone(), options.cancel_type);
        let limit = options.schedule_to_close_timeout;
        let name = input.activity_type().to_owned();
        let headers = input.headers_mut();
        self.activity(id.as_deref(), &name, cancellation, limit, headers);
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
            true => self.own_context(),
            false => self.counted("child_workflow", id, input.workflow_type()),
        };
        self.write(&context, input.headers_mut());
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
            _ => self.own_context(),
        };
        self.write(&context, input.headers_mut());
        next.run(input)
    }

    fn continue_as_new(
        &self,
        _ctx: SyncWorkflowInterceptorContext,
        mut input: ContinueAsNewInput,
        next: WorkflowNext<'static, ContinueAsNewInput, ContinueAsNewResult>,
    ) -> ContinueAsNewResult {
        let context = continued(&self.run.key, self.own_context(), self.trace_per_chain);
        self.write(&context, input.headers_mut());
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
                    .chain((self.baggage.clone()).map(|baggage| (BAGGAGE.to_owned(), baggage)))
                    .filter(|(_, text)| !text.is_empty()),
            );
        }
        next.run(input)
    }
}
