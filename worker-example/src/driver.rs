//! Starts runs for tickets, plays the person who approves refunds, and waits for the ends.
//!
//! The person follows rules, so that a folder always ends the same way: see [`Reviewer`].

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use temporalio_client::{
    Client, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowHandle,
    WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions,
    errors::{WorkflowGetResultError, WorkflowInteractionError, WorkflowStartError},
};
use temporalio_common::error::IncomingError;
use tokio::{sync::Semaphore, task::JoinSet, time::MissedTickBehavior};

use crate::{
    activities::Usage,
    ticket::Ticket,
    workflows::{
        Approval, BatchReport, BatchRequest, OrderSupport, Outcome, POLICY_VIOLATION, Progress,
        Stage, SupportBatch, SupportRequest,
    },
};

/// Time between two looks at a run that will need an approval.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs that are waited for at the same time.
const IN_FLIGHT: usize = 64;

/// Where and how runs are started.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The task queue of the worker.
    pub task_queue: String,
    /// The workflow id of a ticket is this, `/`, and the ticket's id; that of a batch is this.
    pub prefix: String,
    /// How long a run waits for an approval.
    pub approval_timeout: Duration,
}

impl Plan {
    fn workflow_id(&self, ticket: &Ticket) -> String {
        format!("{}/{}", self.prefix, ticket.id)
    }

