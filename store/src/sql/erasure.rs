//! Erasing in small transactions, and refusing what comes of erased runs.
//!
//! Invariant: a write sees every erasure that had begun when it was committed: beginning one waits for the
//! writes that are under way, and those that come wait for it. So no row of an erased run is ever committed,
//! however late it comes and whatever tells whose it is.

use std::collections::BTreeMap;

use super::columns::{Columns, RUN_KEY, key_values};
use super::hourly::strip_tenant;
use super::statement::{Statement, Value};
use super::write::lock_existing;
use super::{Job, Reads, Tables, Values, switches, tokens};
use crate::erasure::{
    Erasable, EraseStep, Erasure, ErasureRequest, Subject, run_hash, workflow_hash,
};
use crate::row::{RunKey, RunRow};
use crate::store::{OpenOptions, ReadError};

/// Runs of one transaction.
const RUNS: usize = 100;

/// Events of one transaction, but of a single run with more.
const EVENTS: u64 = 500;

/// How deep children are followed.
const DEPTH: usize = 100;

/// The columns by which [`is_erased`] knows a run, in `t`.
pub(super) const HASHES: [&str; 3] = ["run_hash", "parent_hash", "workflow_hash"];

/// Their values.
pub(super) fn hashes<'a>(run: &RunKey, parent: Option<&RunKey>) -> [Value<'a>; 3] {
    [
        Some(run_hash(run)),
        parent.map(run_hash),
        Some(workflow_hash(&run.workflow_id)),
    ]
    .map(|hash| Value::Text(hash.map(Into::into)))
}

/// Whether a run is erased: a condition on `t`, and on the run's user, tenant and start as the stored row has
/// them. A run whose start is not known is judged as one that was before.
pub(super) fn is_erased(user: &str, tenant: &str, start: &str) -> String {
    format!(
        "(EXISTS (SELECT 1 FROM omnitrace_erased_runs x WHERE x.run IN (t.run_hash, t.parent_hash)) \
         OR EXISTS (SELECT 1 FROM omnitrace_erasures x \
           WHERE x.subject IN (t.workflow_hash, {user}, {tenant}) \
             AND ((x.kind = 'workflow_id' AND x.subject = t.workflow_hash) \
               OR (x.kind = 'user' AND x.subject = {user}) \
               OR (x.kind = 'tenant' AND x.subject = {tenant})) \
             AND x.namespace IN ('', t.namespace) AND x.erased_before > coalesce({start}, 0)))"
    )
}

/// Whether a run, under one name, went on from another by continue-as-new, a retry or a schedule, and tells of
/// nobody itself: a condition. It knows the whole chain, so none is missed that comes after one that is gone.
fn continues(run: &str, of: &str, column: &str) -> String {
    format!(
        "{run}.namespace = {of}.namespace AND {run}.workflow_id = {of}.workflow_id \
         AND {run}.first_execution_run_id = {of}.first_execution_run_id \
         AND {run}.start_time > {of}.start_time AND {run}.{column} IS NULL AND {run}.phase >= 0"
    )
}

/// Takes out all that is stored of runs, and keeps it away. Reports how many events went.
pub(super) async fn forget<T: Tables>(
    tables: &mut T,
    runs: &[&RunKey],
) -> Result<u64, sqlx::Error> {
    let rows = (runs.iter())
        .map(|run| vec![Value::Text(Some(run_hash(run).into()))])
        .collect();
    let clause = "ON CONFLICT (run) DO NOTHING";
    tables
        .insert("omnitrace_erased_runs", &["run"], rows, clause)
        .await?;
    let list = RUN_KEY.join(", ");
    let mut events = 0;
    for table in [
        "omnitrace_events",
        "omnitrace_cuts",
        "omnitrace_promotions",
        "omnitrace_runs",
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE ({list}) IN (SELECT {list} FROM t) RETURNING run_id"
        );
        let rows = runs.iter().map(|run| key_values(run).into()).collect();
        let gone = tables.with_rows(&RUN_KEY, rows, &sql).await?;
        if table == "omnitrace_events" {
            events = gone.len() as u64;
        }
    }
    Ok(events)
}

