//! Toxiproxy between the workers and PostgreSQL, told over HTTP what to do to the connections.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use backon::{BlockingRetryable, ConstantBuilder};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::child;
use crate::plan::OutageKind;

/// Its name for the one proxy.
const NAME: &str = "postgres";
/// How long its own start may take.
const START: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::from_millis(50))
    .with_max_times(200);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Of [`OutageKind::Delay`]: what every packet waits, and by how much more or less.
const LATENCY_MS: (u32, u32) = (300, 200);
/// Of [`OutageKind::Truncate`].
const TRUNCATE_BYTES: u32 = 20_000;

#[derive(Debug)]
pub(crate) struct Proxy {
    agent: ureq::Agent,
    api: String,
    port: u16,
    _child: Child,
}

impl Proxy {
    /// Starts the program and has it pass on what comes to `upstream`, host and port.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        seed: u64,
        upstream: &str,
    ) -> anyhow::Result<Self> {
        let (api_port, port) = (child::free_port()?, child::free_port()?);
        let mut command = child::command(program, &folder.join("toxiproxy.log"))?;
        command
            .args(["-host", "127.0.0.1", "-port", &api_port.to_string()])
            // It takes only positive ones.
            .args(["-seed", &(seed >> 1).max(1).to_string()]);
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT));
        let proxy = Self {
            _child: child::spawn(&mut command)?,
            agent: config.build().into(),
            api: format!("http://127.0.0.1:{api_port}"),
            port,
        };
        let listen = format!("127.0.0.1:{port}");
        let body = json!({"name": NAME, "listen": listen, "upstream": upstream, "enabled": true});
        proxy.post("/proxies", body).await?;
        Ok(proxy)
    }

    /// The port that the workers connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Begins an outage.
    pub(crate) async fn begin(&self, kind: OutageKind) -> anyhow::Result<()> {
        let (latency, jitter) = LATENCY_MS;
        match kind {
            OutageKind::Cut => {
                let path = format!("/proxies/{NAME}");
                return self.post(&path, json!({"enabled": false})).await;
            }
            OutageKind::Silence => self.toxic("timeout", json!({"timeout": 0})).await,
            OutageKind::Delay => {
                let attributes = json!({"latency": latency, "jitter": jitter});
                self.toxic("latency", attributes).await
            }
            OutageKind::Reset => self.toxic("reset_peer", json!({"timeout": 0})).await,
            OutageKind::Truncate => {
                let attributes = json!({"bytes": TRUNCATE_BYTES});
                self.toxic("limit_data", attributes).await
            }
            OutageKind::Lock => anyhow::bail!("a proxy locks no file"),
        }
    }

    /// Ends it.
    pub(crate) async fn end(&self) -> anyhow::Result<()> {
        self.post("/reset", json!({})).await
    }

    /// In both directions.
    async fn toxic(&self, kind: &str, attributes: Value) -> anyhow::Result<()> {
        let path = format!("/proxies/{NAME}/toxics");
        for stream in ["upstream", "downstream"] {
            let body = json!({"type": kind, "stream": stream, "attributes": attributes});
            self.post(&path, body).await?;
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<()> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.api));
        let request = move || agent.post(&url).send_json(&body).map(drop);
        // Only a starting one refuses a connection.
        let refused = |error: &ureq::Error| {
            matches!(error, ureq::Error::Io(_) | ureq::Error::ConnectionFailed)
        };
        let asked = tokio::task::spawn_blocking(move || request.retry(START).when(refused).call());
        asked
            .await?
            .context("toxiproxy did not do what it was told")
    }
}
