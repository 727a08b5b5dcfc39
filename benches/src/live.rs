//! Throughput of many runs at once on a real server, with the plugin and without, in turn.

use crate::Scale;
use crate::cpu::Moment;
use crate::replay::Recording;
use crate::series::{Metrics, PLAIN, Question, RECORDING, Series};
use crate::worker::Shop;

const THROUGHPUT: &str = "runs_per_s";
const PROCESS: &str = "process_cpu_s";

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 2] = [
    Question::recording("throughput, recording / plain", THROUGHPUT),
    Question::recording(
        "CPU of worker and client, all threads, recording / plain",
        PROCESS,
    ),
];

pub(crate) async fn run(scale: &Scale, address: &str) -> anyhow::Result<Series> {
    let recording = Recording::start()?;
    let plain = Shop::open(address, None)?;
    let recorded = Shop::open(address, Some(&recording))?;
    let series = Series::measure(scale.rounds, &[PLAIN, RECORDING], async |variant| {
        let shop = match variant {
            RECORDING => &recorded,
            _ => &plain,
        };
        let before = Moment::now()?;
        shop.customer.serve(scale.runs).await?;
        let served = before.elapsed()?;
        // Nothing is left to be done while the other is measured.
        recording.settle().await?;
        let settled = before.elapsed()?;
        Ok(Metrics::from([
            (
                THROUGHPUT,
                f64::from(scale.runs) / served.wall.as_secs_f64(),
            ),
            (PROCESS, settled.process.as_secs_f64()),
        ]))
    })
    .await?;
    drop(plain);
    drop(recorded);
    recording.stop().await?;
    Ok(series)
}
