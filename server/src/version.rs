//! Which program this is.

use std::sync::LazyLock;

/// The commit that it is made of; empty where the build did not know.
const COMMIT: &str = env!("OMNITRACE_BUILT_FROM");

static LONG: LazyLock<String> = LazyLock::new(|| {
    let schema = omnitrace_store::schema_version();
    let version = env!("CARGO_PKG_VERSION");
    match COMMIT {
        "" => format!("{version} (schema {schema})"),
        commit => format!("{version} (commit {commit}, schema {schema})"),
    }
});

/// Version, commit, and the schema of databases that it knows.
pub(crate) fn long() -> &'static str {
    &LONG
}
