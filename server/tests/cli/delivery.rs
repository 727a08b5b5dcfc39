//! What is needed to install the program: its version, what completes its commands, its manual, its health.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use clap::{Command, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use omnitrace::config::Settings;
use omnitrace_server::cli::Cli;
use regex::Regex;

use crate::Database;

#[test]
fn the_version_tells_the_release_the_commit_and_the_schema() {
    let database = Database::missing();
    let (version, schema) = (env!("CARGO_PKG_VERSION"), omnitrace_store::schema_version());
    let said = database.stdout(&["--version"]);
    let commit = match env!("OMNITRACE_BUILT_FROM") {
        "" => "",
        _ => "commit [0-9a-f]{12}, ",
    };
    let escaped = regex::escape(version);
    let expected = format!(r"\Aomnitrace {escaped} \({commit}schema {schema}\)\n\z");
    assert!(Regex::new(&expected).unwrap().is_match(&said), "{said}");
    let short = format!("omnitrace {version}\n");
    assert_eq!(database.stdout(&["-V"]), short);
}

/// Names of a command and of all below it, each with those above it.
fn commands(command: &Command, above: &[&str]) -> Vec<Vec<String>> {
    let path: Vec<&str> = [above, &[command.get_name()]].concat();
    let below = command.get_subcommands();
    let mut all = vec![path.iter().map(ToString::to_string).collect()];
    all.extend(below.flat_map(|command| commands(command, &path)));
    all
}

#[test]
fn every_shell_is_told_every_command_and_option() {
    let database = Database::missing();
    let cli = Cli::command();
    let all = commands(&cli, &[]);
    assert!(all.len() > 20, "{all:?}");
    let mut words: BTreeSet<String> = all.into_iter().flatten().collect();
    words.extend(cli.get_subcommands().flat_map(|command| {
        let options = command.get_arguments().filter_map(|arg| arg.get_long());
        options.map(str::to_owned).collect::<Vec<_>>()
    }));
    for shell in Shell::value_variants() {
        let script = database.stdout(&["completions", &shell.to_string()]);
        for word in &words {
            assert!(script.contains(word.as_str()), "{shell} {word}");
        }
    }
    let (code, line) = database.failure(&["completions", "tcsh"]);
    assert_eq!(code, 2);
    assert!(line.contains("bash"), "{line}");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let database = Database::missing();
    let page = database.stdout(&["man"]);
    assert!(page.contains(".TH omnitrace 1"), "{page}");
    database.stdout(&["man", "."]);
    let mut pages = BTreeSet::new();
    for file in std::fs::read_dir(database.folder()).unwrap() {
        pages.insert(file.unwrap().file_name().into_string().unwrap());
    }
    for path in commands(&Cli::command(), &[]) {
        let name = path.join("-") + ".1";
        let text = std::fs::read_to_string(database.folder().join(&name)).unwrap();
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{name}"
        );
        pages.remove(&name);
    }
    // Those of the command `help` alone are beside them.
    assert!(pages.iter().all(|page| page.contains("-help")), "{pages:?}");
    database.stdout(&["man", "share/man1"]);
    assert!(database.folder().join("share/man1/omnitrace.1").exists());
    std::fs::write(database.folder().join("taken"), "").unwrap();
    let (code, line) = database.failure(&["man", "taken"]);
    assert_eq!((code, line.lines().count()), (1, 1), "{line}");
    assert!(line.contains("cannot write taken: "), "{line}");
}

fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    std::fs::read_to_string(&path).unwrap()
}

/// Variables that a server is deployed with, as the program and its settings read them.
fn assert_read(file: &str, set: &BTreeMap<String, String>) {
    let asked = RefCell::new(BTreeSet::new());
    let (_, findings) = Settings::from_vars(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        set.get(name).map(OsString::from)
    });
    assert!(findings.is_empty(), "{file}: {findings:?}");
    let mut cli = Cli::command();
    cli.build();
    let serve = cli.find_subcommand("serve").unwrap();
    let mut args = vec!["omnitrace".to_owned(), "serve".to_owned()];
    for (name, value) in set {
        let mut arguments = serve.get_arguments();
        let Some(arg) = arguments.find(|arg| arg.get_env().is_some_and(|env| *env == **name))
        else {
            assert!(asked.borrow().contains(name), "{file}: nobody reads {name}");
            continue;
        };
        let option = format!("--{}", arg.get_long().unwrap());
        match arg.get_action().takes_values() {
            true => args.push(format!("{option}={value}")),
            false => {
                assert!(
                    ["true", "false"].contains(&value.as_str()),
                    "{file}: {name}"
                );
                args.extend((value == "true").then_some(option));
            }
        }
    }
    if let Err(error) = Cli::try_parse_from(&args) {
        panic!("{file}: {error}");
    }
}

