//! Metrics: what Prometheus and a collector are told of runs, queues, calls, cost, and of OmniTrace's own
//! health.
//!
//! Invariant: [`names`] is the only place that spells a metric's name. What is measured of rows is measured
//! on the writer's thread; nothing here runs on a workflow's or activity's path.

pub mod names;

mod exemplars;
mod health;
mod prometheus;
mod registry;
mod rows;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use omnitrace_store::row::{EventRow, RunKey, RunRow};
use omnitrace_store::{Batch, Closings, RunFacts};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tokio::time::MissedTickBehavior;

use self::exemplars::{Of, Traces};
use self::names::*;
use self::registry::{Readings, Registry};
use self::rows::Inside;
use crate::config::{Backend, Otlp, Settings};
use crate::telemetry::{MetricCollector, resource};
use crate::tracker::Asked;

/// How long a queue's depth is told after it was asked for.
const DEPTH_HOLDS: Duration = Duration::from_secs(60);

/// The metrics of a process. Cheap to clone. Off, it measures nothing.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    inside: Mutex<Inside>,
    traces: Mutex<Traces>,
    depths: Depths,
    /// Where Prometheus is answered, until that has begun.
    listener: Mutex<Option<TcpListener>>,
    address: Option<SocketAddr>,
    /// Where metrics are sent.
    otlp: Option<Otlp>,
    collector: OnceLock<MetricCollector>,
}

/// Tasks that wait, by namespace, queue and kind, and when that was so.
type Depths = Arc<Mutex<BTreeMap<(String, String, &'static str), (u64, Instant)>>>;

impl Metrics {
    /// As the settings say: off, or measuring. The Prometheus endpoint is opened here; a port that is in use
    /// is one warning. [`Metrics::run`] answers and sends.
    pub fn start(settings: &Settings) -> Self {
        match settings.telemetry.measures() {
            true => Self::measuring(settings),
            false => Self::default(),
        }
    }

    /// The same, and measuring where the settings say off too: what is measured is then told by
    /// [`Metrics::text`] alone.
    pub fn measuring(settings: &Settings) -> Self {
        let telemetry = &settings.telemetry;
        let has = |backend| telemetry.measures() && telemetry.backends.contains(&backend);
        let port = telemetry.prom_port.filter(|_| has(Backend::Prom));
        let listener = port.and_then(|port| open(SocketAddr::new(telemetry.prom_host, port)));
        let inner = Inner {
            registry: Arc::new(Registry::sending(
                resource(settings, &crate::omnitrace::host()),
                telemetry.otlp.metrics.temporality.into(),
            )),
            inside: Mutex::default(),
            traces: Mutex::default(),
            depths: Arc::default(),
            address: listener.as_ref().and_then(|l| l.local_addr().ok()),
            listener: Mutex::new(listener),
            otlp: has(Backend::Otel).then(|| telemetry.otlp.clone()),
            collector: OnceLock::new(),
        };
        let depths = inner.depths.clone();
        (inner.registry).gauge(&QUEUE_DEPTH, move || readings(&depths));
        Self(Some(Arc::new(inner)))
    }

    /// Whether anything is measured.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Where Prometheus is answered.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.address
    }

    /// All of it as Prometheus reads it.
    pub fn text(&self) -> String {
        (self.0.as_ref()).map_or_else(String::new, |inner| {
            prometheus::text(&inner.registry.collect())
        })
    }

    /// A request to an HTTP service was answered. `route` is a pattern as `/orders/{id}`, never a path. The
    /// span that is current for OpenTelemetry is the one that its duration leads to.
    pub fn http_request(
        &self,
        method: &str,
        route: &str,
        status: u16,
        elapsed: Duration,
        body_bytes: Option<u64>,
    ) {
        let current = Context::map_current(|context| context.span().span_context().clone());
        self.http_request_of(method, route, status, elapsed, body_bytes, &current);
    }

    /// The same, with its span.
    pub(crate) fn http_request_of(
        &self,
        method: &str,
        route: &str,
        status: u16,
        elapsed: Duration,
        body_bytes: Option<u64>,
        span: &SpanContext,
    ) {
        const METHODS: &[&str] = &[
            "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
        ];
        let Some(inner) = &self.0 else { return };
        let known = METHODS
            .iter()
            .find(|known| method.eq_ignore_ascii_case(known));
        let method = known.map_or("_OTHER", |known| known);
        let class = match status {
            100..600 => format!("{}xx", status / 100),
            _ => OTHER.to_owned(),
        };
        let labels = [method, route, &class];
        inner.registry.count(&HTTP_REQUESTS, &labels);
        let seconds = elapsed.as_secs_f64();
        let of = Of::sampled(span);
        (inner.registry).measure_of(&HTTP_REQUEST_DURATION, &labels, seconds, of);
        if let Some(bytes) = body_bytes {
            (inner.registry).measure(&HTTP_REQUEST_SIZE, &[method, route], bytes as f64);
        }
    }

    /// A trace was read from the store, or was not there.
    pub fn trace_fetched(&self, elapsed: Duration) {
        self.seconds(&TRACE_FETCH, elapsed);
    }

    /// Clients of a server may be cut for these reasons: their counts begin at zero, so that the first one is an
    /// increase too.
    pub fn clients_may_be_cut(&self, reasons: &[&'static str]) {
        if let Some(inner) = &self.0 {
            for reason in reasons {
                inner.registry.measure(&CLIENTS_CUT, &[reason], 0.0);
            }
        }
    }

    /// A client of a server was cut.
    pub fn client_cut(&self, reason: &'static str) {
        if let Some(inner) = &self.0 {
            inner.registry.count(&CLIENTS_CUT, &[reason]);
        }
    }

    /// A run was asked what leaves nothing in history.
    pub(crate) fn asked(&self, asked: &Asked) {
        let Some(inner) = &self.0 else { return };
        let counted = [
            (&QUERIES, asked.queries),
            (&UPDATES_REJECTED, asked.rejected_updates),
        ];
        for (metric, count) in counted {
            (inner.registry).measure(metric, &[&asked.workflow_type], count as f64);
        }
    }

    /// The database was written to, or refused.
    pub(crate) fn flushed(&self, elapsed: Duration) {
        self.seconds(&FLUSH, elapsed);
    }

    fn seconds(&self, metric: &'static Metric, elapsed: Duration) {
        if let Some(inner) = &self.0 {
            inner.registry.measure(metric, &[], elapsed.as_secs_f64());
        }
    }

    /// What closed with a write for the first time.
    pub(crate) fn closed(&self, batch: &Batch, closings: &Closings) {
        if let Some(inner) = &self.0 {
            let traces = locked(&inner.traces);
            rows::closed(
                &inner.registry,
                &mut inner.inside(),
                &traces,
                batch,
                closings,
            );
        }
    }

    /// A run of which rows may close, and its trace.
    pub(crate) fn follow(&self, run: &RunKey, trace_id: &str) {
        if let Some(inner) = &self.0 {
            locked(&inner.traces).follow(run, trace_id);
        }
    }

    /// Rows of a run that closed and are stored nowhere; whether there are spans of them.
    pub(crate) fn unstored<'a>(
        &self,
        run: Option<&RunRow>,
        events: impl Iterator<Item = &'a EventRow>,
        facts: &RunFacts,
        has_spans: bool,
    ) {
        let Some(inner) = &self.0 else { return };
        let traces = locked(&inner.traces);
        let of = |run: &RunKey, span_id: &str| {
            let of = has_spans.then(|| traces.of(run, span_id));
            of.flatten()
        };
        let of_event = |row: &EventRow| of(&row.run, &row.span_id);
        rows::unstored(
            &inner.registry,
            &mut inner.inside(),
            events,
            facts,
            of_event,
        );
        if let Some(run) = run {
            rows::run(&inner.registry, run, of(&run.key, &run.span_id));
        }
    }

    /// So many tasks wait in a queue, now.
    pub(crate) fn depth(&self, namespace: &str, queue: &str, kind: &'static str, tasks: u64) {
        if let Some(inner) = &self.0 {
            let key = (namespace.to_owned(), queue.to_owned(), kind);
            locked(&inner.depths).insert(key, (tasks, Instant::now()));
        }
    }

    /// Answers Prometheus and sends to the collector, for as long as it is polled.
    pub async fn run(self) {
        if let Some(inner) = &self.0 {
            let listener = locked(&inner.listener).take();
            let answered = async {
                if let Some(listener) = listener {
                    prometheus::serve(listener, inner.registry.clone()).await;
                }
            };
            tokio::join!(answered, inner.send());
        }
    }

    /// Sends what was measured since the last time, as the process ends.
    pub(crate) async fn last(&self) {
        if let Some(inner) = &self.0
            && let Some(collector) = inner.collector.get()
        {
            // `Err` was logged when it began, or comes too late.
            let _ = collector.send(&inner.registry.collect_to_send()).await;
        }
    }
}

