//! Endurance: very many runs on a real server, with the plugin and without, in turn, for as long as it takes.
//!
//! Invariant: both workers live from the first slice to the last, and a slice of the one is compared with
//! the slice of the other beside it, so that what slows the machine for a while slows both.

mod page;
mod toil;
mod verdict;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use omnitrace_store::row::Status;
use omnitrace_store::{DatabaseUrl, OpenOptions, RunFilter, Store};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::worker::Customer;
use toil::{State, Toiler};
pub(crate) use toil::{Toil, run as toil};
use verdict::Verdict;

/// Between two looks at a worker.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// The Temporal server, `host:port`
    #[arg(long)]
    address: String,
    /// Short runs of each worker
    #[arg(long)]
    short: u32,
    /// Long runs of each worker
    #[arg(long)]
    long: u32,
    /// Activities of a long run
    #[arg(long)]
    activities: u32,
    /// Short runs of a slice
    #[arg(long)]
    slice: u32,
    /// Short runs at once
    #[arg(long)]
    at_once: usize,
    /// The folder for the report
    #[arg(long)]
    out: PathBuf,
}

/// What one worker did in one slice.
#[derive(Clone, Debug, Serialize)]
struct Slice {
    recording: bool,
    /// Since the beginning, in seconds.
    at_s: f64,
    short: u32,
    long: u32,
    seconds: f64,
    /// From the start of a short run to its result, in seconds.
    p50_s: f64,
    p99_s: f64,
    /// CPU of the worker's process in the slice, in seconds.
    cpu_s: f64,
    /// At the end of the slice.
    resident_bytes: u64,
    /// Of these, heap and stacks.
    private_bytes: u64,
    /// The most that was seen.
    queue_bytes: u64,
    live: u64,
    stored: u64,
    dropped: u64,
}

/// A worker and who has it work.
struct Side {
    recording: bool,
    toiler: Toiler,
    customer: Customer,
    last: State,
}

impl Side {
    async fn start(soak: &Soak, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut toiler = Toiler::start(&soak.address, folder).await?;
        let customer = Customer::of(&soak.address, &toiler.task_queue).await?;
        Ok(Self {
            recording: folder.is_some(),
            last: toiler.state().await?,
            toiler,
            customer,
        })
    }

    /// Serves so many runs while it is looked at.
    async fn serve(
        &mut self,
        soak: &Soak,
        short: u32,
        long: u32,
        begin: Instant,
    ) -> anyhow::Result<Slice> {
        let start = Instant::now();
        let customer = &self.customer;
        let batch = uuid::Uuid::new_v4();
        let shorts = stream::iter(0..short).map(|n| async move {
            let start = Instant::now();
            customer.short(format!("soak-{batch}-{n}"), n).await?;
            anyhow::Ok(start.elapsed().as_secs_f64())
        });
        let longs = stream::iter(0..long).map(|_| customer.long(soak.activities));
        let runs = async {
            let shorts = async {
                let times: Vec<f64> = shorts.buffer_unordered(soak.at_once).try_collect().await?;
                anyhow::Ok((times, start.elapsed().as_secs_f64()))
            };
            let longs = longs.buffer_unordered(soak.at_once).try_collect::<Vec<_>>();
            futures_util::future::try_join(shorts, longs).await
        };
        let (over, mut is_over) = tokio::sync::oneshot::channel::<()>();
        let runs = async {
            let served = runs.await;
            drop(over);
            served
        };
        let looks = async {
            let mut most = 0;
            let mut ticks = tokio::time::interval(LOOK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut is_over => return anyhow::Ok(most),
                    _ = ticks.tick() => most = most.max(self.toiler.state().await?.queue_bytes),
                }
            }
        };
        let (((mut times, seconds), _), queue_bytes) = tokio::try_join!(runs, looks)?;
        let state = self.toiler.settled().await?;
        times.sort_by(f64::total_cmp);
        let slice = Slice {
            recording: self.recording,
            at_s: begin.elapsed().as_secs_f64(),
            short,
            long,
            seconds,
            p50_s: percentile(&times, 50),
            p99_s: percentile(&times, 99),
            cpu_s: state.cpu_s - self.last.cpu_s,
            resident_bytes: state.resident_bytes,
            private_bytes: state.private_bytes,
            queue_bytes,
            live: state.live,
            stored: state.counters.get("rows.stored").copied().unwrap_or(0),
            dropped: state.dropped(),
        };
        self.last = state;
        Ok(slice)
    }
}

/// Of sorted values; 0 of none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// What round `n` has of a total.
fn share(total: u32, n: u32, rounds: u32) -> u32 {
    let until = |n: u32| u64::from(total) * u64::from(n) / u64::from(rounds);
    u32::try_from(until(n + 1) - until(n)).unwrap_or(u32::MAX)
}

/// Serves all slices, or as many as there are before Ctrl-C, and writes the report.
pub(crate) async fn run(soak: &Soak) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut sides = [
        Side::start(soak, None).await?,
        Side::start(soak, Some(folder.path())).await?,
    ];
    let rounds = soak.short.div_ceil(soak.slice.max(1)).max(1);
    let begin = Instant::now();
    let warm_up = soak.slice.min(soak.short);
    for side in &mut sides {
        side.serve(soak, warm_up, 0, begin)
            .await
            .context("warming up")?;
    }
    let bar = progress(rounds);
    let mut slices = Vec::new();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut is_whole = true;
    'all: for round in 0..rounds {
        let (short, long) = (
            share(soak.short, round, rounds),
            share(soak.long, round, rounds),
        );
        // Who begins changes from round to round.
        for place in 0..2 {
            let side = &mut sides[(round as usize + place) % 2];
            tokio::select! {
                slice = side.serve(soak, short, long, begin) => slices.push(slice?),
                _ = &mut interrupted => {
                    is_whole = false;
                    break 'all;
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    for side in sides {
        side.toiler.end().await?;
    }
    let stored = is_whole.then_some(stored_runs(folder.path()).await?);
    let expected = u64::from(warm_up) + u64::from(soak.short) + u64::from(soak.long);
    let verdict = Verdict::of(&slices, stored.map(|stored| (stored, expected)))
        .context("it was stopped before there was anything to compare")?;
    let report = page::write(&soak.out, &slices, &verdict)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n  report {}", verdict.table(), report.display())?;
    ensure!(verdict.is_exact(), "something was lost: see the table");
    Ok(())
}

/// Closed runs in the store of the worker that recorded.
async fn stored_runs(folder: &Path) -> anyhow::Result<u64> {
    let url = DatabaseUrl::Sqlite(folder.join("omnitrace.db"));
    let store = Store::open(&url, OpenOptions::default()).await?;
    let counts = store.count_runs(&RunFilter::default(), u32::MAX).await?;
    store.close().await;
    Ok(counts.get(&Status::Completed).copied().unwrap_or(0))
}

fn progress(rounds: u32) -> ProgressBar {
    let bar = ProgressBar::new(rounds.into());
    let style = "  soak {bar:30} {pos} of {len} rounds, {elapsed} gone, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, rounds) in [(0, 3), (10, 3), (1_000, 1_000), (7, 20), (u32::MAX, 7)] {
            let sum: u64 = (0..rounds)
                .map(|n| u64::from(share(total, n, rounds)))
                .sum();
            assert_eq!(sum, u64::from(total));
        }
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (percentile(&hundred, 50), percentile(&hundred, 99)),
            (50.0, 99.0)
        );
        assert_eq!((percentile(&[3.0], 99), percentile(&[], 50)), (3.0, 0.0));
    }
}
