//! A worker of the short workflow and a client that has it run many at once.

use futures_util::future::try_join_all;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use temporalio_sdk::{Runtime, Worker};

use crate::replay::Recording;
use crate::workflows::{self, Long, Short};

/// Namespace of a development server.
const NAMESPACE: &str = "default";

/// Two threads as on a small machine; it stops when this is dropped.
pub(crate) struct Shop {
    pub(crate) customer: Customer,
    stop: Box<dyn Fn() + Send>,
}

/// Has a worker run workflows, and waits for their results.
pub(crate) struct Customer {
    client: Client,
    pub(crate) task_queue: String,
}

impl Shop {
    /// A worker, with the plugin or without.
    pub(crate) fn open(address: &str, recording: Option<&Recording>) -> anyhow::Result<Self> {
        let url = format!("http://{address}").parse::<url::Url>()?;
        let options = ClientOptions::new(NAMESPACE);
        let options = match recording {
            Some(recording) => options.plugin(recording.omnitrace.plugin()).build(),
            None => options.build(),
        };
        let task_queue = format!("bench-{}", uuid::Uuid::new_v4());
        let worker_options = workflows::worker(&task_queue)?;
        let (ready, made) = std::sync::mpsc::channel();
        // A worker is not `Send`. The connection lives on its runtime too: whoever waits for the
        // worker's end may block a runtime of their own.
        let thread = std::thread::spawn(move || -> anyhow::Result<()> {
            let tokio = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            tokio.block_on(async move {
                let connection = Connection::connect(ConnectionOptions::new(url).build()).await?;
                let client = Client::new(connection, options)?;
                let runtime = Runtime::from_current_tokio(Default::default())?;
                let mut worker = Worker::new(&runtime, client.clone(), worker_options)?;
                let stop: Box<dyn Fn() + Send> = Box::new(worker.shutdown_handle());
                // `Err` means: nobody waits for it any more.
                let _ = ready.send((client, stop));
                worker.run().await?;
                Ok(())
            })
        });
        let Ok((client, stop)) = made.recv() else {
            return match thread.join() {
                Ok(Err(error)) => Err(error.context("the worker could not be made")),
                _ => anyhow::bail!("the worker could not be made"),
            };
        };
        Ok(Self {
            customer: Customer { client, task_queue },
            stop,
        })
    }
}

impl Customer {
    /// Of the worker of another process.
    pub(crate) async fn of(address: &str, task_queue: &str) -> anyhow::Result<Self> {
        let url = format!("http://{address}").parse::<url::Url>()?;
        let connection = Connection::connect(ConnectionOptions::new(url).build()).await?;
        Ok(Self {
            client: Client::new(connection, ClientOptions::new(NAMESPACE).build())?,
            task_queue: task_queue.to_owned(),
        })
    }

    /// Starts so many runs at once and waits for the results of all.
    pub(crate) async fn serve(&self, runs: u32) -> anyhow::Result<()> {
        let batch = uuid::Uuid::new_v4();
        try_join_all((0..runs).map(|n| self.short(format!("bench-{batch}-{n}"), n))).await?;
        Ok(())
    }

    /// Runs so many activities, one after the other; gives the workflow id.
    pub(crate) async fn long(&self, activities: u32) -> anyhow::Result<String> {
        let id = format!("bench-{}", uuid::Uuid::new_v4());
        let options = WorkflowStartOptions::new(&self.task_queue, &id).build();
        let start = self.client.start_workflow(Long::run, activities, options);
        (start.await?)
            .get_result(WorkflowGetResultOptions::default())
            .await?;
        Ok(id)
    }

    /// One short run.
    pub(crate) async fn short(&self, id: String, n: u32) -> anyhow::Result<()> {
        let options = WorkflowStartOptions::new(&self.task_queue, &id).build();
        let handle = self.client.start_workflow(Short::run, n, options).await?;
        handle
            .get_result(WorkflowGetResultOptions::default())
            .await?;
        Ok(())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Not waited for: a worker may wait for its last poll, up to a minute.
        (self.stop)();
    }
}
