//! Workflows whose histories are of shapes that the other tests do not have.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflows::join;
use temporalio_sdk::{
    ActivityCancellationType, ActivityCloseTimeouts, CancellableFuture,
    ChildWorkflowCancellationType, ChildWorkflowOptions, ParentClosePolicy, SyncWorkflowContext,
    WorkflowContext, WorkflowResult,
};

use crate::exact::flows::{Child, Fate};
use crate::exact::tools::{Deed, Tools, local, remote};

/// Activities that time out for good, in each way.
#[workflow]
#[derive(Default)]
pub(crate) struct TimeOuts;

#[workflow_methods]
impl TimeOuts {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        let once = |id: &str| {
            let mut options = remote(ctx);
            options.activity_id = Some(id.to_owned());
            options.retry_policy = Some(RetryPolicy::builder().maximum_attempts(1).build());
            options
        };
        let mut start_to_close = once("start-to-close");
        start_to_close.close_timeouts =
            ActivityCloseTimeouts::StartToClose(Duration::from_millis(200));
        let mut heartbeat = once("heartbeat");
        heartbeat.heartbeat_timeout = Some(Duration::from_millis(200));
        let mut schedule_to_start = once("schedule-to-start");
        schedule_to_start.task_queue = Some(format!("{}-nobody", ctx.task_queue()));
        schedule_to_start.schedule_to_start_timeout = Some(Duration::from_millis(200));
        let mut schedule_to_close = remote(ctx);
        schedule_to_close.activity_id = Some("schedule-to-close".to_owned());
        schedule_to_close.close_timeouts =
            ActivityCloseTimeouts::ScheduleToClose(Duration::from_millis(500));
        let ends = join!(
            ctx.execute_activity(Tools::act, Deed::Slow(1500), start_to_close),
            ctx.execute_activity(Tools::act, Deed::Slow(1500), heartbeat),
            ctx.execute_activity(Tools::act, Deed::Succeed, schedule_to_start),
            ctx.execute_activity(Tools::act, Deed::SucceedAt(1000), schedule_to_close),
        );
        assert!(ends.0.is_err() && ends.1.is_err() && ends.2.is_err() && ends.3.is_err());
        Ok(())
    }
}

/// Local activities at once, of which one holds the task for longer than a task may take.
#[workflow]
#[derive(Default)]
pub(crate) struct Together;

#[workflow_methods]
impl Together {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, slow_ms: u64) -> WorkflowResult<()> {
        let act = |deed| ctx.execute_local_activity(Tools::act, deed, local(60_000));
        let ends = join!(
            act(Deed::Succeed),
            act(Deed::Slow(slow_ms)),
            act(Deed::SucceedAt(2)),
            ctx.execute_activity(Tools::act, Deed::Succeed, remote(ctx)),
        );
        assert!(ends.0.is_ok() && ends.1.is_ok() && ends.2.is_ok() && ends.3.is_ok());
        ctx.timer(Duration::from_millis(1)).await;
        ctx.execute_activity(Tools::act, Deed::Succeed, remote(ctx))
            .await?;
        Ok(())
    }

    #[signal]
    pub(crate) fn nudge(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {}
}

/// Local activities that are cancelled, in each way.
#[workflow]
#[derive(Default)]
pub(crate) struct LocalCancels;

#[workflow_methods]
impl LocalCancels {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        let start = |how, id: &str| {
            let mut options = local(60_000);
            options.cancel_type = how;
            options.activity_id = Some(id.to_owned());
            ctx.execute_local_activity(Tools::act, Deed::Wait, options)
        };
        let wait = start(ActivityCancellationType::WaitCancellationCompleted, "wait");
        let try_cancel = start(ActivityCancellationType::TryCancel, "try");
        let abandon = start(ActivityCancellationType::Abandon, "abandon");
        ctx.timer(Duration::from_millis(100)).await;
        wait.cancel();
        try_cancel.cancel();
        abandon.cancel();
        let ends = join!(wait, try_cancel, abandon);
        assert!(ends.0.is_err() && ends.1.is_err() && ends.2.is_err());
        ctx.timer(Duration::from_millis(1)).await;
        Ok(())
    }
}

/// Children that are cancelled in each way, time out, or are terminated from outside.
#[workflow]
#[derive(Default)]
pub(crate) struct Orphans;

#[workflow_methods]
impl Orphans {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        let id = ctx.workflow_id().to_owned();
        let options = |name: &str, how| {
            let mut options = ChildWorkflowOptions::workflow_id(format!("{id}/{name}"));
            options.cancel_type = how;
            options
        };
        let start = |options: ChildWorkflowOptions| {
            ctx.start_child_workflow(Child::run, Fate::Wait, options)
        };
        for (name, how) in [
            ("try", ChildWorkflowCancellationType::TryCancel),
            ("abandon", ChildWorkflowCancellationType::Abandon),
            (
                "wait",
                ChildWorkflowCancellationType::WaitCancellationCompleted,
            ),
        ] {
            let child = start(options(name, how)).await?;
            child.cancel("not needed".to_owned());
            assert!(child.result().await.is_err());
        }
        let how = ChildWorkflowCancellationType::default();
        let mut late = options("late", how);
        late.run_timeout = Some(Duration::from_secs(1));
        assert!(start(late).await?.result().await.is_err());
        let ended = start(options("ended", how)).await?;
        assert!(ended.result().await.is_err());
        // What becomes of these when their parent closes is no part of its history.
        for (name, policy) in [
            ("terminate", ParentClosePolicy::Terminate),
            ("leave", ParentClosePolicy::Abandon),
            ("request", ParentClosePolicy::RequestCancel),
        ] {
            let mut options = options(name, how);
            options.parent_close_policy = policy;
            start(options).await?;
        }
        Ok(())
    }
}
