//! Each rule of acceptance shows in the rows: turned round, its scenario ends differently.

use std::collections::BTreeMap;

use omnitrace_store::merge::{merge_event, merge_run};
use omnitrace_store::row::{EventRow, Phase, RunKey, RunRow, Source, Status};
use serde_json::json;

use super::acceptance::{Acceptance, Rule};
use super::{Rows, Trackers};
use crate::observe::{
    Activation, Command, Completion, Eviction, Failure, Job, LocalActivity, Outcome, RunStart,
    ScheduleActivity, Sender,
};
use crate::policy::{CategoryRules, Content, Policy, PolicySettings, Redacted};

const RUN: &str = "run";

/// What a worker sees, in order.
#[derive(Clone)]
enum Seen {
    Activation(Activation),
    Completion(Completion),
    Stopped,
}

fn activation(at: i64, history_length: u32, jobs: Vec<Job>) -> Seen {
    Seen::Activation(Activation {
        run_id: RUN.to_owned(),
        at,
        replaying: false,
        history_length,
        jobs,
    })
}

fn replayed(at: i64, history_length: u32, jobs: Vec<Job>) -> Seen {
    let Seen::Activation(mut seen) = activation(at, history_length, jobs) else {
        unreachable!("it is one")
    };
    seen.replaying = true;
    Seen::Activation(seen)
}

fn completion(commands: Vec<Command>) -> Seen {
    Seen::Completion(Completion {
        run_id: RUN.to_owned(),
        commands: Some(commands),
    })
}

fn start() -> Job {
    Job::Initialize(Box::new(RunStart {
        key: RunKey::new("default", "workflow", RUN),
        workflow_type: "Workflow".to_owned(),
        task_queue: "queue".to_owned(),
        started_at: Some(1),
        input: Redacted::default(),
        attempt: 1,
        max_attempts: None,
        first_execution_run_id: None,
        continued_from_run_id: None,
        parent: None,
        root: None,
        trigger: "client",
        build_id: None,
        user: None,
        tenant: None,
        source: Source::Live,
        parent_sampled: None,
        trace: None,
        trace_per_chain: false,
        malformed_header: false,
    }))
}

fn timer(seq: u32) -> Command {
    Command::StartTimer {
        seq,
        timer_id: seq.to_string(),
        duration_ms: 1000,
    }
}

fn close(output: &str) -> Command {
    Command::Close {
        status: Status::Completed,
        output: Some(policy().json(json!({ "status": output }), Content::Plain)),
        failure: None,
    }
}

fn evicted(reason: Eviction, history_length: u32) -> Seen {
    activation(0, history_length, vec![Job::Evicted(reason)])
}

fn local(seq: u32) -> Command {
    Command::ScheduleActivity(Box::new(ScheduleActivity {
        seq,
        activity_id: seq.to_string(),
        activity_type: "Local".to_owned(),
        task_queue: None,
        input: Redacted::default(),
        nth_use: None,
        local: Some(LocalActivity {
            attempt: 1,
            original_schedule_time: None,
        }),
    }))
}

fn update() -> Job {
    Job::Update {
        protocol_id: "protocol".to_owned(),
        id: "update".to_owned(),
        name: "change".to_owned(),
        input: Redacted::default(),
        sender: Sender::default(),
    }
}

fn failure() -> Failure {
    Failure {
        status: Status::Failed,
        error_type: "Refused".to_owned(),
        message: None,
        stack: None,
    }
}

fn policy() -> Policy {
    Policy::new(PolicySettings::default())
}

/// The rows that a worker with these rules leaves.
fn recorded(seen: Vec<Seen>, acceptance: Acceptance) -> (RunRow, BTreeMap<String, EventRow>) {
    let policy = policy();
    let mut trackers = Trackers {
        acceptance,
        ..Trackers::default()
    };
    let mut run: Option<RunRow> = None;
    let mut events: BTreeMap<String, EventRow> = BTreeMap::new();
    for seen in seen {
        let rows: Rows = match seen {
            Seen::Activation(seen) => trackers.activation(0, seen, &policy),
            Seen::Completion(seen) => trackers.completion(0, seen, &policy),
            Seen::Stopped => trackers.worker_stopped(0, &policy),
        };
        for row in rows.runs {
            run = Some(match run.take() {
                Some(before) => merge_run(before, row),
                None => row,
            });
        }
        for row in rows.events {
            let row = match events.remove(&row.event_key) {
                Some(before) => merge_event(before, row),
                None => row,
            };
            events.insert(row.event_key.clone(), row);
        }
    }
    (run.expect("a run"), events)
}

