//! `cargo xtask book`: the guides as a site, with a search.
//!
//! Invariant: pages are those of the repository as they are; every link between them leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::tools::{Host, mdbook};
use crate::{cargo, process, say};

/// What the site is made of: the folder of guides, and pages that they lead to.
const FOLDERS: [&str; 2] = ["docs", "deploy"];
const PAGES: [&str; 2] = ["README.md", "CHANGELOG.md"];
/// The list of pages, whose links are those of its own place.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Checks the links, and makes the site.
pub(crate) fn run(host: &Host) -> Result<(), Error> {
    check()?;
    make(host, &mdbook::resolve(host)?)
}

/// The same; where mdBook is not to be had, the links alone are checked.
pub(crate) fn run_if_possible(host: &Host) -> Result<(), Error> {
    check()?;
    match mdbook::resolve(host) {
        Ok(mdbook) => make(host, &mdbook),
        Err(error @ Error::Interrupted(_)) => Err(error),
        Err(error) => {
            say::line("book", format_args!("{error}; so no site is made"));
            Ok(())
        }
    }
}

fn make(host: &Host, mdbook: &Path) -> Result<(), Error> {
    let out = cargo::target_directory(host).join("book");
    let staged = out.join("pages");
    // What a page of before left must not stay.
    if staged.exists() {
        std::fs::remove_dir_all(&staged).map_err(Error::file("delete", &staged))?;
    }
    // Beside each other as they are in the repository, so that links hold.
    for file in files(&cargo::root())? {
        let to = staged.join(&file);
        let folder = to.parent().unwrap_or(&staged);
        std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        std::fs::copy(cargo::root().join(&file), &to).map_err(Error::file("write", &to))?;
    }
    let summary = read(&cargo::root().join(SUMMARY))?;
    let to = staged.join("SUMMARY.md");
    std::fs::write(&to, at_the_root(&summary)).map_err(Error::file("write", &to))?;
    std::fs::remove_file(staged.join(SUMMARY)).map_err(Error::file("delete", &to))?;
    let settings = cargo::root().join("docs/book.toml");
    let book = out.join("book.toml");
    std::fs::copy(&settings, &book).map_err(Error::file("write", &book))?;
    let mut build = Command::new(mdbook);
    build.arg("build").arg(&out);
    process::expect(process::run_silent(&mut build, "mdBook")?, "mdbook build")?;
    say::line("book", out.join("site/index.html").display());
    Ok(())
}

/// The summary's links, from the root on.
fn at_the_root(summary: &str) -> String {
    let mut moved = String::with_capacity(summary.len());
    let mut rest = summary;
    while let Some(at) = rest.find("](") {
        let (head, tail) = rest.split_at(at + 2);
        let (link, after) = tail.split_once(')').unwrap_or((tail, ""));
        moved.push_str(head);
        if !link.is_empty() {
            moved.push_str(&plain(&Path::new("docs").join(link)).to_string_lossy());
        }
        moved.push(')');
        rest = after;
    }
    moved + rest
}

/// Fails with every link of a guide that leads nowhere, and every guide that no list of pages has.
pub(crate) fn check() -> Result<(), Error> {
    let wrong = wrong(&cargo::root())?;
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::Advice(wrong.join("\n"))),
    }
}

fn wrong(root: &Path) -> Result<Vec<String>, Error> {
    let files = files(root)?;
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_page(file)) {
        pages.insert(file.clone(), read(&root.join(file))?);
    }
    let mut wrong = Vec::new();
    let mut listed = BTreeSet::new();
    for (page, text) in &pages {
        let folder = page.parent().unwrap_or(Path::new(""));
        for link in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path.is_empty() {
                true => page.clone(),
                false => plain(&folder.join(path)),
            };
            if page == Path::new(SUMMARY) {
                listed.insert(target.clone());
            }
            let there = match pages.get(&target) {
                Some(text) => anchor.is_empty() || anchors(text).contains(anchor),
                None => anchor.is_empty() && root.join(&target).exists(),
            };
            if !there {
                wrong.push(format!("{}: {link} leads nowhere", page.display()));
            }
        }
    }
    let in_docs = pages.keys().filter(|page| page.starts_with("docs"));
    for page in in_docs.filter(|page| *page != Path::new(SUMMARY)) {
        if !listed.contains(page) {
            wrong.push(format!("{SUMMARY}: {} is not in it", page.display()));
        }
    }
    Ok(wrong)
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

