//! Runs in numbers: how many, how they ended, how long they took, what they cost.

use super::columns::Columns;
use super::filter::DURATION;
use super::statement::{Statement, Value};
use super::{Reads, scope};
use crate::hourly::HOUR;
use crate::row::Status;
use crate::store::{AccessScope, ReadError, RunStats, StatsFilter};

/// Of the closed runs of a group, sorted by how long they took, the first that as many percent did not
/// exceed.
const PERCENTILES: [u32; 3] = [50, 95, 99];

pub(crate) async fn runs<S: Reads>(
    store: &S,
    filter: &StatsFilter,
    allowed: &AccessScope,
) -> Result<Vec<RunStats>, ReadError> {
    let hour = match filter.hourly {
        true => format!("start_time / {HOUR}"),
        false => "CAST(0 AS bigint)".to_owned(),
    };
    let mut query = Statement::new(format!(
        "WITH r AS (SELECT {hour} AS hour, workflow_type, status, {DURATION} AS took, \
         input_tokens, output_tokens, cost_usd FROM omnitrace_runs WHERE start_time >= "
    ));
    query.value(Value::int(filter.from));
    query
        .push(" AND start_time < ")
        .value(Value::int(filter.before));
    query.and_equal("namespace", filter.namespace.as_deref());
    query.and_equal("workflow_type", filter.workflow_type.as_deref());
    scope::within(&mut query, allowed, true);
    query.push(
        "), ranked AS (SELECT hour, workflow_type, took, \
         row_number() OVER (PARTITION BY hour, workflow_type ORDER BY took) AS place, \
         count(*) OVER (PARTITION BY hour, workflow_type) AS among \
         FROM r WHERE took IS NOT NULL), \
         slow AS (SELECT hour, workflow_type",
    );
    for percent in PERCENTILES {
        query.push(&format!(
            ", min(CASE WHEN place * 100 >= among * {percent} THEN took END) AS p{percent}"
        ));
    }
    query.push(
        " FROM ranked GROUP BY hour, workflow_type) SELECT r.hour, r.workflow_type, count(*)",
    );
    for which in [
        is(|status| status == Status::Completed),
        is(Status::is_error),
        is(|status| !status.is_closed()),
    ] {
        query.push(&format!(
            ", CAST(sum(CASE WHEN r.status IN ({which}) THEN 1 ELSE 0 END) AS bigint)"
        ));
    }
    query.push(
        ", CAST(sum(r.input_tokens) AS bigint), CAST(sum(r.output_tokens) AS bigint), \
         sum(r.cost_usd), min(slow.p50), min(slow.p95), min(slow.p99) \
         FROM r LEFT JOIN slow ON slow.hour = r.hour AND slow.workflow_type = r.workflow_type \
         GROUP BY r.hour, r.workflow_type ORDER BY r.hour, r.workflow_type LIMIT ",
    );
    query.value(Value::int(filter.limit));
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(RunStats {
                hour: c.take::<i64>()?.saturating_mul(HOUR),
                workflow_type: c.take()?,
                started: c.take()?,
                completed: c.take()?,
                failed: c.take()?,
                open: c.take()?,
                input_tokens: c.take()?,
                output_tokens: c.take()?,
                cost_usd: c.take()?,
                p50: c.take()?,
                p95: c.take()?,
                p99: c.take()?,
            })
        })
        .collect()
}

/// The statuses of a kind, as a list of SQL.
fn is(kind: impl Fn(Status) -> bool) -> String {
    let of_kind = Status::ALL.iter().filter(|status| kind(**status));
    let quoted: Vec<_> = of_kind.map(|s| format!("'{}'", s.as_str())).collect();
    quoted.join(", ")
}
