//! Workflows that do one thing each.

use std::time::Duration;

use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::workflows::join;
use temporalio_sdk::{
    ActivityCancellationType, ApplicationFailure, CancellableFuture, ChildWorkflowCancellationType,
    ChildWorkflowOptions, ContinueAsNewOptions, NexusOperationOptions, SyncWorkflowContext,
    WorkflowContext, WorkflowContextView, WorkflowIdReusePolicy, WorkflowResult,
};

use super::tools::{Deed, Tools, cancelled, local, remote};
pub(crate) use crate::history::flows::{LocalCancels, Orphans, TimeOuts, Together};

/// Registers all of them on a worker or a replayer, whose builders have no common trait.
macro_rules! register {
    ($options:expr, $($flow:ty),+ $(,)?) => {
        $options$(.register_workflow::<$flow>().expect("a workflow"))+
    };
}

macro_rules! registrations {
    ($($flow:ty),+ $(,)?) => {
        pub(crate) fn register<S: temporalio_sdk::worker_options_builder::State>(
            options: temporalio_sdk::WorkerOptionsBuilder<S>,
        ) -> temporalio_sdk::WorkerOptionsBuilder<S> {
            register!(options, $($flow),+)
        }

        pub(crate) fn register_replayed<
            S: temporalio_sdk::workflow_replayer::workflow_replayer_options_builder::State,
        >(
            options: temporalio_sdk::workflow_replayer::WorkflowReplayerOptionsBuilder<S>,
        ) -> temporalio_sdk::workflow_replayer::WorkflowReplayerOptionsBuilder<S> {
            register!(options, $($flow),+)
        }
    };
}

registrations!(
    Locals,
    Remotes,
    Cancels,
    Parent,
    Child,
    Talker,
    Listener,
    Patched,
    Chain,
    Calls,
    Racer,
    Broken,
    Journey,
    TimeOuts,
    Together,
    LocalCancels,
    Orphans
);

/// Local activities: retried at once, retried over timers, failed.
#[workflow]
#[derive(Default)]
pub(crate) struct Locals;

#[workflow_methods]
impl Locals {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        ctx.execute_local_activity(Tools::act, Deed::SucceedAt(3), local(60_000))
            .await?;
        ctx.execute_local_activity(Tools::act, Deed::SucceedAt(3), local(1))
            .await?;
        let failed = ctx.execute_local_activity(Tools::act, Deed::Refuse, local(60_000));
        assert!(failed.await.is_err());
        ctx.timer(Duration::from_millis(1)).await;
        Ok(())
    }
}

/// Activities: an id used twice, attempts that time out or panic.
#[workflow]
#[derive(Default)]
pub(crate) struct Remotes;

#[workflow_methods]
impl Remotes {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        for deed in [Deed::Succeed, Deed::SucceedAt(2)] {
            let mut options = remote(ctx);
            options.activity_id = Some("mine".to_owned());
            ctx.execute_activity(Tools::act, deed, options).await?;
        }
        let mut late = remote(ctx);
        late.close_timeouts =
            temporalio_sdk::ActivityCloseTimeouts::StartToClose(Duration::from_millis(300));
        late.activity_id = Some("late".to_owned());
        ctx.execute_activity(Tools::act, Deed::Slow(2000), late)
            .await?;
        let mut limited = remote(ctx);
        limited.close_timeouts =
            temporalio_sdk::ActivityCloseTimeouts::ScheduleToClose(Duration::from_millis(300));
        limited.activity_id = Some("limited".to_owned());
        let timed_out = ctx.execute_activity(Tools::act, Deed::Slow(2000), limited);
        assert!(timed_out.await.is_err());
        let mut silent = remote(ctx);
        silent.heartbeat_timeout = Some(Duration::from_millis(300));
        silent.activity_id = Some("silent".to_owned());
        ctx.execute_activity(Tools::act, Deed::Slow(2000), silent)
            .await?;
        let mut nobody = remote(ctx);
        nobody.task_queue = Some(format!("{}-nobody", ctx.task_queue()));
        nobody.schedule_to_start_timeout = Some(Duration::from_millis(100));
        nobody.activity_id = Some("nobody".to_owned());
        let timed_out = ctx.execute_activity(Tools::act, Deed::Succeed, nobody);
        assert!(timed_out.await.is_err());
        let mut panics = remote(ctx);
        panics.activity_id = Some("panics".to_owned());
        ctx.execute_activity(Tools::act, Deed::Panic, panics)
            .await?;
        let refused = ctx.execute_activity(Tools::act, Deed::Refuse, remote(ctx));
        assert!(refused.await.is_err());
        Ok(())
    }
}

/// Activities and timers cancelled: before their task ended, and later.
#[workflow]
#[derive(Default)]
pub(crate) struct Cancels {
    all_wait: bool,
}

