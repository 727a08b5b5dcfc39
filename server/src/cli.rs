//! The arguments, as clap reads them. Values are checked here once; nothing later parses text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use omnitrace::DEFAULT_NAMESPACE;
use omnitrace::history::Connect;
use omnitrace_store::row::Status;

use crate::audit::Pattern;
use crate::http::{BackendHeader, BackendUrl, Dashboard};
use crate::tokens::Right;
use crate::when::Moment;

/// Shows what OmniTrace recorded of Temporal workflows.
#[derive(Debug, Parser)]
#[command(
    name = "omnitrace",
    version,
    long_version = crate::version::long(),
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:
  omnitrace list --status failed --since 2h
  omnitrace show order-1042
  omnitrace doctor
  omnitrace import history.json"
)]
pub struct Cli {
    /// Database with the recorded runs, as sqlite://omnitrace.db or postgres://user@host/database.
    // Read as plain text and its value is hidden in help: it may hold a password.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OMNITRACE_DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) database_url: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List recorded runs, newest first.
    List(ListArgs),
    /// Draw one run as a tree of steps, attempts and what happened inside them.
    Show(ShowArgs),
    /// Serve recorded runs over HTTP, and show them in a browser.
    Serve(ServeArgs),
    /// Make, list and take back tokens that open the API to others than this machine.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check whether recording works, and say what to do where it does not.
    Doctor(DoctorArgs),
    /// Store runs that Temporal wrote into history, as if they had been recorded.
    Import(ImportArgs),
    /// Store the runs that a Temporal server knows, from their histories.
    Backfill(BackfillArgs),
    /// Compare what is stored with the histories on a Temporal server.
    Verify(VerifyArgs),
    /// Find runs that a Temporal server knows otherwise than the store, and put them right, again and
    /// again.
    Reconcile(ReconcileArgs),
    /// Delete what is too old, and keep hourly counts, latencies and cost of it.
    Prune(PruneArgs),
    /// Look for anything secret or personal in what is stored and in what would leave.
    Audit(AuditArgs),
    /// Erase what is stored of a user, a tenant or a workflow id, and keep it away.
    Erase(EraseArgs),
    /// Change what is recorded, without a deploy.
    Set(crate::switches::SetArgs),
    /// List what was changed with `set`, and take it back.
    #[command(subcommand)]
    Switches(crate::switches::SwitchesCommand),
    /// Send stored runs to a collector, whether or not they were sent before.
    Export(ExportArgs),
    /// Say whether a server on this machine lives: for containers, which have no other program to ask with.
    Health(crate::health::HealthArgs),
    /// Print what completes commands in a shell.
    #[command(after_help = "Examples:
  omnitrace completions bash > /etc/bash_completion.d/omnitrace
  omnitrace completions zsh > ~/.zfunc/_omnitrace")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual: its first page to standard output, or every page into a folder.
    Man {
        /// Folder for omnitrace.1, omnitrace-serve.1, …
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Create the tables of a database, or bring older ones up to date.
    #[command(after_help = "Examples:
  omnitrace migrate
  omnitrace migrate --database-url postgres://owner@db.example.com/omnitrace")]
    Migrate,
}

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
    #[arg(long, value_name = "N", default_value_t = 50)]
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
    /// Only runs with this text in workflow id, run id, type or error.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Only this Temporal namespace.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Where and how is said by the environment, as to a worker: OTEL_EXPORTER_OTLP_ENDPOINT, …_PROTOCOL,
…_HEADERS, OTEL_SERVICE_NAME. Ids are those of the first time, so a span that the collector has comes as
itself once more. Of a run that goes on what has ended is sent.

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
  omnitrace show order-1042 --json | jq '.root.children[] | select(.status == \"failed\")'")]
pub(crate) struct ShowArgs {
    /// Workflow id (its newest run is shown) or run id.
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

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace serve
  omnitrace serve --listen 127.0.0.1:0
  omnitrace serve --dashboard 'jaeger=http://127.0.0.1:16686/trace/{trace_id}'
  omnitrace serve --listen 0.0.0.0:8234")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one. Others than loopback addresses need a token.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "OMNITRACE_LISTEN",
        default_value = "127.0.0.1:8234"
    )]
    pub(crate) listen: Listen,
    /// Page of another program about a run; {namespace}, {workflow_id}, {run_id} and {trace_id} stand
    /// for the run's. Repeat it, or separate several by commas.
    #[arg(
        long = "dashboard",
        value_name = "NAME=URL",
        env = "OMNITRACE_DASHBOARDS",
        value_delimiter = ','
    )]
    pub(crate) dashboards: Vec<Dashboard>,
    /// Serve the web UI; with =false the API alone.
    #[arg(
        long,
        value_name = "BOOL",
        env = "OMNITRACE_UI",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) ui: bool,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    /// Ask for a token on a loopback address too, as behind a proxy of this machine.
    #[arg(
        long,
        value_name = "BOOL",
        env = "OMNITRACE_REQUIRE_TOKEN",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) require_token: bool,
    /// Requests each second that one caller may make, twice as many at once; 0 is no limit [default: 50, and
    /// no limit where no token is needed]
    #[arg(long, value_name = "N", env = "OMNITRACE_RATE_LIMIT")]
    pub(crate) rate_limit: Option<u32>,
    /// Site whose pages may read answers, as https://traces.example. Repeat it, or separate several by
    /// commas.
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        env = "OMNITRACE_CORS_ORIGINS",
        value_delimiter = ',',
        value_parser = origin
    )]
    pub(crate) cors_origins: Vec<HeaderValue>,
    /// Seconds that a client of a stream may take nothing before it is cut.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "OMNITRACE_CLIENT_PATIENCE_S",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=600)
    )]
    pub(crate) patience: u16,
    /// Program that has the spans of the rest of the system, as jaeger:http://127.0.0.1:16686 or tempo:URL:
    /// those of a run's trace are shown in it.
    #[arg(long, value_name = "KIND:URL", env = "OMNITRACE_TRACE_BACKEND")]
    pub(crate) trace_backend: Option<BackendUrl>,
    /// Header of each question to it. Repeat it, or separate several by commas.
    #[arg(
        long = "trace-backend-header",
        value_name = "NAME=VALUE",
        env = "OMNITRACE_TRACE_BACKEND_HEADERS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) trace_backend_headers: Vec<BackendHeader>,
    #[command(flatten)]
    pub(crate) jwt: JwtArgs,
}

