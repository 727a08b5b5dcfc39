//! Drives one case from its start to its end, through restarts of the server: what it is asked is
//! asked again until it answers.

use std::future::pending;
use std::time::Duration;

use anyhow::Context;
use backon::{ConstantBuilder, Retryable};
use futures_util::TryStreamExt;
use temporalio_client::errors::{
    WorkflowGetResultError, WorkflowInteractionError, WorkflowStartError,
};
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowFetchHistoryOptions,
    WorkflowGetResultOptions, WorkflowHandle, WorkflowIdReusePolicy, WorkflowListOptions,
    WorkflowQueryOptions, WorkflowStartOptions, WorkflowTerminateOptions, tonic,
};
use temporalio_common::HasWorkflowDefinition;
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::enums::v1::{EventType, WorkflowTaskFailedCause};
use temporalio_common::protos::temporal::api::history::v1::{
    HistoryEvent, history_event::Attributes,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::ResetWorkflowExecutionRequest;
use tokio::task::JoinSet;
use worker_example::activities::{PolicyRequest, Verdict};
use worker_example::driver;
use worker_example::text::{self, Intent};
use worker_example::ticket::Ticket;
use worker_example::workflows::{
    BatchReport, BatchRequest, OrderSupport, Stage, SupportBatch, SupportRequest,
};

use crate::NAMESPACE;
use crate::plan::{Case, Fate, When, Work};

/// Between two attempts to ask the server something.
const AGAIN: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::from_millis(250))
    .with_max_times(1000);
/// Between two looks at where a run is.
const LOOK: Duration = Duration::from_millis(100);
/// A workflow task whose worker was killed is given to another one after this time.
const TASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Events of a history in which the local activity of a run is over, though its task timed out before.
const FIRST_STEP: usize = 9;
/// How long a run waits for an approval, and one whose fate meets it there.
const APPROVAL: Duration = Duration::from_secs(3);
const LONG_APPROVAL: Duration = Duration::from_secs(600);
/// Of [`Fate::Expire`].
const RUN_TIMEOUT: Duration = Duration::from_secs(4);

/// What all cases share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) task_queue: String,
    pub(crate) mails: Vec<Ticket>,
    /// Whether queries are asked from the start of a run on.
    pub(crate) early_queries: bool,
}

