//! A row as a span.
//!
//! Invariant: pure, and a function of the row and its run: any process makes the same span of the same
//! row. A span's parent is one that is exported too, or that somebody else's header named.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use omnitrace_store::content;
use omnitrace_store::ids;
use omnitrace_store::key::EventKey;
use omnitrace_store::row::{
    EventRow, Micros, RunKey, RunRow, SENDER, SampledBy, Status, TRACEPARENT,
};
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceFlags, TraceId,
    TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::names::*;
use crate::config::{Settings, SpanLimits};
use crate::policy::{OFFERED_ATTEMPTS, offered_attempt};
use crate::propagation;

/// How spans are made.
#[derive(Clone, Debug)]
pub(crate) struct SpanShape {
    pub(crate) limits: SpanLimits,
    /// Whether prompts and responses, which are readable then, become events.
    pub(crate) content: bool,
}

impl SpanShape {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            limits: settings.telemetry.span_limits.clone(),
            content: settings.capture_content,
        }
    }
}

/// What the span of an event needs to know of its run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfRun<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) closed_at: Option<Micros>,
}

impl<'a> From<&'a RunRow> for OfRun<'a> {
    fn from(run: &'a RunRow) -> Self {
        Self {
            trace_id: &run.trace_id,
            closed_at: run.closed_at,
        }
    }
}

/// The span of a run. `continued_from_trace` is the trace of the run before it in its chain, if that
/// is known.
pub(crate) fn run_span(
    run: &RunRow,
    continued_from_trace: Option<&str>,
    shape: &SpanShape,
) -> SpanData {
    let mut a = Attributes::default();
    a.of_key(&run.key);
    a.text(WORKFLOW_TYPE, &run.workflow_type);
    a.text(WORKFLOW_STATUS, run.status.as_str());
    a.text(EXECUTION_STATUS, run.status.as_str());
    a.maybe(
        WORKFLOW_TASK_QUEUE,
        Some(run.task_queue.as_str()).filter(|t| !t.is_empty()),
    );
    a.text(WORKFLOW_TRIGGER, &run.trigger);
    a.number(WORKFLOW_ATTEMPT, Some(run.attempt));
    a.number(WORKFLOW_MAX_ATTEMPTS, run.max_attempts);
    a.maybe(WORKFLOW_VERSION, run.build_id.as_deref());
    a.text(WORKFLOW_SAMPLED_BY, run.sampled_by.as_str());
    a.maybe(USER_ID, run.user.as_ref().map(|user| user.hash.as_str()));
    a.maybe(
        TENANT_ID,
        run.tenant.as_ref().map(|tenant| tenant.hash.as_str()),
    );
    a.maybe(ERROR_TYPE, run.error_type.as_deref());

    let before = (run.continued_from_run_id.as_deref())
        .map(|run_id| RunKey::new(&run.key.namespace, &run.key.workflow_id, run_id))
        .zip(continued_from_trace);
    let trace = trace_id(&run.trace_id);
    let mut links: Vec<Link> = (before.iter())
        .map(|(before, trace)| {
            let context = context(trace_id(trace), &ids::span_id(before, ""));
            link(context, LINK_CONTINUED_FROM)
        })
        .collect();
    // A caller that was not sampled has no span to lie under, unless it is a run that may be recorded after
    // all as this one was.
    let caller = run.parent_span_id.as_deref();
    let unseen = caller.filter(|_| run.sampled_by != SampledBy::Parent && run.parent.is_none());
    links.extend(unseen.map(|caller| {
        let caller = propagation::context(trace, caller, false, TraceState::default());
        link(caller, LINK_CALLED_BY)
    }));
    let caller = caller.filter(|_| unseen.is_none()).map(str::to_owned);
    let parent = caller.or_else(|| {
        // Runs of one trace have one root: what is tried again, or goes on in its trace, lies under the run
        // before it.
        let of_trace = match run.trigger.as_str() {
            "retry" | "continue_as_new" => {
                let (before, trace) = before.as_ref()?;
                (*trace == run.trace_id).then(|| before.clone())?
            }
            "reset" => {
                let first = run.first_execution_run_id.as_deref();
                let first = first.filter(|first| *first != run.key.run_id)?;
                RunKey::new(&run.key.namespace, &run.key.workflow_id, first)
            }
            _ => return None,
        };
        Some(ids::span_id(&of_trace, ""))
    });
    let start = run.start_time();
    let end = run.closed_at.unwrap_or(start);
    let failure = Failure {
        is_error: run.status.is_error(),
        status: run.status,
        error_type: run.error_type.as_deref(),
        message: run.error_message.as_deref(),
        stack: None,
    };
    Span {
        context: context(trace, &run.span_id),
        parent: parent.as_deref(),
        kind: SpanKind::Server,
        name: format!("{RUN_WORKFLOW}{}", run.workflow_type),
        start,
        end,
        attributes: a,
        events: failure.event(end, shape).into_iter().collect(),
        links,
        status: failure.status(),
    }
    .data(shape)
}

