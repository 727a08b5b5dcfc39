//! What a replay says of a run.
//!
//! Invariant: pure; no value of a payload is in it.

use omnitrace_store::row::{Micros, RunRow};
use omnitrace_store::{ReplayRow, ReplayVerdict};
use serde::Serialize;

use super::part::{Parting, changes, part};
use super::step::Step;
use crate::policy::Policy;
use crate::sdk::replay::{End, Replayed};

/// Changes that are told of one run.
const CHANGES: usize = 3;

/// What became of one run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Workflow id.
    pub workflow_id: String,
    /// Run id.
    pub run_id: String,
    /// Workflow type.
    pub workflow_type: String,
    /// How it ended.
    pub verdict: ReplayVerdict,
    /// Key of the step at which the code parts from the run, or first changes; the run's own is empty.
    pub event_key: Option<String>,
    /// Its position among the steps of the run, from 1.
    pub position: Option<u32>,
    /// Steps of the run.
    pub steps: u32,
    /// What the run did there; absent where it did nothing more.
    pub expected: Option<String>,
    /// What the code does there; absent where it does nothing.
    pub found: Option<String>,
    /// What else is to be said, one line.
    pub message: Option<String>,
}

/// What became of all of them.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Build of the code.
    pub build_id: String,
    /// Runs whose history was replayed.
    pub replayed: u64,
    /// Of them, those that the code does as they were.
    pub passed: u64,
    /// Those with other arguments or durations, which Temporal lets pass.
    pub changed: u64,
    /// Those from which the code parts.
    pub parted: u64,
    /// Those at which the code fails, or that are no history.
    pub failed: u64,
    /// Runs of which the server has no history any more.
    pub gone: u64,
    /// All of these, in the order of their types, those that did not pass first.
    pub runs: Vec<Outcome>,
}

impl Report {
    pub(crate) fn new(build_id: &str, mut runs: Vec<Outcome>) -> Self {
        let order = |of: &Outcome| (of.workflow_type.clone(), std::cmp::Reverse(of.verdict));
        runs.sort_by_key(order);
        let count = |verdict| runs.iter().filter(|run| run.verdict == verdict).count() as u64;
        Self {
            build_id: build_id.to_owned(),
            replayed: runs.len() as u64 - count(ReplayVerdict::Gone),
            passed: count(ReplayVerdict::Passed),
            changed: count(ReplayVerdict::Changed),
            parted: count(ReplayVerdict::Parted),
            failed: count(ReplayVerdict::Failed),
            gone: count(ReplayVerdict::Gone),
            runs,
        }
    }

    /// 0 if the code does what the runs did, 1 if it parts from one or fails, 2 if nothing was replayed.
    pub fn exit_code(&self, strict: bool) -> u8 {
        if self.parted + self.failed > 0 || strict && self.changed + self.gone > 0 {
            1
        } else if self.replayed == 0 {
            2
        } else {
            0
        }
    }
}

impl Outcome {
    fn new(run: &RunRow, verdict: ReplayVerdict) -> Self {
        Self {
            workflow_id: run.key.workflow_id.clone(),
            run_id: run.key.run_id.clone(),
            workflow_type: run.workflow_type.clone(),
            verdict,
            event_key: None,
            position: None,
            steps: 0,
            expected: None,
            found: None,
            message: None,
        }
    }

    pub(crate) fn gone(run: &RunRow) -> Self {
        Self::new(run, ReplayVerdict::Gone)
    }

    pub(crate) fn of(run: &RunRow, steps: &[Step], replayed: &Replayed, policy: &Policy) -> Self {
        let found = &replayed.steps;
        let parting = part(steps, found);
        // Something else was commanded in the place of a step, whatever core says of it: the result of a
        // local activity of another type, for one, is only found to be unreadable.
        let other = parting.is_some_and(|p| p.expected.is_some() && p.found.is_some());
        let told = |verdict, message: &str| Self {
            message: Some(policy.error_message(message.trim())),
            ..Self::new(run, verdict).at(steps, found, parting, message)
        };
        // What follows may be a whole event or failure, with its payloads.
        let head = |message: &str| message.split('{').next().unwrap_or_default().to_owned();
        let mut outcome = match &replayed.end {
            End::Passed => Self::same(run, steps, found),
            End::Parted(message) => told(ReplayVerdict::Parted, &head(message)),
            End::Failed(message) if other => told(ReplayVerdict::Parted, &head(message)),
            End::Failed(message) => told(ReplayVerdict::Failed, failure(message)),
            // It waits for what the history does not hold.
            End::TimedOut => {
                let verdict = match parting.is_some_and(|p| p.found.is_some()) {
                    true => ReplayVerdict::Parted,
                    false => ReplayVerdict::Failed,
                };
                told(verdict, "the replay did not end in time (--timeout)")
            }
        };
        outcome.steps = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        outcome
    }

