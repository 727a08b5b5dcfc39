//! How long activities may take, and how they are retried.

use std::time::Duration;

use temporalio_common::RetryPolicy;
use temporalio_sdk::{ActivityOptions, LocalActivityOptions, WorkflowCancellationToken};

const ATTEMPT: Duration = Duration::from_secs(10);

/// A step that fails for good after five attempts.
pub(super) fn step() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(ATTEMPT)
        .retry_policy(retries())
        .build()
}

/// A step that undoes another: it goes on when the workflow is cancelled.
pub(super) fn undo() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(ATTEMPT)
        .retry_policy(retries())
        .cancellation_token(WorkflowCancellationToken::new())
        .build()
}

/// A step inside of the workflow's own task.
pub(super) fn local() -> LocalActivityOptions {
    LocalActivityOptions::builder()
        .start_to_close_timeout(ATTEMPT)
        .retry_policy(retries())
        .build()
}

fn retries() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_millis(50))
        .maximum_interval(Duration::from_millis(200))
        .maximum_attempts(5)
        .build()
}
