//! The trace context that calls carry, and the trace of a run that follows from it.
//!
//! Invariant: pure. What comes from outside is read by OpenTelemetry's own propagator, and what that does
//! not take is as nothing. What is passed on of a caller's tracestate and baggage is bounded.

use std::collections::HashMap;
use std::sync::Arc;

use omnitrace_store::ids;
use omnitrace_store::row::RunKey;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// Our entry in a tracestate: the trace of the run that the new one continues.
const CONTINUED: &str = "omnitrace";

/// Name of baggage in a carrier.
pub(crate) const BAGGAGE: &str = "baggage";

/// Bytes and entries of a caller's tracestate that its callees get: what W3C asks for.
const MAX_STATE_BYTES: usize = 512;
const MAX_STATE_ENTRIES: usize = 32;

/// Bytes of baggage that are passed on.
const MAX_BAGGAGE_BYTES: usize = 1024;

/// A string map, as headers hold it.
pub(crate) type Carrier = HashMap<String, String>;

/// The context in a carrier, if it is a valid one. Baggage and whatever else is there is left out; a
/// tracestate that is malformed is as none.
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

/// The context in such a text.
pub(crate) fn context_in(traceparent: &str) -> Option<SpanContext> {
    let name = omnitrace_store::row::TRACEPARENT.to_owned();
    extract(&Carrier::from([(name, traceparent.to_owned())]))
}

/// What its callees get of a caller's tracestate: the first entries, and never ours.
pub(crate) fn passed_on(caller: &SpanContext) -> TraceState {
    let is_text = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let mut bytes = 0;
    let entries = (caller.trace_state().into_iter())
        .filter(|(key, value)| *key != CONTINUED && is_text(value))
        .take(MAX_STATE_ENTRIES)
        .take_while(|(key, value)| {
            // With `=` and a comma.
            bytes += key.len() + value.len() + 2;
            bytes <= MAX_STATE_BYTES
        });
    // They were allowed where they come from.
    TraceState::from_key_value(entries).unwrap_or_default()
}

/// Keys of baggage that is passed on.
#[derive(Clone, Debug)]
pub(crate) struct BaggageKeys(Arc<[String]>);

impl BaggageKeys {
    pub(crate) fn new(keys: &[String]) -> Self {
        Self(keys.into())
    }

    /// Whether nothing is passed on, so that nothing need be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of baggage, as W3C writes it, is passed on: its first members with these keys.
    pub(crate) fn filter(&self, baggage: &str) -> Option<String> {
        let mut kept = String::new();
        for member in baggage.split(',').map(str::trim) {
            let key = member.split_once('=').map(|(key, _)| key.trim());
            let is_text = member.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            if !is_text || !self.0.iter().any(|known| Some(known.as_str()) == key) {
                continue;
            }
            if kept.len() + member.len() >= MAX_BAGGAGE_BYTES {
                break;
            }
            if !kept.is_empty() {
                kept.push(',');
            }
            kept.push_str(member);
        }
        (!kept.is_empty()).then_some(kept)
    }

    /// The same of what is current.
    pub(crate) fn current(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut carrier = Carrier::new();
        Context::map_current(|context| {
            BaggagePropagator::new().inject_context(context, &mut carrier);
        });
        self.filter(carrier.get(BAGGAGE)?)
    }
}

/// This context with the baggage of a call, unless it has some.
pub(crate) fn with_baggage(context: Context, baggage: Option<String>) -> Context {
    let Some(baggage) = baggage.filter(|_| context.baggage().is_empty()) else {
        return context;
    };
    let carrier = Carrier::from([(BAGGAGE.to_owned(), baggage)]);
    BaggagePropagator::new().extract_with_context(&context, &carrier)
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
    /// By what the run's start carried. A run that continued as new begins a trace, unless its chain has one
    /// trace; a cron run does, and what it carries is a copy.
    pub(crate) fn of_caller(caller: Option<&SpanContext>, trigger: &str) -> Option<Self> {
        let caller = caller.filter(|_| trigger != "cron")?;
        let trace_id = caller.trace_id().to_string();
        let continues = caller.trace_state().get(CONTINUED);
        let begins = continues.is_some_and(|before| before != trace_id);
        Some(Self {
            parent: (continues.is_none()).then(|| caller.span_id().to_string()),
            sampled: caller.is_sampled() && !begins,
            trace_id,
        })
    }
}

