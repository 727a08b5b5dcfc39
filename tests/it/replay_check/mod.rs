//! Stored runs replayed against today's code: what is as it was passes, and what changed is found at its
//! step.

mod example;
mod external;
mod flow;

use clap::{Args, Command, FromArgMatches};
use omnitrace::replay::{ReplayArgs, ReplayWorkflows, Report};
use omnitrace::replay_check;
use omnitrace_tests::{Recording, server};

fn args(recording: &Recording, more: &[&str]) -> ReplayArgs {
    let url = format!("sqlite://{}", recording.file().display());
    let address = server();
    let given = ["replay", "--address", &address, "--database-url", &url];
    let command = ReplayArgs::augment_args(Command::new("replay"));
    let matches = command.get_matches_from(given.iter().chain(more));
    ReplayArgs::from_arg_matches(&matches).expect("arguments")
}

async fn replay(
    recording: &Recording,
    workflows: impl Into<ReplayWorkflows>,
    more: &[&str],
) -> Report {
    let check = replay_check(workflows);
    check.check(args(recording, more)).await.expect("replayed")
}
