//! The steps of a refund, and what undoes them. Each step returns a receipt with which it can be
//! undone; the same step of the same refund has the same receipt, so that a retry pays once.

use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};

/// A refund to be paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentRequest {
    /// What the money is for: unique per refund.
    pub id: String,
    /// The amount in cents.
    pub amount_cents: u64,
    /// Whether the card of the customer is known to be closed.
    pub card_closed: bool,
}

/// Proof of one step of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Step and refund.
    pub id: String,
    /// The amount in cents.
    pub amount_cents: u64,
}

impl Receipt {
    fn of(step: &str, id: &str, amount_cents: u64) -> Self {
        Self {
            id: format!("{step}/{id}"),
            amount_cents,
        }
    }
}

/// Activities that move money.
pub struct Payments;

#[activities]
impl Payments {
    /// Sets the amount aside in the budget for refunds.
    #[activity]
    pub async fn reserve(
        _ctx: ActivityContext,
        request: PaymentRequest,
    ) -> Result<Receipt, ActivityError> {
        Ok(Receipt::of("reserve", &request.id, request.amount_cents))
    }

    /// Takes the amount from the account of the shop.
    #[activity]
    pub async fn charge(
        _ctx: ActivityContext,
        request: PaymentRequest,
    ) -> Result<Receipt, ActivityError> {
        Ok(Receipt::of("charge", &request.id, request.amount_cents))
    }

    /// Sends the amount to the card of the customer. Fails for good when the card is closed.
    #[activity]
    pub async fn transfer(
        _ctx: ActivityContext,
        request: PaymentRequest,
    ) -> Result<Receipt, ActivityError> {
        if request.card_closed {
            return Err(
                ApplicationFailure::builder("the bank sent the money back: card closed")
                    .type_name("CardClosed".to_owned())
                    .non_retryable(true)
                    .build()
                    .into(),
            );
        }
        Ok(Receipt::of("transfer", &request.id, request.amount_cents))
    }

    /// Undoes [`Payments::charge`]: gives the amount back to the account of the shop.
    #[activity]
    pub async fn refund(_ctx: ActivityContext, charged: Receipt) -> Result<Receipt, ActivityError> {
        Ok(Receipt::of("refund", &charged.id, charged.amount_cents))
    }

    /// Undoes [`Payments::reserve`]: gives the amount back to the budget.
    #[activity]
    pub async fn release(
        _ctx: ActivityContext,
        reserved: Receipt,
    ) -> Result<Receipt, ActivityError> {
        Ok(Receipt::of("release", &reserved.id, reserved.amount_cents))
    }
}
