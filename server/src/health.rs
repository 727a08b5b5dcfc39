//! `omnitrace health`: whether a server lives.

use std::time::Duration;

use clap::Args;

use crate::Answer;
use crate::cli::Listen;
use crate::error::CliError;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 if it answers, 1 if it does not.

Examples:
  omnitrace health
  omnitrace health --listen 127.0.0.1:8300")]
pub(crate) struct HealthArgs {
    /// Address that the server was told to listen on; one of every address is asked on this machine.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "OMNITRACE_LISTEN",
        default_value = "127.0.0.1:8234"
    )]
    listen: Listen,
}

/// Asks it.
pub(crate) async fn run(args: HealthArgs) -> Result<Answer, CliError> {
    let mut address = args.listen.0;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        agent.get(format!("http://{address}/healthz")).call()
    });
    let said = match asked.await {
        Ok(Ok(_)) => return Ok(format!("{address} lives\n").into()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    let text = format!(
        "{address} does not answer: {said}; look at the log of `omnitrace serve`, or name the address that it \
         listens on with --listen\n"
    );
    Ok(Answer { text, good: false })
}
