//! Why something was not done; each tells the reader what to do.

/// Why an URL names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not one of the known schemes. The URL is not repeated: it may hold a password.
    #[error(
        "a database URL begins with sqlite:// or postgres://; that of a file is sqlite://omnitrace.db or \
         sqlite:///var/lib/omnitrace.db"
    )]
    Scheme,
    /// No path.
    #[error(
        "a sqlite:// URL needs a file name, as sqlite://omnitrace.db or sqlite:///var/lib/omnitrace.db"
    )]
    NoPath,
    /// A file with parameters.
    #[error(
        "a sqlite:// URL is a file alone and takes no parameters: leave out the ? and what follows it"
    )]
    Parameters,
    /// No URL of a PostgreSQL server. What is said repeats nothing of it but names of parameters.
    #[error("not a postgres:// URL, as postgres://user@host:5432/database: {0}")]
    Postgres(String),
}

/// Why a store could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Opened for reading, and it is not there.
    #[error(
        "no database at {path}: run a worker with the plugin first, make one with `omnitrace migrate`, or name \
         another in OMNITRACE_DATABASE_URL"
    )]
    Missing {
        /// Absolute path.
        path: String,
    },
    /// Anything else that the database says.
    #[error("cannot open the database at {path}: {reason}")]
    Unusable {
        /// Absolute path, or host without credentials.
        path: String,
        /// One line.
        reason: String,
    },
    /// Its schema is older than this program needs, and was not to be changed.
    #[error(
        "the database at {path} has schema {found}, this program needs {known}: run `omnitrace \
         migrate`, or start a worker with the plugin and OMNITRACE_MIGRATE=true on it"
    )]
    Older {
        /// Absolute path, or host without credentials.
        path: String,
        /// Schema found; 0 is none.
        found: i64,
        /// Schema needed.
        known: i64,
    },
    /// Its schema is newer than this program.
    #[error(
        "the database at {path} has schema {found}, this program knows up to {known}: update OmniTrace"
    )]
    Newer {
        /// Absolute path, or host without credentials.
        path: String,
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
}

/// Why a batch was not written. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Worth trying again: locked, full, read-only, I/O error, …
    #[error("the database did not take the rows, they will be offered again: {0}")]
    Retry(String),
    /// The database file is damaged.
    #[error("the database is damaged ({0}): move it away, OmniTrace makes a new one")]
    Corrupt(String),
}

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What the database said.
    #[error("cannot read the database: {0}")]
    Database(String),
}

/// The text of the database alone, without what wraps it.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => one_line(error.message()),
        None => one_line(&error.to_string()),
    }
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(reason(&error))
    }
}
