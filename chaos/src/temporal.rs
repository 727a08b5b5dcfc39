//! A Temporal server with its state in a file: killed and started again, it goes on where it was.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use temporalio_client::{Client, ClientOptions, WorkflowCountOptions};
use tokio::process::Child;

use crate::child;
use crate::{NAMESPACE, worker};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Temporal {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Temporal {
    /// Starts a server with its file in `folder`, and waits for it.
    pub(crate) async fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let port = child::free_port()?;
        let server = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            port,
            child: launch(program, folder, port)?,
        };
        server.ready().await?;
        Ok(server)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        self.child = launch(&self.program, &self.folder, self.port)?;
        self.ready().await
    }

    /// A client without the plugin.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let connection = worker::connect(&self.address()).await?;
        Ok(Client::new(
            connection,
            ClientOptions::new(NAMESPACE).build(),
        )?)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let client = self.client().await?;
            let counted = client
                .count_workflows("", WorkflowCountOptions::default())
                .await;
            match counted {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > START_LIMIT => {
                    return Err(error).context("the Temporal server does not become ready");
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

fn launch(program: &Path, folder: &Path, port: u16) -> anyhow::Result<Child> {
    let mut command = child::command(program, &folder.join("temporal.log"))?;
    command
        .args(["server", "start-dev", "--headless", "--ip", "127.0.0.1"])
        .args(["--log-level", "error", "--port", &port.to_string()])
        .arg("--db-filename")
        .arg(folder.join("temporal.db"))
        // What the system has been given outlives the process; only the machine must not stop.
        .args(["--sqlite-pragma", "synchronous=OFF"])
        // The default of 20 makes a lone run wait about 47 ms for each task.
        .args([
            "--dynamic-config-value",
            "history.transferProcessorMaxPollRPS=5000",
        ])
        .args(["--disable-config-file", "--disable-config-env"]);
    child::spawn(&mut command)
}
