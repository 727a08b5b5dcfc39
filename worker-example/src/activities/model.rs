//! The model of the agent: it names what a mail wants, and writes the reply. It runs here, on
//! retrieval and word weights, and counts its tokens as a hosted model would.

use serde::{Deserialize, Serialize};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::text::{self, Decision, Intent, Order, Passage, count_tokens};

/// The name under which the model's results appear.
const MODEL: &str = "support-retrieval-1";

/// Tokens that one call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of all texts that the model read.
    pub input_tokens: u32,
    /// Tokens that it wrote.
    pub output_tokens: u32,
}

impl Usage {
    /// The tokens of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

/// A question for the intent of a text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClassifyRequest {
    /// The normalised text, without quotations.
    pub prompt: String,
}

/// What the model takes a mail for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Classification {
    /// The model that judged.
    pub model: String,
    /// The tokens it took.
    pub usage: Usage,
    /// What the mail asks for.
    pub intent: Intent,
    /// How sure the model is, from 0 to 1.
    pub confidence: f64,
}

/// An order to write a reply.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DraftRequest {
    /// The sender as in the mail.
    pub from: String,
    /// The whole normalised text.
    pub prompt: String,
    /// What the mail asks for.
    pub intent: Intent,
    /// What the desk decided.
    pub decision: Decision,
    /// The order that it is about, if one was found.
    pub order: Option<Order>,
    /// What the search found.
    pub passages: Vec<Passage>,
}

/// A reply as the model wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    /// The model that wrote.
    pub model: String,
    /// The tokens it took.
    pub usage: Usage,
    /// The reply.
    pub text: String,
}

/// Activities that ask the model.
pub struct Model;

#[activities]
impl Model {
    /// Names what a mail asks for.
    #[activity]
    pub async fn classify(
        _ctx: ActivityContext,
        request: ClassifyRequest,
    ) -> Result<Classification, ActivityError> {
        let (intent, confidence) = text::classify(&request.prompt);
        // The answer is one label, hence one token.
        let usage = Usage {
            input_tokens: count_tokens(&request.prompt),
            output_tokens: 1,
        };
        Ok(Classification {
            model: MODEL.to_owned(),
            usage,
            intent,
            confidence,
        })
    }

    /// Writes the reply to a mail.
    #[activity]
    pub async fn draft(
        _ctx: ActivityContext,
        request: DraftRequest,
    ) -> Result<Draft, ActivityError> {
        let DraftRequest {
            from,
            prompt,
            intent,
            decision,
            order,
            passages,
        } = request;
        let text = text::draft(&from, &prompt, intent, decision, order.as_ref(), &passages);
        let context = passages.iter().map(|passage| count_tokens(&passage.text));
        let usage = Usage {
            input_tokens: context.fold(count_tokens(&prompt), u32::saturating_add),
            output_tokens: count_tokens(&text),
        };
        Ok(Draft {
            model: MODEL.to_owned(),
            usage,
            text,
        })
    }
}