/// Begins an erasure, or takes up one that was stopped; reports its id.
pub(crate) struct Begin<'a>(pub(crate) &'a ErasureRequest);

impl Job for Begin<'_> {
    type Report = String;

    const ALONE: bool = true;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<String, sqlx::Error> {
        let request = self.0;
        let subject = request.subject.hash();
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let of = vec![
            Value::text(request.subject.kind()),
            Value::text(&subject),
            Value::text(namespace),
        ];
        let sql = format!(
            "UPDATE omnitrace_erasures SET erased_before = {} FROM t \
             WHERE omnitrace_erasures.kind = t.k AND omnitrace_erasures.subject = t.s \
               AND omnitrace_erasures.namespace = t.n AND done_at IS NULL RETURNING id",
            T::NOW
        );
        let stopped = tables
            .with_rows(&["k", "s", "n"], vec![of.clone()], &sql)
            .await?;
        if let Some(row) = stopped.first() {
            return Columns::new(row).take();
        }
        let mut row = of;
        row.extend([Value::text(&request.by), Value::text(&request.reason)]);
        let sql = format!(
            "INSERT INTO omnitrace_erasures \
               (id, kind, subject, namespace, erased_before, done_by, reason) \
             SELECT {}, kind, subject, namespace, {}, done_by, reason FROM t RETURNING id",
            T::NEW_ID,
            T::NOW
        );
        let columns = ["kind", "subject", "namespace", "done_by", "reason"];
        let begun = tables.with_rows(&columns, vec![row], &sql).await?;
        let row = begun.first().ok_or(sqlx::Error::RowNotFound)?;
        Columns::new(row).take()
    }
}

/// Takes out some of what an erasure covers.
pub(crate) struct Step<'a> {
    pub(crate) id: &'a str,
    pub(crate) request: &'a ErasureRequest,
}

impl Job for Step<'_> {
    type Report = EraseStep;

    /// What comes of the runs that go waits, and is refused then.
    const ALONE: bool = true;

    async fn run<T: Tables>(
        &self,
        tables: &mut T,
        _: &OpenOptions,
    ) -> Result<EraseStep, sqlx::Error> {
        let runs = self.runs(tables).await?;
        if !runs.is_empty() {
            let keys: Vec<&RunKey> = runs.iter().collect();
            lock_existing(tables, runs.iter()).await?;
            let events = forget(tables, &keys).await?;
            let runs = runs.len() as u64;
            self.count(tables, [runs, events, 0, 0]).await?;
            return Ok(EraseStep::Rows { runs, events });
        }
        if let Subject::Tenant(tenant) = &self.request.subject {
            let hours = strip_tenant(tables, self.id).await?;
            if hours > 0 {
                self.count(tables, [0, 0, hours, 0]).await?;
                return Ok(EraseStep::Hours(hours));
            }
            if self.request.namespace.is_none() {
                tokens::forget_tenant(tables, tenant).await?;
                let switches = switches::forget_tenant(tables, tenant).await?;
                self.count(tables, [0, 0, 0, switches]).await?;
            }
        }
        let sql = format!(
            "UPDATE omnitrace_erasures SET done_at = {} FROM t \
             WHERE omnitrace_erasures.id = t.i AND done_at IS NULL",
            T::NOW
        );
        let row = vec![Value::text(self.id)];
        tables.with_rows(&["i"], vec![row], &sql).await?;
        Ok(EraseStep::Done)
    }
}

