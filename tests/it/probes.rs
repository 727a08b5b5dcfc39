//! Workflows that carry any payload anywhere, fail on demand, and call models.

use std::time::Duration;

use omnitrace_tests::unique;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use temporalio_client::{Client, WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, ChildWorkflowOptions, LocalActivityOptions,
    SyncWorkflowContext, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::workflows::options;

/// What no row may hold. It is planted where redaction drops, hashes or scrubs.
pub(crate) const CANARY: &str = "Zx9Qv7canary";

/// A text of an error with secrets that scrubbing recognises.
pub(crate) fn secret_message() -> String {
    format!("login of {CANARY}@example.com failed: password={CANARY} Bearer {CANARY}")
}

/// Activities of the probes.
pub(crate) struct Probes;

#[activities]
impl Probes {
    /// Gives back the payload that it gets.
    #[activity]
    pub(crate) async fn carry(
        _ctx: ActivityContext,
        payload: RawValue,
    ) -> Result<RawValue, ActivityError> {
        Ok(payload)
    }

    /// Fails with a secret in its message and the payload in its details.
    #[activity]
    pub(crate) async fn spill(
        _ctx: ActivityContext,
        payload: RawValue,
    ) -> Result<(), ActivityError> {
        let failure = ApplicationFailure::builder(anyhow::anyhow!(secret_message()))
            .type_name("Spill".to_owned())
            .details(payload)
            .non_retryable(true)
            .build();
        Err(ActivityError::application(failure))
    }

    /// Fails until its n-th attempt; 0 is never good.
    #[activity]
    pub(crate) async fn upstream(ctx: ActivityContext, good: u32) -> Result<u32, ActivityError> {
        let attempt = ctx.info().attempt;
        if good > 0 && attempt >= good {
            return Ok(attempt);
        }
        let failure = ApplicationFailure::builder(anyhow::anyhow!("upstream said {attempt}"))
            .type_name("Upstream".to_owned())
            .build();
        Err(ActivityError::application(failure))
    }

    /// Answers as a language model does.
    #[activity]
    pub(crate) async fn chat(_ctx: ActivityContext, ask: Value) -> Result<Value, ActivityError> {
        Ok(json!({
            "model": "gpt-4o",
            "answer": format!("You asked: {}", ask["prompt"].as_str().unwrap_or_default()),
            "usage": { "prompt_tokens": 1000, "completion_tokens": 100 },
        }))
    }

    /// Answers without saying what it used.
    #[activity]
    pub(crate) async fn draft(_ctx: ActivityContext, ask: Value) -> Result<Value, ActivityError> {
        Ok(
            json!({ "answer": format!("A draft of {}", ask["prompt"].as_str().unwrap_or_default()) }),
        )
    }
}

/// Carries a payload everywhere a workflow can put one, and fails with a secret in its message.
#[workflow]
#[derive(Default)]
pub(crate) struct Carrier {
    signaled: bool,
    updated: bool,
}

#[workflow_methods]
impl Carrier {
    #[run]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        payload: RawValue,
    ) -> WorkflowResult<RawValue> {
        let carried = ctx
            .execute_activity(Probes::carry, payload.clone(), options())
            .await?;
        let local = LocalActivityOptions::builder()
            .start_to_close_timeout(Duration::from_secs(5))
            .build();
        let carried = ctx
            .execute_local_activity(Probes::carry, carried, local)
            .await?;
        ctx.wait_condition(|this| this.signaled && this.updated)
            .await?;
        let spilt = ctx.execute_activity(Probes::spill, carried, options());
        match spilt.await {
            Ok(()) => Ok(payload),
            Err(error) => Err(error.into()),
        }
    }

    #[signal]
    pub(crate) fn put(&mut self, _ctx: &mut SyncWorkflowContext<Self>, _payload: RawValue) {
        self.signaled = true;
    }

    #[update]
    pub(crate) fn swap(
        &mut self,
        _ctx: &mut SyncWorkflowContext<Self>,
        payload: RawValue,
    ) -> RawValue {
        self.updated = true;
        payload
    }
}

