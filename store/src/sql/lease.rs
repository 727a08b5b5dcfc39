//! Leases: who may do what is done once per namespace.
//!
//! Invariant: only the database's clock is asked, so processes whose clocks differ agree.

use std::time::Duration;

use super::statement::Value;
use super::{Job, Tables};
use crate::store::OpenOptions;

/// Nobody needs a lease for longer, and the sum with the time of day must stay a number.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Takes or renews a lease; reports whether it is the holder's.
pub(crate) struct Lease<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) holder: &'a str,
    /// `None` gives it back.
    pub(crate) time: Option<Duration>,
}

impl Job for Lease<'_> {
    type Report = bool;

    async fn run<T: Tables>(&self, tables: &mut T, _: &OpenOptions) -> Result<bool, sqlx::Error> {
        let mut row = vec![
            Value::text(self.namespace),
            Value::text(self.name),
            Value::text(self.holder),
        ];
        let mut columns = vec!["namespace", "name", "holder"];
        let sql = match self.time {
            Some(time) => {
                columns.push("ttl");
                row.push(Value::Int(
                    i64::try_from(time.min(LONGEST).as_micros()).ok(),
                ));
                format!(
                    "INSERT INTO omnitrace_leases (namespace, name, holder, expires_at) \
                     SELECT namespace, name, holder, {now} + ttl FROM t WHERE true \
                     ON CONFLICT (namespace, name) DO UPDATE \
                     SET holder = excluded.holder, expires_at = excluded.expires_at \
                     WHERE omnitrace_leases.holder = excluded.holder \
                        OR omnitrace_leases.expires_at <= {now} \
                     RETURNING holder",
                    now = T::NOW
                )
            }
            None => "DELETE FROM omnitrace_leases WHERE (namespace, name, holder) IN \
                     (SELECT namespace, name, holder FROM t) RETURNING holder"
                .to_owned(),
        };
        let held = tables.with_rows(&columns, vec![row], &sql).await?;
        Ok(!held.is_empty())
    }
}
