//! Spans and events of `tracing` inside an attempt, as inner events of its run.
//!
//! Invariant: what lies outside an attempt is not touched. Inside, a span costs its fields and one offer to
//! the queue when it closes; nothing waits, fails or panics.

mod conventions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::attempt::Attempt;
use crate::current::Current;

/// Bytes of the fields of a span or event; what comes after is left out.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Makes inner events of the current attempt's run of what is traced inside it, with no further code: spans
/// and events with fields of OpenTelemetry's conventions (`gen_ai.*`, `db.*`, `messaging.*`, `http.*`), with
/// `tool.*` or `policy.*`, or with `omnitrace.kind`, which says what they are. Spans lie under the span that
/// they lie in. All other spans and events, and all outside an attempt, are left alone. Tokens, cost and
/// model come from `gen_ai.*`; values are redacted as all others are.
///
/// A task that an activity spawns is outside its attempt.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(omnitrace::layer());
/// # drop(subscriber);
/// ```
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // Whoever made a span is asked once whether its fields concern us; so others cost nothing.
    InnerEvents.with_filter(filter_fn(|metadata| {
        conventions::concern(metadata.fields().iter().map(|field| field.name()))
    }))
}

struct InnerEvents;

/// A span that has not closed.
struct Open {
    current: Current,
    n: u32,
    kind: String,
    name: String,
    /// Key of its row.
    key: String,
    /// Key of the one that it lies in, if that is a span.
    parent: Option<String>,
    began: Instant,
    fields: Fields,
}

impl<S> Layer<S> for InnerEvents
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        Current::with(|current| {
            let Some(n) = current.next() else { return };
            let Some(span) = context.span(id) else { return };
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            let (kind, name) = conventions::identity(span.name(), &fields.values);
            let parent = span.parent();
            span.extensions_mut().insert(Open {
                current: current.clone(),
                n,
                key: current.attempt.inner_key(n, &kind, &name),
                kind,
                name,
                parent: parent.and_then(|parent| lies_in(&parent, &current.attempt)),
                began: Instant::now(),
                fields,
            });
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        Current::with(|current| {
            let Some(n) = current.next() else { return };
            let mut fields = Fields::default();
            event.record(&mut fields);
            // The name of an event is a place in a file.
            let (kind, name) = conventions::identity(event.metadata().target(), &fields.values);
            let span = context.event_span(event);
            let parent = span.and_then(|span| lies_in(&span, &current.attempt));
            let told = conventions::told(&kind, fields.values);
            current.tell(n, kind, name, parent, None, told);
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let open = context.span(&id);
        let open = open.and_then(|span| span.extensions_mut().remove::<Open>());
        if let Some(open) = open {
            let elapsed = open.began.elapsed();
            let told = conventions::told(&open.kind, open.fields.values);
            (open.current).tell(
                open.n,
                open.kind,
                open.name,
                open.parent,
                Some(elapsed),
                told,
            );
        }
    }
}

/// Key of the nearest span of the same attempt, from this one outwards.
fn lies_in<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, attempt: &Arc<Attempt>) -> Option<String> {
    span.scope().find_map(|span| {
        let extensions = span.extensions();
        let open = extensions.get::<Open>()?;
        Arc::ptr_eq(&open.current.attempt, attempt).then(|| open.key.clone())
    })
}

/// Fields by their names.
#[derive(Default)]
struct Fields {
    values: Map<String, Value>,
    bytes: usize,
}

impl Fields {
    fn put(&mut self, field: &Field, bytes: usize, value: impl FnOnce() -> Value) {
        self.bytes = self.bytes.saturating_add(bytes + field.name().len());
        if self.bytes <= MAX_FIELD_BYTES {
            self.values.insert(field.name().to_owned(), value());
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, 8, || value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, 8, || value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, 8, || value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, 1, || value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.len(), || value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // It is a user's code, and its panic would be ours.
        if let Ok(text) = catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))) {
            self.put(field, text.len(), || text.into());
        }
    }
}

#[cfg(test)]
mod tests;