#[workflow_methods]
impl Cancels {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        let (at_once, later) = (
            ctx.timer(Duration::from_secs(600)),
            ctx.timer(Duration::from_secs(600)),
        );
        at_once.cancel();
        let never = ctx.execute_activity(Tools::act, Deed::Succeed, remote(ctx));
        never.cancel();
        let start = |how, id: &str| {
            let mut options = cancelled(ctx, how);
            options.activity_id = Some(id.to_owned());
            ctx.execute_activity(Tools::act, Deed::Wait, options)
        };
        let wait = start(ActivityCancellationType::WaitCancellationCompleted, "wait");
        let try_cancel = start(ActivityCancellationType::TryCancel, "try");
        let abandon = start(ActivityCancellationType::Abandon, "abandon");
        ctx.wait_condition(|cancels| cancels.all_wait).await?;
        later.cancel();
        wait.cancel();
        try_cancel.cancel();
        abandon.cancel();
        let (_, _, wait, try_cancel, abandon) = join!(at_once, later, wait, try_cancel, abandon);
        assert!(wait.is_err() && try_cancel.is_err() && abandon.is_err());
        assert!(never.await.is_err());
        Ok(())
    }

    #[signal]
    pub(crate) fn all_wait(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.all_wait = true;
    }
}

fn refusal() -> ApplicationFailure {
    ApplicationFailure::builder(anyhow::anyhow!("this is refused"))
        .type_name("Refused".to_owned())
        .build()
}

/// How a child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Fate {
    Complete,
    Fail,
    Wait,
}

/// A child, or a run of its own.
#[workflow]
#[derive(Default)]
pub(crate) struct Child;

#[workflow_methods]
impl Child {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, fate: Fate) -> WorkflowResult<u32> {
        match fate {
            Fate::Complete => Ok(1),
            Fate::Fail => Err(refusal().into()),
            Fate::Wait => {
                ctx.wait_condition(|_| false).await?;
                Ok(2)
            }
        }
    }
}

/// Children: completed, failed, cancelled, not started because their id was taken.
#[workflow]
#[derive(Default)]
pub(crate) struct Parent;

#[workflow_methods]
impl Parent {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        let id = ctx.workflow_id().to_owned();
        let options = |name: &str| {
            let mut options = ChildWorkflowOptions::workflow_id(format!("{id}/{name}"));
            options.cancel_type = ChildWorkflowCancellationType::WaitCancellationCompleted;
            options
        };
        let good = ctx.start_child_workflow(Child::run, Fate::Complete, options("good"));
        good.await?.result().await?;
        let again = ctx.start_child_workflow(Child::run, Fate::Complete, options("good"));
        again.await?.result().await?;
        let mut taken = options("good");
        taken.id_reuse_policy = WorkflowIdReusePolicy::RejectDuplicate;
        let taken = ctx.start_child_workflow(Child::run, Fate::Complete, taken);
        assert!(taken.await.is_err());
        let bad = ctx.start_child_workflow(Child::run, Fate::Fail, options("bad"));
        assert!(bad.await?.result().await.is_err());
        let waits = ctx.start_child_workflow(Child::run, Fate::Wait, options("waits"));
        let waits = waits.await?;
        waits.cancel("not needed".to_owned());
        assert!(waits.result().await.is_err());
        Ok(())
    }
}

/// Signals and cancellations sent to others: delivered and not.
#[workflow]
#[derive(Default)]
pub(crate) struct Talker;

#[workflow_methods]
impl Talker {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, to: String) -> WorkflowResult<()> {
        let there = ctx.external_workflow(to.as_str(), None);
        for text in ["first", "second"] {
            there
                .signal(Listener::tell, text.to_owned(), Default::default())
                .await?;
        }
        let nowhere = ctx.external_workflow(format!("{to}-nowhere"), None);
        let lost = nowhere.signal(Listener::tell, "lost".to_owned(), Default::default());
        assert!(lost.await.is_err());
        assert!(nowhere.cancel(None).await.is_err());
        there.cancel(Some("enough".to_owned())).await?;
        Ok(())
    }
}

/// Listens until it is cancelled, or told to stop.
#[workflow]
#[derive(Default)]
pub(crate) struct Listener {
    heard: Vec<String>,
}