    /// Milliseconds, as the requests have them.
    fn approval_timeout_ms(&self) -> u64 {
        u64::try_from(self.approval_timeout.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The person who decides on refunds that need an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewer {
    /// Refunds up to [`Reviewer::APPROVES_CENTS`].
    Approves,
    /// Refunds up to [`Reviewer::DECIDES_CENTS`].
    Refuses,
    /// Larger ones are left to a manager, who never comes.
    Leaves,
}

impl Reviewer {
    /// The largest amount that is approved, in cents.
    pub const APPROVES_CENTS: u64 = 50_000;
    /// The largest amount that is decided on at all, in cents.
    pub const DECIDES_CENTS: u64 = 100_000;

    /// What the person does with a refund of this amount.
    pub fn of(amount_cents: u64) -> Self {
        if amount_cents <= Self::APPROVES_CENTS {
            Self::Approves
        } else if amount_cents <= Self::DECIDES_CENTS {
            Self::Refuses
        } else {
            Self::Leaves
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Approves => "Looks right to me, I approve it.",
            Self::Refuses => "The return is too late, I refuse it.",
            Self::Leaves => "Above what I may decide, a manager has to.",
        }
    }
}

/// How a run ended, as far as the desk is concerned.
#[derive(Debug, Clone, Serialize)]
pub struct Ended {
    /// The id of the ticket.
    pub ticket: String,
    /// The workflow id of its run.
    pub workflow_id: String,
    /// A [`Resolution`](crate::ticket::Resolution), or `rejected` for a mail that broke a rule,
    /// or `failed`.
    pub status: String,
    /// What the mail asked for, where the run came so far.
    pub intent: Option<crate::text::Intent>,
    /// The tokens that the model took.
    pub usage: Usage,
    /// Why the run failed.
    pub error: Option<String>,
}

impl Ended {
    /// Whether the run ended as no run of the desk should.
    pub fn is_failure(&self) -> bool {
        self.status == "failed"
    }
}

/// Why runs could not be driven to their ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriveError {
    /// The server did not take a run.
    #[error("cannot start {workflow_id}: {reason}")]
    Start {
        /// The run that was to be started.
        workflow_id: String,
        /// What the server said.
        reason: String,
    },
    /// The server did not tell how a run ended.
    #[error("cannot learn how {workflow_id} ended: {reason}")]
    Result {
        /// The run that was waited for.
        workflow_id: String,
        /// What the server said.
        reason: String,
    },
}

/// Starts one run per ticket and hands each end to `on_end` as it comes.
///
/// # Errors
/// At the first run that cannot be started or waited for. The others go on.
pub async fn drive_each(
    client: &Client,
    tickets: Vec<Ticket>,
    plan: &Plan,
    on_end: impl FnMut(Ended),
) -> Result<(), DriveError> {
    let start = |ticket| {
        let (client, plan) = (client.clone(), plan.clone());
        async move { start(&client, ticket, &plan).await.map(drop) }
    };
    drive_each_by(client, tickets, plan, start, on_end).await
}

/// The same, with runs that `start` starts.
///
/// # Errors
/// As [`drive_each`].
pub async fn drive_each_by<F>(
    client: &Client,
    tickets: Vec<Ticket>,
    plan: &Plan,
    start: impl Fn(Ticket) -> F,
    mut on_end: impl FnMut(Ended),
) -> Result<(), DriveError>
where
    F: Future<Output = Result<(), DriveError>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tasks = JoinSet::new();
    for ticket in tickets {
        let (client, plan, permits) = (client.clone(), plan.clone(), permits.clone());
        let started = start(ticket.clone());
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            started.await?;
            follow(&client, ticket, &plan).await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(ended) => on_end(ended?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    Ok(())
}

/// Hands all tickets to one batch, `page` at a time, and hands their ends to `on_end` when the
/// batch has ended.
///
/// # Errors
/// When the batch cannot be started, or does not end well.
pub async fn drive_batch(
    client: &Client,
    tickets: Vec<Ticket>,
    page: usize,
    plan: &Plan,
    mut on_end: impl FnMut(Ended),
) -> Result<BatchReport, DriveError> {
    let workflow_id = plan.prefix.clone();
    let request = BatchRequest {
        tickets: tickets.clone(),
        page,
        approval_timeout_ms: plan.approval_timeout_ms(),
        report: BatchReport::default(),
    };
    let options = WorkflowStartOptions::new(plan.task_queue.clone(), workflow_id.clone()).build();
    let batch = client
        .start_workflow(SupportBatch::run, request, options)
        .await
        .map_err(|error| start_error(&workflow_id, &error))?;

    // Dropped, and with it the reviews that are still going on, when the batch has ended.
    let mut reviews = JoinSet::new();
    for ticket in tickets.iter().filter(|ticket| may_need_approval(ticket)) {
        let run = client.get_workflow_handle::<OrderSupport>(plan.workflow_id(ticket));
        reviews.spawn(async move { review(&run).await });
    }
    let report = batch
        .get_result(WorkflowGetResultOptions::default())
        .await
        .map_err(|error| result_error(&workflow_id, &error))?;
    for ticket in tickets {
        let workflow_id = plan.workflow_id(&ticket);
        let run = client.get_workflow_handle::<OrderSupport>(workflow_id.clone());
        let result = run.get_result(WorkflowGetResultOptions::default()).await;
        on_end(ended(ticket.id, workflow_id, result)?);
    }
    Ok(report)
}

/// Starts the run of a ticket; gives its workflow id.
///
/// # Errors
/// When the server does not take it.
pub async fn start(client: &Client, ticket: Ticket, plan: &Plan) -> Result<String, DriveError> {
    let workflow_id = plan.workflow_id(&ticket);
    let request = SupportRequest {
        ticket,
        approval_timeout_ms: plan.approval_timeout_ms(),
    };
    let options = WorkflowStartOptions::new(plan.task_queue.clone(), workflow_id.clone()).build();
    client
        .start_workflow(OrderSupport::run, request, options)
        .await
        .map_err(|error| start_error(&workflow_id, &error))?;
    Ok(workflow_id)
}

/// Waits for the end of a ticket's run, and plays the person who decides where it needs one.
async fn follow(client: &Client, ticket: Ticket, plan: &Plan) -> Result<Ended, DriveError> {
    let workflow_id = plan.workflow_id(&ticket);
    let needs_review = may_need_approval(&ticket);
    let run = client.get_workflow_handle::<OrderSupport>(workflow_id.clone());
    let result = run.get_result(WorkflowGetResultOptions::default());
    tokio::pin!(result);
    let result = if needs_review {
        let reviewed = client.get_workflow_handle(workflow_id.clone());
        tokio::select! {
            result = &mut result => result,
            () = review(&reviewed) => result.await,
        }
    } else {
        result.await
    };
    ended(ticket.id, workflow_id, result)
}

/// Whether somebody has to look after the run of this ticket. Spares the others the queries.
pub fn may_need_approval(ticket: &Ticket) -> bool {
    use crate::{activities::APPROVAL_LIMIT_CENTS, text};
    let facts = text::facts(&text::own_words(&text::normalise(&ticket.text())));
    facts
        .amount_cents
        .is_some_and(|amount_cents| amount_cents > APPROVAL_LIMIT_CENTS)
}

/// Waits until the run asks for an approval, adds a note, and decides. A run that has not begun
/// is waited for; one that has ended meanwhile needs nothing more, which its result will show.
pub async fn review(run: &WorkflowHandle<Client, OrderSupport>) {
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reviewer = loop {
        ticks.tick().await;
        match run
            .query(OrderSupport::progress, (), WorkflowQueryOptions::default())
            .await
        {
            Ok(Progress {
                stage: Stage::AwaitingApproval,
                amount_cents,
                ..
            }) => {
                break Reviewer::of(amount_cents.unwrap_or(u64::MAX));
            }
            Ok(Progress {
                stage: Stage::Reading,
                ..
            })
            | Err(_) => {}
            Ok(_) => return,
        }
    };
    let note = reviewer.note().to_owned();
    let options = WorkflowExecuteUpdateOptions::default();
    let noted = run
        .execute_update(OrderSupport::add_note, note, options)
        .await;
    if noted.is_err() || reviewer == Reviewer::Leaves {
        return;
    }
    let approval = Approval {
        approved: reviewer == Reviewer::Approves,
        by: "reviewer@example.com".into(),
    };
    let _: Result<(), WorkflowInteractionError> = run
        .signal(
            OrderSupport::approve,
            approval,
            WorkflowSignalOptions::default(),
        )
        .await;
}

fn ended(
    ticket: String,
    workflow_id: String,
    result: Result<Outcome, WorkflowGetResultError>,
) -> Result<Ended, DriveError> {
    let (status, error) = match result {
        Ok(outcome) => {
            let Outcome {
                status,
                intent,
                usage,
                ..
            } = outcome;
            let (status, intent) = (status.to_string(), Some(intent));
            return Ok(Ended {
                ticket,
                workflow_id,
                status,
                intent,
                usage,
                error: None,
            });
        }
        Err(WorkflowGetResultError::Failed(failure)) => {
            let rejected = matches!(&*failure, IncomingError::Application(failure)
                if failure.type_name() == Some(POLICY_VIOLATION));
            let status = if rejected { "rejected" } else { "failed" };
            (status, failure.failure().message.clone())
        }
        Err(
            end @ (WorkflowGetResultError::Cancelled { .. }
            | WorkflowGetResultError::Terminated { .. }
            | WorkflowGetResultError::TimedOut),
        ) => ("failed", end.to_string()),
        Err(error) => return Err(result_error(&workflow_id, &error)),
    };
    Ok(Ended {
        ticket,
        workflow_id,
        status: status.to_owned(),
        intent: None,
        usage: Usage::default(),
        error: Some(error),
    })
}

fn start_error(workflow_id: &str, error: &WorkflowStartError) -> DriveError {
    let reason = match error {
        WorkflowStartError::Rpc(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    DriveError::Start {
        workflow_id: workflow_id.to_owned(),
        reason,
    }
}

fn result_error(workflow_id: &str, error: &impl fmt::Display) -> DriveError {
    DriveError::Result {
        workflow_id: workflow_id.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reviewer_decides_by_the_amount() {
        for (amount_cents, reviewer) in [
            (50_000, Reviewer::Approves),
            (50_001, Reviewer::Refuses),
            (100_000, Reviewer::Refuses),
            (100_001, Reviewer::Leaves),
        ] {
            assert_eq!(Reviewer::of(amount_cents), reviewer, "{amount_cents}");
        }
    }
}
