//! `cargo xtask soak`: whether memory, time and exactness hold over very many runs. It builds for release
//! and starts a Temporal server with a database file; the bench's program does the rest.

use std::process::Command;

use clap::Args;

use crate::error::Error;
use crate::tools::dev_server::{DevServer, Ui};
use crate::tools::{Host, protoc, temporal};
use crate::{bench, cargo, process, say, test};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Short runs (3 activities, a timer, a local activity) of each worker, as --short 20000
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    short: u32,
    /// Long runs of each worker, as --long 40
    #[arg(long, default_value_t = 1_000)]
    long: u32,
    /// Activities of a long run, as --activities 1500
    #[arg(long, default_value_t = 100)]
    activities: u32,
    /// Short runs before it is the other worker's turn, as --slice 200
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    slice: u32,
    /// Short runs at once, as --at-once 40: few show what recording adds, many how it holds out
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
}

pub(crate) fn run(host: &Host, options: &Options) -> Result<(), Error> {
    let protoc = protoc::resolve(host)?;
    let program = bench::programs(&protoc)?.bench;
    let folder = tempfile::Builder::new()
        .prefix("omnitrace-soak-")
        .tempdir()
        .map_err(Error::file("create", std::env::temp_dir()))?;
    let file = folder.path().join("temporal.db");
    let mut server =
        DevServer::start_with(host, temporal::resolve(host)?, Ui::Headless, Some(file))?;
    server.wait_ready()?;
    let out = cargo::target_directory(host).join("soak");
    let mut soak = Command::new(program);
    for name in host.names().filter(|name| test::is_hidden(name)) {
        soak.env_remove(name);
    }
    soak.current_dir(cargo::root())
        .args(["soak", "--address", &server.address()])
        .args(["--short", &options.short.to_string()])
        .args(["--long", &options.long.to_string()])
        .args(["--activities", &options.activities.to_string()])
        .args(["--slice", &options.slice.to_string()])
        .args(["--at-once", &options.at_once.to_string()])
        .arg("--out")
        .arg(&out);
    say::line("samples", format_args!("{}/soak.json", out.display()));
    process::expect(process::run(&mut soak)?, "soak")
}