/// The span of an event. One that is not closed never will be: its run is.
pub(crate) fn event_span(row: &EventRow, run: OfRun<'_>, shape: &SpanShape) -> SpanData {
    let data = data(row);
    let is_activity = row.kind == "activity";
    let is_attempt = is_activity && row.attempt > 0;
    let ended = row.status.is_closed();
    let status = match ended {
        false if is_attempt => Status::Lost,
        _ => row.status,
    };
    let mut a = Attributes::default();
    a.of_key(&row.run);
    a.text(EVENT_KEY, &row.event_key);
    a.text(NODE_ID, &row.step);
    a.text(NODE_NAME, &row.name);
    a.text(NODE_TYPE, &row.kind);
    a.maybe(NODE_CATEGORY, row.category.as_deref());
    a.text(EXECUTION_STATUS, status.as_str());
    a.number(EXECUTION_LATENCY_MS, row.latency_ms);
    if is_activity {
        a.text(TEMPORAL_ACTIVITY_ID, &row.step);
    }
    if is_attempt {
        a.number(TEMPORAL_ACTIVITY_ATTEMPT, Some(row.attempt));
        a.number(EXECUTION_ATTEMPT, Some(row.attempt));
    }
    if row.kind == "update" {
        a.text(TEMPORAL_UPDATE_ID, &row.step);
    }
    a.maybe(ERROR_TYPE, row.error_type.as_deref());
    for (key, name) in DETAILS {
        a.json(name, data.get(*key));
    }
    match row.category.as_deref() {
        Some("tool") => {
            a.text(TOOL_NAME, &row.name);
            a.text(GEN_AI_TOOL_NAME, &row.name);
            a.text(GEN_AI_OPERATION_NAME, "execute_tool");
        }
        Some("policy") => a.text(POLICY_NAME, &row.name),
        Some("model") => a.text(GEN_AI_OPERATION_NAME, "chat"),
        Some("publish") => a.text(MESSAGING_OPERATION_NAME, &row.name),
        Some("db") => a.text(DB_OPERATION_NAME, &row.name),
        _ => {}
    }
    // What `tracing` told is called by the conventions' names already.
    for (name, value) in data.iter().filter(|(name, _)| name.contains('.')) {
        a.own(name, value);
    }
    a.maybe(GEN_AI_RESPONSE_MODEL, row.model.as_deref());
    a.number(GEN_AI_INPUT_TOKENS, row.input_tokens);
    a.number(GEN_AI_OUTPUT_TOKENS, row.output_tokens);
    if let Some(cost) = row.cost_usd.filter(|cost| cost.is_finite()) {
        a.0.push(KeyValue::new(COST_USD, cost));
    }

    let trace = trace_id(run.trace_id);
    // Work on an attempt begins when a worker takes it; a step waits for that too.
    let begins = match is_attempt {
        true => row.started_at.or(row.scheduled_at),
        false => row.scheduled_at.or(row.started_at),
    };
    let start = begins.unwrap_or_default();
    let end = row.ended_at.or(run.closed_at.filter(|_| !ended));
    let end = end.unwrap_or(start).max(start);
    let failure = Failure {
        // A link of a chain of backoffs is followed by the next.
        is_error: status.is_error() && (is_attempt || !data.contains_key("backoff_ms")),
        status,
        error_type: row.error_type.as_deref(),
        message: row.error_message.as_deref(),
        stack: data.get("stack").and_then(Value::as_str),
    };
    let content = (shape.content && row.category.as_deref() == Some("model"))
        .then(|| content_event(&data, end, shape))
        .flatten();
    let before = is_attempt.then(|| attempt_before(row)).flatten();
    let before = before.map(|before| link(context(trace, &before), LINK_PREVIOUS_ATTEMPT));
    let sender = data.get(SENDER).and_then(Value::as_str);
    let sender = sender.filter(|_| matches!(&*row.kind, "signal" | "update"));
    let sender = sender.and_then(propagation::context_in);
    let sender = sender.map(|sender| link(sender, LINK_SENT_BY));
    let (name, kind) = name(row);
    // What a workflow calls that nobody records lies under its own span.
    let stranger = data.get(TRACEPARENT).and_then(Value::as_str);
    let stranger = (stranger.filter(|_| is_attempt)).and_then(propagation::context_in);
    let parent = stranger.map_or_else(|| parent(row), |caller| caller.span_id().to_string());
    Span {
        context: context(trace, &row.span_id),
        parent: Some(&parent),
        kind,
        name,
        start,
        end,
        attributes: a,
        events: content
            .into_iter()
            .chain(failure.event(end, shape))
            .collect(),
        links: before.into_iter().chain(sender).collect(),
        status: failure.status(),
    }
    .data(shape)
}

