//! A client for reading histories, set up as Temporal's own command line is: flags before environment
//! before its configuration file.
//!
//! Invariant: no key, token or certificate is in an error.

use std::sync::Arc;
use std::time::Duration;

use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::{
    data_converters::{DataConverter, DefaultFailureConverter, PayloadConverter},
    envconfig::{
        ClientConfigTLS, DataSource, LoadClientConfigProfileOptions, load_client_config_profile,
    },
};

use super::codec::RemoteCodec;
use super::{Server, ServerError};
use crate::DEFAULT_NAMESPACE;

/// Port of a server whose host alone is named.
const DEFAULT_PORT: u16 = 7233;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is said about the connection; what is not said is taken from Temporal's environment
/// (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`, `TEMPORAL_CODEC_*`,
/// `TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE`) and its configuration file.
#[derive(Clone, Default, clap::Args)]
#[command(
    next_help_heading = "Temporal server (as in Temporal's command line and its environment)"
)]
pub struct Connect {
    /// Address of the server [env: TEMPORAL_ADDRESS] [default: localhost:7233]
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Temporal namespace [env: TEMPORAL_NAMESPACE] [default: default]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// API key [env: TEMPORAL_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Use TLS, or with =false don't [env: TEMPORAL_TLS]; without it, it is used with an API key or a
    /// certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls: Option<bool>,
    /// Certificate of this client, PEM [env: TEMPORAL_TLS_CLIENT_CERT_PATH]
    #[arg(long, value_name = "FILE")]
    pub tls_cert_path: Option<String>,
    /// Its private key, PEM [env: TEMPORAL_TLS_CLIENT_KEY_PATH]
    #[arg(long, value_name = "FILE")]
    pub tls_key_path: Option<String>,
    /// Certificates that the server is checked against, PEM [env: TEMPORAL_TLS_SERVER_CA_CERT_PATH]
    #[arg(long, value_name = "FILE")]
    pub tls_ca_path: Option<String>,
    /// Name in the server's certificate [env: TEMPORAL_TLS_SERVER_NAME]
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Header of each request; repeat it.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub grpc_meta: Vec<(String, String)>,
    /// Codec server that decodes payloads [env: TEMPORAL_CODEC_ENDPOINT]; {namespace} in it is replaced
    #[arg(long, value_name = "URL")]
    pub codec_endpoint: Option<String>,
    /// Its Authorization header [env: TEMPORAL_CODEC_AUTH]
    #[arg(long, value_name = "TEXT")]
    pub codec_auth: Option<String>,
    /// Profile of Temporal's configuration file [env: TEMPORAL_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Temporal's configuration file [env: TEMPORAL_CONFIG_FILE]
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Temporal's environment or configuration file.
    #[error("Temporal's environment or configuration file cannot be used: {0}")]
    Config(String),
    /// A file that was named.
    #[error("cannot read {path}: {reason}")]
    File {
        /// As it was named.
        path: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The server's address. It is not repeated: it may hold a password.
    #[error(
        "the server's address is none: write host:port, or a URL that begins with http:// or https:// \
         (--address, or TEMPORAL_ADDRESS)"
    )]
    Address,
    /// The server.
    #[error("no Temporal server answers at {address}: {reason} (--address, or TEMPORAL_ADDRESS)")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// One line.
        reason: String,
    },
    /// The codec server's URL.
    #[error(
        "the codec endpoint is no http:// or https:// address (--codec-endpoint, or TEMPORAL_CODEC_ENDPOINT)"
    )]
    Codec,
    /// The namespace.
    #[error(transparent)]
    Namespace(#[from] ServerError),
}

