//! Arguments of what reads stored runs.

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use omnitrace_store::row::Status;

use super::number;
use crate::when::Moment;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace list
  omnitrace list --status failed --status timed_out --since 2h
  omnitrace list --type 'Order*' --since 2026-01-01 --until 2026-02-01
  omnitrace list --text declined --limit 500 --json | jq -r .execution_id")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many runs; 0 is no limit.
    #[arg(long, value_name = "N", default_value = "50", value_parser = number)]
    pub(crate) limit: u32,
    /// Print one JSON object per line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which of the stored runs.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only runs with this status; repeat it, or separate several by commas.
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', value_parser = status_parser())]
    pub(crate) statuses: Vec<Status>,
    /// Only this workflow type; * stands for any text.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) workflow_type: Option<String>,
    /// Only runs started at or after this: 2h, 3d, 2026-01-01, 2026-01-01T10:00 (UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only runs started before this, written like --since.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// Only runs with this text in workflow id, run id, type or error of the run, or with this trace id.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Where and how is said by the environment, as to a worker: OTEL_EXPORTER_OTLP_ENDPOINT,
…_PROTOCOL, …_HEADERS, OTEL_SERVICE_NAME. Ids are those of the first time, so a span that the
collector has comes as itself once more. Of a run that goes on what has ended is sent.

Exit code: 0 if everything was taken, 1 if something was not.

Examples:
  omnitrace export --otlp --since 1d
  omnitrace export --otlp=http://localhost:4318 --workflow-id order-1042
  omnitrace export --otlp --status failed --type 'Order*' --json"
)]
pub(crate) struct ExportArgs {
    /// Send them as spans by OTLP; to this address instead of the environment's.
    #[arg(
        long,
        value_name = "URL",
        required = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub(crate) otlp: String,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only runs of this workflow id.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow_id: Option<String>,
    /// Only this run.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace show order-1042
  omnitrace show order-1042 --all --data
  omnitrace show 0197d6a8-52d4-7b6e-9d0e-0d5a35b1c2aa
  omnitrace show 4d578efbb832ed4adcb182cb4af01a79
  omnitrace show order-1042 --json | jq '.root.children[] | select(.status == \"failed\")'")]
pub(crate) struct ShowArgs {
    /// Workflow id (its newest run is shown), run id, or trace id (the oldest run of the trace is shown).
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// This run of the workflow id instead of the newest.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Only look in this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Show every attempt and whole error messages.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show the recorded data of each step.
    #[arg(long)]
    pub(crate) data: bool,
    /// Print the trace as JSON; holds all attempts and data.
    #[arg(long)]
    pub(crate) json: bool,
}

fn status_parser() -> impl clap::builder::TypedValueParser<Value = Status> {
    let names = Status::ALL.iter().map(|s| s.as_str());
    // The names are those of `ALL`, so each parses.
    PossibleValuesParser::new(names).map(|name| Status::parse(&name).unwrap_or(Status::Running))
}
