//! Arguments of what opens the API to others.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{filled, some_duration};
use crate::tokens::Right;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it: it cannot be shown again.
    #[command(after_help = "Examples:
  omnitrace token create --name grafana --right admin --tenant '*' --namespace '*'
  omnitrace token create --name 'support of acme' --tenant acme --namespace orders --expires 90d")]
    Create(TokenCreateArgs),
    /// List tokens, those that ended or were taken back included.
    #[command(after_help = "Examples:
  omnitrace token list
  omnitrace token list --json | jq -r .id")]
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back: it opens nothing from then on.
    #[command(after_help = "Examples:
  omnitrace token revoke 8d1f0c2a77e3")]
    Revoke {
        /// Id of the token, as listed.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// Whom it is for.
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    pub(crate) name: String,
    /// What it allows; repeat it, or separate several by commas.
    #[arg(
        long = "right",
        value_name = "RIGHT",
        value_delimiter = ',',
        default_value = "read"
    )]
    pub(crate) rights: Vec<Right>,
    /// Tenant whose runs it shows, plain or hashed; * is every run. Repeat it.
    #[arg(long = "tenant", value_name = "TENANT", required = true, value_parser = filled)]
    pub(crate) tenants: Vec<String>,
    /// Temporal namespace that it shows; * is every one. Repeat it.
    #[arg(long = "namespace", value_name = "NAME", required = true, value_parser = filled)]
    pub(crate) namespaces: Vec<String>,
    /// After how long it ends, as 12h, 90d; never without it.
    #[arg(long, value_name = "TIME", value_parser = some_duration)]
    pub(crate) expires: Option<Duration>,
}
