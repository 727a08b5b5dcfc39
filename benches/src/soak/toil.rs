//! A worker in a process of its own, so that its memory and CPU are nobody else's.
//!
//! Invariant: it says something only when it is asked, a line for a line; it ends with its standard input.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cpu::{self, Moment};
use crate::replay::Recording;
use crate::worker::Shop;

/// Asks how it is.
const STATE: &str = "state";
/// The same when everything that was offered is stored.
const SETTLED: &str = "settled";

/// How long a worker may take to end.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct Toil {
    #[arg(long)]
    address: String,
    /// The folder for its database; without one it has no plugin
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// How a worker's process is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// CPU of all its threads so far, in seconds.
    pub(super) cpu_s: f64,
    pub(super) resident_bytes: u64,
    /// Of these, what the process itself wrote: its heap and stacks.
    pub(super) private_bytes: u64,
    pub(super) queue_bytes: u64,
    /// Recorders of runs that are not over.
    pub(super) live: u64,
    pub(super) counters: BTreeMap<String, u64>,
}

impl State {
    /// Everything that is counted as dropped.
    pub(super) fn dropped(&self) -> u64 {
        let dropped =
            |name: &&String| name.starts_with("dropped.") || name.starts_with("rows.dropped.");
        let names = self.counters.keys().filter(dropped);
        // What nobody accepted was never real.
        let lost = names.filter(|name| *name != "rows.dropped.ghost");
        lost.map(|name| self.counters[name]).sum()
    }

    fn now(since: &Moment, recording: Option<&Recording>) -> anyhow::Result<Self> {
        let omnitrace = recording.map(|recording| &recording.omnitrace);
        let memory = cpu::memory()?;
        Ok(Self {
            cpu_s: since.elapsed()?.process.as_secs_f64(),
            resident_bytes: memory.resident,
            private_bytes: memory.private,
            queue_bytes: omnitrace.map_or(0, |o| o.queue_bytes() as u64),
            live: omnitrace.map_or(0, |o| o.live_recorders() as u64),
            counters: omnitrace.map(|o| o.counters()).unwrap_or_default(),
        })
    }
}

/// The process: its first line is its task queue.
pub(crate) async fn run(toil: &Toil) -> anyhow::Result<()> {
    let start = Moment::now()?;
    let recording =
        (toil.folder.as_deref()).map(|folder| Recording::at(&folder.join("omnitrace.db")));
    let shop = Shop::open(&toil.address, recording.as_ref())?;
    say(&shop.customer.task_queue)?;
    loop {
        // Reading blocks; what flushes meanwhile has threads of its own.
        let asked = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
        let Some(question) = asked.await?.transpose()? else {
            break;
        };
        if let (SETTLED, Some(recording)) = (question.as_str(), &recording) {
            recording.omnitrace.flush().await?;
        }
        say(&serde_json::to_string(&State::now(
            &start,
            recording.as_ref(),
        )?)?)?;
    }
    drop(shop);
    match recording {
        Some(recording) => recording.stop().await,
        None => Ok(()),
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("nobody reads what this process says")
}

/// Such a process, from outside.
pub(super) struct Toiler {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub(super) task_queue: String,
}

impl Toiler {
    /// One that records into a database in this folder, or one without the plugin.
    pub(super) async fn start(address: &str, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["toil", "--address", address])
            .kill_on_drop(true);
        if let Some(folder) = folder {
            command.arg("--folder").arg(folder);
        }
        // Ctrl-C is the business of the process that asks.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a worker's process")?;
        let (questions, answers) = process
            .stdin
            .take()
            .zip(process.stdout.take())
            .context("no pipes")?;
        let mut answers = BufReader::new(answers).lines();
        let task_queue = answers
            .next_line()
            .await?
            .context("the worker's process ended at once")?;
        Ok(Self {
            process,
            questions,
            answers,
            task_queue,
        })
    }

    pub(super) async fn state(&mut self) -> anyhow::Result<State> {
        self.ask(STATE).await
    }

    pub(super) async fn settled(&mut self) -> anyhow::Result<State> {
        self.ask(SETTLED).await
    }

    async fn ask(&mut self, question: &str) -> anyhow::Result<State> {
        self.questions
            .write_all(format!("{question}\n").as_bytes())
            .await
            .context("a worker's process has ended")?;
        let answer = self
            .answers
            .next_line()
            .await?
            .context("a worker's process has ended")?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Ends it, and says whether it ended well.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.questions);
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let ended = ended.context("a worker's process did not end")??;
        ensure!(ended.success(), "a worker's process ended with {ended}");
        Ok(())
    }
}
