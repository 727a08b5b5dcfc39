//! The runs that a Temporal server knows, and their histories.
//!
//! Invariant: of a history no more than a page is held, and what its reader keeps.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use omnitrace_store::row::{EventRow, Micros, RunKey, Status};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::{self, Code, IntoRequest};
use temporalio_client::{Client, NamespacedClient};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{TaskQueueKind, TaskQueueType, WorkflowExecutionStatus},
    history::v1::HistoryEvent,
    taskqueue::v1::TaskQueue,
    workflow::v1::WorkflowExecutionInfo,
    workflowservice::v1::{
        DescribeNamespaceRequest, DescribeTaskQueueRequest, DescribeWorkflowExecutionRequest,
        GetWorkflowExecutionHistoryRequest, ListWorkflowExecutionsRequest,
    },
};

use super::{HistoryRows, Reader, decode};
use crate::policy::Policy;
use crate::sdk::payload::micros;
use crate::switches::Switchboard;

/// Runs in one answer of the server.
const PAGE: i32 = 200;

/// Why a server gave no answer. What it says is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The query is not one of the server's visibility.
    #[error("the server does not understand the query: {0}")]
    Query(String),
    /// There is no such namespace.
    #[error("the server has no namespace \"{0}\" (--namespace, or TEMPORAL_NAMESPACE)")]
    Namespace(String),
    /// The caller may not.
    #[error("the server refuses: {0}; look at the API key, the certificate and the namespace")]
    Denied(String),
    /// Anything else.
    #[error("the server does not answer: {0}")]
    Unavailable(String),
}

impl From<tonic::Status> for ServerError {
    fn from(status: tonic::Status) -> Self {
        let said = status.message().split_whitespace().collect::<Vec<_>>();
        let said = match said.join(" ") {
            said if said.is_empty() => status.code().to_string(),
            said => said,
        };
        match status.code() {
            Code::InvalidArgument => Self::Query(said),
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied(said),
            _ => Self::Unavailable(said),
        }
    }
}

/// A run as the server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// Its key.
    pub run: RunKey,
    /// Its status.
    pub status: Status,
    /// When it was closed.
    pub closed_at: Option<Micros>,
}

/// A namespace of a server.
#[derive(Clone, Debug)]
pub struct Server {
    client: Client,
    namespace: String,
}

impl Server {
    /// The namespace of a client, whose data converter decodes what is read.
    pub fn new(client: Client) -> Self {
        let namespace = client.namespace();
        Self { client, namespace }
    }

