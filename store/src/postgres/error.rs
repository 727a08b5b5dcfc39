//! What PostgreSQL says: which of it passes by itself.

use sqlx::postgres::PgDatabaseError;

/// SQLSTATEs after which the same transaction may go through at once: serialization_failure,
/// deadlock_detected, and a server or a session that was ended while others take its place.
const PASSING: [&str; 6] = ["40001", "40P01", "57P01", "57P02", "57P03", "57P05"];

/// Whether a transaction that ended so is worth another try at once. A commit whose answer was lost
/// is: the merge rule makes a second writing of the same rows harmless.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_some_and(
            // Class 08: the connection.
            |e| PASSING.contains(&e.code()) || e.code().starts_with("08"),
        ),
        _ => false,
    }
}
