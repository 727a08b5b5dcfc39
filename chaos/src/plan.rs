//! What is run and what happens to it, decided by a seed alone: the same arguments make the same plan
//! on every machine.
//!
//! Invariant: pure. Moments are told in ended cases, never in time.

use std::time::Duration;

use clap::ValueEnum;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// How much of everything there is.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) seed: u64,
    /// Cases: workflows that are started.
    pub(crate) runs: usize,
    pub(crate) kills: usize,
    pub(crate) outages: usize,
    pub(crate) restarts: usize,
    pub(crate) workers: usize,
    pub(crate) database: Database,
    pub(crate) wipe: bool,
}

/// Where the rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Database {
    /// A file that all workers share
    Sqlite,
    /// A PostgreSQL server behind a proxy
    Postgres,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) cases: Vec<Case>,
    /// Kills, server restarts and the wipe, by `after`; one is over before the next begins.
    pub(crate) blows: Vec<At<Blow>>,
    /// Outages of the database, by `after`; they may meet blows.
    pub(crate) outages: Vec<At<Outage>>,
}

/// A workflow that is started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) number: usize,
    pub(crate) work: Work,
    pub(crate) fate: Fate,
}

/// Mails are numbers of samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    Mail(usize),
    /// Handled a page at a time, each page in a run of its own.
    Batch {
        mails: Vec<usize>,
        page: usize,
    },
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// By itself.
    Natural,
    /// Cancelled, after this time or when it waits for an approval.
    Cancel(When),
    /// Terminated by the server: no worker sees it.
    Terminate(When),
    /// Its run timeout passes: no worker sees that either.
    Expire,
    /// By itself, and then again from one of its workflow tasks on: at this part of them.
    Reset(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    After(Duration),
    Waiting,
}

/// Something that happens once so many cases have ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) after: usize,
    pub(crate) what: T,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Blow {
    /// SIGKILL to a worker.
    Kill { worker: usize, moment: Moment },
    /// SIGKILL to the Temporal server, and a new one on its file.
    Restart,
    /// The whole store deleted, and filled from history.
    Wipe,
}

/// When in a worker's life it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    /// Whatever it does.
    Anytime,
    /// In a workflow task: the plugin has seen the activation, and so much time later.
    Activation(Duration),
    /// In a workflow task: the plugin has seen the completion, which is not yet sent, and so much time
    /// later, so that what it proposes may be stored.
    Completion(Duration),
    /// With rows that the database, cut off, has not got.
    Uncommitted,
}

/// What happens to the database, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outage {
    pub(crate) kind: OutageKind,
    pub(crate) time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutageKind {
    /// Connections are closed and refused.
    Cut,
    /// Connections stay, and nothing comes through.
    Silence,
    /// Everything takes long.
    Delay,
    /// Connections are reset.
    Reset,
    /// Connections end after some kilobytes.
    Truncate,
    /// Somebody else holds the file.
    Lock,
}

impl OutageKind {
    /// Those a database can have.
    fn of(database: Database) -> &'static [Self] {
        match database {
            Database::Sqlite => &[Self::Lock],
            Database::Postgres => &[
                Self::Cut,
                Self::Silence,
                Self::Delay,
                Self::Reset,
                Self::Truncate,
            ],
        }
    }
}

/// Blows fall between these parts of all cases, so that there is work for whom they hit.
const EARLIEST: f64 = 0.05;
const LATEST: f64 = 0.80;

/// The kinds of cases repeat after so many.
const CYCLE: usize = 20;

impl Plan {
    /// The plan for so many sample mails, of which these wait for an approval.
    pub(crate) fn new(scale: &Scale, mails: usize, waiting: &[usize]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(scale.seed);
        let mut kinds: Vec<usize> = (0..scale.runs).collect();
        kinds.shuffle(&mut rng);
        let cases = (kinds.into_iter().enumerate())
            .map(|(number, kind)| case(&mut rng, number, kind, mails, waiting))
            .collect();
        Self {
            cases,
            blows: blows(&mut rng, scale),
            outages: outages(&mut rng, scale),
        }
    }
}

fn case(rng: &mut ChaCha8Rng, number: usize, kind: usize, mails: usize, waiting: &[usize]) -> Case {
    let mail = kind % mails;
    let soon = When::After(Duration::from_millis(rng.random_range(0..400)));
    let waits = waiting[kind % waiting.len()];
    let (work, fate) = match kind % CYCLE {
        0 | 10 => {
            let count = rng.random_range(2..=5);
            let mails = (0..count).map(|_| rng.random_range(0..mails)).collect();
            let page = rng.random_range(1..=3);
            let fate = match kind % (4 * CYCLE) {
                CYCLE => Fate::Terminate(soon),
                n if n == 3 * CYCLE => Fate::Cancel(soon),
                _ => Fate::Natural,
            };
            (Work::Batch { mails, page }, fate)
        }
        1 => (Work::Mail(mail), Fate::Cancel(soon)),
        2 => (Work::Mail(mail), Fate::Terminate(soon)),
        3 => (Work::Mail(waits), Fate::Cancel(When::Waiting)),
        4 => (Work::Mail(waits), Fate::Terminate(When::Waiting)),
        5 => (Work::Mail(waits), Fate::Expire),
        6 | 16 => (Work::Mail(mail), Fate::Reset(rng.random())),
        _ => (Work::Mail(mail), Fate::Natural),
    };
    Case { number, work, fate }
}

