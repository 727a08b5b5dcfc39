//! Activities whose attempts end in every way.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_macros::activities;
use temporalio_sdk::{
    ActivityCancellationType, ActivityOptions, ApplicationFailure, LocalActivityOptions,
    WorkflowContext,
    activities::{ActivityContext, ActivityError},
};

/// Activities.
pub(crate) struct Tools;

/// What an activity does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Deed {
    /// Ends well.
    Succeed,
    /// Ends well from this attempt on.
    SucceedAt(u32),
    /// Fails for good.
    Refuse,
    /// Waits until it is cancelled, and says that it was.
    Wait,
    /// The first attempt takes so many milliseconds and tells nobody that it lives.
    Slow(u64),
    /// Panics.
    Panic,
}

#[activities]
impl Tools {
    /// Does it, and says in which attempt.
    #[activity]
    pub(crate) async fn act(ctx: ActivityContext, deed: Deed) -> Result<u32, ActivityError> {
        let attempt = ctx.info().attempt;
        let fail = |permanent: bool| {
            let failure = ApplicationFailure::builder(anyhow::anyhow!("upstream said {attempt}"))
                .type_name("Upstream".to_owned())
                .non_retryable(permanent)
                .build();
            Err(ActivityError::application(failure))
        };
        match deed {
            Deed::Succeed => Ok(attempt),
            Deed::SucceedAt(good) if attempt >= good => Ok(attempt),
            Deed::SucceedAt(_) => fail(false),
            Deed::Refuse => fail(true),
            Deed::Slow(millis) => {
                if attempt == 1 {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                Ok(attempt)
            }
            Deed::Panic if attempt == 1 => panic!("it panicked"),
            Deed::Panic => Ok(attempt),
            Deed::Wait => {
                let mut beat = tokio::time::interval(Duration::from_millis(20));
                while !ctx.is_cancelled() {
                    beat.tick().await;
                    ctx.record_heartbeat(attempt).await?;
                }
                Err(ActivityError::cancelled())
            }
        }
    }
}

/// The task queue of the activities of a workflow, served by another worker than its own.
pub(crate) fn queue_of_activities(queue: &str) -> String {
    format!("{queue}-activities")
}

fn retry() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_millis(20))
        .backoff_coefficient(1.0)
        .build()
}

/// Options of an activity.
pub(crate) fn remote<W>(ctx: &WorkflowContext<W>) -> ActivityOptions {
    let mut options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(20))
        .retry_policy(retry())
        .heartbeat_timeout(Duration::from_secs(10))
        .build();
    options.task_queue = Some(queue_of_activities(ctx.task_queue()));
    options
}

/// Options of an activity that is cancelled in this way.
pub(crate) fn cancelled<W>(
    ctx: &WorkflowContext<W>,
    cancellation_type: ActivityCancellationType,
) -> ActivityOptions {
    let mut options = remote(ctx);
    // Cancellations come back with heartbeats, and those are held back for 80 % of this.
    options.heartbeat_timeout = Some(Duration::from_millis(500));
    options.cancellation_type = cancellation_type;
    options
}

/// Options of a local activity whose retries longer than `threshold` milliseconds go over a timer.
pub(crate) fn local(threshold: u64) -> LocalActivityOptions {
    LocalActivityOptions::builder()
        .start_to_close_timeout(Duration::from_secs(10))
        .retry_policy(retry())
        .timer_backoff_threshold(Duration::from_millis(threshold))
        .build()
}
