//! What waits on disk, for those who look at it.
//!
//! Invariant: nothing is taken from a spool, locked or changed: its worker goes on as if nobody looked.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use omnitrace_store::{Batch, DatabaseUrl};

use crate::config::{DEFAULT_SPOOL_FOLDER, Settings};
use crate::writer::spool::{EXTENSION, decode};

/// Where rows for this database wait; `None` where the current folder is gone.
pub fn folder(settings: &Settings, url: &DatabaseUrl) -> Option<PathBuf> {
    if let Some(folder) = &settings.spool_path {
        return Some(folder.clone());
    }
    match url {
        DatabaseUrl::Sqlite(file) => {
            let mut folder = file.clone().into_os_string();
            folder.push(".spool");
            Some(PathBuf::from(folder))
        }
        _ => std::path::absolute(DEFAULT_SPOOL_FOLDER).ok(),
    }
}

/// What a line of a spool holds.
#[derive(Debug)]
#[non_exhaustive]
pub enum Line {
    /// Rows that wait, or that were stored a moment ago.
    Batch(Box<Batch>),
    /// Not what a worker wrote, as the last line of one that was killed.
    Torn(Vec<u8>),
}

/// Calls with each line of the files in a folder, and with the file and the number of the line; one line is
/// held at a time. A folder that is not there has none.
///
/// # Errors
/// What the system said of the folder or of a file.
pub fn read<E: From<io::Error>>(
    folder: &Path,
    mut each: impl FnMut(&Path, u64, Line) -> Result<(), E>,
) -> Result<(), E> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == EXTENSION))
        .collect();
    paths.sort();
    for path in paths {
        let file = match File::open(&path) {
            Ok(file) => file,
            // Drained meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let mut lines = BufReader::new(file);
        for number in 1.. {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let read = match decode(&line) {
                Some(batch) => Line::Batch(Box::new(batch)),
                None => Line::Torn(line),
            };
            each(&path, number, read)?;
        }
    }
    Ok(())
}
