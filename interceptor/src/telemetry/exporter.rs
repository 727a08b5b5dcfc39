//! Sends what closes as spans: at once what this process closed, and under a lease what nobody sent.
//!
//! Invariant: nothing here blocks the writer: each call runs as a task of its own, one at a time. A row
//! is marked when the collector acknowledged it. This process sends its own rows for a while only, and
//! others touch them only after that; so a row is sent twice only if an acknowledgement was lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use omnitrace_store::{SpanKey, SpanRows, Store};
use opentelemetry_sdk::trace::SpanData;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::collector::{Collector, CollectorError};
use super::span::{SpanShape, event_span, run_span};
use crate::breaker::{Breaker, Refusals};
use crate::config::{Batching, Settings};
use crate::counters::{Counter, Counters};

/// Name of the lease, of no namespace: spans of all are sent.
const LEASE: &str = "export";

/// How long after a row closed any process may send it. Its own process sends it for half of that, and
/// what it has begun then is over in time.
pub(crate) fn grace(batching: &Batching) -> Duration {
    own_window(batching) * 2
}

fn own_window(batching: &Batching) -> Duration {
    Duration::from_millis(batching.export_timeout_ms.saturating_mul(2))
}

/// What all calls need.
#[derive(Debug)]
struct Kit {
    collector: Collector,
    shape: SpanShape,
    batching: Batching,
    /// Who takes the lease.
    holder: String,
    counters: Counters,
}

/// What is to be done.
#[derive(Debug)]
enum Work {
    /// Ask whether the collector is there.
    Probe,
    /// Send rows that this process closed.
    Rows(Vec<Noted>),
    /// Send what is stored nowhere.
    Spans(Vec<SpanData>),
    /// Send rows that nobody sent.
    Sweep,
}

/// A row that this process closed.
#[derive(Clone, Debug)]
struct Noted {
    key: SpanKey,
    since: Instant,
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Done {
    work: Work,
    result: Result<bool, Trouble>,
}

#[derive(Debug)]
enum Trouble {
    Collector(CollectorError),
    Store(String),
}

#[derive(Debug)]
pub(crate) struct Exporter {
    kit: Arc<Kit>,
    store: Option<Store>,
    rows: VecDeque<Noted>,
    spans: VecDeque<SpanData>,
    /// When what waits is sent.
    due: Option<Instant>,
    sweep_at: Instant,
    probed: bool,
    refusals: Refusals,
    /// Whether the collector took what it was sent last.
    up: Option<bool>,
    running: Option<JoinHandle<Done>>,
}

impl Exporter {
    /// Makes one if spans are to be exported. What is wrong is one line in the log.
    pub(crate) fn new(
        settings: &Settings,
        host: &str,
        holder: &str,
        counters: Counters,
    ) -> Option<Self> {
        if !settings.telemetry.exports_spans() {
            return None;
        }
        let collector = Collector::new(settings, host)
            .map_err(|error| tracing::warn!(%error, "OmniTrace sends no spans"))
            .ok()?;
        let batching = settings.telemetry.batching.clone();
        let kit = Kit {
            collector,
            shape: SpanShape::new(settings),
            batching,
            holder: holder.to_owned(),
            counters,
        };
        Some(Self {
            kit: Arc::new(kit),
            store: None,
            rows: VecDeque::new(),
            spans: VecDeque::new(),
            due: None,
            sweep_at: Instant::now(),
            probed: false,
            refusals: Refusals::none(),
            up: None,
            running: None,
        })
    }

    pub(crate) fn shape(&self) -> &SpanShape {
        &self.kit.shape
    }

    /// Whether it can look for what others left.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.refusals.breaker(self.running.is_some())
    }

    /// Whether the collector took what it was sent last, if anything was.
    pub(crate) fn up(&self) -> Option<bool> {
        self.up
    }

    /// Rows that closed with a write, and where they are.
    pub(crate) fn closed(&mut self, keys: Vec<SpanKey>, store: Option<&Store>) {
        if let Some(store) = store {
            self.store = Some(store.clone());
        }
        let since = Instant::now();
        // What finds no room is sent when others may.
        let room = self.room(self.rows.len());
        let noted = keys.into_iter().take(room).map(|key| Noted { key, since });
        self.rows.extend(noted);
        self.schedule();
    }

