//! The table of hourly aggregates.
//!
//! Invariant: an aggregate that is there is replaced by nothing but the sum that a tenant's is added to, and none
//! names a tenant that was erased before its hour.

use std::collections::BTreeSet;

use super::columns::Columns;
use super::statement::{Fields, Statement, Value};
use super::{Reads, Tables, Values, scope};
use crate::hourly::{BUCKETS_MS, DAY, Dimension, Hourly, HourlyKey, Hours, SumsFilter};
use crate::row::Micros;
use crate::store::{AccessScope, ReadError};

/// Aggregates of one transaction that takes a tenant off them.
const HOURS: u32 = 100;

const HOURLY_KEY: [&str; 6] = [
    "namespace",
    "hour",
    "workflow_type",
    "category",
    "tenant_id",
    "model",
];

/// In the order in which they are written and read.
fn hourly_columns() -> Vec<String> {
    let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    [
        named(&HOURLY_KEY),
        named(&["count", "failed", "latency_ms"]),
        BUCKETS_MS.map(|bound| format!("le_{bound}")).to_vec(),
        named(&["input_tokens", "output_tokens", "cost_usd"]),
    ]
    .concat()
}

fn count<'a>(number: u64) -> Value<'a> {
    Value::Int(i64::try_from(number).ok())
}

/// Aggregates of hours that begin within a span of time.
pub(crate) async fn hours<S: Reads>(
    store: &S,
    from: Micros,
    before: Micros,
) -> Result<Hours, ReadError> {
    let mut query = Statement::new(format!(
        "SELECT {} FROM omnitrace_hourly WHERE hour >= ",
        hourly_columns().join(", ")
    ));
    query.value(Value::int(from)).push(" AND hour < ");
    query.value(Value::int(before));
    let rows = store.fetch(query).await?;
    let hours: Result<Hours, sqlx::Error> = rows.iter().map(read_hour).collect();
    Ok(hours?)
}

/// Aggregates added up.
pub(crate) async fn sums<S: Reads>(
    store: &S,
    filter: &SumsFilter,
    allowed: &AccessScope,
) -> Result<Hours, ReadError> {
    let has = |by| filter.by.contains(&by);
    let key = [
        ("namespace", has(Dimension::Namespace)),
        ("hour", has(Dimension::Hour) || has(Dimension::Day)),
        ("workflow_type", has(Dimension::WorkflowType)),
        ("category", has(Dimension::Category)),
        ("tenant_id", has(Dimension::Tenant)),
        ("model", has(Dimension::Model)),
    ];
    let columns = key.map(|(column, wanted)| match (column, wanted) {
        ("hour", true) if !has(Dimension::Hour) => format!("hour - hour % {DAY}"),
        ("hour", false) => "CAST(0 AS bigint)".to_owned(),
        (column, true) => column.to_owned(),
        (_, false) => "CAST('' AS text)".to_owned(),
    });
    let group: Vec<&str> = (columns.iter().zip(key))
        .filter_map(|(column, (_, wanted))| wanted.then_some(column.as_str()))
        .collect();
    let sums = hourly_columns().split_off(HOURLY_KEY.len());
    let sums = sums.iter().map(|column| match column.as_str() {
        "cost_usd" => "sum(cost_usd)".to_owned(),
        column => format!("CAST(sum({column}) AS bigint)"),
    });
    let mut query = Statement::new(format!(
        "SELECT {}, {} FROM omnitrace_hourly WHERE category {} '' AND hour >= ",
        columns.join(", "),
        sums.collect::<Vec<_>>().join(", "),
        if filter.of_steps() { "<>" } else { "=" },
    ));
    query.value(Value::int(filter.from)).push(" AND hour < ");
    query.value(Value::int(filter.before));
    query.and_equal("namespace", filter.namespace.as_deref());
    query.and_equal("workflow_type", filter.workflow_type.as_deref());
    scope::within(&mut query, allowed, true);
    match group.as_slice() {
        [] => query.push(" HAVING count(*) > 0"),
        group => {
            let group = group.join(", ");
            query.push(&format!(" GROUP BY {group} ORDER BY {group}"))
        }
    };
    query.push(" LIMIT ").value(Value::int(filter.limit));
    let rows = store.fetch(query).await?;
    let sums: Result<Hours, sqlx::Error> = rows.iter().map(read_hour).collect();
    Ok(sums?)
}

/// Reads the columns of [`hourly_columns`].
fn read_hour(row: &impl Fields) -> Result<(HourlyKey, Hourly), sqlx::Error> {
    let c = &mut Columns::new(row);
    let key = HourlyKey {
        namespace: c.take()?,
        hour: c.take()?,
        workflow_type: c.take()?,
        category: c.take()?,
        tenant_id: c.take()?,
        model: c.take()?,
    };
    let mut hour = Hourly {
        count: c.take()?,
        failed: c.take()?,
        latency_ms: c.take()?,
        ..Hourly::default()
    };
    for bucket in &mut hour.buckets {
        *bucket = c.take()?;
    }
    hour.input_tokens = c.take()?;
    hour.output_tokens = c.take()?;
    hour.cost_usd = c.take()?;
    Ok((key, hour))
}

