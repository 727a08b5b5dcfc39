//! Log lines of `tracing-subscriber` that say which attempt they belong to, and no more of them a second than
//! a service can bear.
//!
//! Invariant: no span is opened, so nothing comes between the attempt and what it traces; a line outside an
//! attempt is written as it was.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use opentelemetry::trace::SpanContext;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::attempt::{Attempt, Current};
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
/// use tracing_subscriber::filter::LevelFilter;
///
/// # async fn run() {
/// let level = omnitrace::logs::SwitchedLevel::new(LevelFilter::INFO);
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
/// each line that is written inside an attempt.
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
        let mut fields = String::new();
        Current::with(|current| {
            fields = match self.shape {
                Shape::Json => as_json(&current.attempt),
                Shape::Text => as_text(&current.attempt),
            };
        });
        if fields.is_empty() {
            return format.format_event(context, writer, event);
        }
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

/// What is said of an attempt; its trace only if it is known.
fn said(attempt: &Attempt) -> [(&'static str, Option<String>); 5] {
    let context = attempt.context();
    let of = |id: fn(&SpanContext) -> String| context.as_ref().map(id);
    [
        ("trace_id", of(|context| context.trace_id().to_string())),
        ("span_id", of(|context| context.span_id().to_string())),
        ("workflow_id", Some(attempt.run.workflow_id.clone())),
        ("run_id", Some(attempt.run.run_id.clone())),
        ("activity", Some(attempt.activity_type.clone())),
    ]
}

fn as_json(attempt: &Attempt) -> String {
    let mut fields = String::new();
    for (name, value) in said(attempt) {
        if let Some(value) = value {
            let value = serde_json::Value::from(value);
            // Writing to a string cannot fail.
            let _ = write!(fields, "\"{name}\":{value},");
        }
    }
    let _ = write!(fields, "\"attempt\":{}", attempt.attempt);
    fields
}

fn as_text(attempt: &Attempt) -> String {
    let mut fields = String::new();
    for (name, value) in said(attempt) {
        let Some(value) = value else { continue };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
        let _ = match value.bytes().all(is_plain) {
            true => write!(fields, "{name}={value} "),
            // Quoted and escaped: an id may hold anything.
            false => write!(fields, "{name}={value:?} "),
        };
    }
    let _ = write!(fields, "attempt={}", attempt.attempt);
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
        let lines: Vec<serde_json::Value> = (text.lines())
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