    /// What closed and is stored nowhere.
    pub(crate) fn unstored(&mut self, spans: Vec<SpanData>) {
        let room = self.room(self.spans.len());
        let dropped = spans.len().saturating_sub(room);
        self.kit.counters.add(Counter::SpansDropped, dropped as u64);
        self.spans.extend(spans.into_iter().take(room));
        self.schedule();
    }

    fn room(&self, used: usize) -> usize {
        (self.kit.batching.max_queue_size as usize).saturating_sub(used)
    }

    fn schedule(&mut self) {
        let waiting = self.rows.len() + self.spans.len();
        if waiting == 0 {
            self.due = None;
            return;
        }
        let delay = Duration::from_millis(self.kit.batching.schedule_delay_ms);
        let due = match waiting >= self.batch() {
            true => Instant::now(),
            false => Instant::now() + delay,
        };
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    fn batch(&self) -> usize {
        self.kit.batching.max_export_batch_size as usize
    }

    /// Sends what waits without delay.
    pub(crate) fn hurry(&mut self) {
        if self.due.is_some() {
            self.due = Some(Instant::now());
        }
        self.refusals.hurry();
    }

    /// When there is something to do next, unless a call is under way.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        if self.running.is_some() {
            return None;
        }
        let sweep = self.store.is_some().then_some(self.sweep_at);
        let next = match self.probed {
            true => self.due.into_iter().chain(sweep).min()?,
            false => Instant::now(),
        };
        Some((self.refusals.not_before()).map_or(next, |not_before| next.max(not_before)))
    }

    /// Begins what is next.
    pub(crate) fn begin(&mut self) {
        if self.running.is_some() {
            return;
        }
        let most = match self.refusals.is_tripped() {
            true => 1,
            false => self.batch(),
        };
        let window = own_window(&self.kit.batching);
        self.rows.retain(|noted| noted.since.elapsed() < window);
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        let work = if !self.probed {
            self.probed = true;
            Work::Probe
        } else if is_due && !self.rows.is_empty() {
            let most = most.min(self.rows.len());
            Work::Rows(self.rows.drain(..most).collect())
        } else if is_due && !self.spans.is_empty() {
            let most = most.min(self.spans.len());
            Work::Spans(self.spans.drain(..most).collect())
        } else if self.store.is_some() && self.sweep_at <= Instant::now() {
            let delay = Duration::from_millis(self.kit.batching.schedule_delay_ms);
            self.sweep_at = Instant::now() + delay * 2;
            Work::Sweep
        } else {
            self.due = None;
            self.schedule();
            return;
        };
        if self.rows.is_empty() && self.spans.is_empty() {
            self.due = None;
        }
        let (kit, store) = (self.kit.clone(), self.store.clone());
        self.running = Some(tokio::spawn(async move {
            let result = kit.run(&work, store.as_ref(), most).await;
            Done { work, result }
        }));
    }

    /// Waits for the call that is under way; for ever if there is none.
    pub(crate) async fn done(&mut self) -> Done {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let joined = running.await;
        self.running = None;
        joined.unwrap_or_else(|error| Done {
            work: Work::Sweep,
            result: Err(Trouble::Store(format!("exporting was cut off: {error}"))),
        })
    }

    /// Takes in what a call brought.
    pub(crate) fn finish(&mut self, Done { work, result }: Done) {
        let trouble = match result {
            Ok(more) => {
                if more {
                    self.sweep_at = Instant::now();
                }
                if !matches!(work, Work::Sweep) {
                    self.up = Some(true);
                }
                self.refusals.clear();
                return;
            }
            Err(trouble) => trouble,
        };
        let error = match trouble {
            Trouble::Collector(error) => {
                self.up = Some(false);
                if self.kit.counters.get(Counter::ExportErrors) == 0 {
                    tracing::warn!(
                        collector = self.kit.collector.shown, %error,
                        "OmniTrace cannot send spans; they are sent when the collector takes them"
                    );
                }
                self.kit.counters.add(Counter::ExportErrors, 1);
                error.to_string()
            }
            Trouble::Store(error) => error,
        };
        self.refusals.add(error);
        match work {
            Work::Rows(rows) => rows
                .into_iter()
                .rev()
                .for_each(|row| self.rows.push_front(row)),
            Work::Spans(spans) => {
                (spans.into_iter().rev()).for_each(|span| self.spans.push_front(span));
            }
            Work::Probe | Work::Sweep => return,
        }
        self.due = Some(Instant::now());
    }

    /// Sends what waits until a deadline, or until the collector refuses. What is stored and not sent
    /// then, others will send.
    pub(crate) async fn last(&mut self, deadline: Instant) {
        self.hurry();
        self.probed = true;
        self.sweep_at = deadline;
        loop {
            if self.running.is_some() {
                let Ok(done) = timeout_at(deadline, self.done()).await else {
                    break;
                };
                self.finish(done);
            }
            if self.due.is_none() || self.refusals.error.is_some() || Instant::now() >= deadline {
                break;
            }
            self.begin();
        }
        if let Some(running) = self.running.take() {
            running.abort();
        }
        let left = self.spans.len() as u64;
        self.kit.counters.add(Counter::SpansDropped, left);
    }
}