fn blows(rng: &mut ChaCha8Rng, scale: &Scale) -> Vec<At<Blow>> {
    let mut blows: Vec<Blow> = (0..scale.kills)
        .map(|n| {
            let linger = Duration::from_millis(rng.random_range(0..400));
            let moment = match n % 6 {
                0 => Moment::Completion(linger),
                3 => Moment::Activation(linger),
                1 | 4 => Moment::Uncommitted,
                _ => Moment::Anytime,
            };
            let worker = rng.random_range(0..scale.workers);
            Blow::Kill { worker, moment }
        })
        .collect();
    blows.extend(std::iter::repeat_n(Blow::Restart, scale.restarts));
    blows.shuffle(rng);
    let mut blows = spread(rng, scale, blows);
    if scale.wipe {
        blows.push(At {
            after: scale.runs / 2,
            what: Blow::Wipe,
        });
        blows.sort_by_key(|blow| blow.after);
    }
    blows
}

fn outages(rng: &mut ChaCha8Rng, scale: &Scale) -> Vec<At<Outage>> {
    let kinds = OutageKind::of(scale.database).iter().copied();
    let mut outages: Vec<Outage> = (kinds.cycle().take(scale.outages))
        .map(|kind| Outage {
            kind,
            time: Duration::from_millis(rng.random_range(500..4000)),
        })
        .collect();
    outages.shuffle(rng);
    spread(rng, scale, outages)
}

fn spread<T>(rng: &mut ChaCha8Rng, scale: &Scale, all: Vec<T>) -> Vec<At<T>> {
    let runs = scale.runs as f64;
    let mut moments: Vec<usize> = (all.iter())
        .map(|_| (rng.random_range(EARLIEST..LATEST) * runs) as usize)
        .collect();
    moments.sort_unstable();
    (moments.into_iter().zip(all))
        .map(|(after, what)| At { after, what })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(runs: usize) -> Scale {
        Scale {
            seed: 7,
            runs,
            kills: 50,
            outages: 10,
            restarts: 2,
            workers: 3,
            database: Database::Postgres,
            wipe: true,
        }
    }

    fn plan(scale: &Scale) -> Plan {
        Plan::new(scale, 13, &[2, 6, 7])
    }

    #[test]
    fn a_seed_makes_one_plan_and_another_seed_another() {
        let one = scale(200);
        assert_eq!(plan(&one), plan(&one));
        let other = Scale {
            seed: 8,
            ..scale(200)
        };
        assert_ne!(plan(&one), plan(&other));
    }

    #[test]
    fn sixty_cases_have_every_mail_and_every_way_to_end() {
        let plan = plan(&scale(60));
        let fate = |is: fn(&Fate) -> bool| plan.cases.iter().any(|case| is(&case.fate));
        assert!(fate(|fate| *fate == Fate::Natural));
        assert!(fate(|fate| matches!(fate, Fate::Cancel(When::After(_)))));
        assert!(fate(|fate| *fate == Fate::Cancel(When::Waiting)));
        assert!(fate(|fate| matches!(fate, Fate::Terminate(When::After(_)))));
        assert!(fate(|fate| *fate == Fate::Terminate(When::Waiting)));
        assert!(fate(|fate| *fate == Fate::Expire));
        assert!(fate(|fate| matches!(fate, Fate::Reset(_))));
        for mail in 0..13 {
            let alone = |case: &&Case| case.work == Work::Mail(mail) && case.fate == Fate::Natural;
            assert!(plan.cases.iter().any(|case| alone(&case)), "{mail}");
        }
        let batches = (plan.cases.iter()).filter(|case| matches!(case.work, Work::Batch { .. }));
        assert_eq!(batches.count(), 6);
    }

    #[test]
    fn fifty_kills_hold_more_than_ten_of_each_moment_and_all_fall_while_there_is_work() {
        let plan = plan(&scale(2000));
        let count = |is: fn(&Moment) -> bool| {
            (plan.blows.iter())
                .filter(|at| matches!(&at.what, Blow::Kill { moment, .. } if is(moment)))
                .count()
        };
        let in_task = count(|m| matches!(m, Moment::Activation(_) | Moment::Completion(_)));
        assert_eq!(in_task, 17);
        assert_eq!(count(|moment| *moment == Moment::Uncommitted), 17);
        assert_eq!(count(|moment| *moment == Moment::Anytime), 16);
        assert_eq!(plan.blows.len(), 53);
        assert!(plan.blows.is_sorted_by_key(|at| at.after));
        assert!(plan.blows.iter().all(|at| at.after < 1600));
        let mut kinds: Vec<OutageKind> = plan.outages.iter().map(|at| at.what.kind).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!((plan.outages.len(), kinds.len()), (10, 5));
    }
}
