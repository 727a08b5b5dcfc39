//! `omnitrace migrate`.

use crate::Database;

#[tokio::test]
async fn it_says_from_which_schema_to_which() {
    let database = Database::missing();
    let first = database.stdout(&["migrate"]);
    assert!(
        first.starts_with("sqlite://[folder]/omnitrace.db has schema ")
            && first.ends_with(" now, and had none\n"),
        "{first}"
    );
    let again = database.stdout(&["migrate"]);
    assert!(again.ends_with(" already\n"), "{again}");
    assert!(database.stdout(&["list"]).contains("no run is recorded"));
}

#[tokio::test]
async fn recording_to_no_store_has_nothing_to_migrate() {
    let (code, line) = Database::missing().failure(&["migrate", "--database-url", "none"]);
    assert_eq!(code, 1);
    assert!(line.contains("nothing is stored"), "{line}");
}
