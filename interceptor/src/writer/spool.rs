//! Batches that wait on disk: what memory can't hold while the database is away, and what a process
//! leaves behind.
//!
//! Invariant: one file per process, a line per batch (checksum, then JSON), appended whole and read in
//! order; all files together never take more than the configured bytes. A file whose process is gone
//! is taken over by the next one; what in it can't be read is skipped and counted. A batch may be
//! stored twice: the merge rule makes that harmless.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use omnitrace_store::Batch;

/// How a spool is kept.
#[derive(Clone, Debug)]
pub(crate) struct SpoolOptions {
    pub(crate) folder: PathBuf,
    /// Bytes of all files in it.
    pub(crate) limit: u64,
    /// Whether each batch reaches the disk before it counts as kept.
    pub(crate) fsync: bool,
}

/// Of the files of a spool, by their names.
pub(crate) const EXTENSION: &str = "spool";

/// Hexadecimal digits of the checksum, and a space.
const PREFIX: usize = 9;

/// A batch that is the next to be stored.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) batch: Batch,
    /// Another process offered it.
    pub(crate) adopted: bool,
}

#[derive(Debug)]
pub(crate) struct Spool {
    options: SpoolOptions,
    /// Name of this process's file.
    name: String,
    own: Option<Segment>,
    adopted: VecDeque<Segment>,
    /// Rows of each batch in this process's file.
    own_rows: VecDeque<usize>,
    losses: Losses,
}

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Lines, as the last one of a process that was killed.
    pub(crate) lines: u64,
    /// Rows of this process in them.
    pub(crate) own_rows: u64,
}

/// A file, locked for this process, of which the first bytes may have been stored already.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    /// Where the next line begins.
    read: u64,
    /// Where it ends; later lines come there.
    end: u64,
    /// Length of the line that was last looked at.
    looked_at: u64,
}

impl Segment {
    fn new(path: PathBuf, file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            read: 0,
            end,
            looked_at: 0,
        })
    }

    fn left(&self) -> u64 {
        self.end - self.read
    }

    /// The next batch that can be read; counts the lines that can't.
    fn next(&mut self, torn: &mut u64) -> Option<Batch> {
        while self.left() > 0 {
            let mut line = Vec::new();
            self.looked_at = match self.line(&mut line) {
                Ok(0) | Err(_) => self.left(),
                Ok(bytes) => bytes,
            };
            match decode(&line) {
                Some(batch) => return Some(batch),
                None => {
                    *torn += 1;
                    self.read += self.looked_at;
                }
            }
        }
        None
    }

    fn write(&mut self, line: &[u8], fsync: bool) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(line)?;
        if fsync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let read = BufReader::new(&self.file).read_until(b'\n', line)?;
        Ok(read as u64)
    }
}

