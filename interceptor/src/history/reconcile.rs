//! Finds runs of which the store believes something else than the server, and heals them: terminated,
//! timed out, or left by a worker that never came back.
//!
//! Invariant: of any number of reconcilers of a namespace one works at a time, by a lease in the store.
//! Healing is idempotent, so two that work at once by a clock's mistake do no harm.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use omnitrace_store::OpenRuns;
use omnitrace_store::row::{Micros, RunKey, RunRow, Source};
use serde::Serialize;

use super::gaps::may_differ;
use super::{Execution, HealError, Healed, Healer, Standing};
use crate::clock;

/// Name of the lease.
const LEASE: &str = "reconcile";

/// Runs of one look into the store.
const PAGE: u32 = 200;

/// How a reconciler works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReconcileOptions {
    /// How long a run may be open or closed before it is looked at: what a worker has seen is on its way
    /// to the store.
    pub settle: Duration,
    /// How far back the first pass looks for closed runs.
    pub since: Duration,
    /// Whether also runs are recorded that go on and that no worker records, as in a namespace in which
    /// no worker has the plugin.
    pub follow: bool,
    /// How long the lease holds without being renewed.
    pub lease: Duration,
    /// Histories that are read at once.
    pub at_once: usize,
}

impl Default for ReconcileOptions {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            since: Duration::from_secs(24 * 3600),
            follow: false,
            lease: Duration::from_secs(120),
            at_once: 4,
        }
    }
}

/// What one pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pass {
    /// Whether another reconciler holds the lease, so that this one did nothing.
    pub elsewhere: bool,
    /// Runs whose history was read.
    pub looked_at: u64,
    /// Runs that were stored anew.
    pub recorded: u64,
    /// Runs that were put right.
    pub healed: u64,
    /// Runs that sampling left out.
    pub left_out: u64,
    /// Runs of which the server has no history (any more).
    pub unknown: u64,
    /// Runs that were erased.
    pub erased: u64,
    /// Runs that could not be healed, and why the first of them.
    pub failed: u64,
    /// Why the first of them could not be.
    pub error: Option<String>,
}

/// Reconciles a namespace, pass after pass.
#[derive(Debug)]
pub struct Reconciler {
    healer: Healer,
    options: ReconcileOptions,
    holder: String,
    /// Runs closed before were looked at.
    closed_through: Option<Micros>,
}

impl Reconciler {
    /// A reconciler with a name of its own.
    pub fn new(healer: Healer, options: ReconcileOptions) -> Self {
        Self {
            healer,
            options,
            holder: uuid::Uuid::new_v4().to_string(),
            closed_through: None,
        }
    }

    /// Looks at everything once.
    ///
    /// # Errors
    /// When server or store don't answer; the next pass looks at the same runs again.
    pub async fn pass(&mut self) -> Result<Pass, HealError> {
        let mut pass = Pass::default();
        if !self.has_lease().await? {
            pass.elsewhere = true;
            return Ok(pass);
        }
        let settle = duration(self.options.settle);
        let through = clock::now() - settle;
        self.stored(through, &mut pass).await?;
        self.closed(through, &mut pass).await?;
        if self.options.follow {
            self.going_on(through, &mut pass).await?;
        }
        Ok(pass)
    }

    /// Lets another reconciler work at once.
    pub async fn release(&self) {
        let namespace = self.healer.server().namespace();
        // It runs out by itself.
        let _ = self
            .healer
            .store()
            .release(namespace, LEASE, &self.holder)
            .await;
    }

    async fn has_lease(&self) -> Result<bool, HealError> {
        let namespace = self.healer.server().namespace();
        let store = self.healer.store();
        let lease = store.lease(namespace, LEASE, &self.holder, self.options.lease);
        Ok(lease.await?)
    }

