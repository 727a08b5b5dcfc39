//! What a client's calls carry: the context that is current where they are made.
//!
//! Invariant: a call changes by the header `_tracer-data` alone, and only where a span is current. Of
//! baggage only what is allowed goes along.

use futures_util::future::BoxFuture;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use temporalio_client::errors::{
    WorkflowInteractionError, WorkflowQueryError, WorkflowStartError, WorkflowUpdateError,
    WorkflowUpdateWithStartError,
};
use temporalio_client::{
    ClientInterceptor, Next, QueryWorkflowInput, QueryWorkflowOutput, SignalWithStartWorkflowInput,
    SignalWorkflowInput, StartWorkflowInput, StartWorkflowOutput, StartWorkflowUpdateInput,
    StartWorkflowUpdateOutput, UpdateWithStartWorkflowInput, UpdateWithStartWorkflowOutput,
};
use temporalio_common::protos::temporal::api::common::v1::Header;

use super::tracer_data;
use crate::propagation::BaggageKeys;

/// Puts the current context into the headers of calls.
#[derive(Debug)]
pub(crate) struct ContextWriter {
    pub(crate) baggage: BaggageKeys,
}

impl ContextWriter {
    fn write(&self, header: &mut Option<Header>) {
        let current = Context::map_current(|context| context.span().span_context().clone());
        if current.is_valid() {
            let headers = &mut header.get_or_insert_default().fields;
            tracer_data::write(&current, self.baggage.current(), headers);
        }
    }
}

/// A method that puts the context into these headers and goes on.
macro_rules! carries {
    ($method:ident, $input:ty, $output:ty, $($header:ident),+) => {
        fn $method<'a>(
            &'a self,
            mut input: $input,
            next: Next<'a, $input, BoxFuture<'a, $output>>,
        ) -> BoxFuture<'a, $output> {
            $(self.write(&mut input.options.$header);)+
            next.run(input)
        }
    };
}

impl ClientInterceptor for ContextWriter {
    carries!(
        start_workflow,
        StartWorkflowInput,
        Result<StartWorkflowOutput, WorkflowStartError>,
        header
    );
    carries!(
        signal_with_start_workflow,
        SignalWithStartWorkflowInput,
        Result<StartWorkflowOutput, WorkflowStartError>,
        header
    );
    carries!(
        signal_workflow,
        SignalWorkflowInput,
        Result<(), WorkflowInteractionError>,
        header
    );
    carries!(
        query_workflow,
        QueryWorkflowInput,
        Result<QueryWorkflowOutput, WorkflowQueryError>,
        header
    );
    carries!(
        start_workflow_update,
        StartWorkflowUpdateInput,
        Result<StartWorkflowUpdateOutput, WorkflowUpdateError>,
        header
    );
    carries!(
        update_with_start_workflow,
        UpdateWithStartWorkflowInput,
        Result<UpdateWithStartWorkflowOutput, WorkflowUpdateWithStartError>,
        start_header,
        update_header
    );
}
