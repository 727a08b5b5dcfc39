//! What the guides tell a reader to write: every command is one, and every variable is known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;
use omnitrace_server::cli::Cli;

use crate::Database;

/// Commands that need no more than a store; what they print is not looked at here.
const RUN: [&str; 5] = ["list", "show", "doctor", "migrate", "token"];

/// A line of a guide that calls `omnitrace`.
struct Line {
    page: String,
    words: Vec<String>,
}

fn guides() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut guides = vec![root.join("README.md"), root.join("deploy/README.md")];
    for folder in ["docs", "docs/runbooks"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        guides.extend(files.filter(|file| file.extension().is_some_and(|of| of == "md")));
    }
    (guides.into_iter())
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Lines of code of a page, those that end in `\` joined with the next.
fn code(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    let mut joined = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            // A language other than a shell's is read by others.
            let language = line.trim_start().trim_start_matches('`');
            inside = !inside && ["", "console", "sh"].contains(&language);
            continue;
        }
        if !inside {
            continue;
        }
        let (text, goes_on) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| joined) {
            Some(last) => last.push_str(text),
            None => lines.push(text.to_owned()),
        }
        joined = goes_on;
    }
    lines
}

/// The commands of a line, each in words, as a shell reads them, up to where their output goes.
fn piped(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![String::new()]];
    let mut quote = None;
    for c in line.chars() {
        let Some(words) = commands.last_mut() else {
            break;
        };
        match (c, quote, words.last_mut()) {
            ('\'' | '"', None, _) => quote = Some(c),
            (c, Some(open), _) if c == open => quote = None,
            ('|', None, _) => commands.push(vec![String::new()]),
            (' ', None, _) => words.push(String::new()),
            ('>' | '#' | ';', None, _) => break,
            (c, _, Some(word)) => word.push(c),
            (_, _, None) => {}
        }
    }
    for words in &mut commands {
        words.retain(|word| !word.is_empty());
    }
    commands
}

fn commands() -> Vec<Line> {
    let mut commands = Vec::new();
    for (path, text) in guides() {
        let page = path.file_name().unwrap().to_string_lossy();
        for line in code(&text) {
            for words in piped(line.trim_start_matches("$ ")) {
                // Variables that are set for the command alone.
                let set = words.iter().take_while(|word| word.contains('=')).count();
                if words.get(set).is_some_and(|word| word == "omnitrace") {
                    let page = page.clone().into_owned();
                    let words = words[set..].to_vec();
                    commands.push(Line { page, words });
                }
            }
        }
    }
    commands
}

#[tokio::test]
async fn every_command_of_the_guides_is_one_and_those_of_a_store_work() {
    let commands = commands();
    assert!(commands.len() > 15, "{}", commands.len());
    let database = Database::full().await;
    for Line { page, words } in commands {
        let told = words.join(" ");
        // `--help` and `--version` end the reading of arguments too.
        if let Err(error) = Cli::try_parse_from(&words)
            && error.use_stderr()
        {
            panic!("{page}: {told}\n{error}");
        }
        if words
            .get(1)
            .is_some_and(|command| RUN.contains(&&**command))
        {
            let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let output = database.command(&args).output().unwrap();
            // 1 is what a command found; 2 would be a wrong argument.
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{page}: {told}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

/// Names of variables of ours, and of OpenTelemetry's that we read.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (text.split(|c: char| !is_part(c) && c != '…' && c != '*'))
        .filter(|word| {
            ["OMNITRACE_", "OTEL_", "PROM_EXPORT", "TELEMETRY_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        // One that is cut short stands for several.
        .filter(|word| word.chars().all(is_part) && !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_variable_of_the_guides_is_known() {
    let guides = guides();
    let of = |name: &str| {
        let page = guides.iter().find(|(path, _)| path.ends_with(name));
        variables(&page.unwrap().1)
    };
    let mut known = of("docs/configuration.md");
    known.extend(of("docs/cli.md"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Those of a build, of the Collector's file, and of the tests, which are no settings of the programs.
    known.insert("OMNITRACE_COMMIT".to_owned());
    let collector = root.join("deploy/collector/collector.yaml");
    known.extend(variables(&std::fs::read_to_string(collector).unwrap()));
    for (path, text) in &guides {
        let unknown: Vec<_> = (variables(text).into_iter())
            .filter(|name| !known.contains(name) && !name.starts_with("OMNITRACE_TEST_"))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}

#[test]
fn lines_are_read_as_a_shell_does() {
    assert_eq!(
        piped("A=b omnitrace list --type 'Order*' --text \"a b\" | jq . > x # so"),
        [
            &[
                "A=b",
                "omnitrace",
                "list",
                "--type",
                "Order*",
                "--text",
                "a b"
            ][..],
            &["jq", "."],
        ]
    );
    let page = "```\na \\\n b\nc\n```\nd\n```rust\ne\n```";
    assert_eq!(code(page), ["a  b", "c"]);
}
