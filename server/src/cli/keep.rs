//! Arguments of what is kept, looked through and erased.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use omnitrace_store::hourly::Dimension;

use super::{filled, number};
use crate::api::{DIMENSIONS, dimension};
use crate::audit::Pattern;
use crate::when::Moment;

/// How long rows are kept.
#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    /// Days that the events of a closed run are kept, or none to keep them; by OMNITRACE_ENV: dev none,
    /// staging 7, prod 14.
    #[arg(long, value_name = "DAYS", env = "OMNITRACE_RETENTION_EVENTS_DAYS")]
    pub(crate) events_days: Option<Days>,
    /// Days that a closed run is kept, like --events-days; its events never stay longer.
    #[arg(long, value_name = "DAYS", env = "OMNITRACE_RETENTION_RUNS_DAYS")]
    pub(crate) runs_days: Option<Days>,
    /// Days that the hourly aggregates are kept after the rows of their hour went, or none to keep them.
    #[arg(
        long,
        value_name = "DAYS",
        env = "OMNITRACE_RETENTION_HOURLY_DAYS",
        default_value = "90"
    )]
    pub(crate) hourly_days: Days,
}

/// A number of days; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(pub(crate) Option<u32>);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let days = match text {
            "none" => return Ok(Self(None)),
            text => text.parse().ok().filter(|days| (1..=36_500).contains(days)),
        };
        let days = days.ok_or("write a number of days from 1 to 36500, or none")?;
        Ok(Self(Some(days)))
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Runs that go on are never deleted. `omnitrace serve` does the same once an hour.

Exit code: 0 when all is done, 1 if another process is doing it.

Examples:
  omnitrace prune --dry-run
  omnitrace prune --events-days 14 --runs-days 30
  OMNITRACE_ENV=prod omnitrace prune --json"
)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    /// Say how much would be deleted, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Adds up runs that closed, also those whose rows are gone. By category or model it adds up steps:
their tokens and cost are those of their runs once more. Attempts count as their step.

Examples:
  omnitrace stats --since 30d --by day
  omnitrace stats --by tenant,model
  omnitrace stats --by type,category --type OrderSupport --json"
)]
pub(crate) struct StatsArgs {
    /// By what, separated by commas.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "type", value_parser = dimensions())]
    pub(crate) by: Vec<Dimension>,
    /// Only what closed in an hour that begins at or after this: 2h, 3d, 2026-01-01 [default: all].
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only what closed in an hour that begins before this, written like --since.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// Only this workflow type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) workflow_type: Option<String>,
    /// Only this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Print one JSON object per line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

fn dimensions() -> impl TypedValueParser<Value = Dimension> {
    PossibleValuesParser::new(DIMENSIONS).try_map(|name| dimension(&name).ok_or("unknown"))
}

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at every column of text of every table, and at what would leave: spans, labels of metrics,
answers of the API, what waits on this machine's disk, and lines of logs that it is given. Finds
e-mail addresses, payment cards, keys, tokens, PEM blocks, credentials in URLs, values of secret
names, US SSNs, IBANs, German tax ids, French social security numbers, random words, and your own
patterns. Prints where, never what.

Exit code: 0 if nothing is found, 1 if something is, 2 if it could not be looked at.

Examples:
  omnitrace audit
  omnitrace audit --since 1d --pattern 'customer=CUST-[0-9]{6}' --json
  journalctl -u worker | omnitrace audit --logs -"
)]
pub(crate) struct AuditArgs {
    /// Folder with what waits on disk; without it, where a worker with this environment keeps it.
    #[arg(long, value_name = "PATH")]
    pub(crate) spool: Option<PathBuf>,
    /// Lines of a log; - is standard input. Repeat it.
    #[arg(long, value_name = "FILE")]
    pub(crate) logs: Vec<PathBuf>,
    /// A pattern to look for; repeat it.
    #[arg(long = "pattern", value_name = "NAME=REGEX")]
    pub(crate) patterns_given: Vec<Pattern>,
    /// Patterns to look for, one in each line; a # begins a comment.
    #[arg(long, value_name = "FILE")]
    pub(crate) patterns: Option<PathBuf>,
    /// Only runs started at or after this, and their events: 2h, 3d, 2026-01-01, 2026-01-01T10:00 (UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Print so many finds; the others are counted.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = number)]
    pub(crate) limit: u32,
    /// Print one JSON object per find.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("subject").required(true),
    after_help = "Without --yes it says what would go, and changes nothing. Ids are hashed as workers hash them:
the environment must be theirs (OMNITRACE_HASH_KEY). It covers the runs that started before, and
their children; whatever comes of them later is refused. It may be stopped and started again.
Where nothing is stored of an id and it was not erased before, --yes is refused: it may be mistyped.

Exit code: 0 when all is done or said, 1 if nothing was done.

Examples:
  omnitrace erase --user 4711
  omnitrace erase --user 4711 --yes --reason 'request 2026-118'
  omnitrace erase --workflow-id order-1042 --namespace orders --yes
  omnitrace erase --list --json"
)]
pub(crate) struct EraseArgs {
    /// Id of a user, as workflows know it, or its hash.
    #[arg(long, value_name = "ID", group = "subject", value_parser = filled)]
    pub(crate) user: Option<String>,
    /// Id of a tenant, as workflows know it, or its hash.
    #[arg(long, value_name = "ID", group = "subject", value_parser = filled)]
    pub(crate) tenant: Option<String>,
    /// Workflow id, whole: * stands for itself.
    #[arg(long, value_name = "ID", group = "subject", value_parser = filled)]
    pub(crate) workflow_id: Option<String>,
    /// List what was erased, when, by whom and why.
    #[arg(long, group = "subject")]
    pub(crate) list: bool,
    /// Only in this Temporal namespace.
    #[arg(long, value_name = "NAME", conflicts_with = "list", value_parser = filled)]
    pub(crate) namespace: Option<String>,
    /// Say what would go, and change nothing.
    #[arg(long, conflicts_with_all = ["yes", "list"])]
    pub(crate) dry_run: bool,
    /// Erase.
    #[arg(long, conflicts_with = "list")]
    pub(crate) yes: bool,
    /// Erase also where nothing is stored of it, so that what workers still hold is refused.
    #[arg(long, requires = "yes")]
    pub(crate) keep_away: bool,
    /// Why, for the record: it should name nobody.
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    pub(crate) reason: Option<String>,
    /// Who asks for it, for the record.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