/// The context of a span of a run, for those that it calls.
pub(crate) fn context(
    trace_id: TraceId,
    span_id: &str,
    sampled: bool,
    state: TraceState,
) -> SpanContext {
    SpanContext::new(
        trace_id,
        SpanId::from_hex(span_id).unwrap_or(SpanId::INVALID),
        match sampled {
            true => TraceFlags::SAMPLED,
            false => TraceFlags::default(),
        },
        true,
        state,
    )
}

/// What a run that goes on as new tells the next: a trace made from its own run id, or the same one where
/// it is that of the whole chain, and where it comes from.
pub(crate) fn continued(run: &RunKey, of: SpanContext, per_chain: bool) -> SpanContext {
    let (next, state) = match per_chain {
        true => (of.trace_id(), of.trace_state().clone()),
        false => {
            let next = TraceId::from_hex(&ids::continued_trace_id(run));
            (next.unwrap_or(TraceId::INVALID), TraceState::default())
        }
    };
    let state = state.insert(CONTINUED, of.trace_id().to_string());
    SpanContext::new(
        next,
        of.span_id(),
        of.trace_flags(),
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
        let caller = caller.expect("valid");
        let trace = caller.trace_id().to_string();
        let own = ids::continued_trace_id(&run);
        for (per_chain, trace_id) in [(false, &own), (true, &trace)] {
            let carried = extract(&inject(&continued(&run, caller.clone(), per_chain)));
            for trigger in ["continue_as_new", "retry"] {
                let next = RunTrace::of_caller(carried.as_ref(), trigger).expect("told");
                // A trace is sampled as a whole.
                let expected = (trace_id, None, per_chain);
                assert_eq!((&next.trace_id, next.parent, next.sampled), expected);
            }
        }
    }

    fn state(text: &str) -> String {
        let mut carrier = carrier(PARENT);
        carrier.insert("tracestate".to_owned(), text.to_owned());
        passed_on(&extract(&carrier).expect("valid")).header()
    }

    #[test]
    fn a_tracestate_is_passed_on_as_far_as_there_is_room() {
        assert_eq!(state("vendor=1,other@sys=a b"), "vendor=1,other@sys=a b");
        assert_eq!(
            state("vendor=1,omnitrace=2"),
            "vendor=1",
            "ours says what it does"
        );
        for malformed in ["", "vendor", "Vendor=1", "v=1,,", "v=\u{7f}", "v=a=b"] {
            assert_eq!(state(malformed), "", "{malformed:?}");
        }
        let many: Vec<String> = (0..40).map(|n| format!("v{n}=1")).collect();
        assert_eq!(state(&many.join(",")), many[..32].join(","));
        let long: Vec<String> = (0..5)
            .map(|n| format!("v{n}={}", "x".repeat(150)))
            .collect();
        assert_eq!(state(&long.join(",")), long[..3].join(","));
    }

    #[test]
    fn of_baggage_only_what_is_allowed_is_passed_on() {
        let keys = BaggageKeys::new(&["team".to_owned(), "plan".to_owned()]);
        let filter = |text: &str| keys.filter(text);
        let expected = Some("team=a%20b;p=1,plan=x".to_owned());
        assert_eq!(filter("user=7, team=a%20b;p=1 ,plan=x,Team=b"), expected);
        let long = format!("team={},plan=1", "x".repeat(MAX_BAGGAGE_BYTES));
        for none in ["", "user=7", "team", "team;x=1", "team=\u{1}", &long] {
            assert_eq!(filter(none), None, "{none:?}");
        }
        let nothing = BaggageKeys::new(&[]);
        assert_eq!(nothing.filter("team=a"), None);

        let context = with_baggage(Context::new(), expected);
        let team = context
            .baggage()
            .get("team")
            .map(|team| team.as_str().to_owned());
        assert_eq!(team.as_deref(), Some("a b"));
        let _attached = context.attach();
        assert_eq!((keys.current().is_some(), nothing.current()), (true, None));
        let kept = with_baggage(Context::current(), Some("team=c".to_owned()));
        assert_eq!(
            kept.baggage().get("team").map(|team| team.as_str()),
            Some("a b")
        );
    }

    proptest! {
        #[test]
        fn nothing_from_outside_panics(parent in "\\PC{0,80}", state in "\\PC{0,80}") {
            let mut carrier = carrier(&parent);
            carrier.insert("tracestate".to_owned(), state);
            let context = extract(&carrier);
            RunTrace::of_caller(context.as_ref(), "client");
            let kept = context.as_ref().map(|context| passed_on(context).header());
            prop_assert!(kept.is_none_or(|kept| kept.len() <= MAX_STATE_BYTES));
        }
    }
}