#[test]
fn what_a_deployed_server_is_set_to_is_read_and_allowed() {
    let is_comment = |line: &&str| line.starts_with('#') || line.is_empty();
    let unit = deployed("systemd/omnitrace.env");
    let map = deployed("kubernetes/configmap.yaml");
    let (_, data) = map.split_once("\ndata:\n").unwrap();
    for (file, lines, between) in [
        ("omnitrace.env", &*unit, "="),
        ("configmap.yaml", data, ": "),
    ] {
        let lines = lines
            .lines()
            .map(str::trim)
            .filter(|line| !is_comment(line));
        let set: BTreeMap<String, String> = lines
            .map(|line| {
                let (name, value) = line.split_once(between).unwrap();
                (name.to_owned(), value.trim_matches('"').to_owned())
            })
            .collect();
        assert!(set.len() >= 2, "{file}");
        assert_read(file, &set);
    }
}

#[test]
fn the_image_that_is_deployed_is_of_this_version() {
    let mut images = 0;
    for file in ["kubernetes/deployment.yaml", "kubernetes/migrate.yaml"] {
        for line in deployed(file).lines() {
            if let Some(image) = line.trim().strip_prefix("image: ") {
                assert_eq!(
                    image,
                    concat!("omnitrace:", env!("CARGO_PKG_VERSION")),
                    "{file}"
                );
                images += 1;
            }
        }
    }
    assert_eq!(images, 2);
}

#[tokio::test]
async fn a_server_says_that_it_lives_and_one_that_is_not_there_does_not() {
    let database = Database::full().await;
    let mut serve = database.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split(' ').next().unwrap().to_owned();
    let said = database.stdout(&["health", "--listen", &address]);
    assert_eq!(said, format!("{address} lives\n"));
    server.kill().unwrap();
    server.wait().unwrap();
    let output = database
        .command(&["health", "--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_switch_is_set_listed_and_taken_back() {
    let database = Database::full().await;
    let set = |args: &[&str]| {
        let args = [args, &["--reason", "rollout", "--by", "ann"]].concat();
        database.stdout(&args)
    };
    assert_eq!(
        set(&["set", "sample_rate", "0.050", "--env", "prod"]),
        "sample_rate is 0.05 for environment prod (change 1): for runs that begin 4 seconds from now or later\n"
    );
    set(&[
        "set",
        "drop_fields",
        "iban",
        "--tenant",
        "acme",
        "--type",
        "Order",
    ]);
    let list = database.stdout(&["switches", "list", "--json"]);
    let lines: Vec<serde_json::Value> = (list.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [rate, fields] = &lines[..] else {
        panic!("{list}");
    };
    assert_eq!(
        (&rate["name"], &rate["value"]),
        (&"sample_rate".into(), &"0.05".into())
    );
    assert_eq!(rate["set_by"], "ann");
    assert!(rate["set_at"].as_str().unwrap().ends_with('Z'));
    let tenant = fields["tenant"].as_str().unwrap();
    assert!(tenant.starts_with("sha256:"), "{tenant}");
    assert!(!list.contains("acme"), "{list}");

    let doctor = database.command(&["doctor"]).output().unwrap();
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        doctor.contains("sample_rate = 0.05 for environment prod"),
        "{doctor}"
    );

    assert_eq!(
        set(&["switches", "unset", "sample_rate", "--env", "prod"]),
        "sample_rate is taken back for environment prod (change 3): for runs that begin 4 seconds from now or later\n"
    );
    assert_eq!(
        database
            .stdout(&["switches", "list", "--json"])
            .lines()
            .count(),
        1
    );
    assert_eq!(database.stdout(&["switches", "history"]).lines().count(), 4);
    for (args, said) in [
        (
            &["set", "sample_rate", "5%"][..],
            "write a number from 0 to 1",
        ),
        (&["set", "recording", "no"], "write true or false"),
        (
            &["set", "recording", "false", "--type", "Order*"],
            "`*` is no pattern in its name",
        ),
        (&["set", "volume", "1"], "sample_rate"),
    ] {
        let (code, line) = database.failure(&[args, &["--reason", "x"]].concat());
        assert_eq!(code, 2, "{line}");
        assert!(line.contains(said), "{line}");
    }
    let (code, line) = database.failure(&["set", "recording", "false", "--reason", " "]);
    assert_eq!(code, 2, "{line}");
    // As with a token that is not there: nothing was found.
    let (code, line) = database.failure(&["switches", "unset", "recording", "--reason", "x"]);
    assert_eq!(code, 1, "{line}");
    assert!(
        line.contains("`omnitrace switches list` shows what is"),
        "{line}"
    );
}