impl Spool {
    pub(crate) fn new(options: SpoolOptions, process_id: &str) -> Self {
        Self {
            options,
            name: format!("{process_id}.{EXTENSION}"),
            own: None,
            adopted: VecDeque::new(),
            own_rows: VecDeque::new(),
            losses: Losses::default(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.adopted
            .iter()
            .chain(&self.own)
            .map(Segment::left)
            .sum()
    }

    /// Rows of this process that wait.
    pub(crate) fn own_rows(&self) -> usize {
        self.own_rows.iter().sum()
    }

    /// What could not be read since this was last asked.
    pub(crate) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Keeps a batch; false if there is no room for it.
    ///
    /// # Errors
    /// What the system said of the file. Nothing of the batch is kept then.
    pub(crate) fn append(&mut self, batch: &Batch) -> io::Result<bool> {
        let line = encode(batch)?;
        let taken: u64 = self.adopted.iter().chain(&self.own).map(|s| s.end).sum();
        if taken + line.len() as u64 > self.options.limit {
            return Ok(false);
        }
        let own = match &mut self.own {
            Some(own) => own,
            None => self.own.insert(self.options.create(&self.name)?),
        };
        if let Err(error) = own.write(&line, self.options.fsync) {
            // So that half a line does not stand before the next one. If this fails too, the next
            // line is written over it.
            let _ = own.file.set_len(own.end);
            return Err(error);
        }
        own.end += line.len() as u64;
        self.own_rows
            .push_back(batch.runs.len() + batch.events.len());
        Ok(true)
    }

    /// The batch that has waited longest, those of other processes first.
    pub(crate) fn peek(&mut self) -> Option<Next> {
        while let Some(segment) = self.adopted.front_mut() {
            if let Some(batch) = segment.next(&mut self.losses.lines) {
                return Some(Next {
                    batch,
                    adopted: true,
                });
            }
            remove(self.adopted.pop_front());
        }
        let own = self.own.as_mut()?;
        let before = self.losses.lines;
        let batch = own.next(&mut self.losses.lines);
        for _ in before..self.losses.lines {
            self.losses.own_rows += self.own_rows.pop_front().unwrap_or_default() as u64;
        }
        match batch {
            Some(batch) => Some(Next {
                batch,
                adopted: false,
            }),
            None => {
                self.empty_own();
                None
            }
        }
    }

    /// What was last peeked at is stored.
    pub(crate) fn advance(&mut self) {
        if let Some(segment) = self.adopted.front_mut() {
            segment.read += segment.looked_at;
            if segment.left() == 0 {
                remove(self.adopted.pop_front());
            }
        } else if let Some(own) = &mut self.own {
            own.read += own.looked_at;
            self.own_rows.pop_front();
            if own.left() == 0 {
                self.empty_own();
            }
        }
    }

    /// Takes over what processes that are gone have left.
    ///
    /// # Errors
    /// What the system said of the folder.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        let folder = match std::fs::read_dir(&self.options.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut paths: Vec<PathBuf> = folder
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == EXTENSION))
            .filter(|path| path.file_name().is_some_and(|name| *name != *self.name))
            .filter(|path| self.adopted.iter().all(|segment| segment.path != *path))
            .collect();
        // The oldest first.
        paths.sort_by_cached_key(|path| {
            let written = path.metadata().and_then(|data| data.modified()).ok();
            (written, path.clone())
        });
        for path in paths {
            // `Err` or `None`: its process lives, or another one has taken it over.
            if let Ok(Some(file)) = take_over(&path)
                && let Ok(segment) = Segment::new(path, file)
            {
                self.adopted.push_back(segment);
            }
        }
        Ok(())
    }

    /// Leaves what waits to the next process.
    pub(crate) fn leave(&mut self) {
        if self.own.as_ref().is_some_and(|own| own.left() == 0) {
            remove(self.own.take());
        }
        self.own = None;
        self.adopted.clear();
    }

    fn empty_own(&mut self) {
        self.own_rows.clear();
        remove(self.own.take());
    }
}

impl SpoolOptions {
    fn create(&self, name: &str) -> io::Result<Segment> {
        // Not the folders above: a missing one is a mistake in a path, or a disk that is not there.
        match private_folder().create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = self.folder.join(name);
        let mut options = private_file();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&path)?;
        file.try_lock()?;
        Segment::new(path, file)
    }
}

/// The file, if its process is gone.
fn take_over(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    // Another process may have drained and removed it meanwhile.
    Ok(is_at(&file, path)?.then_some(file))
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (here, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

// What is in it is redacted, and yet nobody else's.

#[cfg(unix)]
fn private_folder() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private_folder() -> DirBuilder {
    DirBuilder::new()
}

#[cfg(unix)]
fn private_file() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_file() -> OpenOptions {
    OpenOptions::new()
}

/// Nothing in it is needed any more. If it stays, it is drained again: that changes nothing.
fn remove(segment: Option<Segment>) {
    if let Some(segment) = segment {
        let _ = std::fs::remove_file(&segment.path);
    }
}

fn encode(batch: &Batch) -> io::Result<Vec<u8>> {
    let mut line = vec![b' '; PREFIX];
    serde_json::to_writer(&mut line, batch)?;
    let checksum = crc32fast::hash(&line[PREFIX..]);
    line[..PREFIX - 1].copy_from_slice(format!("{checksum:08x}").as_bytes());
    line.push(b'\n');
    Ok(line)
}

pub(crate) fn decode(line: &[u8]) -> Option<Batch> {
    let line = line.strip_suffix(b"\n")?;
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    let checksum = std::str::from_utf8(&prefix[..PREFIX - 1]).ok()?;
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    (checksum == crc32fast::hash(json)).then_some(())?;
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
