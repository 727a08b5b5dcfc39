//! Log lines of `tracing-subscriber` that say which attempt, run or request they belong to, and no more of them
//! a second than a service can bear.
//!
//! Invariant: no span is opened, so nothing comes between the attempt and what it traces; a line that belongs to
//! none of them is written as it was.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde_json::Value;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Settings;
use crate::current::{Current, CurrentRun};
use crate::switches::{Beginning, Switchboard};

/// Lines a second, unless chosen otherwise.
pub const DEFAULT_LINES_PER_SECOND: u32 = 100;

/// Lines that were over the limit, of all formatters of the process: they are made before there is any
/// handle that could count for them.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that were over the limit since the process began.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Lets lines through by their level, which may be switched while the process runs (`omnitrace set log_level`),
/// also for single workflow types and tenants. Cheap to clone: one clone filters a layer, another one is given
/// to [`crate::OmniTrace::switch_log_level`].
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// # async fn run() {
/// let level = omnitrace::logs::SwitchedLevel::from_env();
/// let lines = tracing_subscriber::fmt::layer().with_filter(level.clone());
/// let subscriber = tracing_subscriber::registry().with(lines);
/// # drop(subscriber);
/// let omnitrace = omnitrace::OmniTrace::from_env().await;
/// omnitrace.switch_log_level(&level);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SwitchedLevel {
    unless_switched: LevelFilter,
    switches: Arc<OnceLock<Switchboard>>,
}

impl SwitchedLevel {
    /// This level, unless another one is switched.
    pub fn new(unless_switched: LevelFilter) -> Self {
        Self {
            unless_switched,
            switches: Arc::default(),
        }
    }

    /// The level of the environment that `OMNITRACE_ENV` names (`debug` in `dev`, else `info`), unless another
    /// one is switched. What is wrong with the variable is logged by
    /// [`OmniTrace::from_env`](crate::OmniTrace::from_env).
    pub fn from_env() -> Self {
        let (settings, _) = Settings::from_env();
        Self::new(settings.env.default_log_level().into())
    }

    pub(crate) fn follow(&self, switches: Switchboard) {
        // `Err`: it follows a recorder already.
        let _ = self.switches.set(switches);
    }

    fn level(&self) -> LevelFilter {
        let switches = self
            .switches
            .get()
            .filter(|switches| !switches.is_untouched());
        let Some(switches) = switches else {
            return self.unless_switched;
        };
        let mut of = Beginning::default();
        Current::with(|current| of = current.attempt.beginning());
        switches.log_level(&of).unwrap_or(self.unless_switched)
    }
}

impl<S> Filter<S> for SwitchedLevel {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.level()
    }
}

/// For JSON lines: `trace_id`, `span_id`, `workflow_id`, `run_id`, `activity` and `attempt` become fields of
/// each line that is written inside an attempt; the first four of those of a workflow's own code, the first two
/// of those under any other span that is current for OpenTelemetry, as that of
/// [`OmniTrace::http_layer`](crate::OmniTrace::http_layer). Inside an attempt the span is the innermost of its
/// trace.
///
/// ```
/// let subscriber = tracing_subscriber::fmt().json().map_event_format(omnitrace::logs::json);
/// # drop(subscriber.finish());
/// ```
pub fn json<E>(format: E) -> WithAttempt<E> {
    WithAttempt {
        plain: format,
        coloured: None,
        limit: Limit::new(DEFAULT_LINES_PER_SECOND),
        shape: Shape::Json,
    }
}

/// For lines of text: the same stands at the end of the line, as `trace_id=… span_id=…`.
///
/// ```
/// let subscriber = tracing_subscriber::fmt().compact().map_event_format(omnitrace::logs::text);
/// # drop(subscriber.finish());
/// ```
pub fn text<F: Clone, T: Clone>(format: Format<F, T>) -> WithAttempt<Format<F, T>> {
    WithAttempt {
        plain: format.clone().with_ansi(false),
        coloured: Some(format.with_ansi(true)),
        limit: Limit::new(DEFAULT_LINES_PER_SECOND),
        shape: Shape::Text,
    }
}

/// A formatter that adds the attempt to what another one writes. Made by [`json()`] and [`text`].
#[derive(Debug)]
pub struct WithAttempt<E> {
    plain: E,
    /// The same for terminals.
    coloured: Option<E>,
    limit: Limit,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Json,
    Text,
}

impl<E> WithAttempt<E> {
    /// So many lines a second at most; the others are dropped and counted
    /// (`omnitrace_log_lines_dropped_total`).
    #[must_use]
    pub fn with_lines_per_second(self, lines: u32) -> Self {
        Self {
            limit: Limit::new(lines),
            ..self
        }
    }
}

