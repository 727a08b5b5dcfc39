//! The `omnitrace` command: reads its arguments and hands them to the library.

use std::process::ExitCode;

use omnitrace_server::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    omnitrace_server::run(Cli::read()).await
}