/// Files that the site is made of, from the root on.
fn files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files: Vec<PathBuf> = PAGES.iter().map(PathBuf::from).collect();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in std::fs::read_dir(&path).map_err(Error::file("read", &path))? {
            let entry = entry.map_err(Error::file("read", &path))?;
            let file = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(Error::file("read", &path))?;
            if kind.is_dir() && entry.file_name() != "node_modules" {
                folders.push(file);
            } else if kind.is_file()
                && (is_page(&file) || file.extension().is_some_and(|of| of == "png"))
            {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file("read", path))
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// Where links and images lead.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    // A link may go over the end of a line, and code in a line is none.
    let prose: Vec<_> = prose(text).collect();
    let prose = prose.join("\n");
    let outside: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("`");
    for (mark, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        for part in outside.split(mark).skip(1) {
            let link = part.split(end).next().unwrap_or_default();
            links.extend((!link.is_empty()).then(|| link.to_owned()));
        }
    }
    links
}

/// The anchors of a page's headings, as mdBook and repository sites make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then_some(title.strip_prefix(' ')?)
    });
    let mut seen = BTreeMap::<String, u32>::new();
    headings
        .map(|title| {
            let anchor: String = (title.chars().flat_map(char::to_lowercase))
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let times = seen.entry(anchor.clone()).or_default();
            *times += 1;
            match *times {
                1 => anchor,
                n => format!("{anchor}-{}", n - 1),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::*;
    use crate::{Cli, keep_test_arguments};

    #[test]
    fn every_link_of_the_guides_leads_somewhere_and_every_guide_is_listed() {
        let wrong = wrong(&cargo::root()).unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn links_are_found_and_code_is_none() {
        let text =
            "a [b](c.md#d), `[x](y)` ![p](i/p.png)\n```\n[no](no.md)\n```\n<img src=\"q.png\">";
        assert_eq!(links(text), ["c.md#d", "i/p.png", "q.png"]);
    }

    #[test]
    fn anchors_are_those_of_the_sites() {
        let text = "# What is `kept`?\n## A, b & c\n## A, b & c\n```\n# no\n```\n#tag";
        let expected = ["what-is-kept", "a-b--c", "a-b--c-1"];
        assert_eq!(anchors(text), expected.map(str::to_owned).into());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("README.md", "[a](docs/a.md#there) [b](docs/a.md#gone)");
        write("CHANGELOG.md", "[there](#there)\n## There");
        write("deploy/README.md", "[up](../docs/b.md) [web](https://h/x)");
        write("docs/SUMMARY.md", "[A](a.md)\n- [Up](../deploy/README.md)");
        write("docs/a.md", "## There\n[c](c.md)");
        write("docs/b.md", "");
        assert_eq!(
            wrong(folder.path()).unwrap(),
            [
                "README.md: docs/a.md#gone leads nowhere",
                "docs/a.md: c.md leads nowhere",
                "docs/SUMMARY.md: docs/b.md is not in it",
            ]
        );
    }

    /// Calls of `cargo xtask` in a page: lines of code, and what stands in its sentences.
    fn tasks(text: &str) -> Vec<String> {
        let mut code = false;
        let lines = text.lines().filter(|line| {
            let fence = line.trim_start().starts_with("```");
            code ^= fence;
            code && !fence
        });
        let prose: Vec<_> = prose(text).collect();
        let prose = prose.join(" ");
        let spans = prose.split('`').skip(1).step_by(2);
        let tasks = lines.chain(spans).filter_map(|code| {
            let (_, task) = code.split_once("cargo xtask")?;
            // Where its output goes, and what it stands in.
            let task = task.split(['>', '#', ')']).next().unwrap_or(task);
            Some(format!("xtask{task}"))
        });
        tasks.collect()
    }

    #[test]
    fn every_task_that_the_guides_name_is_one() {
        let root = cargo::root();
        let mut found = 0;
        for file in files(&root).unwrap().iter().filter(|file| is_page(file)) {
            for task in tasks(&read(&root.join(file)).unwrap()) {
                let words: Vec<OsString> = task.split_whitespace().map(Into::into).collect();
                if words.len() == 1 {
                    continue;
                }
                if let Err(error) = Cli::try_parse_from(keep_test_arguments(words)) {
                    panic!("{}: {task}\n{error}", file.display());
                }
                found += 1;
            }
        }
        assert!(found > 20, "{found}");
    }

    #[test]
    fn the_summary_is_moved_to_the_root() {
        assert_eq!(
            at_the_root("# S\n[A](a.md)\n- [B]()\n  - [C](../deploy/README.md)\n"),
            "# S\n[A](docs/a.md)\n- [B]()\n  - [C](deploy/README.md)\n"
        );
    }
}
