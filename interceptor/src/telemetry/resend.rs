//! Stored runs, sent again by whoever asks for it.
//!
//! Invariant: a span is the same whenever it is sent; nothing is marked as sent.

use omnitrace_store::row::{EventRow, Phase, RunRow};
use opentelemetry_sdk::trace::SpanData;

use super::collector::{Collector, CollectorError};
use super::span::{SpanShape, event_span, run_span};
use crate::config::Settings;

/// Sends stored runs to a collector, in batches.
#[derive(Debug)]
pub struct Resender {
    collector: Collector,
    shape: SpanShape,
    batch: usize,
    waiting: Vec<SpanData>,
    sent: u64,
    refused: u64,
}

impl Resender {
    /// To the collector of these settings, whether or not they send spans by themselves.
    ///
    /// # Errors
    /// When the settings of the exporter cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(settings: &Settings) -> Result<Self, CollectorError> {
        Ok(Self {
            collector: Collector::new(settings, "")?,
            shape: SpanShape::new(settings),
            batch: settings.telemetry.batching.max_export_batch_size as usize,
            waiting: Vec::new(),
            sent: 0,
            refused: 0,
        })
    }

    /// Where they are sent, without credentials.
    pub fn collector(&self) -> &str {
        &self.collector.shown
    }

    /// Spans that were taken so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Spans that will never be taken.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Adds a run with its events; what is full is sent. `continued_from_trace` is the trace of the run
    /// before it in its chain. Of what goes on there is no span yet.
    ///
    /// # Errors
    /// When the collector does not take spans now. What it will never take is counted.
    pub async fn add(
        &mut self,
        run: &RunRow,
        continued_from_trace: Option<&str>,
        events: &[EventRow],
    ) -> Result<(), CollectorError> {
        let over = run.phase == Phase::Closed;
        let events = (events.iter())
            .filter(|event| event.is_over() || (over && event.phase > Phase::Provisional));
        let spans = events.map(|event| event_span(event, run.into(), &self.shape));
        self.waiting.extend(spans);
        if over {
            let span = run_span(run, continued_from_trace, &self.shape);
            self.waiting.push(span);
        }
        while self.waiting.len() >= self.batch {
            let rest = self.waiting.split_off(self.batch);
            let full = std::mem::replace(&mut self.waiting, rest);
            self.send(full).await?;
        }
        Ok(())
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// As [`Resender::add`].
    pub async fn finish(&mut self) -> Result<(), CollectorError> {
        match std::mem::take(&mut self.waiting) {
            rest if rest.is_empty() => Ok(()),
            rest => self.send(rest).await,
        }
    }

    async fn send(&mut self, spans: Vec<SpanData>) -> Result<(), CollectorError> {
        let all = spans.len() as u64;
        let refused = self.collector.deliver(spans).await?;
        self.sent += all - refused;
        self.refused += refused;
        Ok(())
    }
}
