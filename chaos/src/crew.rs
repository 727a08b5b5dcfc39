//! The workers: several processes on one task queue, told where to stop, killed and replaced.
//!
//! Invariant: there are always as many as at the start, until [`Crew::stop`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::watch;

use crate::child;
use crate::plan::Moment;
use crate::store::Store;
use crate::worker::word;

/// How long a worker may take to poll, stop, or be where it is to be killed.
const READY_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(40);
const HOLD_LIMIT: Duration = Duration::from_secs(5);
/// Memory of the plugin for what waits: little, so that long outages reach the spool.
const QUEUE_BYTES: &str = "256KiB";
/// They reconcile often: the lease of one that was killed then runs out soon.
const RECONCILE_S: &str = "5";

/// What each worker is started with.
#[derive(Clone, Debug)]
pub(crate) struct Outfit {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    pub(crate) database_url: String,
    pub(crate) task_queue: String,
}

#[derive(Debug)]
pub(crate) struct Crew {
    outfit: Outfit,
    members: Vec<Member>,
    /// Sums over workers that ended by themselves or when they were asked to.
    pub(crate) counters: BTreeMap<String, u64>,
    /// Workers that ended although nobody wanted them to.
    pub(crate) gone: usize,
}

/// How a worker was when it was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Killed {
    /// A workflow task was in its hands.
    pub(crate) in_task: bool,
    /// It had rows that were only in its memory.
    pub(crate) uncommitted: bool,
}

#[derive(Debug)]
struct Member {
    child: Child,
    stdin: ChildStdin,
    said: watch::Receiver<Said>,
}

/// What a worker has said last.
#[derive(Clone, Debug, Default)]
struct Said {
    ready: bool,
    held: bool,
    rows: u64,
    spool_bytes: u64,
    counters: BTreeMap<String, u64>,
    /// Its output has ended.
    over: bool,
}

impl Crew {
    /// Starts the workers and waits until all poll.
    pub(crate) async fn start(outfit: Outfit, workers: usize) -> anyhow::Result<Self> {
        let members = (0..workers)
            .map(|_| Member::start(&outfit))
            .collect::<Result<_, _>>()?;
        let mut crew = Self {
            outfit,
            members,
            counters: BTreeMap::new(),
            gone: 0,
        };
        for member in &mut crew.members {
            member.wait(READY_LIMIT, |said| said.ready).await?;
        }
        Ok(crew)
    }

    /// Replaces workers that have ended by themselves.
    pub(crate) fn tend(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            if member.child.try_wait()?.is_some() {
                self.gone += 1;
                *member = Member::start(&self.outfit)?;
            }
        }
        Ok(())
    }

    /// Kills a worker at such a moment, and replaces it.
    pub(crate) async fn kill(
        &mut self,
        worker: usize,
        moment: Moment,
        store: &Store,
    ) -> anyhow::Result<Killed> {
        let member = &mut self.members[worker];
        // One that is only just starting does nothing yet.
        let _ = member.wait(READY_LIMIT, |said| said.ready).await;
        let mut killed = Killed::default();
        match moment {
            Moment::Anytime => member.child.kill().await?,
            Moment::Activation(linger) | Moment::Completion(linger) => {
                let order = match moment {
                    Moment::Activation(_) => word::HOLD_ACTIVATION,
                    _ => word::HOLD_COMPLETION,
                };
                // One that has ended meanwhile reads nothing, and is not held.
                let _ = member
                    .stdin
                    .write_all(format!("{order}\n").as_bytes())
                    .await;
                killed.in_task = member.wait(HOLD_LIMIT, |said| said.held).await.is_ok();
                tokio::time::sleep(linger).await;
                member.child.kill().await?;
            }
            Moment::Uncommitted => {
                let outage = store.outage(store.blackout()).await?;
                // What is being stored at this moment still ends, well or not.
                let only_there = |said: &Said| said.rows > 0 && said.spool_bytes == 0;
                killed.uncommitted = member.wait(HOLD_LIMIT, only_there).await.is_ok();
                member.child.kill().await?;
                outage.end().await?;
            }
        }
        self.members[worker] = Member::start(&self.outfit)?;
        Ok(killed)
    }

    /// Has all workers stop, as a deployment would.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        for member in &self.members {
            child::terminate(&member.child);
        }
        for mut member in std::mem::take(&mut self.members) {
            let ended = tokio::time::timeout(STOP_LIMIT, member.child.wait()).await;
            let status = ended.context("a worker does not stop on SIGTERM")??;
            member.wait(STOP_LIMIT, |said| said.over).await.ok();
            let said = member.said.borrow().clone();
            if said.counters.is_empty() {
                // Killed by its end, or by a signal before it listened.
                self.gone += usize::from(!status.success());
            }
            for (name, count) in said.counters {
                *self.counters.entry(name).or_default() += count;
            }
        }
        Ok(())
    }

    /// Starts them again after [`Crew::stop`].
    pub(crate) async fn resume(&mut self, workers: usize) -> anyhow::Result<()> {
        let next = Self::start(self.outfit.clone(), workers).await?;
        self.members = next.members;
        Ok(())
    }

    /// Waits until the first worker has stored what the spool holds.
    pub(crate) async fn wait_for_spool(&mut self, limit: Duration) -> anyhow::Result<()> {
        let folder = self.spool();
        let deadline = tokio::time::Instant::now() + limit;
        while files(&folder) > 0 || self.members[0].said.borrow().spool_bytes > 0 {
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "the spool {} is not emptied",
                folder.display()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn spool(&self) -> PathBuf {
        self.outfit.folder.join("spool")
    }
}

/// Files with something in them.
fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.metadata().is_ok_and(|data| data.len() > 0))
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "spool"))
        .count()
}

