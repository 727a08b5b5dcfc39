//! The trace context that calls carry, and the trace of a run that follows from it.
//!
//! Invariant: pure. What comes from outside is read by OpenTelemetry's own propagator, and what that does
//! not take is as nothing.

use std::collections::HashMap;

use omnitrace_store::ids;
use omnitrace_store::row::RunKey;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// Our entry in a tracestate: the trace of the run that the new one continues.
const CONTINUED: &str = "omnitrace";

/// A string map, as headers hold it.
pub(crate) type Carrier = HashMap<String, String>;

/// The context in a carrier, if it is a valid one. Baggage and whatever else is there is left out.
pub(crate) fn extract(carrier: &Carrier) -> Option<SpanContext> {
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), carrier);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

/// A carrier of a context.
pub(crate) fn inject(context: &SpanContext) -> Carrier {
    let mut carrier = Carrier::new();
    let context = Context::new().with_remote_span_context(context.clone());
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier
}

/// A context as one text.
pub(crate) fn traceparent(context: &SpanContext) -> String {
    inject(context)
        .remove(omnitrace_store::row::TRACEPARENT)
        .unwrap_or_default()
}

/// The span in such a text.
pub(crate) fn parent_in(traceparent: &str) -> Option<SpanId> {
    let name = omnitrace_store::row::TRACEPARENT.to_owned();
    let context = extract(&Carrier::from([(name, traceparent.to_owned())]));
    context.map(|context| context.span_id())
}

/// Where a run stands among traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunTrace {
    pub(crate) trace_id: String,
    /// Span of the caller.
    pub(crate) parent: Option<String>,
    /// Whether the caller's own trace is sampled.
    pub(crate) sampled: bool,
}

impl RunTrace {
    /// By what the run's start carried. A run that continued as new begins a trace; a cron run does, and
    /// what it carries is a copy.
    pub(crate) fn of_caller(caller: Option<&SpanContext>, trigger: &str) -> Option<Self> {
        let caller = caller.filter(|_| trigger != "cron")?;
        let continues = caller.trace_state().get(CONTINUED).is_some();
        Some(Self {
            trace_id: caller.trace_id().to_string(),
            parent: (!continues).then(|| caller.span_id().to_string()),
            sampled: caller.is_sampled() && !continues,
        })
    }
}

/// The context of a span of a run, for those that it calls.
pub(crate) fn context(trace_id: TraceId, span_id: &str, sampled: bool) -> SpanContext {
    SpanContext::new(
        trace_id,
        SpanId::from_hex(span_id).unwrap_or(SpanId::INVALID),
        match sampled {
            true => TraceFlags::SAMPLED,
            false => TraceFlags::default(),
        },
        true,
        TraceState::default(),
    )
}

/// What a run that goes on as new tells the next: a trace made from its own run id, and where it comes
/// from.
pub(crate) fn continued(run: &RunKey, trace_id: TraceId, sampled: bool) -> SpanContext {
    let next = TraceId::from_hex(&ids::continued_trace_id(run)).unwrap_or(TraceId::INVALID);
    let own = context(next, &ids::span_id(run, ""), sampled);
    let state = TraceState::from_key_value([(CONTINUED, trace_id.to_string())]);
    SpanContext::new(
        own.trace_id(),
        own.span_id(),
        own.trace_flags(),
        true,
        // A key and a value that are allowed.
        state.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn carrier(traceparent: &str) -> Carrier {
        Carrier::from([("traceparent".to_owned(), traceparent.to_owned())])
    }

    #[test]
    fn what_is_injected_is_extracted() {
        let context = extract(&carrier(PARENT)).expect("valid");
        assert_eq!(inject(&context)["traceparent"], PARENT);
        assert!(context.is_sampled());
    }

    #[test]
    fn what_is_no_context_is_as_nothing() {
        let zero = "0".repeat(32);
        for wrong in [
            "",
            "00",
            "hello",
            &PARENT[..53],
            &PARENT.to_uppercase(),
            &format!("00-{zero}-00f067aa0ba902b7-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(extract(&carrier(wrong)), None, "{wrong}");
        }
        assert_eq!(extract(&Carrier::new()), None);
    }

    #[test]
    fn a_caller_is_the_parent_but_for_cron_and_what_continues() {
        let caller = extract(&carrier(PARENT));
        let called = RunTrace::of_caller(caller.as_ref(), "client").expect("called");
        assert_eq!(called.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(called.parent.as_deref(), Some("00f067aa0ba902b7"));
        assert!(called.sampled);
        assert_eq!(RunTrace::of_caller(caller.as_ref(), "cron"), None);
        assert_eq!(RunTrace::of_caller(None, "client"), None);

        let run = RunKey::new("default", "order-1", "run-1");
        let trace = caller.expect("valid").trace_id();
        let carried = extract(&inject(&continued(&run, trace, true)));
        for trigger in ["continue_as_new", "retry"] {
            let next = RunTrace::of_caller(carried.as_ref(), trigger).expect("told");
            assert_eq!(next.trace_id, ids::continued_trace_id(&run));
            assert_eq!(next.parent, None);
        }
    }

    proptest! {
        #[test]
        fn nothing_from_outside_panics(parent in "\\PC{0,80}", state in "\\PC{0,80}") {
            let mut carrier = carrier(&parent);
            carrier.insert("tracestate".to_owned(), state);
            let context = extract(&carrier);
            RunTrace::of_caller(context.as_ref(), "client");
        }
    }
}
