//! Changes of switches.

use super::columns::Columns;
use super::statement::{Statement, Value};
use super::{Job, Reads, Tables};
use crate::store::{OpenOptions, ReadError};
use crate::switches::{NewSwitch, SwitchName, SwitchRow, SwitchScope};

/// Of changes that later ones took the place of, the last so many are read.
const READ: u32 = 1000;

/// Adds a change, numbered after the last.
pub(crate) struct Add<'a>(pub(crate) &'a NewSwitch);

impl Job for Add<'_> {
    type Report = i64;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<i64, sqlx::Error> {
        let any = |name: &'_ Option<String>| name.clone().unwrap_or_default();
        let scope = &self.0.scope;
        let scope = [&scope.environment, &scope.workflow_type, &scope.tenant].map(any);
        let [environment, workflow_type, tenant] = &scope;
        let row = vec![
            Value::text(self.0.name.as_str()),
            Value::text(environment),
            Value::text(workflow_type),
            Value::text(tenant),
            Value::maybe_text(self.0.value.as_deref()),
            Value::text(&self.0.set_by),
            Value::text(&self.0.reason),
        ];
        let columns = [
            "name",
            "environment",
            "workflow_type",
            "tenant_id",
            "value",
            "set_by",
            "reason",
        ];
        let list = columns.join(", ");
        let sql = format!(
            "INSERT INTO omnitrace_switches (revision, {list}, set_at) \
             SELECT 1 + coalesce((SELECT max(revision) FROM omnitrace_switches), 0), {list}, {now} \
             FROM t WHERE true RETURNING revision",
            now = T::NOW
        );
        let added = tables.with_rows(&columns, vec![row], &sql).await?;
        let row = added.first().ok_or(sqlx::Error::RowNotFound)?;
        Columns::new(row).take()
    }
}

/// Takes out what was ever switched for a tenant; reports how many changes that were.
pub(super) async fn forget_tenant<T: Tables>(
    tables: &mut T,
    tenant: &str,
) -> Result<u64, sqlx::Error> {
    let sql = "DELETE FROM omnitrace_switches WHERE tenant_id IN (SELECT tenant FROM t) \
               RETURNING revision";
    let of = vec![vec![Value::text(tenant)]];
    let gone = tables.with_rows(&["tenant"], of, sql).await?;
    Ok(gone.len() as u64)
}

/// The last changes, and those that hold however long ago they were made.
pub(crate) async fn read<S: Reads>(store: &S) -> Result<Vec<SwitchRow>, ReadError> {
    let mut query = Statement::new(
        "SELECT revision, name, environment, workflow_type, tenant_id, value, set_by, reason, set_at \
         FROM omnitrace_switches WHERE revision IN (SELECT max(revision) FROM omnitrace_switches \
           GROUP BY name, environment, workflow_type, tenant_id) \
         OR revision > (SELECT max(revision) FROM omnitrace_switches) - ",
    );
    query.value(Value::int(READ));
    query.push(" ORDER BY revision DESC");
    let rows = store.fetch(query).await?;
    let mut switches = Vec::with_capacity(rows.len());
    for row in &rows {
        let c = &mut Columns::new(row);
        let (revision, name): (i64, String) = (c.take()?, c.take()?);
        let mut any = || -> Result<Option<String>, ReadError> {
            let name: String = c.take()?;
            Ok((!name.is_empty()).then_some(name))
        };
        let scope = SwitchScope {
            environment: any()?,
            workflow_type: any()?,
            tenant: any()?,
        };
        let (value, set_by, reason, set_at) = (c.take()?, c.take()?, c.take()?, c.take()?);
        // A name of a later version is nothing to this one.
        if let Some(name) = SwitchName::parse(&name) {
            switches.push(SwitchRow {
                revision,
                name,
                scope,
                value,
                set_by,
                reason,
                set_at,
            });
        }
    }
    Ok(switches)
}
