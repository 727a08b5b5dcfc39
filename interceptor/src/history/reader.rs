//! Follows a history, and tells the tracker what a worker would have seen of it.
//!
//! Invariant: what is kept is what is open, what one task holds, a number for each activity id, and rows
//! that were not given out; not the history. A task that was completed was accepted; one that failed,
//! timed out or was cut off by the run's end never was.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use omnitrace_store::row::{EventRow, Micros, Phase, RunKey, RunRow, SampledBy, Source, Status};
use omnitrace_store::{Scope, Seen, Switches, merge};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{HistoryEvent, WorkflowTaskCompletedEventAttributes},
    update::v1::Request,
};

use super::HistoryRows;
use super::attempts::{Activity, Started};
use super::task::{Answer, Step, Task};
use crate::config::Settings;
use crate::observe::{Activation, Completion, Eviction, Failure, Job, RunStart};
use crate::policy::{Policy, offered_attempt};
use crate::switches::Switchboard;
use crate::tracker::{Rows, Trackers, WorkerId};

/// The only worker of a history.
const WORKER: WorkerId = 0;

/// Reads the history of one run, event by event.
///
/// ```
/// use std::sync::Arc;
/// use omnitrace::history::{Ids, Reader, parse_json};
/// use omnitrace::policy::{Policy, PolicySettings};
///
/// let json = br#"{"events": [{"eventId": "1", "workflowExecutionStartedEventAttributes": {
///     "workflowId": "order-1", "originalExecutionRunId": "run-1", "workflowType": {"name": "Order"}}}]}"#;
/// let events = parse_json(json)?;
/// let policy = Arc::new(Policy::new(PolicySettings::default()));
/// let mut reader = Reader::new(Ids::default().of(&events)?, policy);
/// events.into_iter().for_each(|event| reader.push(event));
/// let rows = reader.finish();
/// assert_eq!(rows.run.workflow_type, "Order");
/// # Ok::<(), omnitrace::history::ImportError>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    pub(super) key: RunKey,
    pub(super) policy: Arc<Policy>,
    pub(super) switches: Option<Switchboard>,
    trackers: Trackers,
    run: Option<RunRow>,
    /// Rows that are not given out yet, by key.
    rows: BTreeMap<String, EventRow>,
    seen: BTreeMap<Scope, u32>,
    skipped: BTreeMap<String, u64>,
    read: u64,
    sampled_by: SampledBy,
    /// Workflow time.
    clock: Micros,
    /// Tasks that were told, in the place of the lengths of history that acceptance goes by.
    tasks: u32,
    /// Of the last event that had one.
    pub(super) event_time: Micros,
    pub(super) begun: bool,
    pub(super) closed: bool,
    /// What the next task delivers, and the type of the event that is unread if it never does.
    waiting: Vec<(Job, Option<i32>)>,
    /// A task that has started: when, and how much of what waits it delivers.
    pub(super) under_way: Option<(Micros, usize)>,
    pub(super) task: Option<Task>,
    /// The server ended the run by itself.
    pub(super) ended: Option<(Micros, Status, Failure)>,
    pub(super) task_queue: String,
    pub(super) open: HashMap<i64, Open>,
    /// Updates that were accepted and not completed: protocol id and update id by event.
    pub(super) updates: HashMap<i64, (String, String)>,
    /// Updates that were admitted and not accepted.
    pub(super) admitted: HashMap<String, Admitted>,
    /// Requests to cancel children: their answers are no steps.
    pub(super) child_cancels: HashSet<i64>,
    /// Chains of local activities that back off, by type and first schedule time: the next attempt.
    pub(super) chains: HashMap<(String, Micros), u32>,
    /// Uses of each activity id.
    pub(super) uses: HashMap<String, u32>,
}

/// A step that is open, by the event that began it.
#[derive(Debug)]
pub(super) enum Open {
    Timer {
        timer_id: String,
    },
    Activity {
        activity: Activity,
        scheduled_at: Micros,
        closes_when_canceled: bool,
        started: Option<Started>,
    },
    Child {
        workflow_id: String,
        closes_when_canceled: bool,
    },
    Signal,
    Cancel,
    Nexus {
        started: bool,
    },
}

/// What an admitted update asks for.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) request: Request,
    pub(super) event_type: i32,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Read,
    Skipped,
}

impl Reader {
    /// Reads the history of this run. Sampling does not apply: whoever imports a run wants it.
    pub fn new(run: RunKey, policy: Arc<Policy>) -> Self {
        Self {
            key: run,
            policy,
            switches: None,
            trackers: Trackers::default(),
            run: None,
            rows: BTreeMap::new(),
            seen: BTreeMap::new(),
            skipped: BTreeMap::new(),
            read: 0,
            sampled_by: SampledBy::Ratio,
            clock: Micros::MIN,
            tasks: 0,
            event_time: 0,
            begun: false,
            closed: false,
            waiting: Vec::new(),
            under_way: None,
            task: None,
            ended: None,
            task_queue: String::new(),
            open: HashMap::new(),
            updates: HashMap::new(),
            admitted: HashMap::new(),
            child_cancels: HashSet::new(),
            chains: HashMap::new(),
            uses: HashMap::new(),
        }
    }

