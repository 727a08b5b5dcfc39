//! `omnitrace prune`, and the same as a task of `omnitrace serve`.
//!
//! Invariant: one process prunes a store at a time, by a lease in it; whoever stops leaves nothing half done.

use std::time::Duration;

use indicatif::ProgressBar;
use jiff::Timestamp;
use omnitrace::config::{Env, FindingKind, Settings};
use omnitrace_store::hourly::DAY;
use omnitrace_store::row::Micros;
use omnitrace_store::{DatabaseUrl, Prunable, PruneError, PruneStep, Retention, Store};
use serde::Serialize;
use tokio::time::Instant;

use crate::Answer;
use crate::cli::{Days, PruneArgs, RetentionArgs};
use crate::database;
use crate::error::CliError;
use crate::progress;
use crate::text::{count, thousands};

/// Name of the lease. It is of the whole store, so of no namespace.
const LEASE: &str = "retention";

/// How long it holds without being renewed.
const HELD: Duration = Duration::from_secs(60);

/// Before it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Between two times of the server's task.
const EVERY: Duration = Duration::from_secs(3600);

/// What went, or would go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    /// Nothing was changed.
    dry_run: bool,
    /// Another process holds the lease.
    elsewhere: bool,
    #[serde(flatten)]
    pruned: Prunable,
    /// Hours that were aggregated.
    hours_aggregated: u64,
    /// Aggregates that went.
    aggregates: u64,
}

/// How many days are kept; `None` keeps everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    events: Option<u32>,
    runs: Option<u32>,
    hourly: Option<u32>,
}

impl Kept {
    /// # Errors
    /// When `OMNITRACE_ENV` names no environment: what would be deleted then is a guess.
    pub(crate) fn new(args: &RetentionArgs) -> Result<Self, CliError> {
        let (settings, findings) = Settings::from_env();
        let wrong = findings.iter().find(|finding| {
            finding.kind == FindingKind::Invalid && finding.variable == "OMNITRACE_ENV"
        });
        if let Some(wrong) = wrong {
            return Err(CliError::Prune(wrong.to_string()));
        }
        Ok(Self::of(settings.env, args))
    }

    fn of(env: Env, args: &RetentionArgs) -> Self {
        let days = |days: Option<Days>| days.map_or(env.retention_days(), |Days(days)| days);
        Self {
            events: days(args.events_days),
            runs: days(args.runs_days),
            hourly: args.hourly_days.0,
        }
    }

    fn before(self, now: Micros) -> Retention {
        let before = |at: Micros, days: u32| at - Micros::from(days) * DAY;
        let (events, runs) = (self.events, self.runs);
        let [events_before, runs_before] = [events, runs].map(|days| Some(before(now, days?)));
        // The last rows of an hour are its runs; where those stay, its events.
        let rows_before = runs_before.or(events_before);
        Retention {
            events_before,
            runs_before,
            hours_before: rows_before
                .zip(self.hourly)
                .map(|(at, days)| before(at, days)),
        }
    }

    fn keeps_rows(self) -> bool {
        self.events.is_none() && self.runs.is_none()
    }
}

/// Runs the command.
pub(crate) async fn run(
    url: Option<&str>,
    args: PruneArgs,
    now: Timestamp,
) -> Result<Answer, CliError> {
    let kept = Kept::new(&args.retention)?;
    if kept.keeps_rows() {
        return Err(CliError::Prune(
            "everything is kept: say how long with --events-days and --runs-days, or set \
             OMNITRACE_ENV to staging (7 days) or prod (14 days)"
                .to_owned(),
        ));
    }
    let retention = kept.before(now.as_microsecond());
    let url = database::parse(url)?;
    let summary = if args.dry_run {
        let store = database::open(&url).await?;
        let pruned = store.prunable(&retention).await?;
        store.close().await;
        Summary {
            dry_run: true,
            pruned,
            ..Summary::default()
        }
    } else {
        let store = database::open_as_it_is(&url).await?;
        let bar = progress::rows("pruning");
        let summary = prune(&store, database::rest(&url), &retention, &bar).await;
        bar.finish_and_clear();
        store.close().await;
        summary?
    };
    Ok(Answer {
        good: !summary.elsewhere,
        text: summary.text(args.json),
    })
}

/// Prunes now and once an hour.
pub(crate) async fn forever(url: DatabaseUrl, kept: Kept) {
    if kept.keeps_rows() {
        return;
    }
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let retention = kept.before(Timestamp::now().as_microsecond());
        let pruned = async {
            let store = database::open_as_it_is(&url).await?;
            let pruned = prune(
                &store,
                database::rest(&url),
                &retention,
                &ProgressBar::hidden(),
            )
            .await;
            store.close().await;
            pruned
        };
        if let Err(error) = pruned.await {
            crate::fail(&error);
        }
    }
}

