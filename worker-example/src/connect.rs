//! Connects to Temporal within a bounded time.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, Url, errors::ClientConnectError,
};

/// The time in which a connection must stand.
const LIMIT: Duration = Duration::from_secs(8);

/// The time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(3);

/// Attempts after the first.
const RETRIES: usize = 3;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{address:?} is no address: write host:port, or a URL that begins with http")]
    Address { address: String },
    #[error("no Temporal server at {address}: start one, or set --address or TEMPORAL_ADDRESS")]
    Unreachable { address: String },
    #[error("cannot connect to {address}: {reason}")]
    Refused { address: String, reason: String },
}

/// Connects, and tries again for a few seconds if the server does not answer.
pub(crate) async fn connect(address: &str, client: &ClientOptions) -> Result<Client, ConnectError> {
    let options = ConnectionOptions::new(url(address)?)
        .identity(format!("worker-example@{}", std::process::id()))
        .connect_timeout(ATTEMPT)
        .build();
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_times(RETRIES);
    let connecting = (|| Client::connect(options.clone(), client.clone()))
        .retry(backoff)
        .when(is_unreachable);
    match tokio::time::timeout(LIMIT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if !is_unreachable(&error) => Err(ConnectError::Refused {
            address: address.to_owned(),
            reason: reason(&error),
        }),
        Ok(Err(_)) | Err(_) => Err(ConnectError::Unreachable {
            address: address.to_owned(),
        }),
    }
}

/// One line; the error itself would print all headers of the answer.
fn reason(error: &ClientConnectError) -> String {
    match error {
        ClientConnectError::SystemInfoCallError(status) => {
            format!(
                "it answers, but not as a Temporal server: {}",
                status.message()
            )
        }
        other => other.to_string(),
    }
}

fn is_unreachable(error: &ClientConnectError) -> bool {
    matches!(
        error,
        ClientConnectError::TonicTransportError(_) | ClientConnectError::DnsResolutionError { .. }
    )
}

fn url(address: &str) -> Result<Url, ConnectError> {
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    Url::parse(&with_scheme)
        .ok()
        .filter(|url| url.scheme().starts_with("http") && url.has_host())
        .ok_or_else(|| ConnectError::Address {
            address: address.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_or_a_url() {
        for address in [
            "127.0.0.1:7233",
            "temporal.example.com:7233",
            "http://[::1]:7233",
        ] {
            assert!(url(address).is_ok(), "{address}");
        }
        for address in ["", "host:port", "ftp://example.com", "a b:1"] {
            assert!(url(address).is_err(), "{address}");
        }
    }
}
