//! What a process would tell of rows, for those who look whether it may.

use omnitrace_store::{Batch, Closings, RunFacts};

use crate::config::Settings;
use crate::metrics::Metrics;

/// The metrics that a process would tell of a batch in which everything closes for the first time, as
/// Prometheus reads them.
pub fn metrics_of(batch: &Batch) -> String {
    let closings = Closings {
        events: (0..batch.events.len()).collect(),
        runs: (0..batch.runs.len()).collect(),
        facts: (batch.runs.iter())
            .map(|run| (run.key.clone(), RunFacts::from(run)))
            .collect(),
        spent: (batch.runs.iter())
            .flat_map(|run| {
                let events = batch.events.iter().filter(|event| event.run == run.key);
                let spent = omnitrace_store::spent_by(events).into_iter();
                spent.map(|spent| (run.key.clone(), spent))
            })
            .collect(),
    };
    let metrics = Metrics::measuring(&Settings::default());
    metrics.closed(batch, &closings);
    metrics.text()
}
