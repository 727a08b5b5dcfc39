//! Arguments of how long rows are kept.

use std::str::FromStr;

use clap::Args;

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
    /// Days that the hourly aggregates are kept, or none to keep them.
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
