//! Sends replies. The outbox only takes them; what it returns identifies the reply.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

/// A reply on its way to a customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The sender of the mail that is answered; empty if it named none.
    pub to: String,
    /// The text of the reply.
    pub text: String,
}

/// A reply that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    /// The same for the same reply, so that a second attempt sends nothing twice.
    pub id: String,
    /// Whether there was an address to send to.
    pub success: bool,
}

/// Activities that publish.
pub struct Outbox;

#[activities]
impl Outbox {
    /// Takes a reply.
    #[activity]
    pub async fn publish(_ctx: ActivityContext, reply: Reply) -> Result<Sent, ActivityError> {
        let mut hash = Sha256::new();
        hash.update(reply.to.as_bytes());
        hash.update([0]);
        hash.update(reply.text.as_bytes());
        let id = hash.finalize()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Sent {
            id,
            success: reply.to.contains('@'),
        })
    }
}
