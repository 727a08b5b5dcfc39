//! The reference of the command line, as `docs/cli.md` has it.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
const HEAD: &str = "# Command line

<!-- made from server/src/cli: UPDATE_DOCS=1 cargo xtask test -p omnitrace-server reference -->

Every command reads the database of `--database-url`. Settings of recording, as the hash key, are those of
[Configuration](configuration.md). Exit codes are 0, 1 for what a command found or could not do, 2 for wrong
arguments; of `audit` 1 is that it found something, and 2 that it could not look. `--name[=VALUE]` takes its value
after `=` only.
";

#[test]
fn the_reference_is_up_to_date() {
    let mut command = Cli::command();
    command.build();
    let mut page = HEAD.to_owned();
    write(&command, 2, &mut page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &page).unwrap();
    }
    let stored = std::fs::read_to_string(PATH).unwrap_or_default();
    assert_eq!(
        stored, page,
        "run UPDATE_DOCS=1 cargo xtask test -p omnitrace-server reference"
    );
}

fn write(command: &Command, level: usize, page: &mut String) {
    let mut command = command.clone();
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    writeln!(page, "\n{} {name}\n\n{about}\n", "#".repeat(level)).unwrap();
    writeln!(page, "```text\n{usage}\n```").unwrap();
    let top = command.get_subcommands().next().is_some();
    // What every command has is told once; `help` is of no use in a page.
    let arguments: Vec<&Arg> = (command.get_arguments())
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .filter(|argument| level == 2 || !argument.is_global_set())
        .collect();
    if !arguments.is_empty() {
        page.push_str("\n| option | variable | default | what |\n|---|---|---|---|\n");
    }
    for argument in arguments {
        writeln!(page, "{}", row(argument)).unwrap();
    }
    if let Some(after) = command.get_after_help() {
        writeln!(page, "\n```text\n{after}\n```").unwrap();
    }
    if top {
        let subcommands = command.get_subcommands();
        for subcommand in subcommands.filter(|of| of.get_name() != "help") {
            write(subcommand, level + 1, page);
        }
    }
}

fn row(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let value: String = match takes {
        true if argument.is_require_equals_set() => format!("[={}]", values.concat()),
        true => values.iter().map(|value| format!(" {value}")).collect(),
        false => String::new(),
    };
    let name = match argument.get_long() {
        Some(long) => format!("--{long}{value}"),
        None => value.trim().to_owned(),
    };
    let env = argument.get_env().and_then(|name| name.to_str());
    let env = env.map(|name| format!("`{name}`")).unwrap_or_default();
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<_> = defaults
        .filter(|_| takes)
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let mut help = argument.get_help().map(ToString::to_string);
    let help = help.get_or_insert_default();
    if !help.is_empty() && !help.ends_with('.') {
        help.push('.');
    }
    let possible: Vec<_> = (argument.get_possible_values().iter())
        .filter(|_| takes)
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() && possible != ["`true`", "`false`"] {
        write!(help, " One of {}.", possible.join(", ")).unwrap();
    }
    if argument.is_required_set() {
        help.push_str(" Required.");
    }
    let help = help
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('\n', " ");
    format!("| `{name}` | {env} | {} | {help} |", defaults.join(", "))
}
