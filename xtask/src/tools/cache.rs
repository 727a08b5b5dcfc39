//! The folder for obtained tools. What is in it is complete: a tool is made in a temporary folder
//! beside its place and then renamed, under a lock, so tasks that run at once neither break nor
//! repeat each other's work. It may be deleted at any time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Host;
use crate::error::Error;
use crate::{interrupt, say};

/// The folder: `$OMNITRACE_TOOLS`, else `omnitrace/tools` in the user's cache.
pub(crate) fn directory(host: &Host) -> Result<PathBuf, Error> {
    let absolute = |name| {
        host.variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(tools) = host.variable("OMNITRACE_TOOLS") {
        return std::path::absolute(tools).map_err(Error::file("use", tools));
    }
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|cache| cache.join("omnitrace/tools"))
        .ok_or_else(|| {
            Error::Advice("no folder for tools: set OMNITRACE_TOOLS to one, or set HOME".to_owned())
        })
}

/// The path of `name` in the cache, made by `make` if it is not there. `make` gets a temporary
/// folder and returns what in it is to be kept.
pub(crate) fn get_or_make(
    host: &Host,
    name: &str,
    make: impl FnOnce(&Path) -> Result<PathBuf, Error>,
) -> Result<PathBuf, Error> {
    let directory = directory(host)?;
    let place = directory.join(name);
    if place.exists() {
        return Ok(place);
    }
    std::fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    let _lock = lock(&directory.join(format!("{name}.lock")))?;
    if place.exists() {
        return Ok(place);
    }
    let temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&directory)
        .map_err(Error::file("write to", &directory))?;
    let made = make(temporary.path())?;
    std::fs::rename(&made, &place).map_err(Error::file("write", &place))?;
    Ok(place)
}

/// Holds the lock file until dropped; the system frees it however the process ends.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(Error::file("open", path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if !told => {
                told = true;
                say::line(
                    "waiting",
                    "for another task that is obtaining the same tool",
                );
            }
            Err(TryLockError::WouldBlock) => interrupt::pause(Duration::from_millis(200))?,
            Err(TryLockError::Error(source)) => return Err(Error::file("lock", path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn the_folder_is_the_first_of_three_variables_that_is_set() {
        let mut fake = FakeHost::new();
        fake.set("HOME", "/home/u");
        fake.set("XDG_CACHE_HOME", "/cache");
        fake.set("OMNITRACE_TOOLS", "/tools");
        assert_eq!(directory(&fake.host).unwrap(), Path::new("/tools"));
        fake.set("OMNITRACE_TOOLS", "");
        assert_eq!(
            directory(&fake.host).unwrap(),
            Path::new("/cache/omnitrace/tools")
        );
        fake.set("XDG_CACHE_HOME", "relative");
        assert_eq!(
            directory(&fake.host).unwrap(),
            Path::new("/home/u/.cache/omnitrace/tools")
        );
        fake.set("HOME", "");
        assert!(
            directory(&fake.host)
                .unwrap_err()
                .to_string()
                .contains("OMNITRACE_TOOLS")
        );
    }

    #[test]
    fn tasks_that_run_at_once_make_a_tool_once() {
        let fake = FakeHost::new();
        let made = AtomicUsize::new(0);
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    let place = get_or_make(&fake.host, "tool", |folder| {
                        made.fetch_add(1, Ordering::SeqCst);
                        let file = folder.join("whatever");
                        std::fs::write(&file, "complete").unwrap();
                        Ok(file)
                    });
                    assert_eq!(std::fs::read(place.unwrap()).unwrap(), b"complete");
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_tool_that_could_not_be_made_leaves_nothing_and_is_tried_again() {
        let fake = FakeHost::new();
        let fail = |folder: &Path| {
            std::fs::write(folder.join("half"), "").unwrap();
            Err(Error::Advice("no".to_owned()))
        };
        assert!(get_or_make(&fake.host, "tool", fail).is_err());
        let left: Vec<_> = std::fs::read_dir(fake.path("tools"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["tool.lock"]);
        let make = |folder: &Path| {
            std::fs::write(folder.join("t"), "").unwrap();
            Ok(folder.join("t"))
        };
        assert!(get_or_make(&fake.host, "tool", make).is_ok());
    }
}
