//! Pays a refund in three steps. When one fails, those before it are undone, the last first.

use serde::{Deserialize, Serialize};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityExecutionError, ApplicationFailure, WorkflowContext, WorkflowResult};

use super::options;
use crate::activities::{PaymentRequest, Payments, Receipt};

/// The failure type of a refund that failed and could not be undone.
pub const COMPENSATION_FAILED: &str = "CompensationFailed";

/// A refund that was paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paid {
    /// The receipt of the transfer.
    pub id: String,
    /// The amount in cents.
    pub amount_cents: u64,
}

/// A step that was taken, with what is needed to undo it.
enum Taken {
    Reserved(Receipt),
    Charged(Receipt),
}

/// The child workflow that pays a refund.
#[workflow]
#[derive(Default)]
pub struct Payment;

#[workflow_methods]
impl Payment {
    /// Pays. Fails with the failure of the step that failed, after the others were undone;
    /// with [`COMPENSATION_FAILED`] if that was not possible.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        request: PaymentRequest,
    ) -> WorkflowResult<Paid> {
        let mut taken = Vec::new();
        match Self::pay(ctx, request, &mut taken).await {
            Ok(receipt) => Ok(Paid {
                id: receipt.id,
                amount_cents: receipt.amount_cents,
            }),
            Err(error) => {
                Self::undo(ctx, taken).await?;
                Err(error.into())
            }
        }
    }

    async fn pay(
        ctx: &WorkflowContext<Self>,
        request: PaymentRequest,
        taken: &mut Vec<Taken>,
    ) -> Result<Receipt, ActivityExecutionError> {
        let step = options::step;
        let reserved = ctx
            .execute_activity(Payments::reserve, request.clone(), step())
            .await?;
        taken.push(Taken::Reserved(reserved));
        let charged = ctx
            .execute_activity(Payments::charge, request.clone(), step())
            .await?;
        taken.push(Taken::Charged(charged));
        ctx.execute_activity(Payments::transfer, request, step())
            .await
    }

    /// Undoes all steps, also when one of them cannot be undone.
    async fn undo(
        ctx: &WorkflowContext<Self>,
        taken: Vec<Taken>,
    ) -> Result<(), ApplicationFailure> {
        let mut stuck = Vec::new();
        for step in taken.into_iter().rev() {
            let undone = match step {
                Taken::Charged(receipt) => {
                    ctx.execute_activity(Payments::refund, receipt, options::undo())
                        .await
                }
                Taken::Reserved(receipt) => {
                    ctx.execute_activity(Payments::release, receipt, options::undo())
                        .await
                }
            };
            if let Err(error) = undone {
                stuck.push(error.to_string());
            }
        }
        if stuck.is_empty() {
            return Ok(());
        }
        let message = format!(
            "settle by hand what could not be undone: {}",
            stuck.join("; ")
        );
        Err(ApplicationFailure::builder(message)
            .type_name(COMPENSATION_FAILED.to_owned())
            .non_retryable(true)
            .build())
    }
}
