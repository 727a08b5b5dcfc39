//! Why a task ends early. Every message is one line that tells the reader what to do.

use std::path::PathBuf;

/// The one error type of the tasks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The user, or the system, asked the task to stop; the number is the signal's.
    #[error("stopped")]
    Interrupted(i32),
    /// A command ran and failed; it has said why itself.
    #[error("{what} failed (exit code {code})")]
    Failed {
        /// What failed, in the reader's words.
        what: String,
        /// Its exit code, as a shell would give it.
        code: u8,
    },
    /// Something is missing or wrong; the text says what to do.
    #[error("{0}")]
    Advice(String),
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program's name.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code the task ends with.
    pub(crate) fn code(&self) -> u8 {
        match self {
            // Shells give 128 + the signal's number; signals fit in a byte.
            Self::Interrupted(signal) => 128u8.saturating_add(u8::try_from(*signal).unwrap_or(2)),
            Self::Failed { code, .. } => *code,
            _ => 1,
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
