//! The tools of the agent: a search in the knowledge base, and one in the table of orders.

use sha2::{Digest, Sha256};
use temporalio_macros::activities;
use temporalio_sdk::{
    ApplicationFailure,
    activities::{ActivityContext, ActivityError},
};

use crate::text::{self, Order, Passage};

/// Passages that a search returns at most.
const PASSAGES: usize = 3;

/// Attempts after which [`Search::knowledge`] has succeeded for every text.
pub const UPSTREAM_ATTEMPTS: u32 = 3;

/// Activities that look things up.
pub struct Search;

#[activities]
impl Search {
    /// The passages that fit a text, the best first. The search service behind it is flaky: it
    /// refuses the first attempts, none to two of them, depending only on the text.
    #[activity]
    pub async fn knowledge(
        ctx: ActivityContext,
        text: String,
    ) -> Result<Vec<Passage>, ActivityError> {
        let attempt = ctx.info().attempt;
        if attempt <= refusals(&text) {
            let message = format!("the search service answered 503 to attempt {attempt}");
            return Err(ApplicationFailure::builder(message)
                .type_name("UpstreamUnavailable".to_owned())
                .build()
                .into());
        }
        Ok(text::search(&text, PASSAGES))
    }

    /// The order with this number, if the shop has one.
    #[activity]
    pub async fn order(_ctx: ActivityContext, id: String) -> Result<Option<Order>, ActivityError> {
        Ok(text::find_order(&id))
    }
}

/// How many attempts the service refuses for a text: 0, 1 or 2.
fn refusals(text: &str) -> u32 {
    u32::from(Sha256::digest(text.as_bytes())[0]) % UPSTREAM_ATTEMPTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_refusals_occurs_and_none_is_too_many() {
        let counts: Vec<u32> = (0..50).map(|n| refusals(&format!("mail {n}"))).collect();
        for refused in 0..UPSTREAM_ATTEMPTS {
            assert!(counts.contains(&refused), "{refused}");
        }
        assert!(counts.iter().all(|&refused| refused < UPSTREAM_ATTEMPTS));
    }
}
