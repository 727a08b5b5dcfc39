//! Resident memory of a worker after many runs, with the plugin and without: each sample is a
//! process of its own, because memory once used is seldom given back.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::cpu;
use crate::replay::Recording;
use crate::series::{Metrics, PLAIN, Question, RECORDING, Series};
use crate::worker::Shop;
use crate::{Alone, Scale};

const AFTER: &str = "resident_bytes";
const MOST: &str = "most_resident_bytes";
const PRIVATE: &str = "private_bytes";

/// What the series is asked.
pub(crate) const QUESTIONS: [Question; 3] = [
    Question::recording("heap and stacks after the runs, recording / plain", PRIVATE),
    Question::recording("resident memory after the runs, recording / plain", AFTER),
    Question::recording("greatest resident memory, recording / plain", MOST),
];

pub(crate) async fn run(scale: &Scale, address: &str) -> anyhow::Result<Series> {
    Series::measure(scale.rounds, &[PLAIN, RECORDING], async |variant| {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["alone", "--address", address])
            .args(["--runs", &scale.runs.to_string()]);
        if variant == RECORDING {
            command.arg("--recording");
        }
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the measured process failed");
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let mut next = || numbers.next()?.ok();
        Ok(Metrics::from([
            (AFTER, next().context("no number of bytes")?),
            (MOST, next().context("no second number of bytes")?),
            (PRIVATE, next().context("no third number of bytes")?),
        ]))
    })
    .await
}

/// The measured process: prints its resident memory, the most that it was, and what of it is its own.
pub(crate) async fn alone(alone: &Alone) -> anyhow::Result<String> {
    let recording = alone.recording.then(Recording::start).transpose()?;
    let shop = Shop::open(&alone.address, recording.as_ref())?;
    shop.customer.serve(alone.runs).await?;
    if let Some(recording) = &recording {
        recording.settle().await?;
    }
    let memory = cpu::memory()?;
    drop(shop);
    if let Some(recording) = recording {
        recording.stop().await?;
    }
    Ok(format!(
        "{} {} {}",
        memory.resident, memory.most, memory.private
    ))
}
