//! `omnitrace set` and `omnitrace switches`: what is switched without a deploy.
//!
//! Invariant: nothing is forgotten: a switch is set or taken back by one more row, with who did it and why.

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use omnitrace::config::Env;
use omnitrace_store::{
    NewSwitch, SWITCH_DELAY, Store, SwitchName, SwitchRow, SwitchScope, Switches,
};
use serde::Serialize;

use crate::cli::filled;
use crate::error::CliError;
use crate::text::clean;
use crate::{database, progress, tokens, when};

#[derive(Debug, Args)]
#[command(after_help = "Switches:
  sample_rate      part of the runs that is recorded, 0 to 1; errors and slow runs are too
  recording        true or false; false records nothing of a run, whatever becomes of it
  capture_content  true or false: whether prompts and responses stay readable
  log_level        off, error, warn, info, debug or trace, where a worker has a SwitchedLevel
  allow_fields     fields whose values are kept, beside the configured ones, separated by commas
  drop_fields      fields that are dropped, beside the configured ones

Every worker follows within ten seconds, with runs that begin from then on. What narrows most
holds: a tenant before a type, a type before an environment.

Examples:
  omnitrace set sample_rate 0.05 --env prod --reason 'rollout, day 1'
  omnitrace set recording false --type NightlyImport --reason 'floods the store'
  omnitrace set drop_fields iban,note --tenant acme --reason 'contract of acme'
  omnitrace switches unset sample_rate --env prod --reason 'rollout done'")]
pub(crate) struct SetArgs {
    /// What to switch.
    #[arg(value_name = "SWITCH", value_parser = name())]
    name: SwitchName,
    /// To what.
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: String,
    #[command(flatten)]
    change: ChangeArgs,
}

