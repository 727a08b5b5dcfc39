//! What the driver takes to store the same rows with nothing around it: rows of the product's tables,
//! upserted or copied into tables like them, in transactions of the same size.

use anyhow::{Context, ensure};
use sqlx::{Connection, PgConnection, Row, SqliteConnection};

use crate::database::{Bare, Database};

/// A table, and how many columns its key has.
const TABLES: [(&str, usize); 2] = [("omnitrace_runs", 3), ("omnitrace_events", 4)];

/// Rows per statement of SQLite, as the product has them.
const CHUNK: usize = 64;

/// Rows of both tables.
pub(crate) struct Rows {
    tables: Vec<Table>,
}

struct Table {
    name: &'static str,
    key: usize,
    columns: Vec<(String, Column)>,
    rows: usize,
}

/// Values of a column.
enum Column {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

impl Rows {
    /// All rows of a PostgreSQL database, in the order of their keys.
    pub(crate) async fn read(database: &Database) -> anyhow::Result<Self> {
        let Bare::Postgres(mut connection) = database.connect().await? else {
            anyhow::bail!("rows are read from PostgreSQL: it says what its columns are");
        };
        let mut tables = Vec::new();
        for (name, key) in TABLES {
            let known: Vec<(String, String)> = sqlx::query_as(
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                 WHERE table_name = $1 ORDER BY ordinal_position",
            )
            .bind(name)
            .fetch_all(&mut connection)
            .await?;
            let selected = known.iter().map(|(column, kind)| match kind.as_str() {
                "smallint" => format!("{column}::bigint"),
                _ => column.clone(),
            });
            let selected = selected.collect::<Vec<_>>().join(", ");
            let order: Vec<_> = known.iter().take(key).map(|(c, _)| c.as_str()).collect();
            let sql = format!(
                "SELECT {selected} FROM {name} ORDER BY {}",
                order.join(", ")
            );
            let rows = sqlx::query(&sql).fetch_all(&mut connection).await?;
            let columns = known.into_iter().enumerate().map(|(at, (column, kind))| {
                let values = match kind.as_str() {
                    "text" => Column::Text(values(&rows, at)?),
                    "boolean" => Column::Flag(values(&rows, at)?),
                    "double precision" => Column::Float(values(&rows, at)?),
                    _ => Column::Int(values(&rows, at)?),
                };
                anyhow::Ok((column, values))
            });
            tables.push(Table {
                name,
                key,
                columns: columns.collect::<Result<_, _>>()?,
                rows: rows.len(),
            });
        }
        ensure!(
            tables.iter().all(|table| table.rows > 0),
            "nothing was recorded"
        );
        Ok(Self { tables })
    }

    pub(crate) fn count(&self) -> usize {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Upserts them, this many in a transaction.
    pub(crate) async fn upsert(&self, bare: &mut Bare, batch: usize) -> anyhow::Result<()> {
        let parts = self.count().div_ceil(batch);
        for part in 0..parts {
            let own = |table: &Table| table.rows * part / parts..table.rows * (part + 1) / parts;
            match bare {
                Bare::Sqlite(connection) => {
                    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                    for table in &self.tables {
                        table.upsert_sqlite(&mut transaction, own(table)).await?;
                    }
                    transaction.commit().await?;
                }
                Bare::Postgres(connection) => {
                    let mut transaction = connection.begin().await?;
                    for table in &self.tables {
                        table.upsert_postgres(&mut transaction, own(table)).await?;
                    }
                    transaction.commit().await?;
                }
            }
        }
        Ok(())
    }

    /// Copies them, this many in a transaction.
    pub(crate) async fn copy(&self, bare: &mut Bare, batch: usize) -> anyhow::Result<()> {
        let Bare::Postgres(connection) = bare else {
            anyhow::bail!("only PostgreSQL has COPY");
        };
        let parts = self.count().div_ceil(batch);
        for part in 0..parts {
            let mut transaction = connection.begin().await?;
            for table in &self.tables {
                let own = table.rows * part / parts..table.rows * (part + 1) / parts;
                let names = table.names();
                let sql = format!("COPY {} ({names}) FROM STDIN", table.name);
                let mut copy = transaction.copy_in_raw(&sql).await?;
                copy.send(table.as_text(own).as_bytes()).await?;
                copy.finish().await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }
}

fn values<'r, T>(rows: &'r [sqlx::postgres::PgRow], at: usize) -> anyhow::Result<Vec<T>>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let values = rows.iter().map(|row| row.try_get(at));
    values.collect::<Result<_, _>>().context("a column")
}

type Range = std::ops::Range<usize>;

impl Table {
    fn names(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    fn clause(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let (key, rest) = names.split_at(self.key);
        let set: Vec<_> = rest.iter().map(|c| format!("{c} = excluded.{c}")).collect();
        format!(
            "ON CONFLICT ({}) DO UPDATE SET {}",
            key.join(", "),
            set.join(", ")
        )
    }

    async fn upsert_postgres(&self, to: &mut PgConnection, own: Range) -> anyhow::Result<()> {
        let arrays = self.columns.iter().enumerate().map(|(at, (_, column))| {
            let kind = match column {
                Column::Text(_) => "text",
                Column::Int(_) => "bigint",
                Column::Float(_) => "double precision",
                Column::Flag(_) => "boolean",
            };
            format!("${}::{kind}[]", at + 1)
        });
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}) {}",
            self.name,
            self.names(),
            arrays.collect::<Vec<_>>().join(", "),
            self.clause()
        );
        let mut query = sqlx::query(&sql);
        for (_, column) in &self.columns {
            query = match column {
                Column::Text(values) => query.bind(&values[own.clone()]),
                Column::Int(values) => query.bind(&values[own.clone()]),
                Column::Float(values) => query.bind(&values[own.clone()]),
                Column::Flag(values) => query.bind(&values[own.clone()]),
            };
        }
        query.execute(to).await?;
        Ok(())
    }

    async fn upsert_sqlite(&self, to: &mut SqliteConnection, own: Range) -> anyhow::Result<()> {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let mut at = own.start;
        while at < own.end {
            let size = if own.end - at >= CHUNK { CHUNK } else { 1 };
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {} {}",
                self.name,
                self.names(),
                vec![row.as_str(); size].join(", "),
                self.clause()
            );
            let mut query = sqlx::query(&sql);
            for at in at..at + size {
                for (_, column) in &self.columns {
                    query = match column {
                        Column::Text(values) => query.bind(&values[at]),
                        Column::Int(values) => query.bind(values[at]),
                        Column::Float(values) => query.bind(values[at]),
                        Column::Flag(values) => query.bind(values[at]),
                    };
                }
            }
            query.execute(&mut *to).await?;
            at += size;
        }
        Ok(())
    }

    /// As COPY reads text.
    fn as_text(&self, own: Range) -> String {
        let mut text = String::new();
        for row in own {
            for (at, (_, column)) in self.columns.iter().enumerate() {
                if at > 0 {
                    text.push('\t');
                }
                let value = match column {
                    Column::Text(values) => values[row].as_deref().map(escaped),
                    Column::Int(values) => values[row].map(|value| value.to_string()),
                    Column::Float(values) => values[row].map(|value| value.to_string()),
                    Column::Flag(values) => values[row].map(|value| value.to_string()),
                };
                text.push_str(value.as_deref().unwrap_or("\\N"));
            }
            text.push('\n');
        }
        text
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c => escaped.push(c),
        }
    }
    escaped
}