    /// Runs that the store believes open or incomplete.
    async fn stored(&self, before: Micros, pass: &mut Pass) -> Result<(), HealError> {
        let mut which = OpenRuns {
            namespace: self.healer.server().namespace().to_owned(),
            started_before: Some(before),
            limit: PAGE,
            ..OpenRuns::default()
        };
        loop {
            let page = self.healer.store().open_runs(&which).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            which.after = Some((last.start_time(), last.key.clone()));
            let mut open = Vec::new();
            for run in page.into_iter().filter(RunRow::has_history) {
                let key = &run.key;
                let server = self.healer.server();
                match server.describe(&key.workflow_id, &key.run_id).await? {
                    None => pass.unknown += 1,
                    Some(execution) => {
                        let followed = self.options.follow && run.source < Source::Live;
                        let closed = execution.closed_at.is_some_and(|at| at <= before);
                        if closed || (followed && execution.closed_at.is_none()) {
                            open.push(run.key);
                        }
                    }
                }
            }
            self.heal(open, pass).await?;
            if !self.has_lease().await? {
                return Ok(());
            }
        }
    }

    /// Runs that were closed on the server since the pass before.
    async fn closed(&mut self, through: Micros, pass: &mut Pass) -> Result<(), HealError> {
        let since = self
            .closed_through
            .unwrap_or(through - duration(self.options.since));
        let query = format!(
            "CloseTime >= '{}' AND CloseTime < '{}'",
            timestamp(since),
            timestamp(through)
        );
        self.listed(&query, pass).await?;
        // The server's index may be behind.
        self.closed_through = Some(through - duration(self.options.settle));
        Ok(())
    }

    /// Runs that go on.
    async fn going_on(&self, before: Micros, pass: &mut Pass) -> Result<(), HealError> {
        let before = timestamp(before);
        let query = format!("ExecutionStatus = 'Running' AND StartTime < '{before}'");
        self.listed(&query, pass).await
    }

    /// Heals those of the found runs that the store does not have as the server has them.
    async fn listed(&self, query: &str, pass: &mut Pass) -> Result<(), HealError> {
        let mut pages = self
            .healer
            .server()
            .list(query)
            .try_chunks(PAGE as usize)
            .map_err(|error| error.1);
        while let Some(page) = pages.next().await {
            let mut runs = Vec::new();
            for execution in page? {
                if self.differs(&execution).await? {
                    runs.push(execution.run);
                }
            }
            self.heal(runs, pass).await?;
            if !self.has_lease().await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the store has a run otherwise than the server, at first sight.
    async fn differs(&self, execution: &Execution) -> Result<bool, HealError> {
        let Some(run) = self.healer.store().run(&execution.run).await? else {
            return Ok(true);
        };
        if execution.closed_at.is_none() {
            return Ok(run.incomplete);
        }
        Ok(run.incomplete
            || run.status != execution.status
            || may_differ(&self.healer.store().events(&run.key).await?))
    }

    async fn heal(&self, runs: Vec<RunKey>, pass: &mut Pass) -> Result<(), HealError> {
        let healing = runs.iter().map(|run| self.healer.heal(run));
        let mut healed = stream::iter(healing).buffer_unordered(self.options.at_once.max(1));
        while let Some(outcome) = healed.next().await {
            pass.looked_at += 1;
            match outcome {
                Ok((standing, healed)) => {
                    match standing {
                        Standing::LeftOut => pass.left_out += 1,
                        Standing::Unknown => pass.unknown += 1,
                        Standing::Erased => pass.erased += 1,
                        _ => {}
                    }
                    match healed {
                        Healed::Recorded => pass.recorded += 1,
                        Healed::Repaired => pass.healed += 1,
                        Healed::Nothing => {}
                    }
                }
                // One run's rows are of another policy: the others are not.
                Err(error @ HealError::Policy(_)) => {
                    pass.failed += 1;
                    pass.error.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn duration(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// As visibility queries have it.
fn timestamp(at: Micros) -> String {
    Timestamp::from_microsecond(at).map_or_else(|_| Timestamp::MIN.to_string(), |at| at.to_string())
}
