//! A run of all that becomes a span.

use std::time::Duration;

use omnitrace_tests::unique;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use serde_json::json;
use temporalio_client::{
    Client, WorkflowGetResultOptions, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use super::user_code::PROVIDER;
use crate::workflows::{Acts, options};

pub(crate) struct Guide;

#[activities]
impl Guide {
    /// Tells of something inside.
    #[activity]
    pub(crate) async fn look(
        _ctx: ActivityContext,
        place: String,
    ) -> Result<String, ActivityError> {
        omnitrace::record_event("tool", "map", None, json!({ "count": 1 }));
        PROVIDER.tracer("user").start("look around").end();
        Ok(place)
    }

    /// Never ends in its first attempt.
    #[activity]
    pub(crate) async fn hold(ctx: ActivityContext, _: ()) -> Result<(), ActivityError> {
        match ctx.info().attempt {
            1 => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

/// Travels two rounds, each a run of its own.
#[workflow]
#[derive(Default)]
pub(crate) struct Journey {
    called: bool,
}

#[workflow_methods]
impl Journey {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, round: u32) -> WorkflowResult<u32> {
        if round > 0 {
            return Ok(round);
        }
        ctx.execute_activity(Acts::flaky, 3_u32, options()).await?;
        ctx.execute_activity(Guide::look, "here".to_owned(), options())
            .await?;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        ctx.execute_local_activity(Acts::echo, "hello".to_owned(), local)
            .await?;
        let id = format!("{}-leg", ctx.workflow_id());
        ctx.start_child_workflow(Leg::run, (), ChildWorkflowOptions::workflow_id(id))
            .await?
            .result()
            .await?;
        ctx.wait_condition(|journey| journey.called).await?;
        ctx.continue_as_new(round + 1, ContinueAsNewOptions::default())?;
        Ok(round)
    }

    #[signal]
    pub(crate) fn call(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.called = true;
    }
}

/// A part of the way.
#[workflow]
#[derive(Default)]
pub(crate) struct Leg;

#[workflow_methods]
impl Leg {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, _: ()) -> WorkflowResult<()> {
        ctx.execute_activity(Acts::echo, "leg".to_owned(), options())
            .await?;
        Ok(())
    }
}

/// The same with an attempt that is lost when its worker is killed.
#[workflow]
#[derive(Default)]
pub(crate) struct Crossing {
    called: bool,
}

#[workflow_methods]
impl Crossing {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, round: u32) -> WorkflowResult<u32> {
        if round > 0 {
            return Ok(round);
        }
        ctx.execute_activity(Acts::flaky, 3_u32, options()).await?;
        ctx.execute_activity(Guide::look, "there".to_owned(), options())
            .await?;
        let patience = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(3)).build();
        ctx.execute_activity(Guide::hold, (), patience).await?;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        ctx.execute_local_activity(Acts::echo, "hello".to_owned(), local)
            .await?;
        let id = format!("{}-leg", ctx.workflow_id());
        ctx.start_child_workflow(Leg::run, (), ChildWorkflowOptions::workflow_id(id))
            .await?
            .result()
            .await?;
        ctx.wait_condition(|crossing| crossing.called).await?;
        ctx.continue_as_new(round + 1, ContinueAsNewOptions::default())?;
        Ok(round)
    }

    #[signal]
    pub(crate) fn call(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.called = true;
    }
}

/// A worker that keeps so many runs in its cache.
pub(crate) fn worker(queue: &str, cached: usize) -> WorkerOptions {
    WorkerOptions::new(queue)
        .max_cached_workflows(cached)
        .register_activities(Acts)
        .register_activities(Guide)
        .register_workflow::<Journey>()
        .and_then(|options| options.register_workflow::<Leg>())
        .and_then(|options| options.register_workflow::<Crossing>())
        .expect("workflows")
        .build()
}

/// Travels; gives the workflow id.
pub(crate) async fn travel(client: &Client, queue: &str) -> String {
    let id = unique("journey");
    let start = WorkflowStartOptions::new(queue, &id).build();
    let handle = client.start_workflow(Journey::run, 0, start).await;
    let handle = handle.expect("started");
    handle
        .signal(Journey::call, (), WorkflowSignalOptions::default())
        .await
        .expect("signaled");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.expect("completed"), 1);
    id
}