impl Connect {
    /// Connects, and asks whether the server knows the namespace.
    ///
    /// # Errors
    /// When something of it does not work.
    pub async fn server(self) -> Result<Server, ConnectError> {
        let wrong =
            |error: &dyn std::fmt::Display| ConnectError::Config(one_line(&error.to_string()));
        let files = [
            &self.tls_cert_path,
            &self.tls_key_path,
            &self.tls_ca_path,
            &self.config_file,
        ];
        for path in files.into_iter().flatten() {
            // What reads them does not say which it could not.
            if let Err(reason) = std::fs::File::open(path) {
                let path = path.clone();
                return Err(ConnectError::File { path, reason });
            }
        }
        let options = LoadClientConfigProfileOptions::builder()
            .maybe_config_source(self.config_file.map(DataSource::Path))
            .maybe_config_file_profile(self.profile)
            .build();
        let mut profile = load_client_config_profile(options, None).map_err(|e| wrong(&e))?;
        profile.address = self.address.or(profile.address);
        if !profile.address.as_deref().is_none_or(is_address) {
            return Err(ConnectError::Address);
        }
        profile.address = profile.address.as_deref().map(with_port);
        profile.namespace = self.namespace.or(profile.namespace);
        profile.api_key = self.api_key.or(profile.api_key);
        profile.grpc_meta.extend(self.grpc_meta);
        let says_tls = self.tls.is_some()
            || self.tls_cert_path.is_some()
            || self.tls_key_path.is_some()
            || self.tls_ca_path.is_some()
            || self.tls_server_name.is_some();
        if says_tls {
            let tls: &mut ClientConfigTLS = profile.tls.get_or_insert_default();
            tls.disabled = self.tls.map(|tls| !tls).or(tls.disabled);
            let file = |path: Option<String>| path.map(DataSource::Path);
            tls.client_cert = file(self.tls_cert_path).or(tls.client_cert.take());
            tls.client_key = file(self.tls_key_path).or(tls.client_key.take());
            tls.server_ca_cert = file(self.tls_ca_path).or(tls.server_ca_cert.take());
            tls.server_name = self.tls_server_name.or(tls.server_name.take());
        }
        let namespace = profile
            .namespace
            .clone()
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let codec = profile.codec.clone().unwrap_or_default();
        let endpoint = self.codec_endpoint.or(codec.endpoint);
        let auth = self.codec_auth.or(codec.auth);
        let codec = endpoint
            .map(|endpoint| {
                RemoteCodec::new(&endpoint, auth, &namespace).ok_or(ConnectError::Codec)
            })
            .transpose()?;

        let mut options = ConnectionOptions::try_from(profile).map_err(|e| wrong(&e))?;
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.identity = format!("omnitrace@{}", std::process::id());
        let address = shown(&options.target);
        let unreachable = |error: &dyn std::error::Error| ConnectError::Unreachable {
            address: address.clone(),
            reason: innermost(error),
        };
        let connection = Connection::connect(options)
            .await
            .map_err(|e| unreachable(&e))?;
        let options = ClientOptions::new(namespace);
        let options = match codec {
            Some(codec) => options
                .data_converter(DataConverter::new(
                    PayloadConverter::default(),
                    DefaultFailureConverter::default(),
                    Arc::new(codec),
                ))
                .build(),
            None => options.build(),
        };
        let client = Client::new(connection, options).map_err(|e| unreachable(&e))?;
        let server = Server::new(client);
        server.check().await?;
        Ok(server)
    }
}

/// What names no port is at Temporal's own, as its command line has it. A URL is taken as it is.
fn with_port(address: &str) -> String {
    let has_port = match address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((_, after)) => after.starts_with(':'),
        None => address.contains(':'),
    };
    match has_port {
        true => address.to_owned(),
        false => format!("{address}:{DEFAULT_PORT}"),
    }
}

/// Host and port, or a URL.
fn is_address(text: &str) -> bool {
    let url = match text.contains("://") {
        true => url::Url::parse(text),
        false => url::Url::parse(&format!("http://{text}")),
    };
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Without what may be a password in it.
fn shown(target: &url::Url) -> String {
    let host = target.host_str().unwrap_or_default();
    match target.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The innermost cause: it says most, and those around it repeat it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    one_line(&innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_is_asked_at_temporals_port() {
        for (named, asked) in [
            ("temporal", "temporal:7233"),
            ("temporal:7234", "temporal:7234"),
            ("10.0.0.7", "10.0.0.7:7233"),
            ("[::1]", "[::1]:7233"),
            ("[::1]:7234", "[::1]:7234"),
            ("https://temporal.example", "https://temporal.example"),
        ] {
            assert_eq!(with_port(named), asked);
        }
    }
}
