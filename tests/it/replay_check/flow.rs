//! A workflow that is changed at each of its steps is found to part from its runs there.

use std::time::Duration;

use omnitrace::replay::Outcome;
use omnitrace::replay_check;
use omnitrace_store::row::{RunKey, RunRow};
use omnitrace_store::{Batch, OpenOptions, ReplayVerdict, Store};
use omnitrace_tests::{NAMESPACE, Recording, RunningWorker, beside, client_with, unique};
use temporalio_client::{Client, ClientOptions, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ApplicationFailure, ChildWorkflowOptions, LocalActivityOptions, WorkerOptions, WorkflowContext,
    WorkflowResult, workflow_replayer::WorkflowReplayerOptions,
};

use super::{args, replay};
use crate::codec;
use crate::workflows::{Acts, options};

/// As what a workflow may become with the next deploy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Code {
    #[default]
    AsItWas,
    LocalActivityOfAnotherType,
    WithoutPatch,
    Swapped,
    ActivityOfAnotherType,
    StepAdded,
    LocalActivityAdded,
    StepRemoved,
    ActivityForTimer,
    TimerLonger,
    ChildForActivity,
    OtherArgument,
    LastStepRemoved,
    FailsAtTheEnd,
    Panics,
}

#[workflow]
#[derive(Default)]
struct Flow {
    code: Code,
}

#[workflow]
#[derive(Default)]
struct Leaf;

#[workflow_methods]
impl Leaf {
    #[run]
    async fn run(_ctx: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        Ok(text)
    }
}

fn local() -> LocalActivityOptions {
    LocalActivityOptions::builder()
        .start_to_close_timeout(Duration::from_secs(5))
        .build()
}

#[workflow_methods]
impl Flow {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        let code = ctx.state(|state| state.code);
        if code == Code::LocalActivityOfAnotherType {
            ctx.execute_local_activity(Acts::flaky, 1_u32, local())
                .await?;
        } else {
            ctx.execute_local_activity(Acts::echo, text.clone(), local())
                .await?;
        }
        if code == Code::Swapped {
            ctx.execute_activity(Acts::flaky, 1_u32, options()).await?;
        }
        if code != Code::WithoutPatch && ctx.patched("polite") {
            let greeting = match code {
                Code::OtherArgument => "good day",
                _ => "hello",
            };
            ctx.execute_activity(Acts::echo, greeting.to_owned(), options())
                .await?;
        }
        if code == Code::StepAdded {
            ctx.execute_activity(Acts::echo, text.clone(), options())
                .await?;
        }
        if code == Code::LocalActivityAdded {
            ctx.execute_local_activity(Acts::echo, text.clone(), local())
                .await?;
        }
        match code {
            Code::StepRemoved | Code::Swapped => {}
            Code::ActivityOfAnotherType => {
                ctx.execute_activity(Acts::echo, text.clone(), options())
                    .await?;
            }
            _ => {
                ctx.execute_activity(Acts::flaky, 1_u32, options()).await?;
            }
        }
        match code {
            Code::ActivityForTimer => {
                ctx.execute_activity(Acts::echo, text.clone(), options())
                    .await?;
            }
            Code::TimerLonger => {
                ctx.timer(Duration::from_millis(20)).await;
            }
            _ => {
                ctx.timer(Duration::from_millis(10)).await;
            }
        }
        let workflow_id = format!("{}/leaf", ctx.workflow_id());
        let leaf = |id| ChildWorkflowOptions::workflow_id(id);
        let child = ctx.start_child_workflow(Leaf::run, text.clone(), leaf(workflow_id.clone()));
        let said = child.await?.result().await?;
        assert_ne!(code, Code::Panics, "the desk is closed");
        match code {
            Code::LastStepRemoved => Ok(said),
            Code::ChildForActivity => {
                let id = format!("{workflow_id}/2");
                let child = ctx.start_child_workflow(Leaf::run, said, leaf(id)).await?;
                Ok(child.result().await?)
            }
            _ => {
                let said = ctx.execute_activity(Acts::echo, said, options()).await?;
                if code == Code::FailsAtTheEnd {
                    let closed = ApplicationFailure::builder(anyhow::anyhow!("closed"));
                    return Err(closed.build().into());
                }
                Ok(said)
            }
        }
    }
}

fn worker(queue: &str) -> WorkerOptions {
    WorkerOptions::new(queue)
        .register_activities(Acts)
        .register_workflow::<Flow>()
        .and_then(|options| options.register_workflow::<Leaf>())
        .expect("workflows")
        .build()
}

fn code(code: Code) -> WorkflowReplayerOptions {
    WorkflowReplayerOptions::new()
        .register_workflow_with_factory::<Flow, _>(move || Flow { code })
        .and_then(|options| options.register_workflow::<Leaf>())
        .expect("workflows")
        .build()
}

/// A recorded run of [`Flow`], as it was.
async fn recorded() -> (Recording, RunRow) {
    let recording = Recording::start();
    let client = recording.client().await;
    let run = run(&recording, &client).await;
    (recording, run)
}