    /// Name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the server answers and knows the namespace.
    ///
    /// # Errors
    /// What the server said.
    pub async fn check(&self) -> Result<(), ServerError> {
        let request = DescribeNamespaceRequest {
            namespace: self.namespace.clone(),
            ..DescribeNamespaceRequest::default()
        };
        let mut client = self.client.clone();
        match client.describe_namespace(request.into_request()).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                Err(ServerError::Namespace(self.namespace.clone()))
            }
            Err(status) => Err(status.into()),
        }
    }

    /// Tasks of a queue that wait for a worker, by the server's count.
    pub(super) async fn backlog(
        &self,
        task_queue: &str,
        kind: TaskQueueType,
    ) -> Result<u64, ServerError> {
        let request = DescribeTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(TaskQueue {
                name: task_queue.to_owned(),
                kind: TaskQueueKind::Normal.into(),
                ..TaskQueue::default()
            }),
            task_queue_type: kind.into(),
            report_stats: true,
            ..DescribeTaskQueueRequest::default()
        };
        let mut client = self.client.clone();
        let answer = client.describe_task_queue(request.into_request()).await?;
        let stats = answer.into_inner().stats.unwrap_or_default();
        Ok(stats.approximate_backlog_count.try_into().unwrap_or(0))
    }

    /// The runs that a visibility query finds; an empty one finds all.
    pub fn list(&self, query: &str) -> BoxStream<'static, Result<Execution, ServerError>> {
        let (server, query) = (self.clone(), query.to_owned());
        // `None` is after the last page.
        let pages = stream::try_unfold(Some(Vec::new()), move |token| {
            let (server, query) = (server.clone(), query.clone());
            async move {
                let Some(token) = token else {
                    return Ok(None);
                };
                let (page, next) = server.page(query, token).await?;
                let next = (!next.is_empty()).then_some(next);
                Ok::<_, ServerError>(Some((stream::iter(page.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn page(
        &self,
        query: String,
        next_page_token: Vec<u8>,
    ) -> Result<(Vec<Execution>, Vec<u8>), ServerError> {
        let request = ListWorkflowExecutionsRequest {
            namespace: self.namespace.clone(),
            page_size: PAGE,
            next_page_token,
            query,
        };
        let mut client = self.client.clone();
        let answer = client.list_workflow_executions(request.into_request());
        let answer = answer.await?.into_inner();
        let executions = answer.executions.iter();
        let executions = executions.filter_map(|info| self.execution(info)).collect();
        Ok((executions, answer.next_page_token))
    }

    /// One run, or the newest of a workflow id if the run id is empty; `None` if the server does not
    /// know it (any more).
    ///
    /// # Errors
    /// What the server said.
    pub async fn describe(
        &self,
        workflow_id: &str,
        run_id: &str,
    ) -> Result<Option<Execution>, ServerError> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            execution: Some(execution(workflow_id, run_id)),
        };
        let mut client = self.client.clone();
        match client
            .describe_workflow_execution(request.into_request())
            .await
        {
            Ok(answer) => {
                let info = answer.into_inner().workflow_execution_info;
                Ok(info.and_then(|info| self.execution(&info)))
            }
            Err(status) if is_unknown(&status) => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    fn execution(&self, info: &WorkflowExecutionInfo) -> Option<Execution> {
        let execution = info.execution.as_ref()?;
        Some(Execution {
            run: RunKey::new(&self.namespace, &execution.workflow_id, &execution.run_id),
            status: match info.status() {
                WorkflowExecutionStatus::Completed => Status::Completed,
                WorkflowExecutionStatus::Failed => Status::Failed,
                WorkflowExecutionStatus::Canceled => Status::Canceled,
                WorkflowExecutionStatus::Terminated => Status::Terminated,
                WorkflowExecutionStatus::ContinuedAsNew => Status::ContinuedAsNew,
                WorkflowExecutionStatus::TimedOut => Status::TimedOut,
                // A paused run goes on.
                _ => Status::Running,
            },
            closed_at: info.close_time.map(|t| micros(t.seconds, t.nanos)),
        })
    }

    /// Reads the history of a run by what was switched when it began.
    pub(super) fn read_switched(&self, run: RunKey, switches: &Switchboard) -> RunHistory {
        let history = self.read(run, switches.configured_policy().clone());
        let reader = history.reader.switched(switches.clone());
        RunHistory { reader, ..history }
    }

    /// What such a history says, whole; `None` if the server has none (any more).
    pub(super) async fn rows_switched(
        &self,
        run: &RunKey,
        switches: &Switchboard,
    ) -> Result<Option<HistoryRows>, ServerError> {
        let mut history = self.read_switched(run.clone(), switches);
        while history.page().await? {}
        Ok((history.events > 0).then(|| history.finish()))
    }

    /// Reads the history of a run.
    pub fn read(&self, run: RunKey, policy: Arc<Policy>) -> RunHistory {
        RunHistory {
            server: self.clone(),
            reader: Reader::new(run.clone(), policy),
            run,
            token: Some(Vec::new()),
            events: 0,
        }
    }

    /// A page of a history, and the token of the next; `None` if the server has none (any more).
    async fn history_page(
        &self,
        run: &RunKey,
        next_page_token: Vec<u8>,
    ) -> Result<Option<(Vec<HistoryEvent>, Vec<u8>)>, ServerError> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: run.namespace.clone(),
            execution: Some(execution(&run.workflow_id, &run.run_id)),
            next_page_token,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let mut client = self.client.clone();
        let answer = client.get_workflow_execution_history(request.into_request());
        match answer.await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let events = answer.history.map(|history| history.events);
                Ok(Some((events.unwrap_or_default(), answer.next_page_token)))
            }
            Err(status) if is_unknown(&status) => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// What the history of a run says, whole; `None` if the server has none (any more).
    ///
    /// # Errors
    /// What the server said.
    pub async fn rows(
        &self,
        run: &RunKey,
        policy: &Arc<Policy>,
    ) -> Result<Option<HistoryRows>, ServerError> {
        let mut history = self.read(run.clone(), policy.clone());
        while history.page().await? {}
        Ok((history.events > 0).then(|| history.finish()))
    }
}

#[cfg(feature = "replay")]
impl Server {
    /// All events of a run, decoded with the client's codec; `None` if the server has none (any more).
    ///
    /// # Errors
    /// What the server said.
    pub(crate) async fn events(
        &self,
        run: &RunKey,
    ) -> Result<Option<Vec<HistoryEvent>>, ServerError> {
        let (mut events, mut token) = (Vec::new(), Vec::new());
        loop {
            let Some((mut page, next)) = self.history_page(run, token).await? else {
                return Ok(None);
            };
            decode(&mut page, &self.client.options().data_converter).await;
            events.extend(page);
            if next.is_empty() {
                return Ok(Some(events));
            }
            token = next;
        }
    }
}

/// A history that is being read.
#[derive(Debug)]
pub struct RunHistory {
    server: Server,
    run: RunKey,
    reader: Reader,
    /// Of the next page; `None` after the last.
    token: Option<Vec<u8>>,
    events: u64,
}

impl RunHistory {
    /// The next rows that won't change any more; `None` when all is read.
    ///
    /// # Errors
    /// What the server said.
    pub async fn rows(&mut self) -> Result<Option<Vec<EventRow>>, ServerError> {
        Ok(self.page().await?.then(|| self.reader.take_closed()))
    }

    /// Events that were read.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last state of what was not given out.
    pub fn finish(self) -> HistoryRows {
        self.reader.finish()
    }

    /// Reads a page; false when there is none.
    async fn page(&mut self) -> Result<bool, ServerError> {
        let Some(token) = self.token.take() else {
            return Ok(false);
        };
        let page = self.server.history_page(&self.run, token).await?;
        let Some((mut events, next)) = page else {
            return Ok(false);
        };
        self.token = (!next.is_empty()).then_some(next);
        self.events += events.len() as u64;
        let converter = &self.server.client.options().data_converter;
        decode(&mut events, converter).await;
        for event in events {
            self.reader.push(event);
        }
        Ok(true)
    }
}

fn execution(workflow_id: &str, run_id: &str) -> WorkflowExecution {
    WorkflowExecution {
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
    }
}

/// The server has forgotten it, or never knew it; a run id that is none is invalid.
fn is_unknown(status: &tonic::Status) -> bool {
    status.code() == Code::NotFound
        || (status.code() == Code::InvalidArgument && status.message().contains("RunId"))
}
