//! What a workflow sends to another one: Temporal compares only that it sends, the check also what and to whom.

use omnitrace_store::ReplayVerdict;
use omnitrace_tests::{Recording, RunningWorker, beside, unique};
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflow_replayer::WorkflowReplayerOptions;
use temporalio_sdk::{SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult};

use super::replay;
use crate::workflows::{Acts, options};

/// As what the workflow may become with the next deploy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Code {
    #[default]
    AsItWas,
    AnotherSignal,
    AnotherTarget,
    AnotherCanceled,
    NotSent,
    AnotherSignalAndActivity,
}

#[workflow]
#[derive(Default)]
struct Sender {
    code: Code,
}

#[workflow_methods]
impl Sender {
    #[run]
    async fn run(ctx: &mut WorkflowContext<Self>, to: String) -> WorkflowResult<()> {
        let code = ctx.state(|state| state.code);
        let target = match code {
            Code::AnotherTarget => format!("{to}/2"),
            _ => to.clone(),
        };
        let target = ctx.external_workflow(target, None);
        // Nobody is there: that it was sent is what counts.
        match code {
            Code::NotSent => {}
            Code::AnotherSignal | Code::AnotherSignalAndActivity => {
                let _ = target.signal(Sender::pause, (), Default::default()).await;
            }
            _ => {
                let _ = target.signal(Sender::stop, (), Default::default()).await;
            }
        }
        let canceled = match code {
            Code::AnotherCanceled => format!("{to}/2"),
            _ => to,
        };
        let _ = ctx.external_workflow(canceled, None).cancel(None).await;
        if code == Code::AnotherSignalAndActivity {
            ctx.execute_activity(Acts::flaky, 1_u32, options()).await?;
        } else {
            let said = "hi".to_owned();
            ctx.execute_activity(Acts::echo, said, options()).await?;
        }
        Ok(())
    }

    #[signal]
    fn stop(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {}

    #[signal]
    fn pause(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {}
}

fn code(code: Code) -> WorkflowReplayerOptions {
    WorkflowReplayerOptions::new()
        .register_workflow_with_factory::<Sender, _>(move || Sender { code })
        .expect("a workflow")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_elsewhere_is_changed_and_hides_no_parting() {
    let recording = Recording::start();
    let client = recording.client().await;
    let (queue, id, to) = (unique("queue"), unique("sender"), unique("nobody"));
    let worker = WorkerOptions::new(&queue)
        .register_activities(Acts)
        .register_workflow::<Sender>()
        .expect("a workflow");
    let running = RunningWorker::start(client.clone(), worker.build());
    beside(running, async {
        let start = WorkflowStartOptions::new(&queue, &id).build();
        let handle = client.start_workflow(Sender::run, to.clone(), start);
        let get = WorkflowGetResultOptions::default();
        let handle = handle.await.expect("started");
        handle.get_result(get).await.expect("completed");
    })
    .await;
    recording.closed(&id).await;

    let (changed, parted) = (ReplayVerdict::Changed, ReplayVerdict::Parted);
    let stop = format!("signal stop to {to}");
    let cancel = format!("request to cancel {to}");
    for (changed_to, verdict, position, told) in [
        (Code::AsItWas, ReplayVerdict::Passed, None, None),
        (
            Code::AnotherSignal,
            changed,
            Some(1),
            Some(format!("{stop}: signal pause to {to} instead")),
        ),
        (
            Code::AnotherTarget,
            changed,
            Some(1),
            Some(format!("{stop}: {stop}/2 instead")),
        ),
        (
            Code::AnotherCanceled,
            changed,
            Some(2),
            Some(format!("{cancel}: {cancel}/2 instead")),
        ),
        (Code::NotSent, parted, Some(1), Some(stop.clone())),
        (
            Code::AnotherSignalAndActivity,
            parted,
            Some(3),
            Some("activity 1 Acts::echo".to_owned()),
        ),
    ] {
        let report = replay(&recording, code(changed_to), &["--workflow-id", &id]).await;
        let outcome = &report.runs[0];
        let said = match verdict {
            ReplayVerdict::Parted => outcome.expected.clone(),
            _ => outcome.message.clone(),
        };
        assert_eq!(
            (outcome.verdict, outcome.position, said),
            (verdict, position, told),
            "{changed_to:?} {report:?}"
        );
    }
}