/// The trace id of a run's spans: the stored one, or, if that is any text, the first half of its
/// SHA-256.
pub(crate) fn trace_id(text: &str) -> TraceId {
    match TraceId::from_hex(text) {
        Ok(id) if id != TraceId::INVALID && text.len() == 32 => id,
        _ => {
            let mut id = [0; 16];
            id.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
            TraceId::from_bytes(id)
        }
    }
}

pub(crate) fn context(trace: TraceId, span_id: &str) -> SpanContext {
    SpanContext::new(
        trace,
        SpanId::from_hex(span_id).unwrap_or(SpanId::INVALID),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

fn link(context: SpanContext, to: &'static str) -> Link {
    Link::new(context, vec![KeyValue::new(LINK, to)], 0)
}

/// Span id of what a row is part of.
fn parent(row: &EventRow) -> String {
    let Some(parent) = &row.parent_key else {
        return ids::span_id(&row.run, "");
    };
    // Of an attempt that is not offered there is no row and no span.
    match EventKey::parse(parent) {
        Ok(mut key) if key.kind == "activity" && !offered_attempt(key.attempt) => {
            key.attempt = 0;
            ids::span_id(&row.run, &key.to_string())
        }
        _ => ids::span_id(&row.run, parent),
    }
}

/// Span id of the attempt before this one, of those that are offered.
fn attempt_before(row: &EventRow) -> Option<String> {
    let mut key = EventKey::parse(&row.event_key).ok()?;
    let before = key.attempt.checked_sub(1).filter(|before| *before > 0)?;
    key.attempt = match before <= OFFERED_ATTEMPTS {
        true => before,
        false => OFFERED_ATTEMPTS.max(1 << before.ilog2()),
    };
    Some(ids::span_id(&row.run, &key.to_string()))
}

fn name(row: &EventRow) -> (String, SpanKind) {
    if row.kind == "activity" && row.attempt > 0 {
        return (format!("{RUN_ACTIVITY}{}", row.name), SpanKind::Server);
    }
    match KINDS.iter().find(|(kind, ..)| *kind == row.kind) {
        Some((_, prefix, kind)) => (format!("{prefix}{}", row.name), kind.clone()),
        None => (format!("{} {}", row.kind, row.name), SpanKind::Internal),
    }
}

fn data(row: &EventRow) -> Map<String, Value> {
    let data = row.data_redacted.as_deref().unwrap_or_default();
    serde_json::from_str(data).unwrap_or_default()
}

fn content_event(data: &Map<String, Value>, at: Micros, shape: &SpanShape) -> Option<Event> {
    let mut a = Attributes::default();
    let both: [(_, fn(&_) -> Option<&_>); 2] = [
        (GEN_AI_INPUT_MESSAGES, content::prompts),
        (GEN_AI_OUTPUT_MESSAGES, content::responses),
    ];
    for (name, of) in both {
        if let Some(value) = of(data) {
            a.text(name, &value.to_string());
        }
    }
    (!a.0.is_empty()).then(|| event(GEN_AI_DETAILS, at, a, shape))
}

fn event(name: &'static str, at: Micros, attributes: Attributes, shape: &SpanShape) -> Event {
    let (attributes, dropped) = attributes.within(shape.limits.attributes_per_event, shape);
    Event::new(name, time(at), attributes, dropped)
}

/// How something ended, as far as it did not end well.
struct Failure<'a> {
    is_error: bool,
    status: Status,
    error_type: Option<&'a str>,
    message: Option<&'a str>,
    stack: Option<&'a str>,
}

impl Failure<'_> {
    fn status(&self) -> SpanStatus {
        if !self.is_error {
            return SpanStatus::Unset;
        }
        let error_type = self.error_type.unwrap_or(self.status.as_str());
        SpanStatus::error(match self.message {
            Some(message) => format!("{error_type}: {message}"),
            None => error_type.to_owned(),
        })
    }

    fn event(&self, at: Micros, shape: &SpanShape) -> Option<Event> {
        self.is_error.then(|| {
            let mut a = Attributes::default();
            a.text(
                EXCEPTION_TYPE,
                self.error_type.unwrap_or(self.status.as_str()),
            );
            a.maybe(EXCEPTION_MESSAGE, self.message);
            a.maybe(EXCEPTION_STACKTRACE, self.stack);
            event(EXCEPTION, at, a, shape)
        })
    }
}

