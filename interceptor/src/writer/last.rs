//! The end: what was offered is taken in and written, until a deadline.
//!
//! Invariant: whoever waits for a flush or for the end is answered; what is not stored by then is counted.

use tokio::time::{Instant, timeout_at};

use super::Writer;
use crate::counters::Counter;
use crate::queue::Receiver;

impl Writer {
    /// Takes in all that was ever offered, until a deadline; what is left then is counted.
    async fn drain_last(&mut self, deadline: Instant, items: &mut Receiver) {
        items.close();
        let mut in_time = true;
        // Ends when also those are done that were offering when the queue was closed.
        while let Some(item) = items.recv().await {
            in_time = in_time
                && timeout_at(deadline, self.intake.take_in(item))
                    .await
                    .is_ok();
            if !in_time {
                self.counters.add(Counter::DroppedStopped, 1);
            }
        }
        self.after_intake();
    }

    pub(super) async fn shutdown(
        &mut self,
        deadline: Instant,
        items: &mut Receiver,
    ) -> Result<(), String> {
        self.drain_last(deadline, items).await;
        self.intake.end();
        self.after_intake();
        if let Some(link) = &mut self.link {
            link.refusals.hurry();
        }
        let mut reported = false;
        while let Some(link) = &mut self.link {
            if link.is_busy() {
                let Ok(done) = timeout_at(deadline, link.done()).await else {
                    let batch = link.cut_off();
                    self.intake.waiting.refused(batch, self.origin);
                    break;
                };
                self.finish(done);
                continue;
            }
            if self.intake.waiting.is_empty() && reported {
                break;
            }
            let at = (link.refusals.not_before()).unwrap_or_else(Instant::now);
            if at >= deadline {
                break;
            }
            tokio::time::sleep_until(at).await;
            // What this write brings is reported by one more.
            reported = self.intake.waiting.is_empty();
            self.write(true);
        }
        let left = self.intake.waiting.leave();
        self.counters.add(Counter::RowsDroppedShutdown, left as u64);
        let error = (self.link.as_ref()).and_then(|link| link.refusals.error.as_deref());
        let result = match (left, error) {
            (0, _) => Ok(()),
            (rows, Some(error)) => Err(format!("{rows} rows were not stored: {error}")),
            (rows, None) => Err(format!("{rows} rows were not stored in time")),
        };
        if let Err(error) = &result {
            tracing::warn!(%error, "OmniTrace stopped");
        }
        let asked = self.asked.drain(..).map(|(_, reply)| reply);
        for reply in self.flushes.drain(..).chain(asked) {
            // `Err` means: nobody waits for the answer.
            let _ = reply.send(result.clone());
        }
        if let Some(exporter) = &mut self.exporter {
            exporter.last(deadline).await;
        }
        // `Err` means: there is no time left.
        let _ = timeout_at(deadline, self.metrics.last()).await;
        if let Some(link) = &mut self.link {
            // `Err` means: the database is busy; the rows are in it.
            let _ = timeout_at(deadline, link.close()).await;
        }
        result
    }
}
