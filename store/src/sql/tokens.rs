//! Tokens that open the API.
//!
//! Invariant: a row never changes but to be taken back.

use super::columns::Columns;
use super::settle::unreadable;
use super::statement::{Statement, Value};
use super::{Job, Reads, Tables};
use crate::row::Micros;
use crate::store::{AccessScope, OpenOptions, ReadError, TokenRow};

const COLUMNS: [&str; 9] = [
    "id",
    "name",
    "hash",
    "rights",
    "namespaces",
    "tenants",
    "created_at",
    "expires_at",
    "revoked_at",
];

/// Keeps a new one.
pub(crate) struct Create<'a>(pub(crate) &'a TokenRow);

impl Job for Create<'_> {
    type Report = ();

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<(), sqlx::Error> {
        let token = self.0;
        let rights = json(&token.rights);
        let namespaces = token.scope.namespaces.as_ref().map(json);
        let tenants = token.scope.tenants.as_ref().map(json);
        let row = vec![
            Value::text(&token.id),
            Value::text(&token.name),
            Value::text(&token.hash),
            Value::text(&rights),
            Value::maybe_text(namespaces.as_deref()),
            Value::maybe_text(tenants.as_deref()),
            Value::int(token.created_at),
            Value::maybe_int(token.expires_at),
            Value::maybe_int(token.revoked_at),
        ];
        let table = "omnitrace_tokens";
        tables.insert(table, &COLUMNS, vec![row], "").await?;
        Ok(())
    }
}

/// Takes one back; reports whether there was one to be taken back.
pub(crate) struct Revoke<'a> {
    pub(crate) id: &'a str,
    pub(crate) at: Micros,
}

impl Job for Revoke<'_> {
    type Report = bool;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<bool, sqlx::Error> {
        let row = vec![Value::text(self.id), Value::int(self.at)];
        let sql = "UPDATE omnitrace_tokens SET revoked_at = t.at FROM t \
                   WHERE omnitrace_tokens.id = t.id AND revoked_at IS NULL \
                   RETURNING omnitrace_tokens.id";
        let revoked = tables.with_rows(&["id", "at"], vec![row], sql).await?;
        Ok(!revoked.is_empty())
    }
}

/// Takes a tenant off the lists of tokens. One without a tenant left shows nothing.
pub(super) async fn forget_tenant<T: Tables>(
    tables: &mut T,
    tenant: &str,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT k.id, k.tenants FROM t \
               JOIN omnitrace_tokens k ON k.tenants LIKE '%\"' || t.tenant || '\"%'";
    let naming = vec![vec![Value::text(tenant)]];
    let naming = tables.with_rows(&["tenant"], naming, sql).await?;
    let mut left = Vec::new();
    for row in &naming {
        let c = &mut Columns::new(row);
        let (id, tenants): (String, String) = (c.take()?, c.take()?);
        let mut tenants = list(&tenants).map_err(unreadable)?;
        tenants.retain(|one| one != tenant);
        left.push([id, json(&tenants)]);
    }
    let rows = left
        .iter()
        .map(|row| row.iter().map(|t| Value::text(t)).collect());
    let sql =
        "UPDATE omnitrace_tokens SET tenants = t.list FROM t WHERE omnitrace_tokens.id = t.name";
    let rows = rows.collect();
    tables
        .with_rows(&["name", "list"], rows, sql)
        .await
        .map(drop)
}

/// All of them, or the one with this id.
pub(crate) async fn read<S: Reads>(
    store: &S,
    id: Option<&str>,
) -> Result<Vec<TokenRow>, ReadError> {
    let columns = COLUMNS.join(", ");
    let mut query = Statement::new(format!("SELECT {columns} FROM omnitrace_tokens"));
    if let Some(id) = id {
        query.push(" WHERE id = ").value(Value::text(id));
    }
    query.push(" ORDER BY created_at, id");
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            Ok(TokenRow {
                id: c.take()?,
                name: c.take()?,
                hash: c.take()?,
                rights: list(&c.take::<String>()?)?,
                scope: AccessScope {
                    namespaces: maybe_list(c.take()?)?,
                    tenants: maybe_list(c.take()?)?,
                },
                created_at: c.take()?,
                expires_at: c.take()?,
                revoked_at: c.take()?,
            })
        })
        .collect()
}

fn json(list: &Vec<String>) -> String {
    // Text has no way to fail.
    serde_json::to_string(list).unwrap_or_default()
}

fn list(json: &str) -> Result<Vec<String>, ReadError> {
    serde_json::from_str(json).map_err(|e| ReadError::Database(format!("a token's list: {e}")))
}

/// What cannot be read shows nothing: an error, never "everything".
fn maybe_list(json: Option<String>) -> Result<Option<Vec<String>>, ReadError> {
    json.as_deref().map(list).transpose()
}