impl Desk {
    /// The numbers of the mails whose runs wait for an approval.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let waits = |mail: &Ticket| {
            let text = text::normalise(&mail.text());
            let own_words = text::own_words(&text);
            let facts = text::facts(&own_words);
            let wants_money = matches!(
                text::classify(&own_words).0,
                Intent::Refund | Intent::Damaged
            );
            let ordered = facts.order.as_deref().and_then(text::find_order).is_some();
            let verdict = Verdict::of(&PolicyRequest {
                text,
                amount_cents: facts.amount_cents,
            });
            wants_money && ordered && verdict.allowed && verdict.needs_approval
        };
        let mails = self.mails.iter().enumerate();
        mails
            .filter(|(_, mail)| waits(mail))
            .map(|(n, _)| n)
            .collect()
    }

    /// Drives a case.
    pub(crate) async fn drive(&self, case: &Case) -> anyhow::Result<()> {
        let id = format!("case-{}", case.number);
        let driven = match &case.work {
            Work::Mail(mail) => self.mail(case, &id, *mail).await,
            Work::Batch { mails, page } => self.batch(case, &id, mails, *page).await,
        };
        driven.with_context(|| format!("{id} could not be driven to its end"))
    }

    async fn mail(&self, case: &Case, id: &str, mail: usize) -> anyhow::Result<()> {
        let ticket = self.ticket(case, mail, 0);
        let reviewed = driver::may_need_approval(&ticket).then(|| id.to_owned());
        let waits = matches!(
            case.fate,
            Fate::Cancel(When::Waiting) | Fate::Terminate(When::Waiting) | Fate::Expire
        );
        let request = SupportRequest {
            ticket,
            approval_timeout_ms: millis(if waits { LONG_APPROVAL } else { APPROVAL }),
        };
        let run_timeout = (case.fate == Fate::Expire).then_some(RUN_TIMEOUT);
        let run = self.start::<OrderSupport>(request, id, run_timeout).await?;
        let reviewed = reviewed.filter(|_| !waits);
        self.see_through(case, &run, reviewed.clone().into_iter().collect())
            .await?;
        if let Fate::Reset(at) = case.fate {
            self.reset(&run, id, at).await?;
            self.see_through(case, &run, reviewed.into_iter().collect())
                .await?;
        }
        Ok(())
    }

    async fn batch(
        &self,
        case: &Case,
        id: &str,
        mails: &[usize],
        page: usize,
    ) -> anyhow::Result<()> {
        let tickets: Vec<Ticket> = (mails.iter().enumerate())
            .map(|(n, mail)| self.ticket(case, *mail, n))
            .collect();
        let reviewed = (tickets.iter())
            .filter(|ticket| driver::may_need_approval(ticket))
            .map(|ticket| format!("{id}/{}", ticket.id))
            .collect();
        let request = BatchRequest {
            tickets,
            page,
            approval_timeout_ms: millis(APPROVAL),
            report: BatchReport::default(),
        };
        let run = self.start::<SupportBatch>(request, id, None).await?;
        self.see_through(case, &run, reviewed).await
    }

    /// A mail of its own: its text decides how often the search refuses it.
    fn ticket(&self, case: &Case, mail: usize, place: usize) -> Ticket {
        let mut ticket = self.mails[mail].clone();
        ticket.id = format!("{place}-{}", ticket.id);
        ticket.body += &format!("\n\n(This is mail {place} of case {}.)", case.number);
        ticket
    }

    async fn start<W: HasWorkflowDefinition + Default>(
        &self,
        request: W::Input,
        id: &str,
        run_timeout: Option<Duration>,
    ) -> anyhow::Result<WorkflowHandle<Client, W>>
    where
        W::Input: Clone + Send,
    {
        let start = || async {
            let options = WorkflowStartOptions::new(&self.task_queue, id)
                // Asked again, it is the same run.
                .id_reuse_policy(WorkflowIdReusePolicy::RejectDuplicate)
                .task_timeout(TASK_TIMEOUT)
                .maybe_run_timeout(run_timeout)
                .build();
            let started = self
                .client
                .start_workflow(W::default(), request.clone(), options);
            match started.await {
                Ok(_) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        start.retry(AGAIN).await.context("it cannot be started")?;
        // Without a run id: what follows a reset or a continuation is meant, too.
        Ok(self.client.get_workflow_handle::<W>(id))
    }

    /// Waits for the end; meanwhile its fate meets it, and somebody decides about what waits for an
    /// approval.
    async fn see_through<W: HasWorkflowDefinition>(
        &self,
        case: &Case,
        run: &WorkflowHandle<Client, W>,
        reviewed: Vec<String>,
    ) -> anyhow::Result<()> {
        // Dropped, and with them what is not decided, when the run has ended.
        let mut reviews = JoinSet::new();
        for id in reviewed {
            let (desk, run) = (self.clone(), self.client.get_workflow_handle(id));
            reviews.spawn(async move {
                desk.wait_for_first_step(&run).await;
                driver::review(&run).await;
            });
        }
        let fate = async {
            self.meet_fate(case, run).await?;
            pending().await
        };
        tokio::select! {
            ended = end(run) => ended,
            failed = fate => failed,
        }
    }

    async fn meet_fate<W: HasWorkflowDefinition>(
        &self,
        case: &Case,
        run: &WorkflowHandle<Client, W>,
    ) -> anyhow::Result<()> {
        let (Fate::Cancel(when) | Fate::Terminate(when)) = case.fate else {
            return Ok(());
        };
        match when {
            When::After(time) => tokio::time::sleep(time).await,
            When::Waiting => self.wait_for_approval(case).await,
        }
        let ask = || async {
            let asked = match case.fate {
                Fate::Cancel(_) => run.cancel(WorkflowCancelOptions::default()).await,
                _ => run.terminate(WorkflowTerminateOptions::default()).await,
            };
            match asked {
                // It has ended by itself.
                Ok(()) | Err(WorkflowInteractionError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        };
        ask.retry(AGAIN)
            .await
            .context("its end cannot be asked for")
    }

    /// Waits until the run of a mail waits for an approval.
    async fn wait_for_approval(&self, case: &Case) {
        let id = format!("case-{}", case.number);
        let run = self.client.get_workflow_handle::<OrderSupport>(id);
        self.wait_for_first_step(&run).await;
        loop {
            let asked = run
                .query(OrderSupport::progress, (), WorkflowQueryOptions::default())
                .await;
            if asked.is_ok_and(|progress| progress.stage == Stage::AwaitingApproval) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a run's local activity is over: a query that is answered meanwhile moves what follows to
    /// times that its history does not tell.
    async fn wait_for_first_step(&self, run: &WorkflowHandle<Client, OrderSupport>) {
        if self.early_queries {
            return;
        }
        loop {
            let described = run.describe(WorkflowDescribeOptions::default()).await;
            if described.is_ok_and(|run| run.history_length() >= FIRST_STEP) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Begins a new run from one of the workflow tasks of the newest on.
    async fn reset(
        &self,
        run: &WorkflowHandle<Client, impl HasWorkflowDefinition>,
        id: &str,
        at: f64,
    ) -> anyhow::Result<()> {
        let read = || async {
            let history = run.fetch_history(WorkflowFetchHistoryOptions::default());
            history.into_events().await
        };
        let events = read
            .retry(AGAIN)
            .await
            .context("its history cannot be read")?;
        let tasks: Vec<i64> = (events.iter())
            .filter(|event| event.event_type() == EventType::WorkflowTaskCompleted)
            .map(|event| event.event_id)
            .collect();
        let Some(task) = tasks.get((at * tasks.len() as f64) as usize) else {
            return Ok(());
        };
        let request = ResetWorkflowExecutionRequest {
            namespace: NAMESPACE.to_owned(),
            workflow_execution: Some(WorkflowExecution {
                workflow_id: id.to_owned(),
                run_id: String::new(),
            }),
            reason: "chaos".to_owned(),
            workflow_task_finish_event_id: *task,
            // Asked again, it is the same run.
            request_id: format!("reset-{id}"),
            ..ResetWorkflowExecutionRequest::default()
        };
        let reset = || async {
            let mut service = self.client.connection().workflow_service();
            let request = tonic::Request::new(request.clone());
            service.reset_workflow_execution(request).await
        };
        reset.retry(AGAIN).await.context("it cannot be reset")?;
        Ok(())
    }
}

impl Desk {
    /// Ends runs that the SDK itself can't replay any more: it would try for ever. Says how many.
    ///
    /// Seen with core 0.10: a task that a worker without the run in its cache took, and that delivers an
    /// update beside the end of an activity, has its commands in another order when it is replayed.
    pub(crate) async fn end_unreplayable(&self) -> usize {
        let open = self.client.list_workflows(
            "ExecutionStatus = 'Running'",
            WorkflowListOptions::default(),
        );
        // A server that is being restarted is asked again.
        let open: Vec<_> = open.try_collect().await.unwrap_or_default();
        let mut ended = 0;
        for execution in open {
            let id = execution.id();
            let run = self.client.get_workflow_handle::<OrderSupport>(id);
            let history = run.fetch_history(WorkflowFetchHistoryOptions::default());
            let events = history.into_events().await.unwrap_or_default();
            if events.iter().any(is_unreplayable)
                && run
                    .terminate(WorkflowTerminateOptions::default())
                    .await
                    .is_ok()
            {
                ended += 1;
            }
        }
        ended
    }
}

/// Whether a task failed because the workflow did something else than before.
fn is_unreplayable(event: &HistoryEvent) -> bool {
    matches!(
        &event.attributes,
        Some(Attributes::WorkflowTaskFailedEventAttributes(failed))
            if failed.cause() == WorkflowTaskFailedCause::NonDeterministicError
    )
}

/// Waits until the run has ended, however.
async fn end<W: HasWorkflowDefinition>(run: &WorkflowHandle<Client, W>) -> anyhow::Result<()> {
    let ask = || async {
        match run.get_result(WorkflowGetResultOptions::default()).await {
            Ok(_)
            | Err(
                WorkflowGetResultError::Failed(_)
                | WorkflowGetResultError::Cancelled { .. }
                | WorkflowGetResultError::Terminated { .. }
                | WorkflowGetResultError::TimedOut,
            ) => Ok(()),
            Err(error) => Err(error),
        }
    };
    ask.retry(AGAIN)
        .await
        .context("the server does not tell how it ended")
}

/// As requests have it.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
