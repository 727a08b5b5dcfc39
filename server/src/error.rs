//! Why a command gave no answer: one line each, and an exit code.

use omnitrace::history::ImportError;
use omnitrace::history::{ConnectError, HealError, ServerError};
use omnitrace::telemetry::CollectorError;
use omnitrace_store::{OpenError, ReadError, UrlError, WriteError};

/// Why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The database's URL is no URL. It is not repeated: it may hold a password.
    #[error("cannot use the database URL (--database-url or OMNITRACE_DATABASE_URL): {0}")]
    Url(#[from] UrlError),
    /// Recording to no store was chosen.
    #[error(
        "OMNITRACE_DATABASE_URL is none, so nothing is stored: name a database with --database-url"
    )]
    NoStore,
    /// The folder that a relative path counts from is gone.
    #[error("cannot tell the current folder ({0}): name the database by an absolute path")]
    NoFolder(std::io::Error),
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database takes nothing.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file could not be read.
    #[error("cannot read {file}: {error}")]
    File {
        /// As the caller named it.
        file: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A folder where files are wanted.
    #[error("cannot import {0}: it is a folder; name the files in it, as {0}/*.json")]
    Folder(String),
    /// A file or folder could not be written.
    #[error("cannot write {file}: {error}")]
    Unwritable {
        /// As the caller named it.
        file: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is no history.
    #[error("cannot import {file}: {error}")]
    Import {
        /// As the caller named it.
        file: String,
        /// Where.
        error: ImportError,
    },
    /// A setting is wrong, and what it should be cannot be guessed: it would make data more private, or keep it.
    #[error("nothing is done: {0}")]
    Settings(String),
    /// What is too old is not known, or stays.
    #[error("nothing is deleted: {0}")]
    Prune(String),
    /// Pruning ended before everything was gone that is too old.
    #[error(
        "{rows} deleted, not all that is too old: {why}; the next time goes on where this ended"
    )]
    PartlyPruned {
        /// What went.
        rows: String,
        /// Of the database.
        why: String,
    },
    /// What is stored could not be looked through.
    #[error("not audited: {0}")]
    Audit(Box<CliError>),
    /// An erasure would find nothing, or did not go through.
    #[error("nothing is erased: {0}")]
    Erase(String),
    /// There is no such run.
    #[error(
        "no run has the workflow id, run id or trace id \"{id}\" in {place}{}",
        near_matches(near)
    )]
    NotFound {
        /// What was asked for.
        id: String,
        /// Where it was looked for.
        place: String,
        /// Workflow ids that look like it.
        near: Vec<String>,
    },
    /// The Temporal server is not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The Temporal server does not answer.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Comparing or healing failed.
    #[error(transparent)]
    Heal(#[from] HealError),
    /// The collector takes no spans.
    #[error(
        "the collector at {address} took {sent} spans and then none: {error}; start it, or look at \
         OTEL_EXPORTER_OTLP_ENDPOINT and its protocol"
    )]
    Collector {
        /// Without credentials.
        address: String,
        /// How many it took before.
        sent: u64,
        /// Why not.
        error: CollectorError,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {listen}: {error}; name another address with --listen")]
    Listen {
        /// What was asked for.
        listen: std::net::SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system does not tell when to stop.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
    /// There is no such token.
    #[error("no token that is good has the id \"{0}\": `omnitrace token list` shows what there is")]
    NoToken(String),
    /// There is no such switch.
    #[error("{0}")]
    NotSet(String),
    /// The system has no random numbers.
    #[error("cannot make a token: the system gives no random numbers ({0})")]
    Random(String),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The answer could not be written.
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

impl CliError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Audit(_) => 2,
            _ => 1,
        }
    }
}

fn near_matches(near: &[String]) -> String {
    match near {
        [] => "; `omnitrace list` shows what there is".to_owned(),
        near => format!("; did you mean {}?", near.join(", ")),
    }
}