impl Inner {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        locked(&self.inside)
    }

    async fn send(&self) {
        let Some(otlp) = &self.otlp else { return };
        let collector = match MetricCollector::new(otlp) {
            Ok(collector) => self.collector.get_or_init(|| collector),
            Err(error) => {
                tracing::warn!(%error, "OmniTrace sends no metrics");
                return;
            }
        };
        let mut ticks = tokio::time::interval(Duration::from_millis(otlp.metrics.interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // At once: nothing was measured.
        ticks.tick().await;
        let mut trouble = false;
        loop {
            ticks.tick().await;
            let sent = collector.send(&self.registry.collect_to_send()).await;
            if let Err(error) = &sent
                && !trouble
            {
                tracing::warn!(%error, "OmniTrace cannot send metrics; it tries again");
            }
            trouble = sent.is_err();
        }
    }
}

fn open(address: SocketAddr) -> Option<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| {
            tracing::warn!(
                %address, %error,
                "OmniTrace's metrics cannot be read: choose another PROM_EXPORT_PORT"
            );
        })
        .ok()
}

fn readings(depths: &Depths) -> Readings {
    let mut by_queue: BTreeMap<(String, &str), u64> = BTreeMap::new();
    let mut depths = locked(depths);
    depths.retain(|_, (_, at)| at.elapsed() < DEPTH_HOLDS);
    for ((_, queue, kind), (tasks, _)) in &*depths {
        *by_queue.entry((queue.clone(), kind)).or_default() += tasks;
    }
    let readings = by_queue.into_iter();
    readings
        .map(|((queue, kind), tasks)| (tasks as f64, vec![queue, kind.to_owned()]))
        .collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
