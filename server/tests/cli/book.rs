//! What the guides tell a reader to write: every command is one, every variable is known, and nothing is in a
//! language that no test reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Parser;
use clap::error::ErrorKind;
use omnitrace::config::Settings;
use omnitrace_server::cli::Cli;
use serde_json::Value;

use crate::{Database, erase, rows};

/// Languages of blocks of code. Rust is compiled by `tests/src/book.rs`, SQL is run by the store's tests, requests
/// are sent by `http/guides.rs`, the others are read here; text is what a program prints, or a drawing.
const LANGUAGES: [&str; 9] = [
    "console",
    "http",
    "json",
    "rust",
    "rust,no_run",
    "sh",
    "sql",
    "text",
    "toml",
];

/// Commands that need no more than a store; what they print is not looked at here.
const RUN: [&str; 5] = ["list", "show", "doctor", "migrate", "token"];

/// Commands that change a store or go through all of it: each has one of its own, and works. What is left needs
/// servers, files or folders of a machine: other tests run it.
const CHANGE: [&str; 7] = [
    "audit",
    "completions",
    "erase",
    "prune",
    "set",
    "stats",
    "switches",
];

/// Programs whose command lines are read where they are at home: `xtask`, `worker-example`, and one of the reader's
/// that takes the same arguments.
const ELSEWHERE: [&str; 3] = ["cargo", "my-worker", "worker-example"];

/// Programs of others, of which the files alone are looked at. What they are given in `deploy/` has tests of its own.
const OTHERS: [&str; 16] = [
    "alertmanager",
    "curl",
    "export",
    "install",
    "journalctl",
    "jq",
    "kubectl",
    "otelcol-contrib",
    "podman",
    "prometheus",
    "promtool",
    "sha256sum",
    "sort",
    "systemctl",
    "temporal",
    "uniq",
];

/// A line of shell of a guide.
pub(crate) struct Line {
    pub(crate) page: String,
    /// Commands with a pipe between them.
    pub(crate) commands: Vec<Vec<String>>,
    /// Of a sentence, which may name a command without what it needs.
    in_prose: bool,
}

/// A block of code.
struct Block {
    page: String,
    language: String,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn guides() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut guides = vec![root.join("README.md"), root.join("deploy/README.md")];
    for folder in ["docs", "docs/adr", "docs/runbooks"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        guides.extend(files.filter(|file| file.extension().is_some_and(|of| of == "md")));
    }
    (guides.into_iter())
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Blocks of code of a page, and the code that stands in its sentences.
fn code(page: &str, text: &str) -> (Vec<Block>, Vec<String>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut prose = String::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push(Block {
                    page: page.to_owned(),
                    language: language.to_owned(),
                    lines: Vec::new(),
                });
            }
        } else if inside && let Some(block) = blocks.last_mut() {
            block.lines.push(line.trim_start().to_owned());
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    let spans = prose.split('`').skip(1).step_by(2);
    (blocks, spans.map(str::to_owned).collect())
}

fn all_code() -> (Vec<Block>, Vec<(String, String)>) {
    let (mut blocks, mut spans) = (Vec::new(), Vec::new());
    for (path, text) in guides() {
        let page = path.file_name().unwrap().to_string_lossy().into_owned();
        let (of_page, in_prose) = code(&page, &text);
        blocks.extend(of_page);
        spans.extend(in_prose.into_iter().map(|span| (page.clone(), span)));
    }
    (blocks, spans)
}

