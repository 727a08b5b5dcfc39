//! What a caller may see, as a condition.

use super::statement::{Statement, Value};
use crate::store::AccessScope;

/// The column of the namespace where something else narrows more. SQLite knows nothing of how many rows have
/// which value and would take the index of the namespace, which may be that of all runs; an expression is
/// in no index.
pub(super) const NAMESPACE_NO_INDEX: &str = "coalesce(namespace, '')";

/// Writes ` AND …` for rows of `omnitrace_runs`; `narrowed` if something else narrows them more.
pub(super) fn within<'a>(query: &mut Statement<'a>, scope: &'a AccessScope, narrowed: bool) {
    let namespace = match narrowed || scope.tenants.is_some() {
        true => NAMESPACE_NO_INDEX,
        false => "namespace",
    };
    for (column, allowed) in [
        (namespace, &scope.namespaces),
        ("tenant_id", &scope.tenants),
    ] {
        let Some(allowed) = allowed else { continue };
        query.push(&format!(" AND {column} IN ("));
        // An empty list is no SQL; nothing equals NULL.
        if allowed.is_empty() {
            query.push("NULL");
        }
        for (at, value) in allowed.iter().enumerate() {
            query.push(if at > 0 { ", " } else { "" });
            query.value(Value::text(value));
        }
        query.push(")");
    }
}

/// The same for rows of `omnitrace_events`: their run must be within it.
pub(super) fn run_within<'a>(query: &mut Statement<'a>, scope: &'a AccessScope) {
    if *scope == AccessScope::ALL {
        return;
    }
    query.push(
        " AND EXISTS (SELECT 1 FROM omnitrace_runs AS r WHERE r.namespace = e.namespace \
         AND r.workflow_id = e.workflow_id AND r.run_id = e.run_id",
    );
    // The columns are those of the run, which is nearer.
    within(query, scope, true);
    query.push(")");
}
