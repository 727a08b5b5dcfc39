//! The threat model names tests, and they are there.

use std::path::Path;

/// All of a folder's Rust code.
fn code(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            code(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_threat_has_a_test_that_is_there() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut all = String::new();
    for folder in [
        "interceptor/src",
        "server/src",
        "server/tests",
        "store/tests",
        "tests/it",
    ] {
        code(&root.join(folder), &mut all);
    }
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("a page");
    let rows: Vec<&str> = page
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
        // Its dependencies are checked by a program of its own.
        if tests == "run it before a release" {
            continue;
        }
        let names: Vec<&str> = tests
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .collect();
        for name in names {
            assert!(
                all.contains(&format!("fn {name}(")),
                "no test {name}: {row}"
            );
        }
    }
}
