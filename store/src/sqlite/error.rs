//! What SQLite says, as the store's errors: one line each.

use crate::store::{WriteError, reason};

/// SQLITE_BUSY and SQLITE_LOCKED.
const BUSY: [u32; 2] = [5, 6];
/// SQLITE_CORRUPT and SQLITE_NOTADB.
const DAMAGED: [u32; 2] = [11, 26];

/// The primary result code.
fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    // An extended code holds the primary one in its low byte.
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| BUSY.contains(&code))
}

fn is_damaged(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| DAMAGED.contains(&code))
}

/// Why a file could not be opened.
pub(super) fn open_reason(error: &sqlx::Error) -> String {
    let reason = reason(error);
    if is_damaged(error) {
        format!("the file is damaged or no database ({reason}), move it away")
    } else {
        reason
    }
}

pub(super) fn write_error(error: &sqlx::Error) -> WriteError {
    if is_damaged(error) {
        WriteError::Corrupt(reason(error))
    } else {
        WriteError::Retry(reason(error))
    }
}