/// Keys of tokens that another program signed.
#[derive(Debug, Args)]
#[command(next_help_heading = "JSON Web Tokens")]
pub(crate) struct JwtArgs {
    /// File with the secret of tokens signed with HS256, at least 32 bytes.
    #[arg(long, value_name = "FILE", env = "OMNITRACE_JWT_SECRET_FILE")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// File with the public key of tokens signed with RS256, PEM.
    #[arg(long, value_name = "FILE", env = "OMNITRACE_JWT_PUBLIC_KEY_FILE")]
    pub(crate) jwt_public_key_file: Option<PathBuf>,
    /// File with a JSON Web Key Set.
    #[arg(long, value_name = "FILE", env = "OMNITRACE_JWT_JWKS_FILE")]
    pub(crate) jwt_jwks_file: Option<PathBuf>,
    /// Who must have issued them (claim iss).
    #[arg(long, value_name = "TEXT", env = "OMNITRACE_JWT_ISSUER")]
    pub(crate) jwt_issuer: Option<String>,
    /// Whom they must be for (claim aud).
    #[arg(long, value_name = "TEXT", env = "OMNITRACE_JWT_AUDIENCE")]
    pub(crate) jwt_audience: Option<String>,
}

impl JwtArgs {
    /// Whether a key is named.
    pub(crate) fn is_some(&self) -> bool {
        let files = [
            &self.jwt_secret_file,
            &self.jwt_public_key_file,
            &self.jwt_jwks_file,
        ];
        files.iter().any(|file| file.is_some())
    }
}

