//! `cargo xtask bench ui`: how long runs open in our web UI, beside Temporal's own of the same run, in
//! Chromium. What is measured, and how, is in `web/bench`.

use std::ffi::OsStr;
use std::process::Command;

use crate::bench::Programs;
use crate::error::Error;
use crate::tools::dev_server::{DevServer, Ui};
use crate::tools::{Host, chromium, protoc, temporal};
use crate::{bench, cargo, process, say, test, web};

/// Activities of the run that both open: six events each, and five more.
const ACTIVITIES: u32 = 1500;
const FEWER: u32 = 150;

/// Makes the run, and has it opened.
pub(crate) fn run(host: &Host, quick: bool) -> Result<(), Error> {
    web::require_packages()?;
    let chromium = chromium::resolve(host)?;
    let protoc = protoc::resolve(host)?;
    let Programs { bench, omnitrace } = bench::programs(&protoc)?;

    let mut server = DevServer::start(host, temporal::resolve(host)?, Ui::Served)?;
    server.wait_ready()?;
    let activities = if quick { FEWER } else { ACTIVITIES };
    say::line("run", format_args!("{activities} activities"));
    let mut long = Command::new(bench);
    for name in host.names().filter(|name| test::is_hidden(name)) {
        long.env_remove(name);
    }
    long.args(["long", "--address", &server.address()])
        .args(["--activities", &activities.to_string()]);
    let long = process::capture(&mut long, false)?;
    process::expect(long.status, "the run of the bench")?;

    let out = cargo::target_directory(host).join("bench");
    let ui = server.ui_url().unwrap_or_default();
    let address = server.address();
    let quick = if quick { "1" } else { "" };
    web::in_chromium(
        &["run", "--silent", "bench"],
        &chromium,
        &omnitrace,
        &[
            ("BENCH_TEMPORAL", OsStr::new(&address)),
            ("BENCH_TEMPORAL_UI", OsStr::new(&ui)),
            ("BENCH_WORKFLOW", OsStr::new(long.stdout.trim())),
            ("BENCH_OUT", out.as_os_str()),
            ("BENCH_QUICK", OsStr::new(quick)),
        ],
    )?;
    say::line("samples", format_args!("{}/ui.json", out.display()));
    Ok(())
}