/// Lines of a block of shell, those that end in `\` joined with the next; of a session what is typed, and of the
/// reference its examples.
fn typed(block: &Block) -> Vec<String> {
    let joined = block.lines.join("\n").replace("\\\n", "");
    let lines = joined.lines();
    match block.language.as_str() {
        "sh" => lines.map(str::to_owned).collect(),
        "console" => (lines.filter_map(|line| line.strip_prefix("$ ")))
            .map(str::to_owned)
            .collect(),
        "text" => (lines.skip_while(|line| *line != "Examples:").skip(1))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
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

/// All lines of shell.
pub(crate) fn lines() -> Vec<Line> {
    let (blocks, spans) = all_code();
    let in_blocks = (blocks.iter())
        .flat_map(|block| {
            let lines = typed(block).into_iter();
            lines.map(move |line| (&block.page, line))
        })
        .map(|(page, line)| Line {
            page: page.clone(),
            commands: piped(&line),
            in_prose: false,
        });
    // What is left out there is no command.
    let is_command = |(_, span): &&(String, String)| {
        ["omnitrace ", "curl ", "worker-example "]
            .iter()
            .any(|program| span.starts_with(program))
            && !span.contains('…')
    };
    let in_prose = spans.iter().filter(is_command).map(|(page, span)| Line {
        page: page.clone(),
        commands: piped(span),
        in_prose: true,
    });
    in_blocks.chain(in_prose).collect()
}

/// Targets of requests, by page: those of `curl`, of blocks of requests, and those that sentences name.
pub(crate) fn requests() -> Vec<(String, String)> {
    let (blocks, spans) = all_code();
    let in_blocks = (blocks.into_iter())
        .filter(|block| block.language == "http")
        .flat_map(|block| {
            let lines = block.lines.into_iter();
            lines.map(move |line| (block.page.clone(), line))
        });
    let named = in_blocks.chain(spans).filter_map(|(page, text)| {
        let target = text.strip_prefix("GET ")?;
        Some((page, target.to_owned()))
    });
    // Those of sentences ask workers and collectors.
    let curl = (lines().into_iter())
        .filter(|line| !line.in_prose && program(&line.commands[0]) == Some("curl"))
        .map(|line| {
            let url = line.commands[0]
                .iter()
                .find_map(|word| word.split_once("://"));
            let (_, after) = url.unwrap();
            (line.page, after[after.find('/').unwrap()..].to_owned())
        });
    named.chain(curl).collect()
}

/// What a filter of `jq` finds, as the guides have them: names of fields, `[]` for each of a list; what it chooses
/// among them is not looked at.
pub(crate) fn filtered(value: &Value, filter: &str) -> Vec<Value> {
    let filter = filter.split(" |").next().unwrap_or(filter);
    let mut found = vec![value.clone()];
    for part in filter.split('.').filter(|part| !part.is_empty()) {
        let name = part.trim_end_matches("[]");
        found = (found.iter().map(|value| value[name].clone()))
            .flat_map(|value| match value {
                Value::Array(values) if name != part => values,
                value => vec![value],
            })
            .filter(|value| !value.is_null())
            .collect();
    }
    found
}

/// How many of the words set variables for the command alone.
fn assignments(words: &[String]) -> usize {
    let is_set = |word: &&String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || "_0123456789".contains(c))
    };
    words.iter().take_while(is_set).count()
}

/// The program of a command, without its folder; none where variables are set and nothing is called.
pub(crate) fn program(words: &[String]) -> Option<&str> {
    let word = words.get(assignments(words))?;
    Some(word.rsplit('/').next().unwrap_or(word))
}

#[tokio::test]
async fn every_command_of_the_guides_is_one_and_those_of_a_store_work() {
    let database = Database::full().await;
    let listed = json(database.stdout(&["list", "--json"]).as_bytes());
    let mut ours = 0;
    for line in lines() {
        let page = &line.page;
        for (at, words) in line.commands.iter().enumerate() {
            if program(words) != Some("omnitrace") {
                continue;
            }
            ours += 1;
            let words = &words[assignments(words)..];
            let told = words.join(" ");
            match Cli::try_parse_from(words) {
                Ok(_) => {}
                // `--help` and `--version` end the reading of arguments too.
                Err(error) if !error.use_stderr() => {}
                Err(error) if line.in_prose && lacks_something(error.kind()) => continue,
                Err(error) => panic!("{page}: {told}\n{error}"),
            }
            let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            if !RUN.contains(&args[0]) {
                continue;
            }
            let output = database.command(&args).output().unwrap();
            // 1 is what a command found; 2 would be a wrong argument.
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{page}: {told}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let next = line.commands.get(at + 1);
            if let Some(jq) = next.filter(|words| program(words) == Some("jq")) {
                let filter = jq.last().unwrap();
                // Nothing of these runs is of the last hour.
                let printed = Some(json(&output.stdout)).filter(|values| !values.is_empty());
                let printed = printed.as_ref().unwrap_or(&listed);
                let found = printed
                    .iter()
                    .any(|value| !filtered(value, filter).is_empty());
                assert!(found, "{page}: {told}: {filter} finds nothing");
            }
        }
    }
    assert!(ours > 120, "{ours}");
}

/// A store with all that the guides speak of, in the namespace that is asked for without a word, and in theirs.
async fn of_the_guides() -> Database {
    let order = || erase::of(rows::order(), "4711", "acme");
    let mut orders = order();
    let keys = (orders.runs.iter_mut())
        .flat_map(|run| {
            [Some(&mut run.key), run.parent.as_mut()]
                .into_iter()
                .flatten()
        })
        .chain(orders.events.iter_mut().map(|event| &mut event.run));
    for key in keys {
        key.namespace = "orders".to_owned();
    }
    let database = Database::with(&[order(), orders]).await;
    std::fs::write(
        database.folder().join("house.patterns"),
        "# ours\nid=ID-[0-9]+\n",
    )
    .unwrap();
    let set = [
        "set",
        "sample_rate",
        "0.1",
        "--env",
        "prod",
        "--reason",
        "before",
    ];
    database.stdout(&set);
    database
}

