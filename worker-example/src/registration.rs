//! What a worker of the desk serves.

use std::time::Duration;

use temporalio_sdk::{WorkerOptions, WorkflowRegistrationError};

use crate::{
    activities::{Intake, Model, Outbox, Payments, Policy, Search},
    workflows::{OrderSupport, Payment, SupportBatch},
};

/// How long activities may go on when the worker is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Options of a worker that serves all workflows and activities of the desk on a task queue.
///
/// # Errors
/// When two workflows have the same name.
pub fn worker_options(task_queue: &str) -> Result<WorkerOptions, WorkflowRegistrationError> {
    Ok(WorkerOptions::new(task_queue)
        .register_workflow::<OrderSupport>()?
        .register_workflow::<Payment>()?
        .register_workflow::<SupportBatch>()?
        .register_activities(Intake)
        .register_activities(Policy)
        .register_activities(Search)
        .register_activities(Model)
        .register_activities(Payments)
        .register_activities(Outbox)
        .graceful_shutdown_period(GRACE)
        .build())
}