#[workflow_methods]
impl Listener {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        long: bool,
    ) -> WorkflowResult<Vec<String>> {
        // Nobody waits for it, but it is there.
        let _timer = long.then(|| ctx.timer(Duration::from_secs(600)));
        ctx.wait_condition(|listener| listener.heard.iter().any(|heard| heard == "stop"))
            .await?;
        Ok(ctx.state(|listener| listener.heard.clone()))
    }

    #[signal]
    pub(crate) fn tell(&mut self, _ctx: &mut SyncWorkflowContext<Self>, text: String) {
        self.heard.push(text);
    }

    #[query]
    pub(crate) fn heard(&self, _ctx: &WorkflowContextView) -> usize {
        self.heard.len()
    }

    #[update_validator(change)]
    fn validate_change(
        &self,
        _ctx: &WorkflowContextView,
        text: &String,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if text == "refuse" {
            return Err("it is refused".into());
        }
        Ok(())
    }

    /// Fails, waits for an activity, or answers at once.
    #[update]
    pub(crate) async fn change(
        ctx: &mut WorkflowContext<Self>,
        text: String,
    ) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        match text.as_str() {
            "fail" => Err("it failed".into()),
            "work" => {
                let options = remote(ctx);
                Ok(ctx
                    .execute_activity(Tools::act, Deed::Succeed, options)
                    .await?)
            }
            _ => Ok(0),
        }
    }
}

/// A patch, with a timer on both sides.
#[workflow]
#[derive(Default)]
pub(crate) struct Patched;

#[workflow_methods]
impl Patched {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        ctx.timer(Duration::from_millis(1)).await;
        assert!(ctx.patched("a new way"));
        ctx.timer(Duration::from_millis(1)).await;
        assert!(ctx.patched("a new way"));
        Ok(())
    }
}

/// Fails in its first attempt, goes on as new in its second, and ends in the run after that.
#[workflow]
#[derive(Default)]
pub(crate) struct Chain;

#[workflow_methods]
impl Chain {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, round: u32) -> WorkflowResult<u32> {
        ctx.timer(Duration::from_millis(1)).await;
        if round > 0 {
            return Ok(round);
        }
        if ctx.info().attempt() == 1 {
            return Err(refusal().into());
        }
        ctx.continue_as_new(1, ContinueAsNewOptions::default())?;
        Ok(round)
    }
}

/// Nexus operations that nobody serves.
#[workflow]
#[derive(Default)]
pub(crate) struct Calls;

#[workflow_methods]
impl Calls {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        endpoint: String,
    ) -> WorkflowResult<()> {
        let options = NexusOperationOptions::builder()
            .endpoint(endpoint)
            .service("desk")
            .operation("ask")
            .schedule_to_close_timeout(Duration::from_millis(200))
            .build();
        if let Ok(started) = ctx.start_nexus_operation(options).await {
            let _ = started.result().await;
        }
        Ok(())
    }
}

/// Ends at once, with what it heard until then.
#[workflow]
#[derive(Default)]
pub(crate) struct Racer {
    heard: Vec<String>,
}

#[workflow_methods]
impl Racer {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<String> {
        ctx.timer(Duration::from_millis(1)).await;
        let heard = ctx.state(|racer| racer.heard.clone());
        if heard.is_empty() {
            return Ok("nobody was heard".to_owned());
        }
        let options = remote(ctx);
        ctx.execute_activity(Tools::act, Deed::Succeed, options)
            .await?;
        Ok(heard.join(", "))
    }

    #[signal]
    pub(crate) fn tell(&mut self, _ctx: &mut SyncWorkflowContext<Self>, text: String) {
        self.heard.push(text);
    }
}

/// Workflows whose code has been repaired, by id.
pub(crate) static REPAIRED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

/// Panics in its second task until it is repaired.
#[workflow]
#[derive(Default)]
pub(crate) struct Broken;

#[workflow_methods]
impl Broken {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        ctx.timer(Duration::from_millis(1)).await;
        let timer = ctx.timer(Duration::from_millis(1));
        let id = ctx.workflow_id().to_owned();
        let is_repaired = REPAIRED.lock().expect("not poisoned").contains(&id);
        assert!(is_repaired, "it is broken");
        timer.await;
        Ok(())
    }
}

/// Some of everything, so that wherever it is interrupted there is something to lose.
#[workflow]
#[derive(Default)]
pub(crate) struct Journey;

#[workflow_methods]
impl Journey {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, legs: u32) -> WorkflowResult<u32> {
        for leg in 0..legs {
            let mut options = remote(ctx);
            // An attempt that dies with its worker is missed soon.
            options.heartbeat_timeout = Some(Duration::from_secs(1));
            ctx.execute_activity(Tools::act, Deed::SucceedAt(1 + leg % 2), options)
                .await?;
            ctx.execute_local_activity(Tools::act, Deed::Succeed, local(60_000))
                .await?;
            assert!(ctx.patched(&format!("leg {leg}")));
            let id = format!("{}/{leg}", ctx.workflow_id());
            let child = ChildWorkflowOptions::workflow_id(id);
            let child = ctx.start_child_workflow(Child::run, Fate::Complete, child);
            child.await?.result().await?;
            ctx.timer(Duration::from_millis(20)).await;
        }
        Ok(legs)
    }
}
