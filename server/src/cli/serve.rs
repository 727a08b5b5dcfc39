//! Arguments of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use axum::http::HeaderValue;
use clap::Args;

use super::RetentionArgs;
use crate::http::{BackendHeader, BackendUrl, Dashboard};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  omnitrace serve
  omnitrace serve --listen 127.0.0.1:0
  omnitrace serve --dashboard 'jaeger=http://127.0.0.1:16686/trace/{trace_id}'
  omnitrace serve --listen 0.0.0.0:8234")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one. On others than loopback addresses nothing is shown
    /// without a token.
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
    /// Serve the web UI; with =false only the API.
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
