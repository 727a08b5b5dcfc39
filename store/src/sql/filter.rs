//! What narrows a list of runs.

use super::Reads;
use super::scope::NAMESPACE_NO_INDEX;
use super::statement::{Statement, Value};
use crate::store::RunFilter;

/// How long a run lasted; NULL, which no comparison lets through, while it is open.
pub(super) const DURATION: &str = "closed_at - started_at";

/// Columns that a searched text may be in.
const SEARCHED: [&str; 5] = [
    "workflow_id",
    "run_id",
    "workflow_type",
    "error_type",
    "error_message",
];

/// Whether a filter narrows by something that has an index, and fewer rows than a namespace.
pub(super) fn narrows(filter: &RunFilter) -> bool {
    let exact = [
        &filter.workflow_id,
        &filter.run_id,
        &filter.tenant,
        &filter.workflow_type,
        &filter.error_type,
    ];
    !filter.statuses.is_empty() || exact.iter().any(|one| one.is_some())
}

/// Whether a filter has conditions that no index answers.
pub(super) fn scans(filter: &RunFilter) -> bool {
    let bounds = [filter.min_duration, filter.max_duration];
    let costs = [filter.min_cost_usd, filter.max_cost_usd];
    filter.text.is_some()
        || patterns(filter).any(|(_, pattern)| pattern.contains('*'))
        || bounds.iter().any(|bound| bound.is_some())
        || costs.iter().any(|cost| cost.is_some())
}

/// Texts in which `*` may stand for any text.
fn patterns(filter: &RunFilter) -> impl Iterator<Item = (&'static str, &String)> {
    let patterns = [
        ("workflow_type", &filter.workflow_type),
        ("error_type", &filter.error_type),
    ];
    (patterns.into_iter()).filter_map(|(column, pattern)| Some((column, pattern.as_ref()?)))
}

/// Writes the filter's conditions, but for its page and its statuses, after a `WHERE`.
/// `narrowed` if something else narrows the list too.
pub(super) fn narrow<'a, S: Reads>(
    query: &mut Statement<'a>,
    filter: &'a RunFilter,
    narrowed: bool,
) {
    by_index(query, filter, narrowed);
    by_looking::<S>(query, filter);
}

/// Those that an index answers.
pub(super) fn by_index<'a>(query: &mut Statement<'a>, filter: &'a RunFilter, narrowed: bool) {
    query.push("true");
    let namespace = match narrowed || narrows(filter) {
        true => NAMESPACE_NO_INDEX,
        false => "namespace",
    };
    for (column, text) in [
        (namespace, &filter.namespace),
        ("workflow_id", &filter.workflow_id),
        ("run_id", &filter.run_id),
        ("tenant_id", &filter.tenant),
    ] {
        query.and_equal(column, text.as_deref());
    }
    for (column, pattern) in patterns(filter).filter(|(_, pattern)| !pattern.contains('*')) {
        query.and_equal(column, Some(pattern));
    }
    for (bound, number) in [
        ("start_time >= ", filter.started_from),
        ("start_time < ", filter.started_before),
    ] {
        if let Some(number) = number {
            query.push(" AND ").push(bound).value(Value::int(number));
        }
    }
}

/// The others, for which each run is looked at.
pub(super) fn by_looking<'a, S: Reads>(query: &mut Statement<'a>, filter: &'a RunFilter) {
    for (column, pattern) in patterns(filter).filter(|(_, pattern)| pattern.contains('*')) {
        let (operator, pattern) = S::wildcard(pattern);
        query.push(&format!(" AND {column} {operator} "));
        query.value(Value::text(&pattern).into_owned());
    }
    for (bound, number) in [
        (
            &*format!("{DURATION} >= "),
            filter.min_duration.map(Value::int),
        ),
        (
            &*format!("{DURATION} <= "),
            filter.max_duration.map(Value::int),
        ),
        (
            "cost_usd >= ",
            filter.min_cost_usd.map(|n| Value::float(Some(n))),
        ),
        (
            "cost_usd <= ",
            filter.max_cost_usd.map(|n| Value::float(Some(n))),
        ),
    ] {
        if let Some(number) = number {
            query.push(" AND ").push(bound).value(number);
        }
    }
    if let Some(text) = &filter.text {
        let pattern = Value::text(&format!("%{}%", escape_like(text))).into_owned();
        query.push(" AND (false");
        for column in SEARCHED {
            query.push(&format!(" OR {column} {} ", S::LIKE_ANY_CASE));
            query.value(pattern.clone()).push(" ESCAPE '\\'");
        }
        if let Some(trace_id) = trace_id(text) {
            query.push(" OR trace_id = ");
            query.value(Value::text(&trace_id).into_owned());
        }
        query.push(")");
    }
}

/// The trace id that a searched text is, as runs have it: all of one, since part of one is in many.
pub(super) fn trace_id(text: &str) -> Option<String> {
    let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| text.to_ascii_lowercase())
}

/// Text that LIKE takes as it is, with `\` as the escape.
pub(crate) fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
