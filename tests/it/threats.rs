//! The threat model names tests, and they are there and run.

use std::collections::BTreeSet;
use std::path::Path;

/// Names of the tests in a folder's Rust code that run.
fn tests(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            tests(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
                is_test &= !line.starts_with("#[ignore");
                let function = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
                if let Some((name, _)) = function.and_then(|rest| rest.split_once('('))
                    && std::mem::take(&mut is_test)
                {
                    into.insert(name.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_threat_has_a_test_that_runs() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut all = BTreeSet::new();
    for folder in [
        "interceptor/src",
        "server/src",
        "server/tests",
        "store/tests",
        "tests/it",
    ] {
        tests(&root.join(folder), &mut all);
    }
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("a page");
    let threats = (page
        .split("\n## ")
        .find(|part| part.starts_with("Threats\n")))
    .expect("threats");
    let rows: Vec<&str> = threats
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > 20);
    for row in rows {
        let tests = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .expect("a column");
        // What is depended on is checked by a program of its own.
        if tests.starts_with("`cargo xtask deny`") {
            continue;
        }
        for name in tests.split(", ").map(|name| name.trim_matches('`')) {
            assert!(all.contains(name), "no test {name}: {row}");
        }
    }
}
