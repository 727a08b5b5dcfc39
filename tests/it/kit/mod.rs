//! What is in `deploy`, tried with the programs that it is for.

mod alerts;
mod dashboards;
mod pipeline;
mod rules;
mod scrape;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

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

/// A program that is ended when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `Err` means: it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shipped file in another place, with its addresses and times changed; each change changes something.
fn changed(from: &Path, to: &Path, changes: &[(&str, &str)]) {
    let mut text = read(from);
    for (before, after) in changes {
        assert!(text.contains(before), "{before} in {}", from.display());
        text = text.replace(before, after);
    }
    std::fs::write(to, text).expect("a file");
}

/// Checks that what a query asks for of OmniTrace's metrics is in their documentation.
fn assert_measured(query: &str) {
    const OURS: [&str; 8] = [
        "http_",
        "queue_",
        "external_",
        "token_cost",
        "workflow_cost",
        "traces_",
        "gen_ai_client",
        "omnitrace_",
    ];
    let documented = read(&deploy("../docs/metrics.md"));
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    for word in words.filter(|word| OURS.iter().any(|ours| word.starts_with(ours))) {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| word.strip_suffix(part));
        let is_there = |name: &str| documented.contains(&format!("\n| `{name}` |"));
        assert!(
            is_there(word) || part.is_some_and(is_there),
            "{word} in {query}"
        );
    }
}

fn assert_good(command: &mut Command) {
    let output = command.output().expect("the program");
    assert!(output.status.success(), "{}", said(&output));
}
