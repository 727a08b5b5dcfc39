//! Reading all text of all tables.

use std::collections::BTreeMap;

use super::Reads;
use super::columns::Columns;
use super::statement::{Statement, Value};
use crate::row::Micros;
use crate::store::ReadError;
use crate::texts::{TextRow, TextTable};

pub(crate) async fn tables<S: Reads>(store: &S) -> Result<Vec<TextTable>, ReadError> {
    let mut tables: Vec<TextTable> = Vec::new();
    let mut keys: BTreeMap<u64, String> = BTreeMap::new();
    for row in &store.fetch(Statement::new(S::COLUMNS)).await? {
        let c = &mut Columns::new(row);
        let (name, column): (String, String) = (c.take()?, c.take()?);
        let (is_text, place): (u64, u64) = (c.take()?, c.take()?);
        if tables.last().is_none_or(|table| table.name != name) {
            end_key(&mut tables, &mut keys);
            tables.push(TextTable {
                name,
                ..TextTable::default()
            });
        }
        let Some(table) = tables.last_mut() else {
            continue;
        };
        if place > 0 {
            keys.insert(place, column.clone());
        }
        table.begins |= column == "start_time";
        if is_text > 0 {
            table.texts.push(column);
        } else if place > 0 {
            table.numbers.push(column);
        }
    }
    end_key(&mut tables, &mut keys);
    Ok(tables)
}

fn end_key(tables: &mut [TextTable], keys: &mut BTreeMap<u64, String>) {
    if let Some(table) = tables.last_mut() {
        table.key = std::mem::take(keys).into_values().collect();
    }
}

/// Names come from the database, and are of tables of ours.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) async fn rows<S: Reads>(
    store: &S,
    table: &TextTable,
    after: Option<&[String]>,
    since: Option<Micros>,
    limit: u32,
) -> Result<Vec<TextRow>, ReadError> {
    let columns = table.key.iter().chain(&table.texts);
    let columns: Vec<_> = columns
        .map(|column| format!("CAST({} AS text)", quoted(column)))
        .collect();
    let name = quoted(&table.name);
    let mut query = Statement::new(format!(
        "SELECT {} FROM {name} WHERE true",
        columns.join(", ")
    ));
    let key: Vec<String> = table.key.iter().map(|column| quoted(column)).collect();
    let key = key.join(", ");
    if let Some(since) = since.filter(|_| table.begins) {
        query.push(" AND start_time >= ").value(Value::int(since));
    }
    if let Some(after) = after {
        query.push(&format!(" AND ({key}) > ("));
        for (at, (column, value)) in table.key.iter().zip(after).enumerate() {
            query.push(if at > 0 { ", " } else { "" });
            match table.numbers.contains(column) {
                true => query.value(Value::Int(value.parse().ok())),
                false => query.value(Value::text(value)),
            };
        }
        query.push(")");
    }
    query.push(&format!(" ORDER BY {key} LIMIT "));
    query.value(Value::int(limit));
    (store.fetch(query).await?.iter())
        .map(|row| {
            let c = &mut Columns::new(row);
            let key = table.key.iter().map(|_| c.take());
            let key = key.collect::<Result<Vec<String>, sqlx::Error>>()?;
            let texts = table.texts.iter().map(|_| c.take());
            let texts = texts.collect::<Result<Vec<Option<String>>, sqlx::Error>>()?;
            Ok(TextRow { key, texts })
        })
        .collect()
}
