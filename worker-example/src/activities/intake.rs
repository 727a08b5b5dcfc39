//! Reads a mail: cleans its text and takes the facts out. Quick and without side effects, so it
//! runs as a local activity.

use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    text::{self, Facts},
    ticket::Ticket,
};

/// A mail that has been read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// The sender as in the ticket.
    pub from: String,
    /// Subject and body, normalised.
    pub text: String,
    /// The same without what it quotes of earlier mails.
    pub own_words: String,
    /// What the sender's own words say.
    pub facts: Facts,
}

/// Activities that read what comes in.
pub struct Intake;

#[activities]
impl Intake {
    /// Reads a ticket.
    #[activity]
    pub async fn normalise(_ctx: ActivityContext, ticket: Ticket) -> Result<Mail, ActivityError> {
        let text = text::normalise(&ticket.text());
        let own_words = text::own_words(&text);
        let facts = text::facts(&own_words);
        Ok(Mail {
            from: ticket.from,
            text,
            own_words,
            facts,
        })
    }
}
