//! The schema: which one a file has, and bringing it up to date.
//!
//! Invariant: a schema is made or changed in one transaction that locks out other writers, so any
//! number of processes may start at once on a missing file.

use sqlx::migrate::Migrator;
use sqlx::{Connection, SqliteConnection};

use super::error::open_reason;
use crate::migrations::reached;
use crate::store::{Migrated, OpenError, one_line};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// The newest version that is known.
pub(crate) fn known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// Makes or updates the schema, if that is wanted, or says why the file cannot be used.
pub(super) async fn bring_up(
    connection: &mut SqliteConnection,
    migrate: bool,
    path: &str,
) -> Result<Migrated, OpenError> {
    let unusable = |reason: String| OpenError::Unusable {
        path: path.to_owned(),
        reason,
    };
    let said = |e: sqlx::Error| unusable(open_reason(&e));
    let known = known();
    let check = |found: Found| match found {
        Found::Foreign => Err(unusable(
            "it belongs to another program, name another file".to_owned(),
        )),
        Found::Version(found) if found > known => Err(OpenError::Newer {
            path: path.to_owned(),
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
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(said)?;
    // Another process may have brought it up since, even further.
    let from = check(found(&mut transaction).await.map_err(said)?)?;
    MIGRATIONS
        .run_direct(&mut *transaction)
        .await
        .map_err(|e| unusable(one_line(&e.to_string())))?;
    transaction.commit().await.map_err(said)?;
    Ok(Migrated { from, to: known })
}

enum Found {
    /// 0 is a database without tables of OmniTrace.
    Version(i64),
    /// Another program's migrations.
    Foreign,
}

async fn found(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let (ours, migrated): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE name = 'omnitrace_runs'), \
                count(*) FILTER (WHERE name = '_sqlx_migrations') \
         FROM sqlite_schema WHERE type = 'table'",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (ours, migrated) {
        (0, 0) => Ok(Found::Version(0)),
        (0, _) | (_, 0) => Ok(Found::Foreign),
        _ => version(connection).await.map(Found::Version),
    }
}

/// The newest migration up to which all were applied.
pub(super) async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let applied = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    let applied: Vec<i64> = sqlx::query_scalar(applied).fetch_all(connection).await?;
    let known = MIGRATIONS.iter().map(|migration| migration.version);
    Ok(reached(known, &applied))
}
