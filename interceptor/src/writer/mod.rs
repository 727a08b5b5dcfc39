//! The background writer: everything that happens after an observation was offered.
//!
//! Invariant: it runs on threads of its own, so nothing it does slows a worker; a panic while one
//! observation is taken in costs that observation, counted. However much is offered, the database
//! and whoever waits for a flush get their turn.

mod buffer;
mod gauges;
mod intake;
mod last;
mod link;
pub(crate) mod spool;
mod unstored;
mod waiting;
mod writing;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use omnitrace_store::row::Micros;
use omnitrace_store::{DatabaseUrl, OpenOptions, ProcessReport};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::config::Settings;
use crate::counters::Counters;
use crate::metrics::Metrics;
use crate::queue::{Item, Lost, Receiver};
use crate::switches::{self, Switchboard};
use crate::telemetry::{self, Exporter};
pub(crate) use gauges::Gauges;
use gauges::locked;
use intake::Intake;
use link::{Done, Link};
use spool::Spool;
pub(crate) use spool::SpoolOptions;
use waiting::{Origin, Waiting};

/// How the writer works.
#[derive(Debug)]
pub(crate) struct WriterOptions {
    pub(crate) switches: Switchboard,
    pub(crate) slow_ms: i64,
    pub(crate) flush: Duration,
    pub(crate) promote_window: Duration,
    pub(crate) buffer_bytes: usize,
    pub(crate) database: Option<(DatabaseUrl, OpenOptions)>,
    pub(crate) spool: Option<SpoolOptions>,
    /// What spans are sent by.
    pub(crate) telemetry: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) process: ProcessReport,
}

/// What the handle tells the writer, apart from observations.
#[derive(Debug)]
pub(crate) enum Control {
    /// Write everything offered so far, and say whether it is stored.
    Flush(oneshot::Sender<Result<(), String>>),
    /// The same, and stop. Whatever is not stored at the deadline is counted as lost.
    Shutdown(Instant, oneshot::Sender<Result<(), String>>),
}

/// How often the writer looks after what has no event of its own.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How often a process reports its counters, at most.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How long the writer goes on without anyone who could shut it down.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How often the writer looks for what processes that are gone have left on disk.
const ADOPT_EVERY: Duration = Duration::from_secs(10);

/// How long the first observation waits for what is switched, where content is kept.
const FIRST_SWITCHES: Duration = Duration::from_secs(2);

/// Observations taken in before the writer looks up again.
const INTAKE_BURST: usize = 64;

/// Starts the writer's thread. It ends on [`Control::Shutdown`], or when all handles are gone and
/// what they offered is written.
pub(crate) fn start(
    options: WriterOptions,
    items: Receiver,
    control: mpsc::UnboundedReceiver<Control>,
    counters: Counters,
    lost: Lost,
    gauges: Gauges,
) -> std::io::Result<()> {
    // The calls to the database are tasks on a thread of their own: what is taken in meanwhile does
    // not hold them up.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("omnitrace-store")
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("omnitrace-writer".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let writer = Writer::new(options, counters, lost, gauges);
                writer.run(items, control).await;
            });
        })?;
    Ok(())
}

struct Writer {
    intake: Intake,
    switches: Switchboard,
    /// Where switches are.
    database: Option<DatabaseUrl>,
    link: Option<Link>,
    exporter: Option<Exporter>,
    counters: Counters,
    gauges: Gauges,
    flush: Duration,
    promote_window: Duration,
    /// Since when rows wait.
    waiting_since: Option<Instant>,
    flushes: Vec<oneshot::Sender<Result<(), String>>>,
    /// Flushes that wait until so many observations are taken in.
    asked: VecDeque<(u64, oneshot::Sender<Result<(), String>>)>,
    /// Observations taken in.
    taken: u64,
    process: ProcessReport,
    reported_at: Option<Instant>,
    adopted_at: Option<Instant>,
    /// Where the batch that is being written came from, and since when it is.
    origin: Origin,
    writing_since: Instant,
    metrics: Metrics,
}

enum Next {
    Item(Option<Item>),
    Control(Option<Control>),
    Done(Done),
    Exported(telemetry::Done),
    Write,
    Export,
    Tick,
}

impl Writer {
    fn new(options: WriterOptions, counters: Counters, lost: Lost, gauges: Gauges) -> Self {
        let has_store = options.database.is_some();
        let (host, id) = (&options.process.host, &options.process.id);
        let exporter = Exporter::new(&options.telemetry, host, id, counters.clone());
        let buffer = buffer::Buffer::new(if has_store { options.buffer_bytes } else { 0 });
        let spool = options.spool.filter(|_| has_store);
        let spool = spool.map(|spool| Spool::new(spool, &options.process.id));
        Self {
            switches: options.switches.clone(),
            database: options.database.as_ref().map(|(url, _)| url.clone()),
            link: options.database.map(|(url, open)| Link::new(url, open)),
            intake: Intake::new(
                options.switches.clone(),
                options.slow_ms,
                Waiting::new(buffer, spool, counters.clone()),
                has_store,
                exporter.as_ref().map(Exporter::shape).cloned(),
                options.metrics.clone(),
                counters.clone(),
                lost,
                options.process.id.clone(),
            ),
            exporter,
            counters,
            gauges,
            flush: options.flush,
            promote_window: options.promote_window,
            waiting_since: None,
            flushes: Vec::new(),
            asked: VecDeque::new(),
            taken: 0,
            process: options.process,
            reported_at: None,
            adopted_at: None,
            origin: Origin::Memory,
            writing_since: Instant::now(),
            metrics: options.metrics,
        }
    }

