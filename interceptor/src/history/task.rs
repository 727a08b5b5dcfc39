//! One workflow task: what it delivered, and what the workflow answered.
//!
//! Invariant: a task is told as the activations in which core would have given it to the workflow, each
//! with its workflow time: the first has what came before the task, each group of local activities
//! that ended in it makes a further one.

use omnitrace_store::row::Micros;

use crate::observe::{Command, Job, Outcome, ScheduleActivity};

/// A task that was completed.
#[derive(Debug)]
pub(super) struct Task {
    /// When it started.
    pub(super) at: Micros,
    /// What it delivered.
    pub(super) jobs: Vec<Job>,
    /// What its completion holds, in order.
    pub(super) answers: Vec<Answer>,
    /// Of the worker.
    pub(super) identity: String,
}

/// One thing that a completion holds.
#[derive(Debug)]
pub(super) enum Answer {
    Command(Command),
    /// An update that was delivered in this task and accepted.
    Update {
        delivered: Job,
        accepted: Command,
    },
    /// Cancels a step that core closes at once, without waiting for its end.
    Close {
        cancel: Command,
        resolved: Job,
    },
    /// A local activity that ended.
    Local(Box<Local>),
}

/// A local activity that ended.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) schedule: ScheduleActivity,
    pub(super) outcome: Outcome,
    pub(super) complete_time: Option<Micros>,
    pub(super) activation_index: Option<u64>,
}

/// What a worker would have seen, in order.
#[derive(Debug)]
pub(super) enum Step {
    Activation { at: Micros, jobs: Vec<Job> },
    Completion(Vec<Command>),
}

impl Task {
    /// Tells the task. `clock` is workflow time before it and after it; `is_first` says that no task
    /// came before.
    pub(super) fn tell(self, clock: &mut Micros, is_first: bool) -> Vec<Step> {
        let mut told = Vec::new();
        let mut answers = self.answers.into_iter().peekable();
        let mut jobs = self.jobs;
        let at = (*clock).max(self.at);

        // Local activities that ended before the first activation were commanded in a task before.
        let mut group = Group::default();
        while let Some(answer) = answers.next_if(|answer| !is_first && answer.index() == Some(0)) {
            group.push(answer);
        }
        if !group.is_empty() {
            told.push(Step::Completion(group.schedules));
        }
        *clock = at.max(group.complete_time);
        jobs.extend(group.resolved);

        // Updates reach the workflow with everything else.
        let mut commands = Vec::new();
        let mut rest = Vec::new();
        for answer in answers {
            match answer {
                Answer::Update {
                    delivered,
                    accepted,
                } => {
                    jobs.push(delivered);
                    rest.push(Answer::Command(accepted));
                }
                other => rest.push(other),
            }
        }
        told.push(Step::Activation { at: *clock, jobs });

        let mut rest = rest.into_iter().peekable();
        while let Some(answer) = rest.next() {
            match answer {
                Answer::Command(command) => commands.push(command),
                Answer::Update { accepted, .. } => commands.push(accepted),
                Answer::Close { cancel, resolved } => {
                    commands.push(cancel);
                    told.push(Step::Completion(std::mem::take(&mut commands)));
                    told.push(Step::Activation {
                        at: *clock,
                        jobs: vec![resolved],
                    });
                }
                Answer::Local(_) => {
                    let index = answer.index();
                    let mut group = Group::default();
                    group.push(answer);
                    while let Some(next) =
                        rest.next_if(|next| index.is_some() && next.index() == index)
                    {
                        group.push(next);
                    }
                    commands.extend(group.schedules);
                    told.push(Step::Completion(std::mem::take(&mut commands)));
                    *clock = (*clock).max(group.complete_time);
                    told.push(Step::Activation {
                        at: *clock,
                        jobs: group.resolved,
                    });
                }
            }
        }
        told.push(Step::Completion(commands));
        told
    }
}

impl Answer {
    /// In which activation of the task a local activity was resolved.
    fn index(&self) -> Option<u64> {
        match self {
            Self::Local(local) => local.activation_index,
            _ => None,
        }
    }
}

/// Local activities that were resolved in one activation.
#[derive(Default)]
struct Group {
    schedules: Vec<Command>,
    resolved: Vec<Job>,
    complete_time: Micros,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }

    fn push(&mut self, answer: Answer) {
        let Answer::Local(local) = answer else {
            return;
        };
        self.complete_time = self
            .complete_time
            .max(local.complete_time.unwrap_or(Micros::MIN));
        self.resolved.push(Job::ActivityResolved {
            seq: local.schedule.seq,
            outcome: local.outcome,
        });
        let schedule = Command::ScheduleActivity(Box::new(local.schedule));
        self.schedules.push(schedule);
    }
}
