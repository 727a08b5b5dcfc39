//! Time and memory of this process, as Linux counts them.
//!
//! Invariant: a thread that runs is read by its clock, one that waits by `/proc`, where what it did
//! since it was last scheduled is missing while it runs.

use std::time::{Duration, Instant};

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};

/// The writer's thread, as far as Linux keeps names.
const WRITER: &str = "omnitrace-write";
/// The thread of its calls to the database.
const STORE: &str = "omnitrace-store";
/// The threads of SQLite's driver.
const SQLITE: &str = "sqlx-sqlite-wor";

/// A moment, by all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: Instant,
    thread: Duration,
    process: Duration,
}

/// What went by between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    pub(crate) wall: Duration,
    /// CPU of this thread.
    pub(crate) thread: Duration,
    /// CPU of all threads, also of those that ended.
    pub(crate) process: Duration,
}

impl Moment {
    pub(crate) fn now() -> anyhow::Result<Self> {
        Ok(Self {
            wall: Instant::now(),
            thread: clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into(),
            process: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into(),
        })
    }

    pub(crate) fn elapsed(&self) -> anyhow::Result<Elapsed> {
        let now = Self::now()?;
        Ok(Elapsed {
            wall: now.wall.duration_since(self.wall),
            thread: now.thread.saturating_sub(self.thread),
            process: now.process.saturating_sub(self.process),
        })
    }
}

/// CPU of the plugin's background threads so far. Read it after a flush, when they wait.
pub(crate) fn background() -> anyhow::Result<Background> {
    let mut background = Background::default();
    for entry in std::fs::read_dir("/proc/self/task").context("this bench needs Linux")? {
        let folder = entry?.path();
        // A thread may end meanwhile.
        let (Ok(name), Ok(schedstat)) = (
            std::fs::read_to_string(folder.join("comm")),
            std::fs::read_to_string(folder.join("schedstat")),
        ) else {
            continue;
        };
        let nanos = schedstat
            .split(' ')
            .next()
            .and_then(|nanos| nanos.parse().ok())
            .context("/proc/self/task/*/schedstat begins with a number")?;
        match name.trim_end() {
            WRITER | STORE => background.writer += Duration::from_nanos(nanos),
            SQLITE => background.sqlite += Duration::from_nanos(nanos),
            _ => {}
        }
    }
    Ok(background)
}

/// CPU of background threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Background {
    /// Decoding, tracking, redaction, merging, and what is sent to the database.
    pub(crate) writer: Duration,
    /// SQL.
    pub(crate) sqlite: Duration,
}

/// What the host of a virtual machine took from each processor since it was started.
#[derive(Clone, Debug)]
pub(crate) struct Stolen(Vec<Duration>);

impl Stolen {
    pub(crate) fn so_far() -> anyhow::Result<Self> {
        Self::read(&std::fs::read_to_string("/proc/stat").context("this bench needs Linux")?)
    }

    fn read(stat: &str) -> anyhow::Result<Self> {
        let processors = (stat.lines())
            .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
            .map(|line| {
                // In hundredths of a second (proc_stat(5)): the name, then user, nice, system, idle, …
                let steal = line.split(' ').nth(8).and_then(|n| n.parse().ok());
                steal.map(|n: u64| Duration::from_millis(n * 10))
            });
        let stolen = processors.collect::<Option<Vec<_>>>();
        Ok(Self(stolen.context("/proc/stat tells what was stolen")?))
    }

    /// The most that was taken from one processor since then.
    pub(crate) fn since(&self, then: &Self) -> Duration {
        let each = self.0.iter().zip(&then.0);
        let each = each.map(|(now, then)| now.saturating_sub(*then));
        each.max().unwrap_or_default()
    }
}

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// With the pages of the program itself that were touched, which the system may drop.
    pub(crate) resident: u64,
    /// The most of it so far.
    pub(crate) most: u64,
    /// What the process itself wrote: its heap and stacks.
    pub(crate) private: u64,
}

pub(crate) fn memory() -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string("/proc/self/status").context("this bench needs Linux")?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .map(|kilobytes| kilobytes * 1024)
            .with_context(|| format!("/proc/self/status has {name}"))
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        most: field("VmHWM:")?,
        private: field("RssAnon:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_seen_by_every_clock() {
        let before = Moment::now().unwrap();
        while before.elapsed().unwrap().thread < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let elapsed = before.elapsed().unwrap();
        assert!(elapsed.wall >= Duration::from_millis(5));
        assert!(elapsed.process >= Duration::from_millis(5));
    }

    #[test]
    fn of_what_is_stolen_the_most_of_one_processor_counts() {
        let stat = |first, second| {
            let text = format!(
                "cpu  9 9 9 9 9 9 9 {} 0 0\ncpu0 1 2 3 4 5 6 7 {first} 0 0\n\
                 cpu1 1 2 3 4 5 6 7 {second} 0 0\nintr 1 2 3 4 5 6 7 8 9\n",
                first + second
            );
            Stolen::read(&text).unwrap()
        };
        let since = stat(14, 29).since(&stat(7, 27));
        assert_eq!(since, Duration::from_millis(70));
        assert!(Stolen::so_far().is_ok());
        assert!(Stolen::read("cpu0 1 2 3\n").is_err());
    }

    #[test]
    fn the_most_memory_so_far_is_not_less_than_what_is_used_now() {
        let memory = memory().unwrap();
        assert!(memory.private > 0 && memory.resident > memory.private);
        assert!(memory.most >= memory.resident);
    }
}
