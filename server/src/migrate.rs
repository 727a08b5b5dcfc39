//! `omnitrace migrate`: brings a schema up to date. Of the other commands those that fill a store from histories do
//! so too, as a worker does; the rest takes it as it is.

use omnitrace_store::Store;

use crate::database;
use crate::error::CliError;
use crate::text::clean;

/// Runs the command.
pub(crate) async fn run(url: Option<&str>) -> Result<String, CliError> {
    let url = database::parse(url)?;
    let done = Store::migrate(&url).await?;
    let what = match (done.from, done.to) {
        (from, to) if from == to => format!("has schema {to} already"),
        (0, to) => format!("has schema {to} now, and had none"),
        (from, to) => format!("went from schema {from} to {to}"),
    };
    Ok(format!("{} {what}\n", clean(&url.to_string())))
}
