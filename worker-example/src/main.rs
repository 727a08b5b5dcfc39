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
use omnitrace::{OmniTrace, logs::SwitchedLevel};
use temporalio_client::ClientOptions;
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, LevelFilter},
    prelude::*,
};

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
    let level = log();
    let done = match cli.command {
        Command::Desk(command) => run(command, &level).await,
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

/// Writes log lines: those that RUST_LOG asks for, without it errors, and what is switched while this runs.
fn log() -> SwitchedLevel {
    let (asked, level) = match EnvFilter::try_from_default_env() {
        Ok(asked) => (asked, LevelFilter::OFF),
        Err(_) => (EnvFilter::new("off"), LevelFilter::ERROR),
    };
    let level = SwitchedLevel::new(level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(asked.or(level.clone()));
    tracing_subscriber::registry().with(lines).init();
    level
}

async fn run(command: DeskCommand, level: &SwitchedLevel) -> Result<End, DeskError> {
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
    omnitrace.switch_log_level(level);
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