/// The same as `?` (provisional), `+` (open), `~` (closed, at a time that may change) or `=` (closed),
/// key and status; the run's first.
fn rows(seen: Vec<Seen>, acceptance: Acceptance) -> Vec<String> {
    let (run, events) = recorded(seen, acceptance);
    let mark = |phase| match phase {
        Phase::Provisional => '?',
        Phase::Open => '+',
        Phase::Closed => '=',
    };
    let output = run.output_redacted.unwrap_or_default();
    let output = ["first", "second"].into_iter().find(|o| output.contains(o));
    let first = format!(
        "{}run {} {}",
        mark(run.phase),
        run.status.as_str(),
        output.unwrap_or("-")
    );
    std::iter::once(first)
        .chain(events.values().map(|row| {
            let (mut phase, status) = (mark(row.phase), row.status.as_str());
            if row.phase == Phase::Closed && row.source == Source::Inferred {
                phase = '~';
            }
            format!("{phase}{} {status}", row.event_key)
        }))
        .collect()
}

/// With all rules a scenario ends as expected; with this one turned round it does not.
fn shows(rule: Rule, seen: Vec<Seen>, expected: &[&str]) {
    assert_eq!(rows(seen.clone(), Acceptance::default()), expected);
    let without = rows(seen, Acceptance::without(rule));
    assert_ne!(without, expected, "without {rule:?} it shows");
}

/// A run that commands a timer in its first task.
fn began() -> Vec<Seen> {
    vec![activation(10, 3, vec![start()]), completion(vec![timer(1)])]
}

/// A run that closes in its second task.
fn closing() -> Vec<Seen> {
    let mut seen = began();
    seen.push(activation(20, 8, vec![Job::TimerFired { seq: 1 }]));
    seen.push(completion(vec![close("first")]));
    seen
}

fn then(mut seen: Vec<Seen>, more: impl IntoIterator<Item = Seen>) -> Vec<Seen> {
    seen.extend(more);
    seen
}

fn query(direct: bool) -> Job {
    Job::Query { direct }
}

/// A run whose timer fired, and which is asked a query before a task tells it so. That task begins with
/// something else, and cancels what was commanded.
fn ahead() -> Vec<Seen> {
    then(
        began(),
        [
            activation(10, 7, vec![Job::TimerFired { seq: 1 }]),
            completion(vec![timer(2)]),
            activation(10, 7, vec![query(true)]),
            completion(vec![]),
            activation(20, 9, vec![]),
            completion(vec![Command::CancelTimer { seq: 2 }]),
        ],
    )
}

#[test]
fn what_reached_a_workflow_for_a_query_has_the_time_of_the_next_task() {
    let seen = then(ahead(), [activation(30, 13, vec![])]);
    let (_, events) = recorded(seen, Acceptance::default());
    assert_eq!(events["timer:1:timer:1"].ended_at, Some(20));

    // A local activity's end may be later than the next task's start: then that one is a task.
    let resolved = Job::ActivityResolved {
        seq: 1,
        outcome: Outcome::Completed(None),
    };
    let seen = vec![
        activation(10, 3, vec![start()]),
        completion(vec![local(1)]),
        activation(50, 3, vec![resolved]),
        completion(vec![timer(1)]),
        activation(50, 8, vec![Job::TimerFired { seq: 1 }]),
        completion(vec![timer(2)]),
        activation(50, 8, vec![query(true)]),
        completion(vec![]),
        activation(60, 12, vec![]),
    ];
    let expected = [
        "+run running -",
        "=activity:1:Local:0 completed",
        "=timer:1:timer:1 completed",
        "+timer:2:timer:1 running",
    ];
    assert_eq!(rows(seen, Acceptance::default()), expected);
}

