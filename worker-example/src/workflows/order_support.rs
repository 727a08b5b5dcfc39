//! Handles one mail: reads and checks it, looks things up, lets a person decide on a large
//! refund, pays it, and replies.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_common::error::IncomingError;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ApplicationFailure, CancellableFuture, ChildWorkflowExecutionError, ChildWorkflowOptions,
    SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult, WorkflowTermination,
    workflows::{join, select},
};

use super::{COMPENSATION_FAILED, Payment, options};
use crate::{
    activities::{
        ClassifyRequest, DraftRequest, Intake, Mail, Model, Outbox, PaymentRequest, Policy,
        PolicyRequest, Reply, Search, Usage, Verdict,
    },
    text::{Decision, Intent, Order, Passage},
    ticket::{Resolution, Ticket},
};

/// The longest note that [`OrderSupport::add_note`] takes, in characters.
pub const MAX_NOTE_CHARS: usize = 500;

/// The failure type of a run whose mail breaks a rule of the desk.
pub const POLICY_VIOLATION: &str = "PolicyViolation";

/// A mail, and how long a person has to decide about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SupportRequest {
    /// The mail.
    pub ticket: Ticket,
    /// Milliseconds after which an approval is no longer waited for.
    pub approval_timeout_ms: u64,
}

/// The decision of a person about a refund.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    /// Whether the refund shall be paid.
    pub approved: bool,
    /// Who decided.
    pub by: String,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The mail is read, checked and looked up.
    #[default]
    Reading,
    /// A person has to decide.
    AwaitingApproval,
    /// Money is on its way.
    Paying,
    /// The reply is written and sent.
    Replying,
}

/// The answer to the query [`OrderSupport::progress`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Where the run is.
    pub stage: Stage,
    /// The amount that the mail names, in cents.
    pub amount_cents: Option<u64>,
    /// The notes of the desk, in the order they came.
    pub notes: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The id of the ticket.
    pub id: String,
    /// How it ended.
    pub status: Resolution,
    /// What the mail asked for.
    pub intent: Intent,
    /// What was sent to the customer.
    pub reply: String,
    /// The tokens of all calls of the model.
    pub usage: Usage,
    /// The notes of the desk.
    pub notes: Vec<String>,
}

/// The workflow of one mail.
#[workflow]
#[derive(Default)]
pub struct OrderSupport {
    progress: Progress,
    approval: Option<Approval>,
}

/// What was found out before anything is done.
struct Findings {
    mail: Mail,
    verdict: Verdict,
    intent: Intent,
    passages: Vec<Passage>,
    order: Option<Order>,
    usage: Usage,
}

