//! The command line.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use omnitrace::replay::ReplayArgs;

/// A support desk for orders on Temporal, recorded by OmniTrace.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Desk(DeskCommand),
    /// Replay recorded runs against the workflows of this program, and say where they part
    Replay(Box<ReplayArgs>),
}

/// What to do with a client.
#[derive(Debug, Subcommand)]
pub(crate) enum DeskCommand {
    /// Handle every mail of a folder, with a worker in this process
    Run {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        mails: Mails,
        /// Go on serving when all mails are handled, until Ctrl-C
        #[arg(long)]
        stay: bool,
    },
    /// Serve the task queue until Ctrl-C
    Worker {
        #[command(flatten)]
        server: Server,
    },
    /// Handle every mail of a folder, with workers that run elsewhere
    Start {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        mails: Mails,
    },
}

/// The Temporal server and what to use of it.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Host and port of the Temporal server, or a URL
    #[arg(long, env = "TEMPORAL_ADDRESS", default_value = "127.0.0.1:7233")]
    pub(crate) address: String,
    /// Namespace to work in
    #[arg(long, env = "TEMPORAL_NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,
    /// Task queue to work on
    #[arg(long, default_value = "order-support")]
    pub(crate) task_queue: String,
}

/// The mails to handle and how.
#[derive(Debug, Args)]
pub(crate) struct Mails {
    /// Folder with one mail per .txt file
    pub(crate) folder: PathBuf,
    /// Handle the folder this many times
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) runs: NonZeroUsize,
    /// Hand the folder to a batch workflow that takes this many mails at a time
    #[arg(long, value_name = "PAGE")]
    pub(crate) batch: Option<NonZeroUsize>,
    /// Seconds that a refund waits for an approval
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub(crate) approval_timeout: u32,
    /// Print one JSON object per mail
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_guides_are_ones() {
        let guides = [
            include_str!("../../docs/release.md"),
            include_str!("../../docs/replay.md"),
        ];
        let code = guides.iter().flat_map(|guide| guide.split(['`', '\n']));
        // A program of the reader's own takes the same arguments.
        let ours = code
            .map(|code| code.strip_prefix("cargo run -p ").unwrap_or(code))
            .map(|code| code.replace("worker-example -- ", "worker-example "))
            .filter(|code| code.starts_with("worker-example ") || code.starts_with("my-worker "));
        let mut found = 0;
        for command in ours {
            if let Err(error) = Cli::try_parse_from(command.split(' ')) {
                panic!("{command}\n{error}");
            }
            found += 1;
        }
        assert_eq!(found, 4);
    }
}