/// For what a switch is changed, by whom and why.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Only in this environment: dev, staging or prod, as the workers' OMNITRACE_ENV.
    #[arg(long = "env", value_name = "ENV", value_parser = environment)]
    environment: Option<Env>,
    /// Only for this workflow type.
    #[arg(long = "type", value_name = "TYPE", value_parser = filled)]
    workflow_type: Option<String>,
    /// Only for this tenant, plain or hashed.
    #[arg(long, value_name = "TENANT", value_parser = filled)]
    tenant: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    reason: String,
    /// Who does it.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    by: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SwitchesCommand {
    /// List what is set now.
    #[command(after_help = "Examples:
  omnitrace switches list
  omnitrace switches list --json | jq -r .name")]
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// List every change, the newest first, with who made it and why.
    #[command(after_help = "Examples:
  omnitrace switches history
  omnitrace switches history --json | jq -r .reason")]
    History {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Take a switch back: what is less narrow holds again, or the configuration.
    #[command(after_help = "Exit code: 0 if it is taken back, 1 if it was not set.

Examples:
  omnitrace switches unset sample_rate --env prod --reason 'rollout done'")]
    Unset {
        /// What was switched.
        #[arg(value_name = "SWITCH", value_parser = name())]
        name: SwitchName,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

fn name() -> impl clap::builder::TypedValueParser<Value = SwitchName> {
    let names = SwitchName::ALL.map(SwitchName::as_str);
    // The names are those of `ALL`, so each parses.
    PossibleValuesParser::new(names)
        .map(|name| SwitchName::parse(&name).unwrap_or(SwitchName::SampleRate))
}

fn environment(text: &str) -> Result<Env, &'static str> {
    Env::parse(text).ok_or("write dev, staging or prod")
}

/// Sets a switch.
pub(crate) async fn set(url: Option<&str>, args: SetArgs) -> Result<String, CliError> {
    let SetArgs {
        name,
        value,
        change,
    } = args;
    let value = name.check(&value).map_err(|allowed| {
        CliError::Usage(format!(
            "{} cannot be {value:?}: write {allowed}",
            name.as_str()
        ))
    })?;
    if let Some(pattern) = change
        .workflow_type
        .as_ref()
        .filter(|name| name.contains('*'))
    {
        return Err(CliError::Usage(format!(
            "--type {pattern:?}: a switch is for one workflow type, and `*` is no pattern in its name"
        )));
    }
    apply(url, name, Some(value), change).await
}

/// Lists switches, or takes one back.
pub(crate) async fn run(url: Option<&str>, command: SwitchesCommand) -> Result<String, CliError> {
    match command {
        SwitchesCommand::Unset { name, change } => apply(url, name, None, change).await,
        SwitchesCommand::List { json } => {
            let switches = read(url).await?;
            Ok(list(
                &switches.set(),
                json,
                "nothing is switched: the workers' configuration holds\n",
            ))
        }
        SwitchesCommand::History { json } => {
            let switches = read(url).await?;
            let rows: Vec<&SwitchRow> = switches.history().iter().collect();
            Ok(list(&rows, json, "nothing was ever switched\n"))
        }
    }
}

async fn read(url: Option<&str>) -> Result<Switches, CliError> {
    let store = database::open(&database::parse(url)?).await?;
    let switches = store.switches().await;
    store.close().await;
    Ok(switches?)
}

async fn apply(
    url: Option<&str>,
    name: SwitchName,
    value: Option<String>,
    change: ChangeArgs,
) -> Result<String, CliError> {
    let settings = database::recording_settings()?;
    let policy = settings.policy();
    let new = NewSwitch {
        name,
        scope: SwitchScope {
            environment: change.environment.map(|env| env.as_str().to_owned()),
            workflow_type: change.workflow_type,
            tenant: change.tenant.map(|tenant| tokens::hashed(tenant, &policy)),
        },
        value,
        set_by: change.by,
        reason: change.reason,
    };
    let bar = progress::writing("writing the switch");
    let store = database::open_as_it_is(&database::parse(url)?).await?;
    let done = write(&store, &new).await;
    store.close().await;
    drop(bar);
    let revision = done?;
    let what = match &new.value {
        Some(value) => format!("{} is {}", name.as_str(), clean(value)),
        None => format!("{} is taken back", name.as_str()),
    };
    Ok(format!(
        "{what} for {} (change {revision}): for runs that begin {} seconds from now or later\n",
        place(&new.scope),
        SWITCH_DELAY / 1_000_000
    ))
}

async fn write(store: &Store, new: &NewSwitch) -> Result<i64, CliError> {
    if new.value.is_none() {
        let switches = store.switches().await?;
        let alike = |row: &&SwitchRow| row.name == new.name && row.scope == new.scope;
        if !switches.set().iter().any(alike) {
            return Err(CliError::NotSet(format!(
                "{} is not set for {}: `omnitrace switches list` shows what is",
                new.name.as_str(),
                place(&new.scope)
            )));
        }
    }
    Ok(store.switch(new).await?)
}

/// For a person.
pub(crate) fn place(scope: &SwitchScope) -> String {
    let parts = [
        scope
            .environment
            .as_ref()
            .map(|name| format!("environment {name}")),
        scope
            .workflow_type
            .as_ref()
            .map(|name| format!("type {name}")),
        scope.tenant.as_ref().map(|hash| format!("tenant {hash}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "everything".to_owned(),
        false => clean(&parts.join(", ")),
    }
}

fn list(rows: &[&SwitchRow], json: bool, nothing: &str) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        row: &'a SwitchRow,
        set_at: String,
    }
    if json {
        let line = |row: &&SwitchRow| {
            let set_at = when::exact(row.set_at);
            // Text and numbers alone; of two fields with one name the last stays.
            let line = serde_json::to_value(Line { row, set_at }).unwrap_or_default();
            format!("{line}\n")
        };
        return rows.iter().map(line).collect();
    }
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["CHANGE", "SWITCH", "VALUE", "FOR", "SET", "BY", "WHY"]);
    for row in rows {
        table.add_row([
            row.revision.to_string(),
            row.name.as_str().to_owned(),
            row.value
                .as_deref()
                .map_or_else(|| "(taken back)".to_owned(), clean),
            place(&row.scope),
            when::short(row.set_at),
            clean(&row.set_by),
            clean(&row.reason),
        ]);
    }
    let lines = table.to_string();
    (lines.lines())
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}
