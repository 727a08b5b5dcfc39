//! What the fuzzers begin with, and what they found once, holds without them too.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a crate of its own, read as a module")]
mod fuzz;

#[test]
fn what_fuzzers_begin_with_and_what_they_found_holds() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (name, target) in fuzz::TARGETS {
        let mut folders = vec![root.join("fuzz/seeds").join(name)];
        if *name == "history" {
            folders.push(root.join("tests/it/history/fixtures"));
        }
        let files = folders
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).expect("a folder of seeds"));
        let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        assert!(files.len() >= 3, "{name}: {files:?}");
        for file in files {
            target(&std::fs::read(&file).expect("readable"));
        }
    }
}
