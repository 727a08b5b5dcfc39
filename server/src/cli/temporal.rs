//! Arguments of what reads histories, of a Temporal server or out of files.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use omnitrace::DEFAULT_NAMESPACE;
use omnitrace::history::Connect;

use super::{duration, some_duration};
use crate::when::Moment;

#[derive(Debug, Args)]
#[command(
    after_help = "Payloads are redacted as a worker with the same environment does (OMNITRACE_HASH_KEY, \
                  OMNITRACE_ALLOW_FIELDS, …). Importing again changes nothing.

Exit code: 0 if every file was imported, 1 if one was not; the others are.

Examples:
  temporal workflow show --workflow-id order-1042 --output json | omnitrace import -
  omnitrace import histories/*.json
  omnitrace import old.json --workflow-id order-7 --run-id 0197d6a8-52d4-7b6e-9d0e-0d5a35b1c2aa"
)]
pub(crate) struct ImportArgs {
    /// Histories as JSON or protobuf; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Temporal namespace of the runs.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: String,
    /// Workflow id of histories that name none; the file's name without this.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow_id: Option<String>,
    /// Run id; without it, what the history says.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Print one JSON object per file.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the Temporal server is reached.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Temporal server (as in Temporal's command line and its environment)"
)]
pub(crate) struct TemporalArgs {
    /// Address of the server [env: TEMPORAL_ADDRESS] [default: localhost:7233]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Temporal namespace [env: TEMPORAL_NAMESPACE] [default: default]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// API key [env: TEMPORAL_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// Use TLS, or with =false don't [env: TEMPORAL_TLS]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tls: Option<bool>,
    /// Certificate of this client, PEM [env: TEMPORAL_TLS_CLIENT_CERT_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert_path: Option<String>,
    /// Its private key, PEM [env: TEMPORAL_TLS_CLIENT_KEY_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key_path: Option<String>,
    /// Certificates that the server is checked against, PEM [env: TEMPORAL_TLS_SERVER_CA_CERT_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca_path: Option<String>,
    /// Name in the server's certificate [env: TEMPORAL_TLS_SERVER_NAME]
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Header of each request; repeat it.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) grpc_meta: Vec<(String, String)>,
    /// Codec server that decodes payloads [env: TEMPORAL_CODEC_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub(crate) codec_endpoint: Option<String>,
    /// Its Authorization header [env: TEMPORAL_CODEC_AUTH]
    #[arg(long, value_name = "TEXT")]
    pub(crate) codec_auth: Option<String>,
    /// Profile of Temporal's configuration file [env: TEMPORAL_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Temporal's configuration file [env: TEMPORAL_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<String>,
}

impl From<TemporalArgs> for Connect {
    fn from(args: TemporalArgs) -> Self {
        Self {
            address: args.address,
            namespace: args.namespace,
            api_key: args.api_key,
            tls: args.tls,
            tls_cert_path: args.tls_cert_path,
            tls_key_path: args.tls_key_path,
            tls_ca_path: args.tls_ca_path,
            tls_server_name: args.tls_server_name,
            grpc_meta: args.grpc_meta,
            codec_endpoint: args.codec_endpoint,
            codec_auth: args.codec_auth,
            profile: args.profile,
            config_file: args.config_file,
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Which runs of the server.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Only runs that this visibility query finds.
    #[arg(long, value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// Only runs started at or after this: 2h, 3d, 2026-01-01, 2026-01-01T10:00 (UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only runs of this workflow id.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow_id: Option<String>,
    /// Only this run.
    #[arg(long, value_name = "RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Histories that are read at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) at_once: u8,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Payloads are redacted as a worker with the same environment does. Rows merge with those that are
stored, so it may be stopped and started again: with --resume FILE it goes on where it was.

Exit code: 0 if every run was stored, 1 if one was not; the others are.

Examples:
  omnitrace backfill --namespace orders
  omnitrace backfill --query \"WorkflowType = 'OrderSupport'\" --since 7d
  omnitrace backfill --address cloud.example:7233 --api-key \"$KEY\" --codec-endpoint https://codec.example"
)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Note finished runs in this file, and leave those out that it names.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) temporal: TemporalArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Runs that go on are not compared: their rows may be on their way. Settings must be those of the
workers (hash key, fields, sample rate): rows of another policy are not compared.

Exit code: 0 if everything is equal (or was made so by --repair), 1 if something differs, 2 if the
server has no run of the id or the query.

Examples:
  omnitrace verify --namespace orders
  omnitrace verify --query \"WorkflowType = 'OrderSupport'\" --since 1d --json
  omnitrace verify --workflow-id order-1042 --repair"
)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Put history's rows in the place of those that differ.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) temporal: TemporalArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Any number of them may run: one works at a time, by a lease in the store. In a namespace in which
no worker has the plugin, it records all runs from their histories alone, those that go on included.

Examples:
  omnitrace reconcile --namespace orders
  omnitrace reconcile --once --json
  omnitrace reconcile --every 5m --since 7d"
)]
pub(crate) struct ReconcileArgs {
    /// Time between two passes, as 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = some_duration)]
    pub(crate) every: Duration,
    /// How far back the first pass looks for closed runs, as 1h, 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) since: Duration,
    /// How long a run may be open or closed before it is looked at.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) settle: Duration,
    /// Make one pass and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object per pass.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) temporal: TemporalArgs,
}
