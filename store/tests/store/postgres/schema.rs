//! Making and changing the schema.

use futures_util::future::join_all;
use omnitrace_store::row::RunRow;
use omnitrace_store::{DatabaseUrl, OpenError, OpenOptions, Store};
use sqlx::Executor;

use super::{OwnDatabase, TestStore};
use crate::support::{Database, run_key, runs};

fn not_migrating() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.migrate = false;
    options
}

async fn newest(url: &DatabaseUrl) -> i64 {
    let store = Store::open(url, OpenOptions::default()).await.unwrap();
    let version = store.stats().await.unwrap().schema_version;
    store.close().await;
    version
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_an_empty_database_at_once() {
    let database = OwnDatabase::make().await;
    let opening = (0..8).map(|_| {
        let url = database.url();
        tokio::spawn(async move { newest(&url).await })
    });
    let versions: Vec<i64> = (join_all(opening).await.into_iter())
        .map(Result::unwrap)
        .collect();
    assert!(
        versions
            .iter()
            .all(|version| *version == versions[0] && *version > 0)
    );
}

#[tokio::test]
async fn a_missing_or_newer_schema_is_left_alone_and_named() {
    let database = OwnDatabase::make().await;
    let mut reading = not_migrating();
    reading.read_only = true;
    for options in [not_migrating(), reading.clone()] {
        let error = Store::open(&database.url(), options).await.unwrap_err();
        assert!(
            matches!(error, OpenError::Older { found: 0, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("omnitrace migrate"), "{error}");
    }
    let known = newest(&database.url()).await;
    let sql = "INSERT INTO _sqlx_migrations VALUES (99, 'later', '2030-01-01', true, '\\x00', 0)";
    database.connection().await.execute(sql).await.unwrap();
    for options in [OpenOptions::default(), not_migrating(), reading] {
        let error = Store::open(&database.url(), options).await.unwrap_err();
        assert!(
            matches!(error, OpenError::Newer { found: 99, known: k, .. } if k == known),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn migrating_says_from_where_to_where() {
    let database = OwnDatabase::make().await;
    let done = Store::migrate(&database.url()).await.unwrap();
    assert!(done.from == 0 && done.to > 0, "{done:?}");
    let again = Store::migrate(&database.url()).await.unwrap();
    assert_eq!((again.from, again.to), (done.to, done.to));
}

#[tokio::test]
async fn another_programs_tables_are_left_alone_and_a_schema_beside_them_is_ours() {
    let database = OwnDatabase::make().await;
    let mut app = database.connection().await;
    app.execute("CREATE TABLE _sqlx_migrations (version bigint); CREATE SCHEMA own")
        .await
        .unwrap();
    let error = Store::open(&database.url(), OpenOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");

    let own = database.url_query("options=-c%20search_path%3Down");
    assert!(newest(&own).await > 0);
    let missing = database.url_query("options=-c%20search_path%3Dmissing");
    let error = Store::open(&missing, OpenOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("search_path"), "{error}");
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_records_once_they_are_there() {
    let test = TestStore::new().await;
    let role = format!("role_{}", std::process::id());
    let mut admin = test.database.connection().await;
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'hunter2';
         GRANT USAGE ON SCHEMA public TO {role};
         REVOKE CREATE ON SCHEMA public FROM {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM {role};"
    );
    admin.execute(sql.as_str()).await.unwrap();
    let as_role = |database: &OwnDatabase| {
        database.url_with(|url| {
            url.set_username(&role).unwrap();
            url.set_password(Some("hunter2")).unwrap();
        })
    };
    let store = Store::open(&as_role(&test.database), OpenOptions::default())
        .await
        .unwrap();
    store
        .write(&runs(vec![RunRow::new(run_key("r1"))]))
        .await
        .unwrap();
    store.close().await;

    let empty = OwnDatabase::make().await;
    let revoke = "REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    empty.connection().await.execute(revoke).await.unwrap();
    let error = Store::open(&as_role(&empty), OpenOptions::default())
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("permission denied") && error.contains("omnitrace migrate"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    admin.execute(gone.as_str()).await.unwrap();
}
