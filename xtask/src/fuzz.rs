//! `cargo xtask fuzz`: the fuzzers of `fuzz`, each for some time. What they found once is a test of its own.

use std::process::Command;

use clap::Args;

use crate::error::Error;
use crate::tools::{Host, cargo_fuzz, protoc};
use crate::{cargo, process, say};

/// All fuzzers; a test compares them with the folder.
const TARGETS: [&str; 6] = [
    "api",
    "header",
    "history",
    "key",
    "redaction",
    "visibility_query",
];

/// What is fuzzed, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The fuzzers; all if none is named
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// Seconds of each
    #[arg(long, default_value_t = 120)]
    seconds: u32,
}

/// Runs fuzzers until the first that finds something.
pub(crate) fn run(host: &Host, options: &Options) -> Result<(), Error> {
    let protoc = protoc::resolve(host)?;
    let program = cargo_fuzz::resolve(host)?;
    let all = TARGETS.map(str::to_owned);
    let targets = match options.targets.as_slice() {
        [] => &all[..],
        some => some,
    };
    for target in targets {
        say::line("fuzz", format_args!("{target} for {} s", options.seconds));
        let corpus = cargo::root().join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(Error::file("create", &corpus))?;
        let mut fuzz = Command::new("rustup");
        fuzz.args(["run", "nightly"])
            .arg(&program)
            // Of unsafe code there is none to look into.
            .args(["run", "--sanitizer", "none", target])
            .arg(corpus)
            .arg(cargo::root().join("fuzz/seeds").join(target))
            .current_dir(cargo::root());
        if target == "history" {
            fuzz.arg("tests/it/history/fixtures");
        }
        fuzz.arg("--")
            .arg(format!("-max_total_time={}", options.seconds))
            .arg("-print_final_stats=1")
            // Those of the task's own cargo.
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN");
        cargo::as_from_a_shell(&mut fuzz);
        if let Some(path) = protoc.to_set() {
            fuzz.env("PROTOC", path);
        }
        process::expect(
            process::run(&mut fuzz)?,
            &format!(
                "the fuzzer {target} (what it found is in fuzz/artifacts: put it into fuzz/seeds)"
            ),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn fuzzers_are_built_of_what_the_product_is() {
        let versions = |lock: &str| {
            let lock = std::fs::read_to_string(cargo::root().join(lock)).unwrap();
            let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
            for package in lock.split("[[package]]").skip(1) {
                let field = |name: &str| {
                    let line = package.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap().trim_matches(['"', ' ', '=']).to_owned()
                };
                let of = versions.entry(field("name")).or_default();
                of.insert(field("version"));
            }
            versions
        };
        let (ours, theirs) = (versions("Cargo.lock"), versions("fuzz/Cargo.lock"));
        assert!(theirs.contains_key("omnitrace"));
        for (name, theirs) in theirs {
            if let Some(ours) = ours.get(&name) {
                assert!(
                    theirs.is_subset(ours),
                    "{name}: copy Cargo.lock into fuzz, and run cargo metadata there"
                );
            }
        }
    }

    #[test]
    fn every_fuzzer_is_named_and_has_something_to_begin_with() {
        let files = std::fs::read_dir(cargo::root().join("fuzz/fuzz_targets")).unwrap();
        let mut found: Vec<String> = files
            .map(|file| {
                let path = file.unwrap().path();
                path.file_stem().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        found.sort();
        assert_eq!(found, TARGETS);
        for target in TARGETS {
            let seeds = cargo::root().join("fuzz/seeds").join(target);
            assert!(std::fs::read_dir(seeds).unwrap().count() >= 3, "{target}");
        }
    }
}
