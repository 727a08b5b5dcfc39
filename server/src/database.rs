//! The database that a command reads or writes.

use std::time::Duration;

use omnitrace::config::{FindingKind, Settings};
use omnitrace_store::{DatabaseUrl, OpenOptions, Store};

use crate::error::CliError;

/// Used when neither `--database-url` nor `OMNITRACE_DATABASE_URL` names one.
pub(crate) const DEFAULT_URL: &str = "sqlite://omnitrace.db";

/// How long a command tries to write: a writer that never rests leaves SQLite's lock free for moments alone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Width where the output is no terminal and text is wrapped.
pub(crate) const DEFAULT_COLUMNS: usize = 120;

/// Reads the URL; a relative path counts from the current folder.
pub(crate) fn parse(url: Option<&str>) -> Result<DatabaseUrl, CliError> {
    let url = url.filter(|u| !u.is_empty()).unwrap_or(DEFAULT_URL);
    if url == "none" {
        return Err(CliError::NoStore);
    }
    let folder = std::env::current_dir().map_err(CliError::NoFolder)?;
    Ok(DatabaseUrl::parse(url, &folder)?)
}

/// Opens it for reading only.
pub(crate) async fn open(url: &DatabaseUrl) -> Result<Store, CliError> {
    let mut options = as_it_is();
    options.read_only = true;
    Ok(Store::open(url, options).await?)
}

/// What the environment says to whoever records. A value that is not allowed turns recording off where
/// it would have made the data more private.
pub(crate) fn recording_settings() -> Result<Settings, CliError> {
    let (settings, findings) = Settings::from_env();
    let wrong = findings.iter().find(|f| f.kind == FindingKind::Invalid);
    match wrong.filter(|_| !settings.enabled) {
        Some(wrong) => Err(CliError::Settings(wrong.to_string())),
        None => Ok(settings),
    }
}

/// Opens the database for writing; its tables are those that are there.
pub(crate) async fn open_as_it_is(url: &DatabaseUrl) -> Result<Store, CliError> {
    let mut options = as_it_is();
    options.busy_timeout = PATIENCE;
    Ok(Store::open(url, options).await?)
}

/// Opens the database for writing of what was recorded, and creates or migrates it as a worker would.
pub(crate) async fn open_for_writing(
    url: Option<&str>,
    settings: &Settings,
) -> Result<Store, CliError> {
    let mut options = settings.open_options();
    options.busy_timeout = PATIENCE;
    Ok(Store::open(&parse(url)?, options).await?)
}

/// Its tables as they are: those who record make and change them.
fn as_it_is() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.migrate = false;
    options
}

/// Whether stored rows were made with other settings than these alone: a hash made with another key finds nothing.
/// Says so, and what to do.
pub(crate) async fn other_policy(store: &Store, policy: &str) -> Result<Option<String>, CliError> {
    let policies = store.policies().await?;
    let ours = policies.iter().any(|(id, _)| id == policy);
    let others: Vec<&str> = (policies.iter())
        .map(|(id, _)| id.as_str())
        .filter(|id| !id.is_empty() && *id != policy)
        .collect();
    Ok((!ours && !others.is_empty()).then(|| {
        format!(
            "and none was made with this hash key and these rules (policy {policy}; the rows have {}): set \
             OMNITRACE_HASH_KEY and the other settings as the workers have them",
            others.join(", ")
        )
    }))
}

/// How long who deletes in many transactions rests between two. Who waits for SQLite's lock looks again after 1, 2,
/// 5, 10, 15, 20, 25 ms and so on: with a rest longer than that, and transactions that are shorter, the lock is
/// free at one of the first looks. PostgreSQL wakes who waits.
pub(crate) fn rest(url: &DatabaseUrl) -> Duration {
    match url {
        DatabaseUrl::Sqlite(_) => Duration::from_millis(25),
        _ => Duration::from_millis(1),
    }
}

/// Columns of the terminal, or of `COLUMNS`; `None` where the output is no terminal.
pub(crate) fn columns() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    set.filter(|&c| c > 0).or_else(|| {
        let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
        Some(width.0.into())
    })
}
