//! What the commands do with a connected client.
//!
//! A worker is not `Send`: it stays on the task that made it, beside the driver.

use std::{future::pending, time::Duration};

use omnitrace::HttpLayer;
use temporalio_client::{Client, errors::ClientNewError};
use temporalio_sdk::{
    Runtime, RuntimeError, Worker, WorkerCreateError, WorkerRunError, WorkflowRegistrationError,
};
use worker_example::{
    driver::{self, DriveError, Plan},
    registration::worker_options,
    ticket::Ticket,
};

use crate::{
    cli::Mails,
    connect::ConnectError,
    door::{door, hand_in},
    folder::FolderError,
    report::Report,
};

/// How long a worker may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All that was asked for is done.
    Done,
    /// All runs ended, but some as they should not.
    Failures,
    /// A signal came before all runs ended.
    Interrupted,
}

/// Why a command could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error("cannot make a client: {0}")]
    Client(#[from] ClientNewError),
    #[error("cannot register the workflows: {0}")]
    Register(#[from] WorkflowRegistrationError),
    #[error("cannot make a worker: {0}")]
    Runtime(#[from] RuntimeError),
    #[error("cannot make a worker: {0}")]
    Create(#[from] WorkerCreateError),
    #[error("the worker stopped: {0}")]
    Worker(#[from] WorkerRunError),
}

impl DeskError {
    /// 2 for what the caller has to write differently, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Folder(_) | Self::Connect(ConnectError::Address { .. }) => 2,
            _ => 1,
        }
    }
}

/// The desk of one client and task queue.
pub(crate) struct Desk {
    client: Client,
    task_queue: String,
    layer: HttpLayer,
}

impl Desk {
    pub(crate) fn new(client: Client, task_queue: String, layer: HttpLayer) -> Self {
        Self {
            client,
            task_queue,
            layer,
        }
    }

    /// Serves and handles mails; with `stay`, serves on until a signal.
    pub(crate) async fn run(
        &self,
        tickets: Vec<Ticket>,
        mails: &Mails,
        stay: bool,
    ) -> Result<End, DeskError> {
        self.serve_while(async {
            let end = self.start(tickets, mails).await?;
            if stay && end != End::Interrupted {
                stop_signal().await;
            }
            Ok(end)
        })
        .await
    }

    /// Serves until a signal.
    pub(crate) async fn serve(&self) -> Result<End, DeskError> {
        self.serve_while(async {
            stop_signal().await;
            Ok(End::Done)
        })
        .await
    }

    /// Handles mails until all are done or a signal comes. Some worker has to serve the queue.
    pub(crate) async fn start(
        &self,
        tickets: Vec<Ticket>,
        mails: &Mails,
    ) -> Result<End, DeskError> {
        tokio::select! {
            end = self.handle(tickets, mails) => end,
            () = stop_signal() => Ok(End::Interrupted),
        }
    }

    /// Serves until `work` is done, then stops the worker.
    async fn serve_while(
        &self,
        work: impl Future<Output = Result<End, DeskError>>,
    ) -> Result<End, DeskError> {
        let runtime = Runtime::from_current_tokio(Default::default())?;
        let options = worker_options(&self.task_queue)?;
        let mut worker = Worker::new(&runtime, self.client.clone(), options)?;
        let stop = worker.shutdown_handle();
        let serving = worker.run();
        tokio::pin!(serving);
        let end = tokio::select! {
            served = &mut serving => return Ok(served.map(|()| End::Interrupted)?),
            end = work => end,
        };
        stop();
        // What is cut off here is taken up by the next worker.
        if let Ok(served) = tokio::time::timeout(STOP_LIMIT, serving).await {
            served?;
        }
        end
    }

    async fn handle(&self, tickets: Vec<Ticket>, mails: &Mails) -> Result<End, DeskError> {
        let tag = &uuid::Uuid::new_v4().simple().to_string()[..8];
        let mut report = Report::new(tickets.len() * mails.runs.get(), mails.json);
        for n in 1..=mails.runs.get() {
            let plan = Plan {
                task_queue: self.task_queue.clone(),
                prefix: format!("support-{tag}-{n}"),
                approval_timeout: Duration::from_secs(mails.approval_timeout.into()),
            };
            let (tickets, on_end) = (tickets.clone(), |ended| report.add(&ended));
            match mails.batch {
                Some(page) => {
                    driver::drive_batch(&self.client, tickets, page.get(), &plan, on_end).await?;
                }
                None => {
                    let door = door(self.client.clone(), plan.clone(), self.layer.clone());
                    let start = |ticket| hand_in(door.clone(), ticket);
                    driver::drive_each_by(&self.client, tickets, &plan, start, on_end).await?;
                }
            }
        }
        let failures = report.finish();
        Ok(if failures == 0 {
            End::Done
        } else {
            End::Failures
        })
    }
}

/// Resolves at Ctrl-C or SIGTERM. Where signals cannot be listened to, never.
async fn stop_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = pending::<()>();
    tokio::select! {
        () = interrupted => {}
        _ = terminated => {}
    }
}