/// Values of the columns of [`HOURLY_KEY`].
fn hour_key(key: &HourlyKey) -> Values<'_> {
    vec![
        Value::text(&key.namespace),
        Value::int(key.hour),
        Value::text(&key.workflow_type),
        Value::text(&key.category),
        Value::text(&key.tenant_id),
        Value::text(&key.model),
    ]
}

/// Stores aggregates, under a clause for those that are there.
async fn put_hours<T: Tables>(
    tables: &mut T,
    hours: &Hours,
    clause: &str,
) -> Result<(), sqlx::Error> {
    let rows = (hours.iter())
        .map(|(key, hour)| {
            let mut row = hour_key(key);
            let counts = [hour.count, hour.failed].into_iter();
            row.extend(counts.map(count));
            row.push(Value::int(hour.latency_ms));
            row.extend(hour.buckets.map(count));
            row.extend([
                Value::int(hour.input_tokens),
                Value::int(hour.output_tokens),
                Value::float(Some(hour.cost_usd)),
            ]);
            row
        })
        .collect();
    let columns = hourly_columns();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let clause = format!("ON CONFLICT ({}) {clause}", HOURLY_KEY.join(", "));
    let stored = tables.insert("omnitrace_hourly", &columns, rows, &clause);
    stored.await.map(drop)
}

/// The same without a tenant.
fn nobodys(key: &HourlyKey) -> HourlyKey {
    HourlyKey {
        tenant_id: String::new(),
        ..key.clone()
    }
}

/// Takes the tenant of an erasure off some aggregates: they are added to those of no tenant. Reports how many.
pub(super) async fn strip_tenant<T: Tables>(
    tables: &mut T,
    erasure: &str,
) -> Result<u64, sqlx::Error> {
    let columns = hourly_columns().join(", h.");
    let sql = format!(
        "SELECT h.{columns} FROM t JOIN omnitrace_erasures x ON x.id = t.i \
         JOIN omnitrace_hourly h ON h.tenant_id = x.subject AND h.hour < x.erased_before \
           AND x.namespace IN ('', h.namespace) ORDER BY h.hour LIMIT {HOURS}"
    );
    let row = vec![Value::text(erasure)];
    let named = tables.with_rows(&["i"], vec![row], &sql).await?;
    let named = named.iter().map(read_hour).collect::<Result<Vec<_>, _>>()?;
    let mut sums = Hours::new();
    for (key, hour) in &named {
        *sums.entry(nobodys(key)).or_default() += hour;
    }
    let list = HOURLY_KEY.join(", ");
    let sql = format!("SELECT h.{columns} FROM t JOIN omnitrace_hourly h USING ({list})");
    let rows = sums.keys().map(hour_key).collect();
    for row in &tables.with_rows(&HOURLY_KEY, rows, &sql).await? {
        let (key, hour) = read_hour(row)?;
        *sums.entry(key).or_default() += &hour;
    }
    let set: Vec<String> = (hourly_columns().iter().skip(HOURLY_KEY.len()))
        .map(|c| format!("{c} = excluded.{c}"))
        .collect();
    let clause = format!("DO UPDATE SET {}", set.join(", "));
    put_hours(tables, &sums, &clause).await?;
    let sql = format!("DELETE FROM omnitrace_hourly WHERE ({list}) IN (SELECT {list} FROM t)");
    let rows = named.iter().map(|(key, _)| hour_key(key)).collect();
    tables.with_rows(&HOURLY_KEY, rows, &sql).await?;
    Ok(named.len() as u64)
}

/// Stores aggregates of hours that have none.
pub(super) async fn add<T: Tables>(tables: &mut T, hours: &Hours) -> Result<(), sqlx::Error> {
    let hours = without_erased(tables, hours).await?;
    put_hours(tables, &hours, "DO NOTHING").await
}

/// Aggregates that are about to be stored, without the tenants that were erased.
async fn without_erased<T: Tables>(tables: &mut T, hours: &Hours) -> Result<Hours, sqlx::Error> {
    let tenants: BTreeSet<&str> = hours.keys().map(|key| key.tenant_id.as_str()).collect();
    let rows = tenants.into_iter().map(|t| vec![Value::text(t)]).collect();
    let sql = "SELECT x.subject, x.namespace, x.erased_before FROM t \
               JOIN omnitrace_erasures x ON x.kind = 'tenant' AND x.subject = t.tenant";
    let mut erased: Vec<(String, String, Micros)> = Vec::new();
    for row in &tables.with_rows(&["tenant"], rows, sql).await? {
        let c = &mut Columns::new(row);
        erased.push((c.take()?, c.take()?, c.take()?));
    }
    let is_erased = |key: &HourlyKey| {
        erased.iter().any(|(tenant, namespace, before)| {
            *tenant == key.tenant_id
                && (namespace.is_empty() || *namespace == key.namespace)
                && key.hour < *before
        })
    };
    let mut left = Hours::new();
    for (key, hour) in hours {
        let key = match is_erased(key) {
            true => nobodys(key),
            false => key.clone(),
        };
        *left.entry(key).or_default() += hour;
    }
    Ok(left)
}