    /// The code does what the run did, but perhaps with other arguments.
    fn same(run: &RunRow, steps: &[Step], found: &[Step]) -> Self {
        let changes = changes(steps, found);
        let Some((first, _)) = changes.first() else {
            return Self::new(run, ReplayVerdict::Passed);
        };
        let more = changes.len().saturating_sub(CHANGES);
        let mut texts: Vec<String> = (changes.iter().take(CHANGES))
            .map(|(step, change)| format!("{}: {change}", step.say()))
            .collect();
        texts.extend((more > 0).then(|| format!("and {more} more")));
        Self {
            event_key: Some(first.key.clone()),
            position: position(steps.iter().position(|step| std::ptr::eq(step, *first))),
            message: Some(texts.join("; ")),
            ..Self::new(run, ReplayVerdict::Changed)
        }
    }

    /// Where it parts. Where no step of the code tells, the event that Temporal's message names may.
    fn at(self, steps: &[Step], found: &[Step], parting: Option<Parting>, message: &str) -> Self {
        let named = || {
            let id = event_id(message)?;
            steps.iter().position(|step| step.event_id >= id)
        };
        let (at, other) = match parting {
            Some(parting) => (parting.expected, parting.found),
            None => (named(), None),
        };
        let step = at.map(|at| &steps[at]);
        Self {
            event_key: step.map(|step| step.key.clone()),
            position: position(at),
            expected: step.map(Step::say),
            found: other.map(|other| found[other].say()),
            ..self
        }
    }

    pub(crate) fn row(&self, run: &RunRow, build_id: &str, checked_at: Micros) -> ReplayRow {
        ReplayRow {
            run: run.key.clone(),
            build_id: build_id.to_owned(),
            checked_at,
            verdict: self.verdict,
            event_key: self.event_key.clone(),
            position: self.position,
            expected: self.expected.clone(),
            found: self.found.clone(),
            message: self.message.clone(),
        }
    }
}

fn position(at: Option<usize>) -> Option<u32> {
    at.and_then(|at| u32::try_from(at + 1).ok())
}

/// What the code said, of the whole failure that core prints.
fn failure(message: &str) -> &str {
    let said = message.split_once("message: \"").map(|(_, said)| said);
    let said = said.and_then(|said| said.split_once("\", source: "));
    said.map_or(message, |(said, _)| said)
}

/// The event that core names: `HistoryEvent(id: 5, ActivityTaskScheduled)`.
fn event_id(message: &str) -> Option<i64> {
    let (_, rest) = message.split_once("HistoryEvent(id: ")?;
    rest.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use omnitrace_store::row::RunKey;

    use super::*;
    use crate::policy::PolicySettings;
    use crate::replay::number;

    fn outcome(found: &[(&str, &str)], end: End) -> Outcome {
        let named = |(id, name): (&str, &str)| Step::new("activity", id, name);
        let mut steps = [("1", "a"), ("2", "b"), ("2", "b")].map(named).to_vec();
        (steps.iter_mut().zip([5, 11, 17])).for_each(|(step, id)| step.event_id = id);
        number(&mut steps);
        let run = RunRow::new(RunKey::new("default", "order", "r1"));
        let steps_of_code = found.iter().copied().map(named).collect();
        let replayed = Replayed {
            steps: steps_of_code,
            end,
        };
        Outcome::of(
            &run,
            &steps,
            &replayed,
            &Policy::new(PolicySettings::default()),
        )
    }

    #[test]
    fn a_parting_names_the_step_of_the_trace() {
        let all = [("1", "a"), ("2", "b"), ("2", "b")];
        let message = "[TMPRL1100] Nondeterminism error: no command for HistoryEvent(id: 17, \
                       ActivityTaskScheduled) {secret}";
        // What the code does is what the run did, as far as it is known.
        let parted = outcome(&all, End::Parted(message.to_owned()));
        assert_eq!(parted.event_key.as_deref(), Some("activity:2%~2:b:0"));
        assert_eq!((parted.position, parted.steps), (Some(3), 3));
        assert!(!parted.message.expect("a message").contains("secret"));

        let parted = outcome(&[("1", "a"), ("2", "x")], End::Parted(message.to_owned()));
        assert_eq!(parted.event_key.as_deref(), Some("activity:2:b:0"));
        assert_eq!(parted.expected.as_deref(), Some("activity 2 b"));
        assert_eq!(parted.found.as_deref(), Some("activity 2 x"));

        let slow = outcome(&all[..1], End::TimedOut);
        assert_eq!(
            (slow.verdict, slow.position),
            (ReplayVerdict::Failed, Some(2))
        );
        assert_eq!(outcome(&all, End::Passed).verdict, ReplayVerdict::Passed);
    }

    #[test]
    fn the_exit_code_says_what_was_found() {
        let report = |verdicts: &[ReplayVerdict]| {
            let run = RunRow::new(RunKey::new("default", "order", "r1"));
            let runs = verdicts.iter().map(|v| Outcome::new(&run, *v)).collect();
            Report::new("b", runs)
        };
        use ReplayVerdict as V;
        for (verdicts, codes) in [
            (&[V::Passed, V::Gone, V::Changed][..], (0, 1)),
            (&[V::Passed], (0, 0)),
            (&[V::Passed, V::Parted], (1, 1)),
            (&[V::Failed], (1, 1)),
            (&[V::Gone], (2, 1)),
            (&[], (2, 2)),
        ] {
            let report = report(verdicts);
            assert_eq!(
                (report.exit_code(false), report.exit_code(true)),
                codes,
                "{verdicts:?}"
            );
        }
    }
}