impl<S, N, E> FormatEvent<S, N> for WithAttempt<E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.limit.take() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let coloured = self.coloured.as_ref().filter(|_| writer.has_ansi_escapes());
        let format = coloured.unwrap_or(&self.plain);
        let said = said();
        if said.is_empty() {
            return format.format_event(context, writer, event);
        }
        let fields = match self.shape {
            Shape::Json => as_json(&said),
            Shape::Text => as_text(&said),
        };
        let mut line = String::new();
        format.format_event(context, Writer::new(&mut line), event)?;
        let body = line.trim_end_matches('\n');
        let end = &line[body.len()..];
        match (self.shape, body.strip_suffix('}')) {
            (Shape::Json, Some(object)) => write!(writer, "{object},{fields}}}{end}"),
            _ => write!(writer, "{body} {fields}{end}"),
        }
    }
}

/// What a line says of where it was written; its trace only if it is known.
fn said() -> Vec<(&'static str, Value)> {
    let (mut own, mut run, mut attempt) = (None, None, None);
    CurrentRun::with(|current| {
        own = Some(current.context.clone());
        run = Some(current.key.clone());
    });
    Current::with(|current| {
        let of = &current.attempt;
        own = of.context();
        run = Some(of.run.clone());
        attempt = Some((of.activity_type.clone(), of.attempt));
    });
    let current = OtelContext::map_current(|context| context.span().span_context().clone());
    // A span of another trace is none of the user's inside this one.
    let is_inside = |own: &SpanContext| own.trace_id() == current.trace_id();
    let context = match &own {
        Some(own) if !is_inside(own) => own,
        _ => &current,
    };
    let mut said: Vec<(&'static str, Value)> = Vec::new();
    if context.is_valid() {
        said.push(("trace_id", context.trace_id().to_string().into()));
        said.push(("span_id", context.span_id().to_string().into()));
    }
    if let Some(run) = run {
        said.push(("workflow_id", run.workflow_id.into()));
        said.push(("run_id", run.run_id.into()));
    }
    if let Some((activity, attempt)) = attempt {
        said.push(("activity", activity.into()));
        said.push(("attempt", attempt.into()));
    }
    said
}

fn as_json(said: &[(&'static str, Value)]) -> String {
    let mut fields = String::new();
    for (name, value) in said {
        let comma = if fields.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(fields, "{comma}\"{name}\":{value}");
    }
    fields
}

fn as_text(said: &[(&'static str, Value)]) -> String {
    let mut fields = String::new();
    for (name, value) in said {
        let space = if fields.is_empty() { "" } else { " " };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
        let _ = match value.as_str() {
            Some(text) if text.bytes().all(is_plain) => write!(fields, "{space}{name}={text}"),
            // Quoted and escaped: an id may hold anything.
            Some(text) => write!(fields, "{space}{name}={text:?}"),
            None => write!(fields, "{space}{name}={value}"),
        };
    }
    fields
}

/// How many lines there may be in each second since it was made.
#[derive(Debug)]
struct Limit {
    most: u32,
    since: Instant,
    /// The second in the upper half, its lines in the lower.
    used: AtomicU64,
}

impl Limit {
    fn new(most: u32) -> Self {
        Self {
            most,
            since: Instant::now(),
            used: AtomicU64::new(0),
        }
    }

    /// Takes room for a line, if there is any.
    fn take(&self) -> bool {
        let second = self.since.elapsed().as_secs().min(u32::MAX.into());
        self.take_in(second)
    }

    fn take_in(&self, second: u64) -> bool {
        let took = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let lines = match second > used >> 32 {
                    true => 0,
                    false => used & u64::from(u32::MAX),
                };
                let second = second.max(used >> 32);
                (lines < self.most.into()).then_some(second << 32 | (lines + 1))
            });
        took.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::attempt::Attempt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Written {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    /// A context of this trace.
    fn context(trace_id: &str) -> OtelContext {
        let text = format!("00-{trace_id}-00f067aa0ba902b7-01");
        let context = crate::propagation::context_in(&text).unwrap();
        OtelContext::new().with_remote_span_context(context)
    }

    #[tokio::test]
    async fn a_line_names_the_innermost_span_the_run_or_the_request() {
        use opentelemetry::trace::FutureExt;

        const SPAN: &str = "00f067aa0ba902b7";
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .map_event_format(json)
            .with_writer(written.clone());
        let guard = tracing::subscriber::set_default(subscriber.finish());
        let line = async || {
            tracing::info!("here");
            let line: Value = serde_json::from_str(&written.take()).unwrap();
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            (text("trace_id"), text("span_id"), text("workflow_id"))
        };
        let (attempt, _items) = Current::of_test(Attempt::of_test("w"));
        let own = attempt.attempt.context().unwrap();
        let (trace, span) = (own.trace_id().to_string(), own.span_id().to_string());
        let of = |trace: &str, span: &str, id: &str| {
            (
                Some(trace.to_owned()),
                Some(span.to_owned()),
                Some(id.to_owned()),
            )
        };
        // A user's span inside the attempt, and one that has nothing to do with it.
        let inner = attempt
            .clone()
            .scope(line().with_context(context(&trace)))
            .await;
        assert_eq!(inner, of(&trace, SPAN, "w"));
        let other = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let foreign = attempt.scope(line().with_context(context(other))).await;
        assert_eq!(foreign, of(&trace, &span, "w"));
        // A workflow's own code.
        let run = Arc::new(CurrentRun {
            key: omnitrace_store::row::RunKey::new("default", "order", "r1"),
            context: own,
        });
        assert_eq!(
            CurrentRun::scope(run, line()).await,
            of(&trace, &span, "order")
        );
        // A request, and nothing.
        let request = line().with_context(context(other)).await;
        assert_eq!(
            request,
            (Some(other.to_owned()), Some(SPAN.to_owned()), None)
        );
        assert_eq!(line().await, (None, None, None));
        drop(guard);
    }

    async fn inside(subscriber: impl Subscriber + Send + Sync, attempt: Attempt) {
        let (current, _items) = Current::of_test(attempt);
        let guard = tracing::subscriber::set_default(subscriber);
        let lines = async {
            tracing::info_span!("own", n = 1).in_scope(|| tracing::warn!(stock = 3, "few }}"));
        };
        current.scope(lines).await;
        tracing::info!("outside");
        drop(guard);
    }

    #[tokio::test]
    async fn a_line_of_json_is_still_json_and_names_the_attempt() {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .map_event_format(json)
            .with_writer(written.clone());
        inside(subscriber.finish(), Attempt::of_test("say \"hi\"\n")).await;
        let text = written.take();
        let lines: Vec<Value> = (text.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        let line = &lines[0];
        assert_eq!(line["workflow_id"], "say \"hi\"\n");
        assert_eq!(
            (&line["run_id"], &line["activity"]),
            (&"r1".into(), &"Tools::search".into())
        );
        assert_eq!(line["attempt"], 2);
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
        assert_eq!(
            (&line["fields"]["message"], &line["span"]["name"]),
            (&"few }".into(), &"own".into())
        );
        assert!(lines[1].get("workflow_id").is_none(), "{text}");
    }

    #[tokio::test]
    async fn a_line_of_text_ends_with_the_attempt() {
        for ansi in [false, true] {
            let written = Written::default();
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(ansi)
                .map_event_format(text)
                .with_writer(written.clone());
            inside(subscriber.finish(), Attempt::of_test("order 7\n")).await;
            let text = written.take();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert_eq!(lines[0].contains('\u{1b}'), ansi, "{text}");
            let end = r#" workflow_id="order 7\n" run_id=r1 activity=Tools::search attempt=2"#;
            assert!(lines[0].ends_with(end), "{text}");
            assert!(
                lines[0].contains(" trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id="),
                "{text}"
            );
            assert!(lines[1].ends_with("outside"), "{text}");
        }
    }

    #[test]
    fn of_too_many_lines_the_first_stay_and_the_others_are_counted() {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .map_event_format(|format| text(format).with_lines_per_second(3))
            .with_writer(written.clone());
        let before = dropped_lines();
        tracing::subscriber::with_default(subscriber.finish(), || {
            for n in 0..1_000 {
                tracing::info!(n, "line");
            }
        });
        let lines = written.take().lines().count() as u64;
        // A slow machine may get through more than one second.
        assert!((3..1_000).contains(&lines), "{lines}");
        assert_eq!(dropped_lines() - before, 1_000 - lines);
    }

    #[test]
    fn each_second_has_room_of_its_own() {
        let limit = Limit::new(2);
        let taken = |second: u64| (0..5).filter(|_| limit.take_in(second)).count();
        assert_eq!([0, 0, 1, 5, 4, 6].map(taken), [2, 0, 2, 2, 0, 2]);
        assert_eq!((0..5).filter(|_| Limit::new(0).take_in(9)).count(), 0);
        let default = Limit::new(DEFAULT_LINES_PER_SECOND);
        assert_eq!((0..1_000).filter(|_| default.take_in(9)).count(), 100);
    }
}
