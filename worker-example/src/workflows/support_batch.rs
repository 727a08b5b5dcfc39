//! Handles any number of mails, a page at a time, with one child workflow per mail. After each
//! page it continues as new, so that its history stays short.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ChildWorkflowOptions, ContinueAsNewOptions, WorkflowContext, WorkflowResult,
    workflows::join_all,
};

use super::{OrderSupport, SupportRequest};
use crate::ticket::Ticket;

/// The mails that are still to be handled, and what became of the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchRequest {
    /// Mails to be handled, the next first.
    pub tickets: Vec<Ticket>,
    /// Mails per page; 0 counts as 1.
    pub page: usize,
    /// Milliseconds after which an approval is no longer waited for.
    pub approval_timeout_ms: u64,
    /// The report so far; empty at the start.
    pub report: BatchReport,
}

/// What became of the mails of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Pages that were handled: the number of runs in the chain.
    pub pages: u32,
    /// Mails by the way they ended; those whose run failed are under `failed`.
    pub count: BTreeMap<String, u32>,
}

/// The workflow of a batch.
#[workflow]
#[derive(Default)]
pub struct SupportBatch;

#[workflow_methods]
impl SupportBatch {
    /// Handles one page, then goes on with the rest in a new run.
    #[run]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        mut request: BatchRequest,
    ) -> WorkflowResult<BatchReport> {
        let page = request.page.max(1).min(request.tickets.len());
        let tickets: Vec<Ticket> = request.tickets.drain(..page).collect();
        let timeout_ms = request.approval_timeout_ms;
        let endings = join_all(
            tickets
                .into_iter()
                .map(|t| Self::handle(ctx, t, timeout_ms)),
        )
        .await;

        request.report.pages += 1;
        for ending in endings {
            *request.report.count.entry(ending).or_default() += 1;
        }
        if request.tickets.is_empty() {
            return Ok(request.report);
        }
        match ctx.continue_as_new(request, ContinueAsNewOptions::default())? {}
    }

    /// Handles one mail. That it fails does not stop the others.
    async fn handle(
        ctx: &WorkflowContext<Self>,
        ticket: Ticket,
        approval_timeout_ms: u64,
    ) -> String {
        let id = format!("{}/{}", ctx.workflow_id(), ticket.id);
        let request = SupportRequest {
            ticket,
            approval_timeout_ms,
        };
        let options = ChildWorkflowOptions::workflow_id(id);
        let ending = match ctx
            .start_child_workflow(OrderSupport::run, request, options)
            .await
        {
            Ok(child) => child
                .result()
                .await
                .ok()
                .map(|outcome| outcome.status.to_string()),
            Err(_) => None,
        };
        ending.unwrap_or_else(|| "failed".to_owned())
    }
}
