//! The Rust of the guides, as doctests of this crate.
//!
//! Invariant: a page that has any is here, and all of it is compiled.

/// Pages, each as the documentation of something.
macro_rules! pages {
    ($($name:ident = $page:literal,)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../", $page))]
            pub struct $name;
        )*

        #[cfg(test)]
        const PAGES: &[&str] = &[$($page),*];
    };
}

pages! {
    Readme = "README.md",
    FirstRun = "docs/first-run.md",
    History = "docs/history.md",
    Recording = "docs/recording.md",
    Replay = "docs/replay.md",
    Rollout = "docs/rollout.md",
    Telemetry = "docs/telemetry.md",
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::PAGES;

    /// Compiled and run; or compiled alone, where it is a program that wants a server.
    const ALLOWED: [&str; 2] = ["rust", "rust,no_run"];

    fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                pages(&path, found);
            } else if path.extension().is_some_and(|of| of == "md") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_page_with_rust_in_it_is_compiled() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = vec![root.join("README.md"), root.join("CHANGELOG.md")];
        pages(&root.join("docs"), &mut found);
        pages(&root.join("deploy"), &mut found);
        let mut with_rust = Vec::new();
        for path in found {
            let text = std::fs::read_to_string(&path).expect("a page");
            let fences = text
                .lines()
                .filter_map(|line| line.trim_start().strip_prefix("```"));
            let rust: Vec<_> = fences.filter(|info| info.starts_with("rust")).collect();
            for info in &rust {
                assert!(ALLOWED.contains(info), "{}: {info}", path.display());
            }
            if !rust.is_empty() {
                let page = path.strip_prefix(&root).expect("below the root");
                with_rust.push(page.to_string_lossy().into_owned());
            }
        }
        with_rust.sort();
        let mut compiled = PAGES.to_vec();
        compiled.sort_unstable();
        assert_eq!(with_rust, compiled);
    }
}
