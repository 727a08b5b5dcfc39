//! A statement and its values, the same for each database.
//!
//! Invariant: what a caller gives is a value, never part of the text. Text passes
//! [`super::text`] on its way to the database and back.

use std::borrow::Cow;

use super::text;

/// A value with its kind, which it has also when it is NULL.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Float(Option<f64>),
    Flag(bool),
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Some(text::stored(text)))
    }

    pub(crate) fn maybe_text(text: Option<&'a str>) -> Self {
        Self::Text(text.map(text::stored))
    }

    pub(crate) fn int(number: impl Into<i64>) -> Self {
        Self::Int(Some(number.into()))
    }

    pub(crate) fn maybe_int(number: Option<impl Into<i64>>) -> Self {
        Self::Int(number.map(Into::into))
    }

    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(text.map(|text| Cow::Owned(text.into_owned()))),
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(number),
            Self::Flag(flag) => Value::Flag(flag),
        }
    }

    /// SQLite keeps what is no number as NULL.
    pub(crate) fn float(number: Option<f64>) -> Self {
        Self::Float(number.filter(|n| !n.is_nan()))
    }
}

/// The text of a statement, with `$1`, `$2`, … for its values.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) text: String,
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn value(&mut self, value: Value<'a>) -> &mut Self {
        self.values.push(value);
        self.text.push_str(&format!("${}", self.values.len()));
        self
    }

    /// ` AND column = text`, if there is a text.
    pub(crate) fn and_equal(&mut self, column: &str, text: Option<&'a str>) {
        if let Some(text) = text {
            self.push(&format!(" AND {column} = "));
            self.value(Value::text(text));
        }
    }
}

/// The rows of a table with these keys; `None` without a key.
pub(crate) fn select<'a>(
    what: &str,
    table: &str,
    columns: &[&str],
    keys: impl Iterator<Item = Vec<Value<'a>>>,
) -> Option<Statement<'a>> {
    let columns = columns.join(", ");
    let mut query = Statement::new(format!(
        "SELECT {what} FROM {table} WHERE ({columns}) IN (VALUES "
    ));
    for key in keys {
        let first = query.values.is_empty();
        query.push(if first { "" } else { ", " });
        for (at, value) in key.into_iter().enumerate() {
            query.push(if at == 0 { "(" } else { ", " }).value(value);
        }
        query.push(")");
    }
    query.push(")");
    (!query.values.is_empty()).then_some(query)
}

/// A row that was read.
pub(crate) trait Fields {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error>;
    fn int(&self, at: usize) -> Result<Option<i64>, sqlx::Error>;
    fn float(&self, at: usize) -> Result<Option<f64>, sqlx::Error>;
    fn flag(&self, at: usize) -> Result<bool, sqlx::Error>;
}

/// A type of a field.
pub(crate) trait Field: Sized {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error>;
}

fn decode(at: usize, said: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {at}: {said}").into())
}

fn not_null<T>(at: usize, value: Option<T>) -> Result<T, sqlx::Error> {
    value.ok_or_else(|| decode(at, "NULL is not expected"))
}

impl Field for Option<String> {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
        Ok(row.text(at)?.map(text::read))
    }
}

impl Field for String {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
        not_null(at, Field::read(row, at)?)
    }
}

macro_rules! integers {
    ($($name:ty),+) => {$(
        impl Field for Option<$name> {
            fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
                (row.int(at)?)
                    .map(|n| n.try_into().map_err(|_| decode(at, "the number is out of range")))
                    .transpose()
            }
        }

        impl Field for $name {
            fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
                not_null(at, Field::read(row, at)?)
            }
        }
    )+};
}

integers!(i64, u64, u32, u8);

impl Field for Option<f64> {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
        row.float(at)
    }
}

impl Field for f64 {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
        not_null(at, row.float(at)?)
    }
}

impl Field for bool {
    fn read(row: &impl Fields, at: usize) -> Result<Self, sqlx::Error> {
        row.flag(at)
    }
}