    /// With the policy that these settings and switches give a run like this when it began: that of the
    /// workers that record it.
    pub fn with_switches(self, settings: &Settings, switches: Switches) -> Self {
        let board = Switchboard::new(settings);
        board.tell(switches);
        self.switched(board)
    }

    pub(super) fn switched(self, switches: Switchboard) -> Self {
        Self {
            switches: Some(switches),
            ..self
        }
    }

    /// Takes in the next event, its payloads decoded.
    pub fn push(&mut self, event: HistoryEvent) {
        let event_type = event.event_type;
        match self.event(event) {
            Taken::Read => self.read += 1,
            Taken::Skipped => self.skip(event_type),
        }
    }

    /// Gives out the rows that are closed and won't change any more, so that a long history takes no
    /// more memory than a short one.
    pub fn take_closed(&mut self) -> Vec<EventRow> {
        let is_final = |row: &EventRow| row.phase == Phase::Closed && row.source > Source::Inferred;
        let closed = self.rows.extract_if(.., |_, row| is_final(row));
        closed.map(|(_, row)| row).collect()
    }

    /// The last state of everything, after the last event.
    pub fn finish(mut self) -> HistoryRows {
        self.flush();
        self.last_task();
        if let Some((at, status, failure)) = self.ended.take() {
            let job = Job::RunEnded { status, failure };
            self.tell(Step::Activation {
                at: at.max(self.clock),
                jobs: vec![job],
            });
        }
        self.evict(Eviction::Other);
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let admitted = std::mem::take(&mut self.admitted).into_values();
        let unread = waiting.filter_map(|(_, event_type)| event_type);
        for event_type in unread.chain(admitted.map(|admitted| admitted.event_type)) {
            // It was taken in, and yet nothing came of it.
            self.read -= 1;
            self.skip(event_type);
        }
        let key = &self.key;
        let mut run = self.run.unwrap_or_else(|| RunRow {
            source: Source::History,
            policy_id: self.policy.id().to_owned(),
            ..RunRow::new(key.clone())
        });
        run.sampled_by = self.sampled_by;
        // Everything that the server accepted was raised: the rest was never so.
        self.rows.retain(|_, row| row.phase > Phase::Provisional);
        HistoryRows {
            run,
            events: self.rows.into_values().collect(),
            read: self.read,
            skipped: self.skipped,
            seen: self
                .seen
                .into_iter()
                .map(|(scope, count)| Seen {
                    run: key.clone(),
                    scope,
                    count,
                })
                .collect(),
        }
    }

    /// Begins the run, once.
    pub(super) fn begin(&mut self, start: RunStart, event_type: Option<i32>) {
        self.begun = true;
        self.task_queue.clone_from(&start.task_queue);
        if start.parent_sampled == Some(true) {
            self.sampled_by = SampledBy::Parent;
        }
        let start = Job::Initialize(Box::new(start));
        self.waiting.insert(0, (start, event_type));
    }

    /// Puts something before the next task.
    pub(super) fn wait(&mut self, job: Job, event_type: i32) -> Taken {
        self.waiting.push((job, Some(event_type)));
        Taken::Read
    }

    /// Puts two things that one event tells before the next task.
    pub(super) fn wait_for_both(&mut self, first: Job, second: Job, event_type: i32) -> Taken {
        self.waiting.push((first, None));
        self.wait(second, event_type)
    }

    /// A task starts. What came before is what it delivers.
    pub(super) fn task_started(&mut self, at: Micros) -> Taken {
        self.flush();
        self.under_way = Some((at, self.waiting.len()));
        Taken::Read
    }

    /// The task that is under way was completed, so the server accepts it. Its commands follow.
    pub(super) fn task_completed(
        &mut self,
        completed: WorkflowTaskCompletedEventAttributes,
        at: Micros,
    ) -> Taken {
        self.flush();
        let (at, delivered) = self.under_way.take().unwrap_or((at, self.waiting.len()));
        let jobs = self.waiting.drain(..delivered).map(|(job, _)| job);
        let mut jobs: Vec<_> = jobs.collect();
        if let Some(Job::Initialize(start)) = jobs.first_mut() {
            start.build_id = build_id(&completed);
        }
        self.task = Some(Task {
            at,
            jobs,
            answers: Vec::new(),
            identity: completed.identity,
        });
        Taken::Read
    }

    /// Adds to what the completed task holds. Without one, there is nothing that it could belong to.
    pub(super) fn answer(&mut self, answer: Answer) -> Taken {
        match &mut self.task {
            Some(task) => {
                task.answers.push(answer);
                Taken::Read
            }
            None => Taken::Skipped,
        }
    }

