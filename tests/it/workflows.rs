//! Workflows and activities that the tests run.

use std::time::Duration;

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, LocalActivityOptions, WorkerOptions, WorkflowContext,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// Activities.
pub(crate) struct Acts;

#[activities]
impl Acts {
    /// Gives back what it gets.
    #[activity]
    pub(crate) async fn echo(_ctx: ActivityContext, text: String) -> Result<String, ActivityError> {
        Ok(text)
    }

    /// Fails until its n-th attempt.
    #[activity]
    pub(crate) async fn flaky(ctx: ActivityContext, good: u32) -> Result<u32, ActivityError> {
        let attempt = ctx.info().attempt;
        if attempt < good {
            let failure = ApplicationFailure::builder(anyhow::anyhow!("upstream said {attempt}"))
                .type_name("Upstream".to_owned())
                .build();
            return Err(ActivityError::application(failure));
        }
        Ok(attempt)
    }
}

/// Options with a short retry.
pub(crate) fn options() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
        .retry_policy(
            temporalio_common::RetryPolicy::builder()
                .initial_interval(Duration::from_millis(10))
                .backoff_coefficient(1.0)
                .build(),
        )
        .build()
}

/// One of most things that a workflow does.
#[workflow]
#[derive(Default)]
pub(crate) struct Sampler;

#[workflow_methods]
impl Sampler {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        text: String,
    ) -> WorkflowResult<String> {
        let echoed = ctx.execute_activity(Acts::echo, text, options()).await?;
        ctx.execute_activity(Acts::flaky, 3_u32, options()).await?;
        ctx.timer(Duration::from_millis(20)).await;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        Ok(ctx
            .execute_local_activity(Acts::echo, echoed, local)
            .await?)
    }
}

/// Worker options with all of them.
pub(crate) fn worker(task_queue: &str) -> WorkerOptions {
    WorkerOptions::new(task_queue)
        .register_activities(Acts)
        .register_workflow::<Sampler>()
        .expect("a workflow")
        .build()
}
