//! Reads a folder of mails.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use worker_example::ticket::Ticket;

/// The largest mail in bytes. Above it, a mail would not fit into a Temporal payload.
const MAX_BYTES: u64 = 256 * 1024;

/// Why a folder gives no mails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has no .txt file: put one mail into each", path.display())]
    Empty { path: PathBuf },
    #[error("{} has {bytes} bytes: a mail can have {MAX_BYTES}", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
}

/// All `.txt` files of a folder as tickets, in the order of their names.
pub(crate) fn read(folder: &Path) -> Result<Vec<Ticket>, FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path
            .extension()
            .is_some_and(|ext| ext.eq_ignore_ascii_case("txt"))
            && path.is_file()
        {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(FolderError::Empty {
            path: folder.to_owned(),
        });
    }
    paths.sort();

    let mut ids = HashSet::new();
    let mut tickets = Vec::new();
    for path in paths {
        let bytes = fs::metadata(&path).map_err(failed(&path))?.len();
        if bytes > MAX_BYTES {
            return Err(FolderError::TooLarge { path, bytes });
        }
        let content = fs::read(&path).map_err(failed(&path))?;
        tickets.push(Ticket::parse(unique_id(&path, &mut ids), &content));
    }
    Ok(tickets)
}

/// The name of the file in characters that suit a workflow id, with a number if it is taken.
fn unique_id(path: &Path, taken: &mut HashSet<String>) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let id: String = stem.chars().map(plain).collect();
    let numbered = (2..).map(|n| format!("{id}-{n}"));
    let mut candidates = std::iter::once(id.clone()).chain(numbered);
    // The candidates have no end, and only a finite number is taken.
    candidates.find(|id| taken.insert(id.clone())).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_come_in_order_of_their_names_with_ids_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b c.txt", "a.TXT", "b-c.txt", "note.md"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("d.txt")).unwrap();
        let tickets = read(folder.path()).unwrap();
        let found: Vec<_> = tickets
            .iter()
            .map(|t| (t.id.as_str(), t.body.as_str()))
            .collect();
        assert_eq!(
            found,
            [("a", "a.TXT"), ("b-c", "b c.txt"), ("b-c-2", "b-c.txt")]
        );
    }

    #[test]
    fn an_error_names_the_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no .txt file"), "{error}");

        let missing = folder.path().join("missing");
        let error = read(&missing).unwrap_err().to_string();
        assert!(error.contains("missing: No such file"), "{error}");

        let large = fs::File::create(folder.path().join("large.txt")).unwrap();
        large.set_len(MAX_BYTES + 1).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("large.txt has 262145 bytes"), "{error}");
    }
}
