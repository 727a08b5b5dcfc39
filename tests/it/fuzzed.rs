//! What the fuzzers begin with, what they found once, and what becomes of that when parts of it are changed.
//! `PROPTEST_CASES=100000` looks longer, where there is no compiler for the fuzzers themselves.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a crate of its own, read as a module")]
mod fuzz;

/// Bytes that a damaged seed has at most.
const MOST: usize = 128 * 1024;

/// What each target begins with.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> =
    LazyLock::new(|| fuzz::TARGETS.iter().map(|(name, _)| seeds(name)).collect());

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut folders = vec![root.join("fuzz/seeds").join(target)];
    if target == "history" {
        folders.push(root.join("tests/it/history/fixtures"));
    }
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder of seeds"));
    let files = files.map(|file| file.expect("a file").path());
    files
        .map(|file| std::fs::read(file).expect("readable"))
        .collect()
}

#[test]
fn what_fuzzers_begin_with_and_what_they_found_holds() {
    for ((name, target), seeds) in fuzz::TARGETS.iter().zip(&*SEEDS) {
        assert!(seeds.len() >= 3, "{name}");
        seeds.iter().for_each(|seed| target(seed));
    }
}

/// What is done to a part of some bytes.
#[derive(Clone, Copy, Debug)]
enum Damage {
    CutOut,
    Double,
    Overwrite,
}

fn damaged(mut bytes: Vec<u8>, damages: Vec<(Damage, Index, Index, Vec<u8>)>) -> Vec<u8> {
    for (damage, one, other, new) in damages {
        let (one, other) = (one.index(bytes.len() + 1), other.index(bytes.len() + 1));
        let part = one.min(other)..one.max(other);
        let with = match damage {
            Damage::CutOut => Vec::new(),
            Damage::Double => bytes[part.clone()].repeat(2),
            Damage::Overwrite => new,
        };
        // What is overwritten is as long as what is put there, as far as it is.
        let end = match damage {
            Damage::Overwrite => (part.start + with.len()).min(bytes.len()),
            Damage::CutOut | Damage::Double => part.end,
        };
        bytes.splice(part.start..end, with);
        bytes.truncate(MOST);
    }
    bytes
}

proptest! {
    #[test]
    fn whatever_becomes_of_them_holds(
        seed in any::<Index>(),
        damages in prop::collection::vec(
            (
                prop::sample::select(vec![Damage::CutOut, Damage::Double, Damage::Overwrite]),
                any::<Index>(),
                any::<Index>(),
                prop::collection::vec(any::<u8>(), 0..8),
            ),
            0..6,
        ),
    ) {
        for ((_, target), seeds) in fuzz::TARGETS.iter().zip(&*SEEDS) {
            target(&damaged(seed.get(seeds).clone(), damages.clone()));
        }
    }
}