macro_rules! scenarios {
    ($($name:ident: $rule:ident, $seen:expr => $expected:expr;)+) => {
        $(#[test] fn $name() { shows(Rule::$rule, $seen, &$expected); })+

        /// A rule without a scenario does not compile.
        const _: fn(Rule) = |rule| match rule { $(Rule::$rule => {})+ };
    };
}

const PROPOSED: [&str; 2] = ["+run running -", "?timer:1:timer:1 running"];
const NOT_CLOSED: [&str; 2] = ["+run running -", "~timer:1:timer:1 completed"];

scenarios! {
    a_longer_history_accepts_what_was_proposed: LongerHistoryProves,
        then(began(), [activation(20, 8, vec![])])
        => ["+run running -", "+timer:1:timer:1 running"];

    further_activations_of_one_task_accept_nothing: SameHistoryProvesNothing,
        then(began(), [activation(20, 3, vec![]), completion(vec![timer(2)])])
        => [
            "+run running -",
            "?timer:1:timer:1 running",
            "?timer:2:timer:1 running",
        ];

    a_query_accepts_nothing_whatever_its_number: QueryProvesNothing,
        then(began(), [activation(20, 8, vec![query(false)])]) => PROPOSED;

    what_is_answered_to_be_asked_a_query_is_accepted_with_the_next_task: AheadProvesNothing,
        ahead() => [
            "+run running -",
            "~timer:1:timer:1 completed",
            "?timer:2:timer:1 running",
        ];

    an_ending_run_is_closed: EndingProves,
        then(closing(), [evicted(Eviction::ExecutionEnding, 8)])
        => ["=run completed first", "=timer:1:timer:1 completed"];

    a_full_cache_accepts_the_last_task: CacheFullProves,
        then(began(), [evicted(Eviction::CacheFull, 3)])
        => ["+run running -", "+timer:1:timer:1 running"];

    a_full_cache_does_not_accept_an_open_task: CacheFullInTaskProvesNothing,
        then(began(), [evicted(Eviction::CacheFull, 0)]) => PROPOSED;

    the_replayer_asks_for_an_eviction_and_that_accepts_nothing: LangRequestedProvesNothing,
        then(closing(), [evicted(Eviction::LangRequested, 8)]) => NOT_CLOSED;

    a_task_that_was_not_found_accepts_nothing: TaskNotFoundProvesNothing,
        then(closing(), [evicted(Eviction::TaskNotFound, 8)]) => NOT_CLOSED;

    a_fatal_eviction_accepts_nothing: FatalProvesNothing,
        then(closing(), [evicted(Eviction::Fatal, 8)]) => NOT_CLOSED;

    non_determinism_accepts_nothing: NondeterminismProvesNothing,
        then(closing(), [evicted(Eviction::Nondeterminism, 8)]) => NOT_CLOSED;

    // A signal came while the run closed: it goes on, and closes otherwise.
    a_refused_closing_command_leaves_nothing: UnhandledCommandProvesNothing,
        then(closing(), [
            evicted(Eviction::UnhandledCommand, 8),
            replayed(10, 3, vec![start()]),
            completion(vec![timer(1)]),
            activation(30, 12, vec![Job::TimerFired { seq: 1 }]),
            completion(vec![timer(2)]),
        ])
        => [
            "+run running -",
            "~timer:1:timer:1 completed",
            "?timer:2:timer:1 running",
        ];

    any_other_eviction_accepts_nothing: OtherEvictionProvesNothing,
        then(closing(), [evicted(Eviction::Other, 8)]) => NOT_CLOSED;

    a_worker_that_stops_accepts_nothing: StopProvesNothing,
        then(closing(), [Seen::Stopped]) => NOT_CLOSED;
}

#[test]
fn a_rejected_update_repeats_the_number_and_accepts_nothing() {
    let seen = then(
        began(),
        [
            activation(20, 3, vec![update()]),
            completion(vec![Command::UpdateRejected {
                protocol_id: "protocol".to_owned(),
                failure: failure(),
            }]),
        ],
    );
    let expected = [
        "+run running -",
        "?timer:1:timer:1 running",
        "=update:update:change:1 failed",
    ];
    shows(Rule::SameHistoryProvesNothing, seen, &expected);
}

#[test]
fn the_result_of_a_local_activity_is_true_once_its_task_was_accepted() {
    let resolved = Job::ActivityResolved {
        seq: 1,
        outcome: Outcome::Completed(None),
    };
    let seen = vec![
        activation(10, 3, vec![start()]),
        completion(vec![local(1)]),
        activation(20, 3, vec![resolved]),
        completion(vec![timer(1)]),
        activation(30, 8, vec![]),
    ];
    let expected = [
        "+run running -",
        "=activity:1:Local:0 completed",
        "+timer:1:timer:1 running",
    ];
    shows(Rule::LongerHistoryProves, seen, &expected);
}

#[test]
fn a_query_between_two_tasks_does_not_hide_what_the_later_one_accepts() {
    let seen = then(
        began(),
        [
            activation(10, 3, vec![query(true)]),
            completion(vec![]),
            activation(20, 8, vec![]),
        ],
    );
    let expected = ["+run running -", "+timer:1:timer:1 running"];
    shows(Rule::LongerHistoryProves, seen, &expected);
}

#[test]
fn a_failed_task_proposes_nothing_and_its_replay_says_the_truth() {
    let failed = Seen::Completion(Completion {
        run_id: RUN.to_owned(),
        commands: None,
    });
    let seen = vec![
        activation(10, 3, vec![start()]),
        failed,
        evicted(Eviction::Other, 3),
        activation(30, 6, vec![start()]),
        completion(vec![timer(1)]),
        activation(40, 10, vec![Job::TimerFired { seq: 1 }]),
    ];
    let expected = ["+run running -", "~timer:1:timer:1 completed"];
    assert_eq!(rows(seen, Acceptance::default()), expected);
}

#[test]
fn a_step_ended_in_the_task_that_was_accepted_and_not_in_one_that_failed() {
    let failed = Seen::Completion(Completion {
        run_id: RUN.to_owned(),
        commands: None,
    });
    let fired = || vec![Job::TimerFired { seq: 1 }];
    for late in [26, 24] {
        let seen = then(
            began(),
            [
                activation(25, 8, fired()),
                failed.clone(),
                evicted(Eviction::Other, 8),
                replayed(10, 3, vec![start()]),
                completion(vec![timer(1)]),
                activation(late, 11, fired()),
                completion(vec![]),
                activation(30, 15, vec![]),
            ],
        );
        let (_, events) = recorded(seen, Acceptance::default());
        assert_eq!(events["timer:1:timer:1"].ended_at, Some(late));
    }
}

#[test]
fn a_timer_that_its_own_task_cancels_leaves_nothing_accepted() {
    let cancel = Command::CancelTimer { seq: 1 };
    let seen = vec![
        activation(10, 3, vec![start()]),
        completion(vec![timer(1), cancel, timer(2)]),
        activation(20, 8, vec![]),
    ];
    let expected = [
        "+run running -",
        "?timer:1:timer:1 running",
        "+timer:2:timer:1 running",
    ];
    assert_eq!(rows(seen, Acceptance::default()), expected);
}

#[test]
fn rules_of_categories_are_asked_of_what_a_user_names_alone() {
    let rules = PolicySettings {
        categories: CategoryRules::parse("tool=*").expect("a rule"),
        ..PolicySettings::default()
    };
    let policy = Policy::new(rules);
    let mut trackers = Trackers::default();
    let mut categories = BTreeMap::new();
    for seen in [
        activation(1, 3, vec![start(), update()]),
        completion(vec![
            timer(1),
            local(2),
            Command::SetPatch { id: "p".to_owned() },
        ]),
    ] {
        let rows = match seen {
            Seen::Activation(seen) => trackers.activation(0, seen, &policy),
            Seen::Completion(seen) => trackers.completion(0, seen, &policy),
            Seen::Stopped => continue,
        };
        categories.extend(rows.events.into_iter().map(|row| (row.kind, row.category)));
    }
    let tool = Some("tool".to_owned());
    let expected = [
        ("activity", &tool),
        ("patch", &None),
        ("timer", &None),
        ("update", &tool),
    ];
    let found = categories
        .iter()
        .map(|(kind, category)| (kind.as_str(), category));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn the_number_of_followed_runs_returns_to_zero_however_they_leave() {
    let policy = policy();
    for leaves in [
        evicted(Eviction::ExecutionEnding, 8),
        evicted(Eviction::Other, 8),
        Seen::Stopped,
    ] {
        let mut trackers = Trackers::default();
        let mut left = Vec::new();
        for seen in then(closing(), [leaves]) {
            let rows = match seen {
                Seen::Activation(seen) => trackers.activation(0, seen, &policy),
                Seen::Completion(seen) => trackers.completion(0, seen, &policy),
                Seen::Stopped => trackers.worker_stopped(0, &policy),
            };
            left.extend(rows.left);
        }
        assert_eq!(trackers.live(), 0);
        assert_eq!(left, [RunKey::new("default", "workflow", RUN)]);
    }
}