    async fn run(mut self, mut items: Receiver, mut control: mpsc::UnboundedReceiver<Control>) {
        // Ends with the runtime.
        tokio::spawn(self.metrics.clone().run());
        if let Some(url) = self.database.take() {
            tokio::spawn(switches::follow(self.switches.clone(), url));
            if self.switches.configured_policy().captures_content() {
                // What is offered meanwhile waits, so that it is known whether it may stay readable.
                self.switches.answered(FIRST_SWITCHES).await;
            }
        }
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_handle = true;
        loop {
            let write_at = self.write_at();
            let export_at = self.exporter.as_ref().and_then(Exporter::next_at);
            let next = tokio::select! {
                biased;
                control = control.recv(), if has_handle => Next::Control(control),
                done = done(&mut self.link) => Next::Done(done),
                done = exported(&mut self.exporter) => Next::Exported(done),
                () = sleep_until(write_at) => Next::Write,
                () = sleep_until(export_at) => Next::Export,
                _ = tick.tick() => Next::Tick,
                item = items.recv() => Next::Item(item),
            };
            match next {
                Next::Item(Some(item)) => {
                    self.take_in(item, &mut items).await;
                    self.reach_flushes();
                }
                // Workers that have the plugin go on.
                Next::Control(None) => has_handle = false,
                // Nobody is left to offer anything: write what there is, for a while.
                Next::Item(None) => {
                    let deadline = Instant::now() + LAST_WRITES;
                    // `Err` was logged, and nobody is there to be told.
                    let _ = self.shutdown(deadline, &mut items).await;
                    return;
                }
                Next::Control(Some(Control::Flush(reply))) => {
                    // What was offered so far, and not what is offered meanwhile.
                    let reached = self.taken + items.len() as u64;
                    self.asked.push_back((reached, reply));
                    self.reach_flushes();
                }
                Next::Control(Some(Control::Shutdown(deadline, reply))) => {
                    let stored = self.shutdown(deadline, &mut items).await;
                    // `Err` means: nobody waits for the answer.
                    let _ = reply.send(stored);
                    return;
                }
                Next::Done(done) => {
                    self.finish(done);
                    self.answer_flushes();
                }
                Next::Exported(done) => {
                    if let Some(exporter) = &mut self.exporter {
                        exporter.finish(done);
                    }
                }
                Next::Write => self.write(false),
                Next::Export => {
                    if let Some(exporter) = &mut self.exporter {
                        exporter.begin();
                    }
                }
                Next::Tick => self.tick(),
            }
            self.after_intake();
        }
    }

    async fn take_in(&mut self, first: Item, items: &mut Receiver) {
        self.intake.take_in(first).await;
        self.taken += 1;
        for _ in 1..INTAKE_BURST {
            let Some(item) = items.try_recv() else { break };
            self.intake.take_in(item).await;
            self.taken += 1;
        }
    }

    /// Begins the flushes before which all is taken in.
    fn reach_flushes(&mut self) {
        let mut reached = false;
        while self.asked.front().is_some_and(|(at, _)| *at <= self.taken) {
            self.flushes
                .extend(self.asked.pop_front().map(|(_, reply)| reply));
            reached = true;
        }
        if reached {
            self.after_intake();
            self.intake.mark_losses();
            self.intake.waiting.seal();
            if let Some(link) = &mut self.link {
                link.refusals.hurry();
            }
            self.answer_flushes();
        }
    }

    fn after_intake(&mut self) {
        let live = self.intake.live_recorders();
        self.gauges.live_recorders.store(live, Ordering::Relaxed);
        let spooled = self.intake.waiting.spool_bytes();
        self.gauges.spool_bytes.store(spooled, Ordering::Relaxed);
        if let Some(exporter) = &mut self.exporter {
            let closed = self.intake.take_closed();
            if !closed.is_empty() {
                exporter.unstored(closed);
            }
            *locked(&self.gauges.export_breaker) = exporter.breaker();
            *locked(&self.gauges.collector_up) = exporter.up();
        }
        if self.intake.waiting.is_empty() {
            self.waiting_since = None;
        } else if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
        }
    }

    fn answer_flushes(&mut self) {
        let busy = self.link.as_ref().is_some_and(Link::is_busy);
        if !busy && self.intake.waiting.is_unsealed() {
            for reply in self.flushes.drain(..) {
                // `Err` means: nobody waits for the answer.
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        let window = Micros::try_from(self.promote_window.as_micros()).unwrap_or(Micros::MAX);
        self.intake.housekeeping(now, window);
        if self.adopted_at.is_none_or(|at| at.elapsed() >= ADOPT_EVERY) {
            self.adopted_at = Some(Instant::now());
            self.intake.waiting.adopt();
        }
        let Some(link) = self.link.as_mut().filter(|link| !link.is_busy()) else {
            return;
        };
        let reports = self
            .reported_at
            .is_none_or(|at| at.elapsed() >= REPORT_EVERY)
            && (link.refusals.not_before()).is_none_or(|at| at <= Instant::now())
            && (self.counters.snapshot() != self.process.counters
                // Others may have left spans there.
                || self.exporter.as_ref().is_some_and(|e| !e.has_store()));
        if reports {
            self.write(false);
        } else if self.intake.holds_rows() && link.store().is_some() {
            link.poll_promotions(now.saturating_sub(window));
        }
    }
}

async fn done(link: &mut Option<Link>) -> Done {
    match link {
        Some(link) => link.done().await,
        None => std::future::pending().await,
    }
}

async fn exported(exporter: &mut Option<Exporter>) -> telemetry::Done {
    match exporter {
        Some(exporter) => exporter.done().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
