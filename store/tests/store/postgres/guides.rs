//! The SQL of the guides, as it stands there.

use std::path::{Path, PathBuf};

use omnitrace_store::{OpenOptions, Store};
use sqlx::{Executor, Row};

use super::OwnDatabase;
use crate::support::{Database, attempt, closed_run, events, run_key, runs, step};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

/// All of it, page by page.
fn blocks() -> Vec<String> {
    let pages = std::fs::read_dir(page("")).unwrap();
    let mut pages: Vec<PathBuf> = pages.map(|page| page.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|of| of == "md"));
    pages.sort();
    let texts = pages
        .iter()
        .map(|page| std::fs::read_to_string(page).unwrap());
    let blocks = texts.flat_map(|text| {
        let parts = text.split("```sql\n").skip(1);
        let blocks = parts.map(|part| part.split("```").next().unwrap().to_owned());
        blocks.collect::<Vec<_>>()
    });
    blocks.collect()
}

#[tokio::test]
async fn roles_a_query_and_the_spreading_of_tables_work_as_the_guide_has_them() {
    let blocks: Result<[String; 4], _> = blocks().try_into();
    // The second is tried where its roles are: with the commands that they are for.
    let [roles, _, query, spreading] = blocks.expect("four blocks; another one wants a test here");
    let database = OwnDatabase::make().await;
    let mut admin = database.connection().await;

    // Roles are the server's, which other tests use: this one's have names and a password of its own.
    let name = |role: &str| format!("guide_{role}_{}", std::process::id());
    let (owner, recorder) = (name("owner"), name("recorder"));
    let names = ["owner", "recorder", "server", "reader", "admin"];
    let roles = names
        .iter()
        .fold(roles.replace("'…'", "'hunter2'"), |sql, role| {
            sql.replace(&format!("omnitrace_{role}"), &name(role))
        });
    let (creating, granting) = roles.split_once("\\c omnitrace\n").unwrap();
    assert_eq!(creating, "CREATE DATABASE omnitrace;\n");
    admin.execute(granting).await.unwrap();
    let of = |role: &str| {
        database.url_with(|url| {
            url.set_username(role).unwrap();
            url.set_password(Some("hunter2")).unwrap();
        })
    };
    let migrated = Store::migrate(&of(&owner)).await.unwrap();
    let said = format!("has schema {} now, and had none", migrated.to);
    let guide = std::fs::read_to_string(page("postgresql.md")).unwrap();
    assert!(guide.contains(&said), "{said}");

    let mut options = OpenOptions::default();
    options.migrate = false;
    let store = Store::open(&of(&recorder), options).await.unwrap();
    let key = run_key("r1");
    store.write(&runs(vec![closed_run(&key)])).await.unwrap();
    let rows = vec![step(&key, 1, 1_000_000), attempt(&key, 1, 1, 1_000_000)];
    store.write(&events(rows)).await.unwrap();
    store.close().await;
    let found = admin.fetch_all(query.as_str()).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].get::<String, _>("workflow_id"), key.workflow_id);

    // As Citus has them, in name alone.
    let stubs = "CREATE FUNCTION create_distributed_table(name text, key text, colocate_with text DEFAULT '')
           RETURNS text LANGUAGE sql AS 'SELECT name::regclass::text';
         CREATE FUNCTION create_reference_table(name text)
           RETURNS text LANGUAGE sql AS 'SELECT name::regclass::text';";
    admin.execute(stubs).await.unwrap();
    let mut spread = Vec::new();
    for statement in spreading.lines() {
        let row = admin.fetch_one(statement).await.unwrap();
        spread.push(row.get::<String, _>(0));
    }
    spread.sort();
    let all = "SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'omnitrace_%' ORDER BY 1";
    let all: Vec<String> = sqlx::query_scalar(all).fetch_all(&mut admin).await.unwrap();
    assert_eq!(spread, all);

    for role in names.map(name) {
        let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
        admin.execute(gone.as_str()).await.unwrap();
    }
}
