//! Carries out a plan: drives its cases, and lets blows and outages fall when enough of them ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;
use temporalio_client::WorkflowCountOptions;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;

use crate::cases::Desk;
use crate::crew::{Crew, Killed};
use crate::plan::{At, Blow, Case, Outage, OutageKind, Plan};
use crate::store::Store;
use crate::temporal::Temporal;
use crate::verdict::Omnitrace;

/// Cases that go on at the same time.
const IN_FLIGHT: usize = 64;
/// Between two looks at the workers, and at what is still open.
const LOOK: Duration = Duration::from_millis(200);
/// Between two looks for runs that never end.
const RESCUE: Duration = Duration::from_secs(15);
/// How long nothing may end.
const STALL_LIMIT: Duration = Duration::from_secs(180);
/// How long children and continuations may go on after all cases.
const OPEN_LIMIT: Duration = Duration::from_secs(180);
const SPOOL_LIMIT: Duration = Duration::from_secs(60);

/// Everything that a plan needs, and what it is done to.
pub(crate) struct Stage {
    pub(crate) temporal: Temporal,
    pub(crate) store: Store,
    pub(crate) desk: Desk,
    pub(crate) crew: Crew,
    pub(crate) workers: usize,
    pub(crate) omnitrace: Omnitrace,
}

/// What happened.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Happened {
    /// Workflows that were started, and have ended.
    pub(crate) cases: usize,
    pub(crate) kills: usize,
    /// Of them: with an open workflow task in the worker's hands.
    pub(crate) kills_in_task: usize,
    /// Of them: with rows only in the worker's memory while the database was cut off.
    pub(crate) kills_uncommitted: usize,
    pub(crate) outages: BTreeMap<OutageKind, usize>,
    pub(crate) restarts: usize,
    pub(crate) wipes: usize,
    /// Workers that ended although nobody wanted them to.
    pub(crate) workers_gone: usize,
    /// Runs that the SDK could not replay, and that were terminated.
    pub(crate) unreplayable: usize,
    /// Of the workers that were not killed.
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Stage {
    /// Carries out the plan, and stops the workers: what they knew is stored.
    pub(crate) async fn play(&mut self, plan: Plan, bar: &ProgressBar) -> anyhow::Result<Happened> {
        let (ended, progress) = watch::channel(0);
        let mut happened = Happened {
            cases: plan.cases.len(),
            ..Happened::default()
        };
        let (outages, unreplayable) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let Self {
            temporal,
            store,
            desk,
            crew,
            workers,
            omnitrace,
        } = self;
        let counts = {
            let kills = AtomicUsize::new(0);
            let tell = || {
                bar.set_message(format!(
                    "{} kills, {} outages",
                    kills.load(Ordering::Relaxed),
                    outages.load(Ordering::Relaxed)
                ));
            };
            let crew = Mutex::new(&mut *crew);
            let cases = drive(desk, plan.cases, &ended, bar);
            let blows = async {
                for At { after, what } in plan.blows {
                    reached(progress.clone(), after).await?;
                    match what {
                        Blow::Kill { worker, moment } => {
                            let killed = crew.lock().await.kill(worker, moment, store).await?;
                            happened.count(killed);
                            kills.store(happened.kills, Ordering::Relaxed);
                        }
                        Blow::Restart => {
                            temporal.restart().await?;
                            happened.restarts += 1;
                        }
                        Blow::Wipe => {
                            let mut crew = crew.lock().await;
                            crew.stop().await?;
                            store.wipe().await?;
                            crew.resume(*workers).await?;
                            drop(crew);
                            omnitrace
                                .backfill(&temporal.address(), &store.url())
                                .await?;
                            happened.wipes += 1;
                        }
                    }
                    tell();
                }
                anyhow::Ok(())
            };
            let weather = async {
                let mut counts = BTreeMap::new();
                for At { after, what } in plan.outages {
                    reached(progress.clone(), after).await?;
                    let Outage { kind, time } = what;
                    let outage = store.outage(kind).await?;
                    tokio::time::sleep(time).await;
                    outage.end().await?;
                    *counts.entry(kind).or_default() += 1;
                    outages.fetch_add(1, Ordering::Relaxed);
                    tell();
                }
                anyhow::Ok(counts)
            };
            let unreplayable = &unreplayable;
            let rescuing = async {
                loop {
                    tokio::time::sleep(RESCUE).await;
                    let ended = desk.end_unreplayable().await;
                    unreplayable.fetch_add(ended, Ordering::Relaxed);
                }
            };
            let tending = async {
                loop {
                    tokio::time::sleep(LOOK).await;
                    if let Err(error) = crew.lock().await.tend() {
                        break error;
                    }
                }
            };
            let all = async {
                let ((), (), counts) = tokio::try_join!(cases, blows, weather)?;
                all_closed(desk).await?;
                anyhow::Ok(counts)
            };
            tokio::select! {
                counts = all => counts?,
                error = tending => return Err(error),
                never = rescuing => never,
            }
        };
        happened.outages = counts;
        crew.stop().await?;
        // What killed workers left on disk is stored by the next one.
        crew.resume(1).await?;
        crew.wait_for_spool(SPOOL_LIMIT).await?;
        crew.stop().await?;
        happened.unreplayable = unreplayable.into_inner();
        happened.workers_gone = crew.gone;
        happened.counters = std::mem::take(&mut crew.counters);
        Ok(happened)
    }
}

impl Happened {
    fn count(&mut self, killed: Killed) {
        self.kills += 1;
        self.kills_in_task += usize::from(killed.in_task);
        self.kills_uncommitted += usize::from(killed.uncommitted);
    }
}

/// Waits until so many cases have ended.
async fn reached(mut progress: watch::Receiver<usize>, after: usize) -> anyhow::Result<()> {
    let reached = progress.wait_for(|ended| *ended >= after).await;
    reached.map(drop).context("no case goes on any more")
}

async fn drive(
    desk: &Desk,
    cases: Vec<Case>,
    ended: &watch::Sender<usize>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut going = JoinSet::new();
    for case in cases {
        let (desk, permits) = (desk.clone(), permits.clone());
        going.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            desk.drive(&case).await
        });
    }
    while !going.is_empty() {
        let next = tokio::time::timeout(STALL_LIMIT, going.join_next()).await;
        let Some(one) = next.context("no workflow has ended for minutes")? else {
            break;
        };
        one.context("a case panicked")??;
        ended.send_modify(|ended| *ended += 1);
        bar.inc(1);
    }
    Ok(())
}

/// Waits until no run is open: children and continuations may end later than what began them.
async fn all_closed(desk: &Desk) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + OPEN_LIMIT;
    loop {
        let counted = desk
            .client
            .count_workflows(
                "ExecutionStatus = 'Running'",
                WorkflowCountOptions::default(),
            )
            .await;
        let open = counted.map(|counted| counted.count());
        if matches!(open, Ok(0)) {
            return Ok(());
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "runs stay open: {open:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}