    /// Tells the task that was completed.
    pub(super) fn flush(&mut self) {
        let Some(task) = self.task.take() else {
            return;
        };
        let mut clock = self.clock;
        let told = task.tell(&mut clock, self.tasks == 0);
        self.clock = clock;
        self.tasks = self.tasks.saturating_add(1);
        for step in told {
            self.tell(step);
        }
        if self.closed && self.ended.is_none() {
            self.evict(Eviction::ExecutionEnding);
        }
    }

    /// Tells of the last task, if it was not completed, and of the run's start, if there was no task.
    fn last_task(&mut self) {
        let is_begin = |job: &Job| matches!(job, Job::Initialize(_));
        let (at, delivered) = match self.under_way.take() {
            Some(task) => task,
            None if self.waiting.first().is_some_and(|(job, _)| is_begin(job)) => {
                (self.event_time, 1)
            }
            None => {
                // The last task was completed, and that is accepted as much as a close is.
                if self.ended.is_none() {
                    self.evict(Eviction::CacheFull);
                } else {
                    self.tasks = self.tasks.saturating_add(1);
                }
                return;
            }
        };
        let jobs = self
            .waiting
            .drain(..delivered)
            .map(|(job, _)| job)
            .collect();
        self.tasks = self.tasks.saturating_add(1);
        let at = at.max(self.clock);
        self.tell(Step::Activation { at, jobs });
    }

    fn tell(&mut self, step: Step) {
        let run_id = self.key.run_id.clone();
        let rows = match step {
            Step::Activation { at, jobs } => {
                let activation = Activation {
                    run_id,
                    at,
                    replaying: false,
                    history_length: self.tasks,
                    jobs,
                };
                self.trackers.activation(WORKER, activation, &self.policy)
            }
            Step::Completion(commands) => {
                let completion = Completion {
                    run_id,
                    commands: Some(commands),
                };
                self.trackers.completion(WORKER, completion, &self.policy)
            }
        };
        self.absorb(rows);
    }

    /// Ends what the tracker knows of the run, and says whether its last task was accepted.
    fn evict(&mut self, reason: Eviction) {
        let activation = Activation {
            run_id: self.key.run_id.clone(),
            at: self.clock,
            replaying: false,
            history_length: self.tasks,
            jobs: vec![Job::Evicted(reason)],
        };
        let rows = self.trackers.activation(WORKER, activation, &self.policy);
        self.absorb(rows);
    }

    fn absorb(&mut self, rows: Rows) {
        for row in rows.events {
            self.row(row);
        }
        for row in rows.runs {
            self.run = Some(match self.run.take() {
                Some(before) => merge::merge_run(before, row),
                None => row,
            });
        }
    }

    /// Takes in a row of an attempt, unless it is one of the many that are only counted.
    pub(super) fn attempt_row(&mut self, row: EventRow) {
        if offered_attempt(row.attempt) {
            self.row(row);
        } else {
            let step = row.step;
            let count = self.seen.entry(Scope::Attempts { step }).or_default();
            *count = (*count).max(row.attempt);
        }
    }

    fn row(&mut self, row: EventRow) {
        let key = row.event_key.clone();
        let row = match self.rows.remove(&key) {
            Some(before) => merge::merge_event(before, row),
            None => row,
        };
        self.rows.insert(key, row);
    }

    fn skip(&mut self, event_type: i32) {
        *self.skipped.entry(type_name(event_type)).or_default() += 1;
    }

    /// How many things are kept beside rows and numbers of activity ids.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.waiting.len()
            + self.task.as_ref().map_or(0, |task| task.answers.len())
            + self.open.len()
            + self.updates.len()
            + self.admitted.len()
            + self.child_cancels.len()
            + self.chains.len()
    }

    /// Rows that were not given out.
    #[cfg(test)]
    pub(super) fn rows_kept(&self) -> usize {
        self.rows.len()
    }
}

/// `WorkflowExecutionSignaled`, as Temporal's tools write types.
fn type_name(event_type: i32) -> String {
    let Ok(known) = EventType::try_from(event_type) else {
        return format!("type {event_type}");
    };
    let name = known.as_str_name();
    let words = name.strip_prefix("EVENT_TYPE_").unwrap_or(name).split('_');
    words
        .map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            format!("{first}{}", rest.to_ascii_lowercase())
        })
        .collect()
}

/// Build id of the worker that completed a task, as core reads it in replay.
#[expect(deprecated, reason = "what older servers wrote")]
fn build_id(completed: &WorkflowTaskCompletedEventAttributes) -> Option<String> {
    let of_deployment = completed.deployment_version.as_ref();
    let of_deployment = of_deployment.map(|version| version.build_id.clone());
    let of_version = completed.worker_deployment_version.split_once('.');
    let of_version = of_version.map(|(_, build_id)| build_id.to_owned());
    let of_worker = completed.worker_version.as_ref();
    let of_worker = of_worker.map(|version| version.build_id.clone());
    let ids = [of_deployment, of_version, of_worker];
    ids.into_iter().flatten().find(|id| !id.is_empty())
}
