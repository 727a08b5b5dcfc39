//! What is in `deploy`, tried with the programs that it is for.

mod alerts;
mod dashboards;
mod pipeline;
mod rules;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of `deploy`.
fn deploy(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy")).join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program that `cargo xtask test` obtained.
fn program(variable: &str) -> Command {
    let program = std::env::var(variable);
    Command::new(program.unwrap_or_else(|_| panic!("no {variable}: run `cargo xtask test`")))
}

fn promtool() -> Command {
    program("OMNITRACE_TEST_PROMTOOL_BIN")
}

/// What a program said, of whom it is expected that all is well.
fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn assert_good(command: &mut Command) {
    let output = command.output().expect("the program");
    assert!(output.status.success(), "{}", said(&output));
}