async fn prune(
    store: &Store,
    rest: Duration,
    retention: &Retention,
    bar: &ProgressBar,
) -> Result<Summary, CliError> {
    let holder = uuid::Uuid::new_v4().to_string();
    let mut summary = Summary::default();
    let done = steps(store, rest, retention, &holder, &mut summary, bar).await;
    // `Err` means: the lease ends by itself.
    let _ = store.release("", LEASE, &holder).await;
    match done {
        Ok(()) => Ok(summary),
        Err(error) if summary.pruned == Prunable::default() => Err(error.into()),
        Err(error) => Err(CliError::PartlyPruned {
            rows: summary.rows(),
            why: error.to_string(),
        }),
    }
}

async fn steps(
    store: &Store,
    rest: Duration,
    retention: &Retention,
    holder: &str,
    summary: &mut Summary,
    bar: &ProgressBar,
) -> Result<(), PruneError> {
    let mut renew_at = Instant::now();
    let mut done_at = Instant::now();
    loop {
        let step = async {
            if renew_at.elapsed() > Duration::ZERO {
                if !store.lease("", LEASE, holder, HELD).await? {
                    return Ok(None);
                }
                renew_at = Instant::now() + HELD / 3;
            }
            store.prune(retention).await.map(Some)
        };
        let gone = match step.await {
            Ok(None) => {
                summary.elsewhere = true;
                return Ok(());
            }
            Ok(Some(PruneStep::Aggregated)) => {
                summary.hours_aggregated += 1;
                0
            }
            Ok(Some(PruneStep::Events(n))) => {
                summary.pruned.events += n;
                n
            }
            Ok(Some(PruneStep::Runs(n))) => {
                summary.pruned.runs += n;
                n
            }
            Ok(Some(PruneStep::Hours(n))) => {
                summary.aggregates += n;
                n
            }
            Ok(Some(_)) => return Ok(()),
            Err(PruneError::Write(_)) if done_at.elapsed() < database::PATIENCE => {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        done_at = Instant::now();
        bar.inc(gone);
        // Whoever waits for the database gets it.
        tokio::time::sleep(rest).await;
    }
}

impl Summary {
    fn rows(&self) -> String {
        let Prunable { runs, events, .. } = self.pruned;
        format!("{} and {}", count(runs, "run"), count(events, "event"))
    }

    fn text(&self, json: bool) -> String {
        if json {
            return serde_json::to_string(self).unwrap_or_default() + "\n";
        }
        if self.elsewhere {
            return "another process is pruning this database\n".to_owned();
        }
        let rows = self.rows();
        if self.dry_run {
            let kib = thousands(self.pruned.bytes.div_ceil(1024));
            return format!("would delete {rows}, about {kib} KiB without indexes\n");
        }
        format!(
            "{rows} deleted, {} aggregated, {} deleted\n",
            count(self.hours_aggregated, "hour"),
            count(self.aggregates, "old aggregate")
        )
    }
}

impl From<PruneError> for CliError {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Read(error) => Self::Read(error),
            error => Self::Prune(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_keeps_rows_so_long_unless_told() {
        let told = |events, runs| RetentionArgs {
            events_days: events,
            runs_days: runs,
            hourly_days: Days(Some(90)),
        };
        let days = |env, args: &RetentionArgs| {
            let kept = Kept::of(env, args);
            (kept.events, kept.runs)
        };
        assert_eq!(days(Env::Dev, &told(None, None)), (None, None));
        assert_eq!(days(Env::Staging, &told(None, None)), (Some(7), Some(7)));
        assert_eq!(days(Env::Prod, &told(None, None)), (Some(14), Some(14)));
        let own = told(Some(Days(Some(3))), Some(Days(None)));
        assert_eq!(days(Env::Prod, &own), (Some(3), None));
    }

    #[test]
    fn aggregates_stay_after_the_last_rows_went() {
        let hours = |events, runs, hourly| {
            let kept = Kept {
                events,
                runs,
                hourly,
            };
            kept.before(1000 * DAY).hours_before.map(|at| at / DAY)
        };
        assert_eq!(hours(Some(14), Some(14), Some(90)), Some(896));
        assert_eq!(hours(Some(14), Some(120), Some(90)), Some(790));
        assert_eq!(hours(Some(30), Some(7), Some(90)), Some(903));
        assert_eq!(hours(Some(14), None, Some(90)), Some(896));
        assert_eq!(hours(Some(14), Some(14), None), None);
    }
}
