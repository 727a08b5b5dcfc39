//! A collector that is away, silent, refusing or deaf changes nothing for workflows; when it is back,
//! nothing is missing.

use std::collections::BTreeMap;

use omnitrace::config::OtlpProtocol;
use omnitrace::{Breaker, Counter};
use omnitrace_tests::{Recording, RunningWorker, beside, eventually, unique};

use super::collector::Collector;
use super::gate::{Gate, Way};
use super::journey::{travel, worker};
use super::span::Span;
use super::{Place, Run, assert_journey, sending};

/// A collector with something in front of it, and a plugin that sends to it.
pub(super) struct Trouble {
    pub(super) collector: Collector,
    pub(super) recording: Recording,
}

impl Trouble {
    async fn start(way: Way) -> (Self, Gate) {
        let collector = Collector::start().await;
        let mut gate = Gate::to(&collector.http);
        gate.set(way).await;
        (Self::at(collector, &gate.address), gate)
    }

    /// In front of the collector stands what listens here.
    pub(super) fn at(collector: Collector, address: &str) -> Self {
        let recording = Recording::with(|settings| {
            sending(settings, OtlpProtocol::HttpProtobuf, address).with_service_name("guides")
        });
        Self {
            collector,
            recording,
        }
    }

    /// A journey, which completes whatever the collector does.
    pub(super) async fn journey(&self) -> Vec<Run> {
        let client = self.recording.client().await;
        let queue = unique("queue");
        let running = RunningWorker::start(client.clone(), worker(&queue, 100));
        let id = beside(running, travel(&client, &queue)).await;
        super::journey(async || self.recording.stored().await, &id).await
    }

    pub(super) fn counted(&self, counter: Counter) -> u64 {
        self.recording.omnitrace.counter(counter)
    }

    pub(super) async fn breaker(&self, is_closed: bool) {
        eventually("its breaker changes", async || {
            let breaker = self.recording.omnitrace.export_breaker();
            ((breaker == Breaker::Closed) == is_closed).then_some(())
        })
        .await;
    }

    /// Waits until so many spans are acknowledged, each once.
    pub(super) async fn acknowledged(&self, spans: u64) {
        eventually("each is acknowledged, once", async || {
            let sent = self.counted(Counter::SpansExported);
            assert!(sent <= spans, "{sent}");
            (sent == spans).then_some(())
        })
        .await;
    }
}

/// How many spans runs have.
pub(super) fn rows(runs: &[Run]) -> u64 {
    runs.iter().map(|(_, events)| events.len() as u64 + 1).sum()
}

async fn comes_back_from(way: Way) {
    let (trouble, mut gate) = Trouble::start(way).await;
    let runs = trouble.journey().await;
    trouble.breaker(false).await;
    let store = trouble.recording.omnitrace.breaker();
    assert_eq!(store, Breaker::Closed, "the store's own");
    assert_eq!(trouble.counted(Counter::SpansExported), 0, "{way:?}");
    assert!(trouble.counted(Counter::ExportErrors) >= 5, "{way:?}");

    gate.set(Way::Through).await;
    assert_journey(&Place::File(&trouble.collector), &runs, &[]).await;
    trouble.breaker(true).await;
    trouble.acknowledged(rows(&runs)).await;
    assert_eq!(trouble.counted(Counter::SpansDropped), 0, "{way:?}");
    trouble.recording.assert_accounted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_down_gets_all_spans_once() {
    comes_back_from(Way::Down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_silent_gets_all_spans_once() {
    comes_back_from(Way::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_was_busy_gets_all_spans_once() {
    comes_back_from(Way::Status(503)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_that_are_refused_for_good_are_counted_and_not_sent_again() {
    let (trouble, mut gate) = Trouble::start(Way::Status(400)).await;
    let refused = trouble.journey().await;
    eventually("all are given up", async || {
        let dropped = trouble.counted(Counter::SpansDropped);
        assert!(dropped <= rows(&refused));
        (dropped == rows(&refused)).then_some(())
    })
    .await;
    gate.set(Way::Through).await;
    let taken = trouble.journey().await;
    assert_journey(&Place::File(&trouble.collector), &taken, &[]).await;
    let spans = trouble.collector.spans();
    for (run, _) in &refused {
        assert!(spans.iter().all(|span| span.trace != run.trace_id));
    }
    assert_eq!(trouble.counted(Counter::SpansExported), rows(&taken));
    trouble.recording.assert_accounted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_comes_twice_only_where_its_acknowledgement_was_lost() {
    let (trouble, mut gate) = Trouble::start(Way::Deaf).await;
    let unheard = trouble.journey().await;
    trouble.breaker(false).await;
    assert_eq!(trouble.counted(Counter::SpansExported), 0);
    gate.set(Way::Through).await;
    trouble.breaker(true).await;
    let heard = trouble.journey().await;
    // Of what was heard none comes twice: `assert_journey` checks it.
    assert_journey(&Place::File(&trouble.collector), &heard, &[]).await;

    trouble.acknowledged(rows(&unheard) + rows(&heard)).await;
    let copies = assert_copies_alike(&trouble.collector, &unheard).await;
    assert!(copies > rows(&unheard) as usize, "some come again");
}

/// Waits until the collector has all spans of runs, and checks that those that it has twice are alike; how
/// many it has, with all copies.
pub(super) async fn assert_copies_alike(collector: &Collector, runs: &[Run]) -> usize {
    let copies = eventually("all of them have come", async || {
        let mut copies: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        for span in collector.spans() {
            if runs.iter().any(|(run, _)| run.trace_id == span.trace) {
                copies.entry(span.id.clone()).or_default().push(span);
            }
        }
        assert!(copies.len() as u64 <= rows(runs));
        (copies.len() as u64 == rows(runs)).then_some(copies)
    })
    .await;
    for copies in copies.values() {
        let content = |span: &Span| (span.name.clone(), span.parent.clone(), span.tags.clone());
        let mut alike = copies.iter().map(content);
        let first = alike.next();
        assert!(alike.all(|copy| Some(copy) == first), "{copies:#?}");
    }
    copies.values().map(Vec::len).sum()
}
