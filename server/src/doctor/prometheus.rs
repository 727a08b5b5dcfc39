//! The check of the endpoint that Prometheus reads: whether OmniTrace answers there, nobody, or somebody else.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use omnitrace::config::{Backend, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Check;

const NAME: &str = "prometheus";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer that are read.
const MOST: u64 = 16 * 1024 * 1024;

const ANOTHER_PORT: &str =
    "choose another PROM_EXPORT_PORT; without it a worker records, and its metrics cannot be read";

/// Nothing where no metrics are served.
pub(super) async fn check(settings: &Settings) -> Option<Check> {
    let telemetry = &settings.telemetry;
    if !telemetry.measures() || !telemetry.backends.contains(&Backend::Prom) {
        return None;
    }
    let port = telemetry.prom_port.filter(|port| *port != 0)?;
    let address = SocketAddr::new(telemetry.prom_host, port);
    Some(match timeout(PATIENCE, ask(address)).await {
        Ok(Ok(text)) if text.contains("\nomnitrace_") => {
            Check::ok(NAME, format!("{address} serves OmniTrace's metrics"))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => free(address),
        Ok(_) | Err(_) => {
            let text = format!("{address} is in use by something else");
            Check::warn(NAME, text, ANOTHER_PORT)
        }
    })
}

fn free(address: SocketAddr) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => {
            let hint = "a worker that starts with this environment serves its metrics there";
            Check::warn(NAME, format!("nobody serves {address} now"), hint)
        }
        Err(error) => {
            let text = format!("{address} cannot be opened: {error}");
            Check::warn(NAME, text, ANOTHER_PORT)
        }
    }
}

/// What is answered there.
async fn ask(address: SocketAddr) -> std::io::Result<String> {
    // Who listens on all addresses is asked on one.
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    let mut stream = TcpStream::connect((host, address.port())).await?;
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