impl Member {
    fn start(outfit: &Outfit) -> anyhow::Result<Self> {
        let mut command = child::command(&outfit.program, &outfit.folder.join("workers.log"))?;
        command
            .arg("worker")
            .args([
                "--address",
                &outfit.address,
                "--task-queue",
                &outfit.task_queue,
            ])
            .current_dir(&outfit.folder)
            .env("OMNITRACE_DATABASE_URL", &outfit.database_url)
            .env("OMNITRACE_SPOOL_PATH", outfit.folder.join("spool"))
            .env("OMNITRACE_QUEUE_BYTES", QUEUE_BYTES)
            .env("OMNITRACE_RECONCILE_S", RECONCILE_S)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = child::spawn(&mut command)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (said, receiver) = watch::channel(Said::default());
        tokio::spawn(listen(stdout.context("a pipe")?, said));
        Ok(Self {
            child,
            stdin: stdin.context("a pipe")?,
            said: receiver,
        })
    }

    /// Waits until it has said something, and not for ever.
    async fn wait(&mut self, limit: Duration, what: fn(&Said) -> bool) -> anyhow::Result<()> {
        let heard = self.said.wait_for(|said| what(said) || said.over);
        let heard = tokio::time::timeout(limit, heard).await;
        let said = heard
            .context("a worker does not do what it should")??
            .clone();
        anyhow::ensure!(what(&said), "a worker has ended");
        Ok(())
    }
}

async fn listen(stdout: ChildStdout, said: watch::Sender<Said>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        said.send_modify(|said| said.hear(&line));
    }
    said.send_modify(|said| said.over = true);
}

impl Said {
    fn hear(&mut self, line: &str) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            word::READY => self.ready = true,
            word::HELD => self.held = true,
            word::WAITING => {
                let mut numbers = rest.split(' ').filter_map(|n| n.parse().ok());
                self.rows = numbers.next().unwrap_or_default();
                self.spool_bytes = numbers.next().unwrap_or_default();
            }
            word::COUNTERS => self.counters = serde_json::from_str(rest).unwrap_or_default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_understood() {
        let mut said = Said::default();
        for line in [
            "ready ",
            "waiting 3 40",
            r#"counters {"rows.stored":7}"#,
            "x",
        ] {
            said.hear(line);
        }
        assert!(said.ready && !said.held);
        assert_eq!((said.rows, said.spool_bytes), (3, 40));
        assert_eq!(said.counters["rows.stored"], 7);
        said.hear("held ");
        assert!(said.held);
    }
}
