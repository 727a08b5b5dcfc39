//! What was measured beside each limit that the product sets itself.
//!
//! Invariant: pure. A time is a median over pairs of slices; what must be exact is counted to the last run.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::Slice;

/// Tasks of a short run: five of its workflow, three of its activities.
const TASKS: f64 = 8.0;
const MEGABYTE: f64 = 1_000_000.0;

/// A limit, what was measured, and whether it was held.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) limit: &'static str,
    pub(super) measured: String,
    /// `None` where nothing is promised.
    pub(super) held: Option<bool>,
    /// Whether missing it means that something was lost.
    is_exactness: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) lines: Vec<Line>,
}

impl Verdict {
    /// `runs` are those stored and those served, if all were. `None` without a whole pair of slices.
    pub(super) fn of(slices: &[Slice], runs: Option<(u64, u64)>) -> Option<Self> {
        let pairs = pairs(slices);
        let last = slices.iter().rev().find(|slice| slice.recording)?;
        let over = |of: fn(&Slice) -> f64| {
            median(
                pairs
                    .iter()
                    .map(|(plain, recording)| of(recording) / of(plain)),
            )
        };
        let added_ms = median(
            pairs
                .iter()
                .map(|(plain, recording)| (recording.p50_s - plain.p50_s) * 1_000.0 / TASKS),
        )?;
        let (seconds, p99, cpu) = (over(|s| s.seconds)?, over(|s| s.p99_s)?, over(|s| s.cpu_s)?);
        let quarter = pairs.len().div_ceil(4);
        let memory = |pairs: &[(&Slice, &Slice)], of: fn(&Slice) -> u64| {
            let more =
                |(plain, recording): &(&Slice, &Slice)| of(recording) as f64 - of(plain) as f64;
            median(pairs.iter().map(more)).map(|bytes| bytes / MEGABYTE)
        };
        let end = &pairs[pairs.len() - quarter..];
        let first = memory(&pairs[..quarter], |s| s.private_bytes)?;
        let private = memory(end, |s| s.private_bytes)?;
        let resident = memory(end, |s| s.resident_bytes)?;
        let queue = slices
            .iter()
            .map(|slice| slice.queue_bytes)
            .max()
            .unwrap_or(0);
        let goal = |what, limit, measured, held| Line {
            what,
            limit,
            measured,
            held: Some(held),
            is_exactness: false,
        };
        let told = |what, measured| Line {
            what,
            limit: "",
            measured,
            held: None,
            is_exactness: false,
        };
        let exact = |what, limit, measured, held| Line {
            what,
            limit,
            measured,
            held: Some(held),
            is_exactness: true,
        };
        let mut lines = vec![
            goal(
                "added to a task, median",
                "under 1 ms",
                format!("{added_ms:.3} ms"),
                added_ms < 1.0,
            ),
            goal(
                "time for as many runs",
                "under 1.02 of plain",
                format!("{seconds:.3}"),
                seconds < 1.02,
            ),
            goal(
                "p99 of a short run",
                "under 1.02 of plain",
                format!("{p99:.3}"),
                p99 < 1.02,
            ),
            goal(
                "heap and stacks over plain, last quarter",
                "under 10 MB",
                format!("{private:.1} MB"),
                private < 10.0,
            ),
            told("the same, first quarter", format!("{first:.1} MB")),
            told(
                "with the program's code, last quarter",
                format!("{resident:.1} MB"),
            ),
            told("CPU of the worker, of plain", format!("{cpu:.3}")),
            told("most bytes in the queue", format!("{queue}")),
            exact("dropped", "0", last.dropped.to_string(), last.dropped == 0),
        ];
        if let Some((stored, served)) = runs {
            lines.push(exact(
                "recorders alive at the end",
                "0",
                last.live.to_string(),
                last.live == 0,
            ));
            lines.push(exact(
                "runs stored",
                "each that was served",
                format!("{stored} of {served}"),
                stored == served,
            ));
            lines.push(exact("crashes, failed runs", "0", "0".to_owned(), true));
        }
        Some(Self { lines })
    }

    /// Whether nothing was lost, whatever it took.
    pub(super) fn is_exact(&self) -> bool {
        self.lines
            .iter()
            .all(|line| !line.is_exactness || line.held != Some(false))
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["what", "limit", "measured", ""]);
        for line in &self.lines {
            table.add_row([line.what, line.limit, &line.measured, line.said()]);
        }
        table
    }
}

impl Line {
    pub(super) fn said(&self) -> &'static str {
        match self.held {
            Some(true) => "held",
            Some(false) => "MISSED",
            None => "",
        }
    }
}

/// Slices of one round: plain, recording.
fn pairs(slices: &[Slice]) -> Vec<(&Slice, &Slice)> {
    let of = |recording| {
        slices
            .iter()
            .filter(move |slice| slice.recording == recording)
    };
    of(false).zip(of(true)).collect()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(recording: bool, factor: f64) -> Slice {
        Slice {
            recording,
            at_s: 1.0,
            short: 100,
            long: 1,
            seconds: factor,
            p50_s: 0.1 * factor,
            p99_s: 0.2 * factor,
            cpu_s: factor,
            resident_bytes: 50_000_000,
            private_bytes: 20_000_000,
            queue_bytes: 10,
            live: 0,
            stored: 900,
            dropped: 0,
        }
    }

    fn missed(verdict: &Verdict) -> Vec<&str> {
        let missed = verdict.lines.iter().filter(|line| line.held == Some(false));
        missed.map(|line| line.what).collect()
    }

    #[test]
    fn what_is_as_fast_and_whole_holds_every_limit() {
        let slices = [slice(false, 1.0), slice(true, 1.01)];
        let verdict = Verdict::of(&slices, Some((101, 101))).unwrap();
        assert_eq!(missed(&verdict), [""; 0]);
        assert!(verdict.is_exact());
    }

    #[test]
    fn what_is_slow_or_large_is_missed_and_yet_exact() {
        let mut slow = slice(true, 1.2);
        slow.private_bytes = 31_000_000;
        let verdict = Verdict::of(&[slow, slice(false, 1.0)], Some((5, 5))).unwrap();
        let all = [
            "added to a task, median",
            "time for as many runs",
            "p99 of a short run",
            "heap and stacks over plain, last quarter",
        ];
        assert_eq!(missed(&verdict), all);
        assert!(verdict.is_exact());
    }

    #[test]
    fn what_is_lost_is_not_exact() {
        let mut dropping = slice(true, 1.0);
        dropping.dropped = 1;
        let verdict = Verdict::of(&[slice(false, 1.0), dropping], None).unwrap();
        assert!(!verdict.is_exact());
        let slices = [slice(false, 1.0), slice(true, 1.0)];
        assert!(!Verdict::of(&slices, Some((4, 5))).unwrap().is_exact());
        assert!(Verdict::of(&slices[..1], None).is_none());
    }
}