impl Step<'_> {
    /// Runs that go next: the children of a run before it, and those that went on from it, so that whoever stops
    /// in between finds them again.
    async fn runs<T: Tables>(&self, tables: &mut T) -> Result<Vec<RunKey>, sqlx::Error> {
        let (column, subject) = self.request.subject.column();
        let namespace = self.request.namespace.as_deref().unwrap_or_default();
        let of = || {
            vec![
                Value::text(self.id),
                Value::text(subject),
                Value::text(namespace),
            ]
        };
        let sql = format!(
            "SELECT r.namespace, r.workflow_id, r.run_id, r.event_count FROM t \
             JOIN omnitrace_erasures x ON x.id = t.i \
             JOIN omnitrace_runs r ON r.{column} = t.s AND r.start_time < x.erased_before \
               AND t.n IN ('', r.namespace) AND r.phase >= 0 LIMIT {RUNS}"
        );
        let mut found = tables.with_rows(&["i", "s", "n"], vec![of()], &sql).await?;
        if found.is_empty() && matches!(self.request.subject, Subject::WorkflowId(_)) {
            found = self.without_run(tables, of()).await?;
        }
        let mut chosen = counted(&found)?;
        if column != "workflow_id" {
            let rows = chosen.iter().map(|(run, _)| {
                let mut row = Vec::from(key_values(run));
                row.push(Value::text(self.id));
                row
            });
            let sql = format!(
                "SELECT r.namespace, r.workflow_id, r.run_id, r.event_count FROM t \
                 JOIN omnitrace_erasures x ON x.id = t.i \
                 JOIN omnitrace_runs o ON o.namespace = t.namespace \
                   AND o.workflow_id = t.workflow_id AND o.run_id = t.run_id \
                 JOIN omnitrace_runs r ON {} AND r.start_time < x.erased_before LIMIT {RUNS}",
                continues("r", "o", column)
            );
            let columns = [&RUN_KEY[..], &["i"]].concat();
            let found = tables.with_rows(&columns, rows.collect(), &sql).await?;
            let later: BTreeMap<RunKey, u64> = counted(&found)?.into_iter().collect();
            if !later.is_empty() {
                chosen = later.into_iter().collect();
            }
        }
        for _ in 0..DEPTH {
            let rows = chosen
                .iter()
                .map(|(run, _)| key_values(run).into())
                .collect();
            let sql = format!(
                "SELECT r.namespace, r.workflow_id, r.run_id, r.event_count FROM t \
                 JOIN omnitrace_runs r ON r.parent_namespace = t.namespace \
                   AND r.parent_workflow_id = t.workflow_id AND r.parent_run_id = t.run_id \
                 WHERE r.phase >= 0 \
                   AND (r.namespace, r.workflow_id, r.run_id) NOT IN (SELECT * FROM t) LIMIT {RUNS}"
            );
            let children = tables.with_rows(&RUN_KEY, rows, &sql).await?;
            if children.is_empty() {
                break;
            }
            chosen = counted(&children)?;
        }
        let mut events = 0;
        let few = chosen.into_iter().take_while(|(_, count)| {
            let first = events == 0;
            events += count + 1;
            first || events <= EVENTS
        });
        Ok(few.map(|(run, _)| run).collect())
    }

    /// Keys of rows of the workflow id whose run has no row; no index leads to them without a namespace, so
    /// those that there are are looked up.
    async fn without_run<T: Tables>(
        &self,
        tables: &mut T,
        of: Values<'_>,
    ) -> Result<Vec<T::Row>, sqlx::Error> {
        let parts = [
            ("omnitrace_events", "nullif(e.start_time, 0)"),
            ("omnitrace_cuts", "CAST(NULL AS bigint)"),
            ("omnitrace_promotions", "e.at"),
        ];
        let names = parts.map(|(table, _)| {
            format!(
                "names_{table}(name) AS (SELECT min(namespace) FROM {table} UNION ALL \
                   SELECT (SELECT min(namespace) FROM {table} WHERE namespace > n.name) \
                   FROM names_{table} n WHERE n.name IS NOT NULL)"
            )
        });
        let rows = parts.map(|(table, began)| {
            format!(
                "SELECT e.namespace, e.workflow_id, e.run_id, {began} AS began FROM t \
                 JOIN names_{table} n ON t.n IN ('', n.name) \
                 JOIN {table} e ON e.namespace = n.name AND e.workflow_id = t.s"
            )
        });
        let (names, rows) = (names.join(", "), rows.join(" UNION ALL "));
        let sql = |t: &str| {
            format!(
                "WITH RECURSIVE t(i, s, n) AS ({t}), {names} \
                 SELECT o.namespace, o.workflow_id, o.run_id, count(*) FROM ({rows}) AS o \
                 JOIN t ON true JOIN omnitrace_erasures x ON x.id = t.i \
                 LEFT JOIN omnitrace_runs r ON r.namespace = o.namespace \
                   AND r.workflow_id = o.workflow_id AND r.run_id = o.run_id \
                 WHERE r.run_id IS NULL \
                 GROUP BY o.namespace, o.workflow_id, o.run_id, x.erased_before \
                 HAVING coalesce(min(o.began), 0) < x.erased_before LIMIT {RUNS}"
            )
        };
        tables.over(vec![of], sql).await
    }

    async fn count<T: Tables>(&self, tables: &mut T, counts: [u64; 4]) -> Result<(), sqlx::Error> {
        let sql = "UPDATE omnitrace_erasures SET runs = runs + t.r, events = events + t.e, \
                   hours = hours + t.h, switches = switches + t.s FROM t \
                   WHERE omnitrace_erasures.id = t.i";
        let mut row = vec![Value::text(self.id)];
        row.extend(counts.map(|n| Value::Int(i64::try_from(n).ok())));
        let columns = ["i", "r", "e", "h", "s"];
        tables.with_rows(&columns, vec![row], sql).await.map(drop)
    }
}