impl Kit {
    /// Does it; says whether there is more of it.
    async fn run(&self, work: &Work, store: Option<&Store>, most: usize) -> Result<bool, Trouble> {
        match (work, store) {
            (Work::Probe, _) => self.deliver(Vec::new()).await?,
            (Work::Spans(spans), _) => self.deliver(spans.clone()).await?,
            (Work::Rows(rows), Some(store)) => {
                let keys: Vec<SpanKey> = rows.iter().map(|row| row.key.clone()).collect();
                self.send(store, &keys).await?;
            }
            (Work::Sweep, Some(store)) => return self.sweep(store, most).await,
            (Work::Rows(_) | Work::Sweep, None) => {}
        }
        Ok(false)
    }

    async fn sweep(&self, store: &Store, most: usize) -> Result<bool, Trouble> {
        // Longer than a batch takes, so nobody else sends the same.
        let time = grace(&self.batching);
        let held = store.lease("", LEASE, &self.holder, time).await;
        if !held.map_err(store_trouble)? {
            return Ok(false);
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let keys = store.export_due(most).await.map_err(store_trouble)?;
        if keys.is_empty() {
            return Ok(false);
        }
        self.send(store, &keys).await?;
        Ok(true)
    }

    async fn send(&self, store: &Store, keys: &[SpanKey]) -> Result<(), Trouble> {
        let found = store.unexported(keys).await.map_err(store_trouble)?;
        let mut sent = Vec::new();
        let mut spans = Vec::new();
        for rows in found {
            self.spans(rows, &mut sent, &mut spans);
        }
        if sent.is_empty() {
            return Ok(());
        }
        self.deliver(spans).await?;
        store.exported(&sent).await.map_err(store_trouble)
    }

    fn spans(&self, rows: SpanRows, keys: &mut Vec<SpanKey>, spans: &mut Vec<SpanData>) {
        let SpanRows {
            run,
            itself,
            continued_from_trace,
            events,
        } = rows;
        for event in events {
            spans.push(event_span(&event, (&run).into(), &self.shape));
            keys.push(SpanKey {
                run: event.run,
                event_key: event.event_key,
            });
        }
        if itself {
            let before = continued_from_trace.as_deref();
            spans.push(run_span(&run, before, &self.shape));
            keys.push(SpanKey::of_run(run.key));
        }
    }

    /// Sends spans. Of those that the collector will never take, each costs itself alone.
    async fn deliver(&self, spans: Vec<SpanData>) -> Result<(), Trouble> {
        let all = spans.len() as u64;
        let dropped = (self.collector.deliver(spans).await).map_err(Trouble::Collector)?;
        self.counters.add(Counter::SpansExported, all - dropped);
        self.counters.add(Counter::SpansDropped, dropped);
        Ok(())
    }
}

fn store_trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble::Store(error.to_string())
}
