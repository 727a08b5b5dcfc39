//! Asks the command line what a user would ask it: to heal what is wrong, and whether anything is.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{NAMESPACE, child};

/// How long a killed worker's lease may hold, and between two looks.
const LEASE_LIMIT: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_millis(500);

/// The command line, which is built into this program.
#[derive(Debug)]
pub(crate) struct Omnitrace {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// What `omnitrace reconcile` said.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Reconciled {
    /// Another one holds the lease, as a worker does for a while after it was killed.
    #[serde(skip_serializing)]
    elsewhere: bool,
    pub(crate) looked_at: u64,
    pub(crate) healed: u64,
    pub(crate) recorded: u64,
}

/// What `omnitrace verify` said.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Verified {
    pub(crate) runs: u64,
    pub(crate) equal: u64,
    /// Rows.
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) different: u64,
    /// Runs that could not be compared: they go on, sampling left them out, the server has no history
    /// of them, or something failed.
    pub(crate) open: u64,
    pub(crate) left_out: u64,
    pub(crate) unknown: u64,
    pub(crate) failed: u64,
    pub(crate) differences: Vec<serde_json::Value>,
}

impl Verified {
    /// Whether every run is there and says what its history says.
    pub(crate) fn is_equal(&self) -> bool {
        let rows = self.missing + self.extra + self.different;
        self.runs > 0 && self.equal == self.runs && rows == 0 && self.not_compared() == 0
    }

    /// Runs that should have been.
    pub(crate) fn not_compared(&self) -> u64 {
        self.open + self.left_out + self.unknown + self.failed
    }
}

impl Omnitrace {
    /// Heals what differs from history.
    pub(crate) async fn reconcile(&self, address: &str, url: &str) -> anyhow::Result<Reconciled> {
        let deadline = tokio::time::Instant::now() + LEASE_LIMIT;
        loop {
            let command = ["reconcile", "--once", "--settle", "0s"];
            let (said, good) = self.ask(&command, address, url).await?;
            anyhow::ensure!(good, "omnitrace reconcile failed: {said}");
            let reconciled: Reconciled =
                serde_json::from_str(&said).context("omnitrace reconcile said something else")?;
            if !reconciled.elsewhere {
                return Ok(reconciled);
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "another reconciler holds the lease"
            );
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Compares everything with history.
    pub(crate) async fn verify(&self, address: &str, url: &str) -> anyhow::Result<Verified> {
        let (said, good) = self.ask(&["verify"], address, url).await?;
        let verified: Verified =
            serde_json::from_str(&said).context("omnitrace verify said something else")?;
        anyhow::ensure!(
            good || !verified.is_equal(),
            "omnitrace verify failed, and says that all is equal"
        );
        Ok(verified)
    }

    /// Fills the store from history.
    pub(crate) async fn backfill(&self, address: &str, url: &str) -> anyhow::Result<()> {
        let (said, good) = self.ask(&["backfill"], address, url).await?;
        anyhow::ensure!(good, "omnitrace backfill failed: {said}");
        Ok(())
    }

    /// What it printed, and whether it found everything in order.
    async fn ask(
        &self,
        command: &[&str],
        address: &str,
        url: &str,
    ) -> anyhow::Result<(String, bool)> {
        let mut asked = child::command(&self.program, &self.folder.join("omnitrace.log"))?;
        asked
            .arg("omnitrace")
            .args(command)
            .args(["--address", address, "--namespace", NAMESPACE, "--json"])
            // Not an argument: it may hold a password.
            .env("OMNITRACE_DATABASE_URL", url)
            .stdout(Stdio::piped());
        let output = child::spawn(&mut asked)?.wait_with_output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((said, output.status.success()))
    }
}