/// What a [`Tried`] run does.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// The attempt of its activity that is good; 0 is none.
    pub(crate) good: u32,
    /// How many attempts there are.
    pub(crate) attempts: u32,
    /// How long it waits after the activity.
    pub(crate) wait_ms: u64,
    /// Whether it fails, whatever the activity says.
    pub(crate) fail: bool,
    /// Whether it has a child, which ends well.
    pub(crate) child: bool,
}

impl Trial {
    /// A run that ends well at once.
    pub(crate) fn good() -> Self {
        Self {
            good: 1,
            attempts: 1,
            ..Self::default()
        }
    }
}

/// A run of one activity that fails or is slow, as it is told.
#[workflow]
#[derive(Default)]
pub(crate) struct Tried;

#[workflow_methods]
impl Tried {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, trial: Trial) -> WorkflowResult<u32> {
        let retry = temporalio_common::RetryPolicy::builder()
            .initial_interval(Duration::from_millis(10))
            .backoff_coefficient(1.0)
            .maximum_attempts(trial.attempts)
            .build();
        let activity = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(10))
            .retry_policy(retry)
            .build();
        let tried = ctx
            .execute_activity(Probes::upstream, trial.good, activity)
            .await?;
        if trial.wait_ms > 0 {
            ctx.timer(Duration::from_millis(trial.wait_ms)).await;
        }
        if trial.child {
            let id = format!("{}-child", ctx.workflow_id());
            ctx.start_child_workflow(
                Self::run,
                Trial::good(),
                ChildWorkflowOptions::workflow_id(id),
            )
            .await?
            .result()
            .await?;
        }
        if trial.fail {
            let failure = ApplicationFailure::builder(anyhow::anyhow!("as it was told"))
                .type_name("Told".to_owned())
                .build();
            return Err(failure.into());
        }
        Ok(tried)
    }
}

/// Asks two models.
#[workflow]
#[derive(Default)]
pub(crate) struct Asker;

#[workflow_methods]
impl Asker {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, ask: Value) -> WorkflowResult<Value> {
        let answer = ctx
            .execute_activity(Probes::chat, ask.clone(), options())
            .await?;
        ctx.execute_activity(Probes::draft, ask, options()).await?;
        Ok(answer)
    }
}

/// Options of a worker with all workflows and activities of this file.
pub(crate) fn worker(task_queue: &str) -> WorkerOptions {
    workflows_only(task_queue)
        .register_activities(Probes)
        .build()
}

/// Builds on options of a worker with the workflows of this file alone.
pub(crate) fn workflows_only(
    task_queue: &str,
) -> temporalio_sdk::WorkerOptionsBuilder<impl temporalio_sdk::worker_options_builder::State> {
    WorkerOptions::new(task_queue)
        .register_workflow::<Carrier>()
        .and_then(|options| options.register_workflow::<Tried>())
        .and_then(|options| options.register_workflow::<Asker>())
        .and_then(|options| options.register_workflow::<Repeater>())
        .expect("workflows")
}

/// Starts a [`Tried`] run and waits for its end. Gives its workflow id.
pub(crate) async fn tried(client: &Client, queue: &str, trial: Trial) -> String {
    let id = unique("tried");
    let options = WorkflowStartOptions::new(queue, &id).build();
    let handle = client
        .start_workflow(Tried::run, trial, options)
        .await
        .expect("started");
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(result.is_err(), trial.fail || trial.good == 0, "{result:?}");
    id
}

/// How often a [`Repeater`] works and how long it waits after.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Rounds {
    /// Rounds.
    pub(crate) n: u32,
    /// Wait after each.
    pub(crate) wait_ms: u64,
}

/// A run that works and waits, again and again.
#[workflow]
#[derive(Default)]
pub(crate) struct Repeater;

#[workflow_methods]
impl Repeater {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, rounds: Rounds) -> WorkflowResult<()> {
        for _ in 0..rounds.n {
            ctx.execute_activity(Probes::upstream, 1_u32, options())
                .await?;
            ctx.timer(Duration::from_millis(rounds.wait_ms)).await;
        }
        Ok(())
    }
}
