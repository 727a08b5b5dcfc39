//! The arguments of a replay.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{SpanRelativeTo, Timestamp, civil::DateTime, tz::TimeZone};
use omnitrace_store::row::{Micros, Status};

use crate::history::Connect;

/// Which stored runs are replayed, and what becomes of the result. Put it into a command line of your own
/// with `#[command(flatten)]`, or let [`super::ReplayCheck::run_from_args`] read it.
#[derive(Clone, Args)]
#[command(
    after_help = "Nothing is recorded, and no activity runs: the workflows' code is given what its history holds.

Exit code: 0 if the code does what the runs did, 1 if it parts from one or fails, 2 if nothing could be
replayed."
)]
pub struct ReplayArgs {
    /// Only this workflow type; repeat it. Without it, those that the worker has.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only runs with this status; repeat it, or separate several by commas.
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', value_parser = status())]
    pub statuses: Vec<Status>,
    /// Only runs started at or after this: 2h, 3d, 2026-01-01, 2026-01-01T10:00 (UTC).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Micros>,
    /// Only runs started before this, written like --since.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Micros>,
    /// Only runs of this workflow id.
    #[arg(long, value_name = "ID")]
    pub workflow_id: Option<String>,
    /// Only this run.
    #[arg(long, value_name = "RUN_ID")]
    pub run_id: Option<String>,
    /// Of the runs that fit, so large a part, the same each time: 0.1 is a tenth.
    #[arg(long, value_name = "RATE", default_value_t = 1.0, value_parser = rate)]
    pub sample: f64,
    /// At most so many runs of a type, the newest; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// Histories that are replayed at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub at_once: u8,
    /// Seconds that one replay may take.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
    /// Name of the build that is checked; without it, the worker's.
    #[arg(long, value_name = "TEXT")]
    pub build_id: Option<String>,
    /// Fail too where only arguments or durations changed, and where the server has no history any more.
    #[arg(long)]
    pub strict: bool,
    /// Do not keep the result in the store.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the result into this file, as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Database with the recorded runs [env: OMNITRACE_DATABASE_URL]
    // Its value may hold a password, so help does not read the environment.
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// How the Temporal server is reached.
    #[command(flatten)]
    pub temporal: Connect,
}

fn status() -> impl TypedValueParser<Value = Status> {
    let names = Status::ALL.iter().map(|status| status.as_str());
    // The names are those of `ALL`, so each parses.
    PossibleValuesParser::new(names).map(|name| Status::parse(&name).unwrap_or(Status::Running))
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or("write a number from 0 to 1")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=3600).contains(seconds));
    let seconds = seconds.ok_or("write a number of seconds from 1 to 3600")?;
    Ok(Duration::from_secs(seconds))
}

fn moment(text: &str) -> Result<Micros, &'static str> {
    let wrong = "write 2h, 3d, 2026-01-01 or 2026-01-01T10:00";
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    let ago = || {
        let span = text.parse::<jiff::Span>().ok()?;
        let ago = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        crate::clock::now().checked_sub(i64::try_from(ago.as_micros()).ok()?)
    };
    let at = (text.parse::<Timestamp>().ok())
        .or_else(|| text.parse().ok().and_then(utc))
        .map(Timestamp::as_microsecond);
    at.or_else(ago).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_some_time_ago() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(moment("1970-01-01T00:00:01"), Ok(1_000_000));
        let ago = moment("3d").expect("three days");
        let now = crate::clock::now();
        assert!((now - ago - 3 * 86_400_000_000).abs() < 60_000_000, "{ago}");
        for text in ["", "x", "2026-13-01"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