/// Scheme, host and port of a site, as a browser sends them.
fn origin(text: &str) -> Result<HeaderValue, &'static str> {
    let host = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let plain = host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
    (HeaderValue::from_str(text).ok())
        .filter(|_| plain)
        .ok_or("write SCHEME://HOST[:PORT], as https://traces.example")
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it: it cannot be shown again.
    #[command(after_help = "Examples:
  omnitrace token create --name grafana --right admin --tenant '*' --namespace '*'
  omnitrace token create --name 'support of acme' --tenant acme --namespace orders --expires 90d")]
    Create(TokenCreateArgs),
    /// List tokens, those that ended or were taken back included.
    List {
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back: it opens nothing from then on.
    Revoke {
        /// Id of the token, as listed.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// Whom it is for.
    #[arg(long, value_name = "TEXT")]
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
    #[arg(long = "tenant", value_name = "TENANT", required = true)]
    pub(crate) tenants: Vec<String>,
    /// Temporal namespace that it shows; * is every one. Repeat it.
    #[arg(long = "namespace", value_name = "NAME", required = true)]
    pub(crate) namespaces: Vec<String>,
    /// After how long it ends, as 12h, 90d; never without it.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Not looked up: a name may stand for any address.
        let text = text.replace("localhost:", "127.0.0.1:");
        let address = text.parse();
        address
            .map(Self)
            .map_err(|_| "write HOST:PORT, as 127.0.0.1:8234 or [::1]:8234")
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if nothing is broken (warnings included), 1 if a check fails.

Examples:
  omnitrace doctor
  omnitrace doctor --json | jq '.checks[] | select(.level != \"ok\")'"
)]
pub(crate) struct DoctorArgs {
    /// Print the checks as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

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
    /// Address of the server [env: TEMPORAL_ADDRESS] [default: 127.0.0.1:7233]
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

Exit code: 0 if everything is equal (or was made so by --repair), 1 if something differs.

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
    after_help = "Any number of them may run: one works at a time, by a lease in the store. In a namespace in which no
worker has the plugin, it records all runs from their histories alone, those that go on included.

Examples:
  omnitrace reconcile --namespace orders
  omnitrace reconcile --once --json
  omnitrace reconcile --every 5m --since 7d"
)]
pub(crate) struct ReconcileArgs {
    /// Time between two passes, as 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
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
    #[arg(long, value_name = "N", default_value_t = 1000)]
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

Exit code: 0 when all is done or said, 1 if nothing was done.

Examples:
  omnitrace erase --user 4711
  omnitrace erase --user 4711 --yes --reason 'request 2026-118'
  omnitrace erase --workflow-id order-1042 --namespace orders --yes
  omnitrace erase --list --json"
)]
pub(crate) struct EraseArgs {
    /// Id of a user, as workflows know it, or its hash.
    #[arg(long, value_name = "ID", group = "subject")]
    pub(crate) user: Option<String>,
    /// Id of a tenant, as workflows know it, or its hash.
    #[arg(long, value_name = "ID", group = "subject")]
    pub(crate) tenant: Option<String>,
    /// Workflow id.
    #[arg(long, value_name = "ID", group = "subject")]
    pub(crate) workflow_id: Option<String>,
    /// List what was erased, when, by whom and why.
    #[arg(long, group = "subject")]
    pub(crate) list: bool,
    /// Only in this Temporal namespace.
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    pub(crate) namespace: Option<String>,
    /// Say what would go, and change nothing.
    #[arg(long, conflicts_with_all = ["yes", "list"])]
    pub(crate) dry_run: bool,
    /// Erase.
    #[arg(long, conflicts_with = "list")]
    pub(crate) yes: bool,
    /// Why, for the record: it should name nobody.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Who asks for it, for the record.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<Moment>() {
        Ok(Moment::Ago(time)) => Duration::try_from(time).map_err(|error| error.to_string()),
        _ => Err("write 30s, 5m, 1h or 7d".to_owned()),
    }
}

fn status_parser() -> impl clap::builder::TypedValueParser<Value = Status> {
    let names = Status::ALL.iter().map(|s| s.as_str());
    // The names are those of `ALL`, so each parses.
    PossibleValuesParser::new(names).map(|name| Status::parse(&name).unwrap_or(Status::Running))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Cli::command().debug_assert();
    }
}