/// Runs, and how many events each has.
fn counted<R: super::Fields>(rows: &[R]) -> Result<Vec<(RunKey, u64)>, sqlx::Error> {
    (rows.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok((c.key()?, c.take()?))
        })
        .collect()
}

/// Whether nothing may be stored of a run.
pub(crate) async fn find<S: Reads>(store: &S, run: &RunRow) -> Result<bool, ReadError> {
    let mut query = Statement::new(
        "WITH t(namespace, run_hash, parent_hash, workflow_hash, u, n, s) AS (SELECT ",
    );
    let [own, parent, workflow] = hashes(&run.key, run.parent.as_ref());
    let values = [
        Value::text(&run.key.namespace),
        own,
        parent,
        workflow,
        Value::maybe_text(run.user.as_ref().map(|user| user.hash.as_str())),
        Value::maybe_text(run.tenant.as_ref().map(|tenant| tenant.hash.as_str())),
        Value::maybe_int(run.started_at),
    ];
    for (at, value) in values.into_iter().enumerate() {
        query.push(if at > 0 { ", " } else { "" }).value(value);
    }
    let condition = is_erased("t.u", "t.n", "t.s");
    query.push(&format!(") SELECT 1 FROM t WHERE {condition}"));
    Ok(!store.fetch(query).await?.is_empty())
}

