//! The schema: which one a database has, and bringing it up to date.
//!
//! Invariant: a schema is made or changed in one transaction under a lock of the server's, so any
//! number of processes may start at once. One that is up to date is only read, so that a role without
//! the right to create tables can record.

use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::migrations::reached;
use crate::store::{Migrated, OpenError, one_line, reason};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../migrations/postgres");
    // Ours below lasts as long as the transaction, whatever becomes of the connection.
    migrations.set_locking(false);
    migrations
});

/// "omnitrac": whom the lock belongs to.
const LOCK: i64 = i64::from_be_bytes(*b"omnitrac");

/// Makes or updates the schema, if that is wanted, or says why the database cannot be used.
pub(super) async fn bring_up(
    connection: &mut PgConnection,
    migrate: bool,
    shown: &str,
) -> Result<Migrated, OpenError> {
    let unusable = |reason: String| OpenError::Unusable {
        path: shown.to_owned(),
        reason,
    };
    let said = |e: sqlx::Error| unusable(reason(&e));
    let known = MIGRATIONS.iter().map(|m| m.version).max();
    let known = known.unwrap_or_default();
    let check = |found: Found| match found {
        Found::NoSchema => Err(unusable(
            "no schema of its search_path exists: create one, or take it out of the URL".to_owned(),
        )),
        Found::Foreign => Err(unusable(
            "its tables belong to another program: name another database, or a schema of its own \
             by options=-c%20search_path%3Domnitrace in the URL"
                .to_owned(),
        )),
        Found::Version(found) if found > known => Err(OpenError::Newer {
            path: shown.to_owned(),
            found,
            known,
        }),
        Found::Version(found) => Ok(found),
    };
    let version = check(found(connection).await.map_err(said)?)?;
    if version == known {
        return Ok(Migrated::none(known));
    }
    if !migrate {
        return Err(OpenError::Older {
            path: shown.to_owned(),
            found: version,
            known,
        });
    }
    let mut transaction = connection.begin().await.map_err(said)?;
    // Waits for others as long as they need: their statements have limits of their own.
    sqlx::query("SELECT set_config('statement_timeout', '0', true), pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(said)?;
    // Another process may have brought it up since, even further.
    let from = check(found(&mut transaction).await.map_err(said)?)?;
    MIGRATIONS
        .run_direct(&mut *transaction)
        .await
        .map_err(|e| {
            unusable(format!(
                "its schema cannot be changed ({}): run `omnitrace migrate` as a role that may \
                 create tables",
                one_line(&e.to_string())
            ))
        })?;
    transaction.commit().await.map_err(said)?;
    Ok(Migrated { from, to: known })
}

enum Found {
    /// 0 is a schema without tables of OmniTrace.
    Version(i64),
    /// Another program's migrations.
    Foreign,
    /// Nowhere to make tables in.
    NoSchema,
}

async fn found(connection: &mut PgConnection) -> Result<Found, sqlx::Error> {
    let (schema, ours, migrated): (bool, i64, i64) = sqlx::query_as(
        "SELECT current_schema() IS NOT NULL, \
                count(*) FILTER (WHERE tablename = 'omnitrace_runs'), \
                count(*) FILTER (WHERE tablename = '_sqlx_migrations') \
         FROM pg_tables WHERE schemaname = current_schema()",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (ours, migrated) {
        _ if !schema => Ok(Found::NoSchema),
        (0, 0) => Ok(Found::Version(0)),
        (0, _) | (_, 0) => Ok(Found::Foreign),
        _ => version(connection).await.map(Found::Version),
    }
}

/// The newest migration up to which all were applied.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let applied = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    let applied: Vec<i64> = sqlx::query_scalar(applied).fetch_all(connection).await?;
    let known = MIGRATIONS.iter().map(|migration| migration.version);
    Ok(reached(known, &applied))
}