#[workflow_methods]
impl OrderSupport {
    /// Handles the mail. Fails with [`POLICY_VIOLATION`] if it breaks a rule of the desk.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        request: SupportRequest,
    ) -> WorkflowResult<Outcome> {
        let SupportRequest {
            ticket,
            approval_timeout_ms,
        } = request;
        let id = ticket.id.clone();
        let found = Self::investigate(ctx, ticket).await?;
        let timeout = Duration::from_millis(approval_timeout_ms);
        let (status, decision) = Self::decide(ctx, &found, timeout).await?;

        ctx.state_mut(|state| state.progress.stage = Stage::Replying);
        let Findings {
            mail,
            intent,
            passages,
            order,
            usage,
            ..
        } = found;
        let request = DraftRequest {
            from: mail.from.clone(),
            prompt: mail.text,
            intent,
            decision,
            order,
            passages,
        };
        let draft = ctx
            .execute_activity(Model::draft, request, options::step())
            .await?;
        let reply = Reply {
            to: mail.from,
            text: draft.text.clone(),
        };
        ctx.execute_activity(Outbox::publish, reply, options::step())
            .await?;
        Ok(Outcome {
            id,
            status,
            intent,
            reply: draft.text,
            usage: usage.plus(draft.usage),
            notes: ctx.state(|state| state.progress.notes.clone()),
        })
    }

    /// A person decides on the refund. Only the first decision counts.
    #[signal]
    pub fn approve(&mut self, _ctx: &mut SyncWorkflowContext<Self>, approval: Approval) {
        self.approval.get_or_insert(approval);
    }

    /// Where the run is.
    #[query]
    pub fn progress(&self, _ctx: &WorkflowContextView) -> Progress {
        self.progress.clone()
    }

    #[update_validator(add_note)]
    fn validate_note(
        &self,
        _ctx: &WorkflowContextView,
        note: &str,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if note.trim().is_empty() {
            return Err("a note cannot be empty".into());
        }
        if note.chars().count() > MAX_NOTE_CHARS {
            return Err(format!("a note has at most {MAX_NOTE_CHARS} characters").into());
        }
        Ok(())
    }

    /// Adds a note of the desk to the ticket, and returns how many it has.
    #[update]
    pub fn add_note(&mut self, _ctx: &mut SyncWorkflowContext<Self>, note: String) -> usize {
        self.progress.notes.push(note);
        self.progress.notes.len()
    }

    async fn investigate(
        ctx: &WorkflowContext<Self>,
        ticket: Ticket,
    ) -> Result<Findings, WorkflowTermination> {
        let mail = ctx
            .execute_local_activity(Intake::normalise, ticket, options::local())
            .await?;
        let amount_cents = mail.facts.amount_cents;
        ctx.state_mut(|state| state.progress.amount_cents = amount_cents);

        let request = PolicyRequest {
            text: mail.text.clone(),
            amount_cents,
        };
        let verdict = ctx
            .execute_activity(Policy::check, request, options::step())
            .await?;
        if !verdict.allowed {
            let message = format!("the mail breaks: {}", verdict.violations.join(", "));
            return Err(ApplicationFailure::builder(message)
                .type_name(POLICY_VIOLATION.to_owned())
                .non_retryable(true)
                .build()
                .into());
        }

        let request = ClassifyRequest {
            prompt: mail.own_words.clone(),
        };
        let judged = ctx
            .execute_activity(Model::classify, request, options::step())
            .await?;
        let (passages, order) = join!(
            ctx.execute_activity(Search::knowledge, mail.own_words.clone(), options::step()),
            Self::find_order(ctx, mail.facts.order.clone()),
        );
        Ok(Findings {
            mail,
            verdict,
            intent: judged.intent,
            passages: passages?,
            order: order?,
            usage: judged.usage,
        })
    }

    async fn find_order(
        ctx: &WorkflowContext<Self>,
        id: Option<String>,
    ) -> Result<Option<Order>, WorkflowTermination> {
        match id {
            Some(id) => Ok(ctx
                .execute_activity(Search::order, id, options::step())
                .await?),
            None => Ok(None),
        }
    }

    /// Decides what happens, and pays if money is due.
    async fn decide(
        ctx: &WorkflowContext<Self>,
        found: &Findings,
        timeout: Duration,
    ) -> Result<(Resolution, Decision), WorkflowTermination> {
        let wants_money = matches!(found.intent, Intent::Refund | Intent::Damaged);
        let amount_cents = match (found.mail.facts.amount_cents, &found.order) {
            (Some(amount_cents), Some(_)) if wants_money => amount_cents,
            _ => return Ok((Resolution::Answered, Decision::Answer)),
        };
        if found.verdict.needs_approval {
            match Self::approval(ctx, timeout).await? {
                Some(Approval { approved: true, .. }) => {}
                Some(_) => return Ok((Resolution::Refused, Decision::Refused)),
                None => return Ok((Resolution::Escalated, Decision::Escalated)),
            }
        }
        match Self::pay(ctx, amount_cents, found.mail.facts.card_closed).await? {
            Ok(()) => Ok((Resolution::Refunded, Decision::Refunded)),
            Err(error) if is_undone(&error) => {
                Ok((Resolution::PaymentFailed, Decision::PaymentFailed))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a person, but not longer than `timeout`.
    async fn approval(
        ctx: &WorkflowContext<Self>,
        timeout: Duration,
    ) -> Result<Option<Approval>, WorkflowTermination> {
        ctx.state_mut(|state| state.progress.stage = Stage::AwaitingApproval);
        let mut timer = ctx.timer(timeout);
        select! {
            decided = ctx.wait_condition(|state| state.approval.is_some()) => {
                // A timer that is only dropped would still fire.
                timer.cancel();
                decided?;
            }
            _ = timer => {}
        }
        Ok(ctx.state(|state| state.approval.clone()))
    }

    /// Pays in a child workflow. The inner error is a payment that failed.
    async fn pay(
        ctx: &WorkflowContext<Self>,
        amount_cents: u64,
        card_closed: bool,
    ) -> Result<Result<(), ChildWorkflowExecutionError>, WorkflowTermination> {
        ctx.state_mut(|state| state.progress.stage = Stage::Paying);
        let id = format!("{}/payment", ctx.workflow_id());
        let request = PaymentRequest {
            id: id.clone(),
            amount_cents,
            card_closed,
        };
        let options = ChildWorkflowOptions::workflow_id(id);
        let child = ctx
            .start_child_workflow(Payment::run, request, options)
            .await?;
        Ok(child.result().await.map(drop))
    }
}

/// Whether nothing is left of a payment that failed. A person has to settle what is.
fn is_undone(error: &ChildWorkflowExecutionError) -> bool {
    !matches!(error.cause(), Some(IncomingError::Application(failure))
        if failure.type_name() == Some(COMPENSATION_FAILED))
}
