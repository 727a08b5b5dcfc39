//! The command `worker-example`.
//!
//! OmniTrace is registered in one place, [`run`]: on the client, from which the worker takes it, and around
//! the HTTP service that mails come in by.

mod cli;
mod connect;
mod desk;
mod door;
mod folder;
mod report;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use omnitrace::OmniTrace;
use temporalio_client::ClientOptions;
use tracing_subscriber::EnvFilter;

use worker_example::registration::worker_options;

use crate::{
    cli::{Cli, Command, DeskCommand, Server},
    desk::{Desk, DeskError, End},
};

/// How long OmniTrace may take to store what is left when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match cli.command {
        Command::Desk(command) => run(command).await,
        Command::Replay(args) => match worker_options("order-support") {
            Ok(options) => return omnitrace::replay_check(options).run(*args).await,
            Err(error) => Err(error.into()),
        },
    };
    match done {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Failures) => ExitCode::from(1),
        Ok(End::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(command: DeskCommand) -> Result<End, DeskError> {
    // A folder that cannot be read is told before anything is started.
    let tickets = match &command {
        DeskCommand::Run { mails, .. } | DeskCommand::Start { mails, .. } => {
            folder::read(&mails.folder)?
        }
        DeskCommand::Worker { .. } => Vec::new(),
    };
    let (DeskCommand::Run { server, .. }
    | DeskCommand::Worker { server }
    | DeskCommand::Start { server, .. }) = &command;
    let Server {
        address,
        namespace,
        task_queue,
    } = server;
    let omnitrace = OmniTrace::from_env().await;
    let options = ClientOptions::new(namespace.as_str())
        .plugin(omnitrace.plugin())
        .build();
    let client = connect::connect(address, &options).await?;

    let desk = Desk::new(client, task_queue.clone(), omnitrace.http_layer());
    let end = match command {
        DeskCommand::Run { mails, stay, .. } => desk.run(tickets, &mails, stay).await,
        DeskCommand::Worker { .. } => desk.serve().await,
        DeskCommand::Start { mails, .. } => desk.start(tickets, &mails).await,
    };
    if let Err(error) = omnitrace.shutdown(FLUSH_LIMIT).await {
        eprintln!("warning: {error}");
    }
    end
}