/// How much an erasure would take out.
pub(crate) async fn count<S: Reads>(
    store: &S,
    subject: &Subject,
    namespace: Option<&str>,
) -> Result<Erasable, ReadError> {
    let key = RUN_KEY.join(", ");
    let (column, is) = subject.column();
    let mut query = Statement::new(format!("WITH RECURSIVE gone({key}) AS ("));
    let tables: &[&str] = match subject {
        Subject::WorkflowId(_) => &["omnitrace_runs", "omnitrace_events"],
        _ => &["omnitrace_runs"],
    };
    for table in tables {
        query.push(&format!("SELECT {key} FROM {table} WHERE {column} = "));
        query.value(Value::text(is));
        query.and_equal("namespace", namespace);
        query.push(" UNION ");
    }
    if column != "workflow_id" {
        query.push(&format!(
            "SELECT c.namespace, c.workflow_id, c.run_id FROM omnitrace_runs o \
             JOIN omnitrace_runs c ON {} WHERE o.{column} = ",
            continues("c", "o", column)
        ));
        query.value(Value::text(is));
        query.and_equal("o.namespace", namespace);
        query.push(" UNION ");
    }
    query.push(&format!(
        "SELECT c.namespace, c.workflow_id, c.run_id FROM gone g JOIN omnitrace_runs c \
           ON c.parent_namespace = g.namespace AND c.parent_workflow_id = g.workflow_id \
           AND c.parent_run_id = g.run_id) SELECT {}, \
         (SELECT count(*) FROM gone g JOIN omnitrace_runs r USING ({key}) JOIN omnitrace_runs p \
           ON p.namespace = r.parent_namespace AND p.workflow_id = r.parent_workflow_id \
           AND p.run_id = r.parent_run_id \
           WHERE (p.namespace, p.workflow_id, p.run_id) NOT IN (SELECT {key} FROM gone))",
        ["runs", "events", "cuts", "promotions"]
            .map(|of| format!("(SELECT count(*) FROM gone JOIN omnitrace_{of} USING ({key}))"))
            .join(", ")
    ));
    let mut found = Erasable::default();
    if let Some(row) = store.fetch(query).await?.first() {
        let c = &mut Columns::new(row);
        found.runs = c.take()?;
        found.events = c.take()?;
        found.cuts = c.take()?;
        found.promotions = c.take()?;
        found.named_by = c.take()?;
    }
    if let Subject::Tenant(tenant) = subject {
        let mut query = Statement::new("SELECT count(*) FROM omnitrace_hourly WHERE tenant_id = ");
        query.value(Value::text(tenant));
        query.and_equal("namespace", namespace);
        if let Some(row) = store.fetch(query).await?.first() {
            found.hours = Columns::new(row).take()?;
        }
        if namespace.is_none() {
            let tokens = tokens::read(store, None).await?;
            let names = |token: &&crate::store::TokenRow| {
                let tenants = token.scope.tenants.as_ref();
                tenants.is_some_and(|tenants| tenants.contains(tenant))
            };
            found.tokens = tokens.iter().filter(names).count() as u64;
            let mut query =
                Statement::new("SELECT count(*) FROM omnitrace_switches WHERE tenant_id = ");
            query.value(Value::text(tenant));
            if let Some(row) = store.fetch(query).await?.first() {
                found.switches = Columns::new(row).take()?;
            }
        }
    }
    Ok(found)
}

/// What is kept of erasures, oldest first.
pub(crate) async fn all<S: Reads>(store: &S) -> Result<Vec<Erasure>, ReadError> {
    let query = Statement::new(
        "SELECT id, kind, subject, namespace, erased_before, done_at, done_by, reason, runs, events, \
         hours, switches FROM omnitrace_erasures ORDER BY erased_before, id",
    );
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(Erasure {
                id: c.take()?,
                kind: c.take()?,
                subject: c.take()?,
                namespace: Some(c.take::<String>()?).filter(|name| !name.is_empty()),
                erased_before: c.take()?,
                done_at: c.take()?,
                done_by: c.take()?,
                reason: c.take()?,
                runs: c.take()?,
                events: c.take()?,
                hours: c.take()?,
                switches: c.take()?,
            })
        })
        .collect()
}

/// How many runs each policy made.
pub(crate) async fn policies<S: Reads>(store: &S) -> Result<Vec<(String, u64)>, ReadError> {
    let query = Statement::new(
        "SELECT policy_id, count(*) FROM omnitrace_runs GROUP BY policy_id ORDER BY 2 DESC, 1",
    );
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok((c.take()?, c.take()?))
        })
        .collect()
}
