//! The documentation of the variables is made from their table.

use std::fmt::Write as _;

use super::super::VARIABLES;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

const HEAD: &str = "\
# Configuration

OmniTrace reads its settings from the environment; `omnitrace::config::Settings` has a builder method
for each, which goes over it. Reading never fails: an invalid value is one line in the log that names
the variable, the value and what is allowed, and the setting falls towards recording less.

What `omnitrace serve` and `omnitrace prune` read beside it is in [Serving](serving.md#options) and in the columns of
[Command line](cli.md); what reaches Temporal is read as Temporal's own command line does.

This page is made from the table in the code: `UPDATE_DOCS=1 cargo test -p omnitrace documentation`.

| variable | default | allowed | what it does |
|---|---|---|---|
";

#[test]
fn the_documentation_of_the_variables_is_up_to_date() {
    let mut page = HEAD.to_owned();
    for variable in VARIABLES {
        let default = match variable.default {
            "" => "nothing".to_owned(),
            default => format!("`{default}`"),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            variable.name,
            cell(&default),
            cell(variable.allowed),
            cell(variable.meaning)
        )
        .expect("a string takes everything");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &page).expect("docs/ can be written");
    }
    let stored = std::fs::read_to_string(PATH).unwrap_or_default();
    assert_eq!(
        stored, page,
        "run UPDATE_DOCS=1 cargo test -p omnitrace documentation"
    );
}
