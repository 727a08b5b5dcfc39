//! All text that is stored, table by table, for those who look through it.
//!
//! Invariant: every column of every table of ours is looked at, also one that this program does not know; at
//! most a page is held.

use crate::row::Micros;
use crate::store::{ReadError, Store};

/// A table, and its columns of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTable {
    /// Its name.
    pub name: String,
    /// Columns of its primary key, in order.
    pub key: Vec<String>,
    /// Columns of text, those of the key included.
    pub texts: Vec<String>,
    /// Columns of the key that hold numbers.
    pub(crate) numbers: Vec<String>,
    /// Whether its rows tell when they began.
    pub(crate) begins: bool,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    /// Its key.
    pub key: Vec<String>,
    /// What its columns of text hold.
    pub texts: Vec<Option<String>>,
}

impl Store {
    /// The tables of this store.
    ///
    /// # Errors
    /// What the database said.
    pub async fn text_tables(&self) -> Result<Vec<TextTable>, ReadError> {
        self.all_text_tables().await
    }

    /// Rows of a table in the order of their keys, those after a key, and those that began at or after a moment
    /// where rows tell it.
    ///
    /// # Errors
    /// What the database said.
    pub async fn text_rows(
        &self,
        table: &TextTable,
        after: Option<&[String]>,
        since: Option<Micros>,
        limit: u32,
    ) -> Result<Vec<TextRow>, ReadError> {
        self.page_of_texts(table, after, since, limit).await
    }
}