async fn run(recording: &Recording, client: &Client) -> RunRow {
    let (queue, id) = (unique("queue"), unique("flow"));
    let running = RunningWorker::start(client.clone(), worker(&queue));
    beside(running, async {
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Flow::run, "hi".to_owned(), start);
        let handle = handle.await.expect("started");
        let get = WorkflowGetResultOptions::default();
        handle.get_result(get).await.expect("completed");
    })
    .await;
    let (run, _) = recording.closed(&id).await;
    recording.closed(&format!("{id}/leaf")).await;
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_found_at_its_step_and_kept_with_the_run() {
    let (recording, run) = recorded().await;
    let id = &run.key.workflow_id;
    let (leaf, two) = (
        format!("{id}/leaf"),
        format!("child workflow {id}/leaf/2 Leaf"),
    );
    let passed = ReplayVerdict::Passed;
    let report = replay(&recording, worker("any"), &[]).await;
    let verdicts = report.runs.iter().map(|run| run.verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), [passed, passed], "{report:?}");
    assert_eq!(report.exit_code(true), 0);

    let parted = |position, key: &str, expected: &str, found: &str| {
        let found = (!found.is_empty()).then(|| found.to_owned());
        (
            ReplayVerdict::Parted,
            position,
            key.to_owned(),
            Some(expected.to_owned()),
            found,
        )
    };
    let [one, two_id, three, four] = [
        "activity:1:Acts::echo:0",
        "activity:2:Acts::echo:0",
        "activity:3:Acts::flaky:0",
        "activity:4:Acts::echo:0",
    ];
    let (flaky, last) = ("activity 3 Acts::flaky", "activity 4 Acts::echo");
    let timer = "timer 1 of 10 ms";
    let cases = [
        (
            Code::LocalActivityOfAnotherType,
            parted(
                1,
                one,
                "local activity 1 Acts::echo",
                "local activity 1 Acts::flaky",
            ),
        ),
        (
            Code::WithoutPatch,
            parted(
                2,
                "patch:polite:patch:1",
                "patch polite",
                "activity 2 Acts::flaky",
            ),
        ),
        (
            Code::Swapped,
            parted(
                2,
                "patch:polite:patch:1",
                "patch polite",
                "activity 2 Acts::flaky",
            ),
        ),
        (
            Code::ActivityOfAnotherType,
            parted(4, three, flaky, "activity 3 Acts::echo"),
        ),
        (
            Code::StepAdded,
            parted(4, three, flaky, "activity 3 Acts::echo"),
        ),
        (
            Code::LocalActivityAdded,
            parted(4, three, flaky, "local activity 3 Acts::echo"),
        ),
        (Code::StepRemoved, parted(4, three, flaky, timer)),
        (
            Code::ActivityForTimer,
            parted(5, "timer:1:timer:1", timer, last),
        ),
        (Code::ChildForActivity, parted(7, four, last, &two)),
        (
            Code::LastStepRemoved,
            parted(7, four, last, "the run's end: completed"),
        ),
        (
            Code::FailsAtTheEnd,
            parted(8, "", "the run's end: completed", "the run's end: failed"),
        ),
    ];
    for (changed, expected) in cases {
        let only = ["--workflow-id", id, "--timeout", "5", "--build-id", "next"];
        let report = replay(&recording, code(changed), &only).await;
        assert_eq!(report.exit_code(false), 1, "{changed:?} {report:?}");
        let [outcome] = &report.runs[..] else {
            panic!("one run: {report:?}");
        };
        let found = (
            outcome.verdict,
            outcome.position.unwrap_or_default(),
            outcome.event_key.clone().unwrap_or_default(),
            outcome.expected.clone(),
            outcome.found.clone(),
        );
        assert_eq!(found, expected, "{changed:?} {report:?}");
        assert_eq!(outcome.steps, 8);
        let stored = recording.stored().await.store.replay(&run.key).await;
        let stored = stored.expect("readable").expect("kept");
        assert_eq!(
            (stored.build_id.as_str(), stored.verdict),
            ("next", outcome.verdict)
        );
        assert_eq!(
            (stored.event_key, stored.expected, stored.found),
            (
                outcome.event_key.clone(),
                outcome.expected.clone(),
                outcome.found.clone()
            )
        );
    }
    // A step of the trace: that of the run's own row.
    let events = recording.stored().await.events(&run).await;
    for key in [
        one,
        two_id,
        three,
        four,
        "patch:polite:patch:1",
        "timer:1:timer:1",
    ] {
        assert!(events.iter().any(|event| event.event_key == key), "{key}");
    }

    let panics = replay(&recording, code(Code::Panics), &["--workflow-id", id]).await;
    let [failed] = &panics.runs[..] else {
        panic!("one run")
    };
    assert_eq!(
        (failed.verdict, failed.position),
        (ReplayVerdict::Failed, Some(7)),
        "{failed:?}"
    );

    for (changed, position, told) in [
        (
            Code::OtherArgument,
            3,
            "activity 2 Acts::echo: another argument 1",
        ),
        (
            Code::TimerLonger,
            5,
            "timer 1 of 10 ms: lasts 20 ms, was 10 ms",
        ),
    ] {
        let report = replay(&recording, code(changed), &["--workflow-id", id]).await;
        assert_eq!(
            (report.exit_code(false), report.exit_code(true)),
            (0, 1),
            "{report:?}"
        );
        let outcome: &Outcome = &report.runs[0];
        assert_eq!(outcome.verdict, ReplayVerdict::Changed);
        assert_eq!(
            (outcome.position, outcome.message.as_deref()),
            (Some(position), Some(told))
        );
    }

    // Nothing of it is recorded as if it had happened, and nothing is kept that is not to be.
    assert_eq!(
        recording.stored().await.newest(id).await.expect("stored"),
        run
    );
    let before = recording.stored().await.store.replay(&run.key).await;
    replay(&recording, worker("any"), &["--dry-run"]).await;
    let after = recording.stored().await.store.replay(&run.key).await;
    assert_eq!(after.expect("readable"), before.expect("readable"));
    let kept = recording
        .stored()
        .await
        .newest(&leaf)
        .await
        .expect("stored");
    let kept = recording.stored().await.store.replay(&kept.key).await;
    assert_eq!(kept.expect("readable").expect("kept").verdict, passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_forgot_is_gone_and_the_result_is_written_for_machines() {
    let (recording, run) = recorded().await;
    let forgotten = RunRow {
        workflow_type: "Flow".to_owned(),
        ..RunRow::new(RunKey::new(
            NAMESPACE,
            "long-ago",
            uuid::Uuid::new_v4().to_string(),
        ))
    };
    let by_hand = RunRow {
        workflow_type: "Flow".to_owned(),
        ..RunRow::new(RunKey::new(NAMESPACE, "by-hand", "x-0123456789abcdef"))
    };
    let url = omnitrace_tests::database(recording.folder());
    let store = Store::open(&url, OpenOptions::default()).await;
    let batch = Batch {
        runs: vec![forgotten, by_hand],
        ..Batch::default()
    };
    store.expect("a store").write(&batch).await.expect("stored");

    let junit = recording.folder().join("junit.xml");
    let path = junit.to_string_lossy();
    let more = ["--type", "Flow", "--junit", &path];
    let report = replay(&recording, code(Code::StepRemoved), &more).await;
    assert_eq!((report.replayed, report.parted, report.gone), (1, 1, 1));
    let xml = std::fs::read_to_string(&junit).expect("written");
    for part in [
        "<testsuite name=\"Flow\" tests=\"2\" skipped=\"1\" errors=\"0\" failures=\"1\"",
        &format!("{}/{}", run.key.workflow_id, run.key.run_id),
        "parted at step 4 of 8, activity:3:Acts::flaky:0",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    let text = report.text();
    assert!(
        text.contains("  expected  activity 3 Acts::flaky\n  found     timer 1"),
        "{text}"
    );
    assert!(text.contains("gone: the server has no history"), "{text}");

    let gone = replay(&recording, worker("any"), &["--workflow-id", "long-ago"]).await;
    assert_eq!((gone.exit_code(false), gone.exit_code(true)), (2, 1));
    let unknown = args(&recording, &["--type", "Order"]);
    let error = replay_check(worker("any")).check(unknown).await;
    let error = error.expect_err("no such type").to_string();
    assert_eq!(
        error,
        "the worker has no workflow type \"Order\": it has Flow, Leaf"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_that_a_codec_hides_are_compared_with_the_clients_converter() {
    let recording = Recording::start();
    let plugin = recording.omnitrace.plugin();
    let options = ClientOptions::new(NAMESPACE).data_converter(codec::converter());
    let client = client_with(options.plugin(plugin).build()).await;
    let run = run(&recording, &client).await;
    let found = async |changed: Code| {
        let check = replay_check(code(changed)).with_data_converter(codec::converter());
        let only = ["--workflow-id", &run.key.workflow_id];
        let report = check.check(args(&recording, &only)).await;
        let outcome = report.expect("replayed").runs.remove(0);
        (outcome.verdict, outcome.position, outcome.message)
    };
    let same = found(Code::AsItWas).await;
    assert_eq!(same, (ReplayVerdict::Passed, None, None));
    let told = "activity 2 Acts::echo: another argument 1".to_owned();
    let other = (ReplayVerdict::Changed, Some(3), Some(told));
    assert_eq!(found(Code::OtherArgument).await, other);
    let (verdict, position, _) = found(Code::StepRemoved).await;
    assert_eq!((verdict, position), (ReplayVerdict::Parted, Some(4)));
    // Without it, the code cannot read what it is given.
    let report = replay(&recording, worker("any"), &["--type", "Flow"]).await;
    assert_eq!(report.exit_code(false), 1, "{report:?}");
}
