//! Erasing what is stored of a user, a tenant or a workflow id, and keeping it away.
//!
//! Invariant: what is kept of an erasure names nobody: hashes alone. From the moment an erasure begins, no row
//! of a run that it covers is stored again, whoever writes it; what was stored before goes in small steps, each
//! of which can be the last one. An erasure covers the runs that started before it, and their children.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::row::{Micros, RunKey, RunRow};
use crate::sql::erasure::{Begin, Step};
use crate::store::{ReadError, Store, WriteError};

/// Bytes of the hash of an id or of a run's key.
const HASH_BYTES: usize = 16;

/// Who or what is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// Runs of a user: the hash that their rows have.
    User(String),
    /// Runs of a tenant: the hash that their rows have.
    Tenant(String),
    /// Runs of a workflow id, as it is.
    WorkflowId(String),
}

impl Subject {
    /// As it is stored and printed.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Tenant(_) => "tenant",
            Self::WorkflowId(_) => "workflow_id",
        }
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        match self {
            Self::User(hash) | Self::Tenant(hash) => hash.clone(),
            Self::WorkflowId(id) => workflow_hash(id),
        }
    }

    /// The column of runs that tells them, and what it holds.
    pub(crate) fn column(&self) -> (&'static str, &str) {
        match self {
            Self::User(hash) => ("user_id", hash),
            Self::Tenant(hash) => ("tenant_id", hash),
            Self::WorkflowId(id) => ("workflow_id", id),
        }
    }
}

/// The hash by which an erased workflow id is known. Not keyed: each process that writes must tell it.
pub(crate) fn workflow_hash(workflow_id: &str) -> String {
    hash(&["omnitrace/erased/workflow/1", workflow_id])
}

/// The hash by which an erased run is known. Run ids are random, so it can't be guessed.
pub(crate) fn run_hash(run: &RunKey) -> String {
    let RunKey {
        namespace,
        workflow_id,
        run_id,
    } = run;
    hash(&["omnitrace/erased/run/1", namespace, workflow_id, run_id])
}

fn hash(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    format!("sha256:{}", hex::encode(&digest.finalize()[..HASH_BYTES]))
}

/// What is to be erased.
#[derive(Clone, Debug)]
pub struct ErasureRequest {
    /// Who or what.
    pub subject: Subject,
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What an erasure would take out. Nothing is changed by counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasable {
    /// Runs, their children included.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Marks of what was cut from them.
    pub cuts: u64,
    /// Of them, those that are noted as recorded after all.
    pub promotions: u64,
    /// Hourly aggregates that lose the tenant.
    pub hours: u64,
    /// Tokens that no longer name the tenant.
    pub tokens: u64,
    /// Changes of switches for the tenant.
    pub switches: u64,
    /// Of the runs, those whose parent stays: its row of the child names the child's workflow id.
    pub named_by: u64,
}

/// What is kept of an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// Names it.
    pub id: String,
    /// `user`, `tenant`, `workflow_id`.
    pub kind: String,
    /// The hash of who or what was erased.
    pub subject: String,
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// Runs that started before are covered; by the database's clock.
    pub erased_before: Micros,
    /// When nothing was left; `None` if it was stopped.
    pub done_at: Option<Micros>,
    /// Who asked for it.
    pub done_by: String,
    /// Why.
    pub reason: String,
    /// Runs that went.
    pub runs: u64,
    /// Events that went.
    pub events: u64,
    /// Hourly aggregates that lost the tenant.
    pub hours: u64,
    /// Changes of switches that went.
    pub switches: u64,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EraseStep {
    /// So many runs and events went.
    Rows {
        /// Runs.
        runs: u64,
        /// Events.
        events: u64,
    },
    /// So many hourly aggregates lost the tenant.
    Hours(u64),
    /// Nothing is left.
    Done,
}

impl Store {
    /// How much an erasure would take out now.
    ///
    /// # Errors
    /// What the database said.
    pub async fn erasable(
        &self,
        subject: &Subject,
        namespace: Option<&str>,
    ) -> Result<Erasable, ReadError> {
        self.count_erasable(subject, namespace).await
    }

    /// Begins an erasure, or goes on with one of the same subject that was stopped: from now on nothing that
    /// it covers is stored. Returns its id.
    ///
    /// # Errors
    /// When the database did not take it; nothing has begun then.
    pub async fn begin_erasure(&self, request: &ErasureRequest) -> Result<String, WriteError> {
        self.transact(&Begin(request)).await
    }

    /// Takes out one step's worth of what an erasure that has begun covers. Call it until it says
    /// [`EraseStep::Done`]; let others write between two calls.
    ///
    /// # Errors
    /// When the database did not take it; call it again.
    pub async fn erase(&self, id: &str, request: &ErasureRequest) -> Result<EraseStep, WriteError> {
        self.transact(&Step { id, request }).await
    }

    /// What is kept of erasures, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, ReadError> {
        self.all_erasures().await
    }

    /// Whether this run was erased, so that nothing of it is stored: by its key, its workflow id, its user, its
    /// tenant or its parent.
    ///
    /// # Errors
    /// What the database said.
    pub async fn is_erased(&self, run: &RunRow) -> Result<bool, ReadError> {
        self.find_erased(run).await
    }
}