#[derive(Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn of_key(&mut self, run: &RunKey) {
        self.text(TEMPORAL_WORKFLOW_ID, &run.workflow_id);
        self.text(TEMPORAL_RUN_ID, &run.run_id);
        self.text(WORKFLOW_NAMESPACE, &run.namespace);
        self.text(WORKFLOW_ID, &run.workflow_id);
        self.text(WORKFLOW_RUN_ID, &run.run_id);
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.0.push(KeyValue::new(name, value.to_owned()));
    }

    pub(super) fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(super) fn number(&mut self, name: &'static str, value: Option<impl Into<i64>>) {
        if let Some(value) = value {
            self.0.push(KeyValue::new(name, value.into()));
        }
    }

    /// A scalar.
    fn json(&mut self, name: &'static str, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) => self.text(name, text),
            Some(Value::Bool(flag)) => self.0.push(KeyValue::new(name, *flag)),
            Some(Value::Number(number)) => self.number(name, number.as_i64()),
            _ => {}
        }
    }

    /// In the place of one of that name, if there is one.
    fn own(&mut self, name: &str, value: &Value) {
        let value: opentelemetry::Value = match value {
            Value::String(text) => text.clone().into(),
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => whole.into(),
                (None, Some(number)) => number.into(),
                (None, None) => return,
            },
            _ => return,
        };
        self.0.retain(|attribute| attribute.key.as_str() != name);
        self.0.push(KeyValue::new(name.to_owned(), value));
    }

    /// As many as are allowed, each as long as is allowed, and how many are left out.
    fn within(mut self, most: u32, shape: &SpanShape) -> (Vec<KeyValue>, u32) {
        let dropped = cut(&mut self.0, most);
        if let Some(most) = shape.limits.value_length {
            for attribute in &mut self.0 {
                let opentelemetry::Value::String(text) = &attribute.value else {
                    continue;
                };
                if let Some((at, _)) = text.as_str().char_indices().nth(most as usize) {
                    attribute.value = text.as_str()[..at].to_owned().into();
                }
            }
        }
        (self.0, dropped)
    }
}

/// Keeps the first ones; returns how many are gone.
fn cut<T>(all: &mut Vec<T>, most: u32) -> u32 {
    let before = all.len();
    all.truncate(most as usize);
    u32::try_from(before - all.len()).unwrap_or(u32::MAX)
}

/// The parts of a span, before limits.
pub(super) struct Span<'a> {
    pub(super) context: SpanContext,
    pub(super) parent: Option<&'a str>,
    pub(super) kind: SpanKind,
    pub(super) name: String,
    pub(super) start: Micros,
    pub(super) end: Micros,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    pub(super) status: SpanStatus,
}

impl Span<'_> {
    pub(super) fn data(mut self, shape: &SpanShape) -> SpanData {
        let limits = &shape.limits;
        let (attributes, dropped_attributes_count) =
            self.attributes.within(limits.attributes, shape);
        let mut events = SpanEvents::default();
        events.dropped_count = cut(&mut self.events, limits.events);
        events.events = self.events;
        let mut links = SpanLinks::default();
        links.dropped_count = cut(&mut self.links, limits.links);
        links.links = self.links;
        for link in &mut links.links {
            link.dropped_attributes_count = cut(&mut link.attributes, limits.attributes_per_link);
        }
        let parent = self.parent.and_then(|id| SpanId::from_hex(id).ok());
        SpanData {
            span_context: self.context,
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: Cow::Owned(self.name),
            start_time: time(self.start),
            end_time: time(self.end.max(self.start)),
            attributes,
            dropped_attributes_count,
            events,
            links,
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder(SCOPE)
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// Times before 1970 are none that a run can have.
fn time(at: Micros) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at).unwrap_or_default())
}

#[cfg(test)]
#[path = "span_tests.rs"]
mod tests;