#[tokio::test]
async fn commands_of_the_guides_that_change_a_store_work() {
    let mut run = BTreeSet::new();
    for line in lines().into_iter().filter(|line| !line.in_prose) {
        let Some(words) = (line.commands.iter()).find(|words| program(words) == Some("omnitrace"))
        else {
            continue;
        };
        let (set, words) = words.split_at(assignments(words));
        let told = words[1..].join(" ");
        let command = words.get(1).map_or("", String::as_str);
        if !CHANGE.contains(&command) || !run.insert(told.clone()) {
            continue;
        }
        let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let database = of_the_guides().await;
        let set = set.iter().filter_map(|word| word.split_once('='));
        let mut command = database.command(&args);
        // Elsewhere everything is kept.
        command.env("OMNITRACE_ENV", "prod").envs(set);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (stdout, stderr) = database.texts(&output);
        let code = output.status.code();
        assert_eq!(code, Some(0), "{}: {told}\n{stdout}{stderr}", line.page);
    }
    let commands: BTreeSet<&str> = run
        .iter()
        .filter_map(|told| told.split(' ').next())
        .collect();
    assert_eq!(commands, BTreeSet::from(CHANGE));
}

/// Values, one after the other.
fn json(bytes: &[u8]) -> Vec<Value> {
    let values = serde_json::Deserializer::from_slice(bytes).into_iter();
    values.collect::<Result<_, _>>().unwrap()
}

fn lacks_something(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

#[test]
fn every_program_of_the_guides_is_known_and_the_files_that_it_is_given_are_there() {
    let folders = [root(), root().join("deploy")];
    for Line { page, commands, .. } in lines() {
        for words in commands {
            let Some(program) = program(&words) else {
                continue;
            };
            let known =
                program == "omnitrace" || ELSEWHERE.contains(&program) || OTHERS.contains(&program);
            assert!(known, "{page}: {program} of {words:?}");
            if program == "cargo" {
                let task = words
                    .iter()
                    .any(|word| ["xtask", "install", "worker-example"].contains(&word.as_str()));
                assert!(task, "{page}: {words:?}");
            }
            for word in &words {
                let path = word.rsplit('=').next().unwrap_or(word);
                let path = path.split('*').next().unwrap_or(path);
                let Some((folder, _)) =
                    path.split_once('/').filter(|(first, _)| *first != "target")
                else {
                    continue;
                };
                let of = folders
                    .iter()
                    .find(|of| !folder.is_empty() && of.join(folder).is_dir());
                if let Some(of) = of {
                    assert!(of.join(path).exists(), "{page}: {word}");
                }
            }
        }
    }
}

#[test]
fn every_block_of_the_guides_is_in_a_language_that_is_read() {
    let (blocks, _) = all_code();
    for Block {
        page,
        language,
        lines,
    } in blocks
    {
        assert!(
            LANGUAGES.contains(&language.as_str()),
            "{page}: {language:?}"
        );
        if language == "json" {
            let parsed = serde_json::from_str::<Value>(&lines.join("\n"));
            assert!(parsed.is_ok(), "{page}: {parsed:?}");
        }
        if language == "http" {
            assert!(
                lines.iter().all(|line| line.starts_with("GET /")),
                "{page}: {lines:?}"
            );
        }
    }
}

#[test]
fn every_value_that_the_guides_set_is_allowed() {
    let (blocks, _) = all_code();
    let mut set = 0;
    for block in blocks {
        // Spans are sent where a guide names a place for them.
        let mut variables: BTreeMap<String, OsString> =
            [("TELEMETRY_ENABLED", "true"), ("TELEMETRY_BACKEND", "otel")]
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into();
        for words in typed(&block).iter().map(|line| piped(line).swap_remove(0)) {
            for word in &words[..assignments(&words)] {
                let (name, value) = word.split_once('=').unwrap();
                variables.insert(name.to_owned(), value.into());
                set += 1;
            }
        }
        let (_, findings) = Settings::from_vars(&|name| variables.get(name).cloned());
        assert!(findings.is_empty(), "{}: {findings:?}", block.page);
    }
    assert!(set > 20, "{set}");
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
    let page = "a `b\n c` d\n```sh\na \\\n b\nc\n```\n```console\n$ d\ne\n```";
    let (blocks, spans) = code("page", page);
    assert_eq!(spans, ["b  c"]);
    let typed: Vec<Vec<String>> = blocks.iter().map(typed).collect();
    assert_eq!(typed, [vec!["a b", "c"], vec!["d"]]);
    let value = serde_json::json!({ "a": [{ "b": 1 }, { "c": 2 }] });
    assert_eq!(filtered(&value, ".a[].b | select(. > 0)"), [1]);
    assert!(filtered(&value, ".a.b").is_empty());
}
