//! The file that keeps a measurement, and the table that shows it: ratios, because times depend on
//! the machine and on what else it does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::Scale;
use crate::series::{Goal, Metrics, Question, Ratio, Series};

/// Packages whose versions a measurement depends on.
const PACKAGES: [&str; 8] = [
    "libsqlite3-sys",
    "omnitrace",
    "opentelemetry_sdk",
    "sqlx",
    "temporalio-client",
    "temporalio-sdk",
    "temporalio-sdk-core",
    "tokio",
];

/// Everything about one measure.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    measure: &'static str,
    date: String,
    versions: BTreeMap<String, String>,
    machine: Machine,
    scale: Scale,
    ratios: Vec<Ratio>,
    medians: BTreeMap<&'static str, Metrics>,
    #[serde(flatten)]
    series: Series,
}

#[derive(Debug, Serialize)]
struct Machine {
    system: String,
    processors: usize,
    /// Runnable threads over the last minute: above the number of processors, others were at work.
    load: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        measure: &'static str,
        scale: &Scale,
        series: Series,
        questions: &[Question],
    ) -> Self {
        Self {
            measure,
            date: jiff::Timestamp::now().to_string(),
            versions: versions(),
            machine: Machine {
                system: said("uname", &["-srm"]).unwrap_or_default(),
                processors: std::thread::available_parallelism().map_or(0, Into::into),
                load: load(),
            },
            scale: scale.clone(),
            ratios: questions.iter().filter_map(|q| series.ratio(q)).collect(),
            medians: series.medians(),
            series,
        }
    }

    /// Writes `<measure>.json` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let file = folder.join(format!("{}.json", self.measure));
        let write = || {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&file, serde_json::to_vec_pretty(self)?)
        };
        write().with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// The ratios, a line each.
    pub(crate) fn table(reports: &[Self]) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["measure", "what", "ratio", "half lie between", "goal"]);
        for report in reports {
            for ratio in &report.ratios {
                table.add_row([
                    report.measure.to_owned(),
                    ratio.what.to_owned(),
                    format!("{:.3}", ratio.median),
                    format!("{:.3} – {:.3}", ratio.low, ratio.high),
                    ratio.goal.map_or_else(String::new, |goal| {
                        let met = match goal.is_met(ratio.median) {
                            true => "met",
                            false => "missed",
                        };
                        match goal {
                            Goal::AtMost(most) => format!("≤ {most:.2} {met}"),
                            Goal::AtLeast(least) => format!("≥ {least:.2} {met}"),
                        }
                    }),
                ]);
            }
        }
        if let Some(column) = table.column_mut(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

/// Versions of what was built in, of the compiler and of the source.
fn versions() -> BTreeMap<String, String> {
    let mut versions = locked(include_str!("../../Cargo.lock"));
    versions.retain(|name, _| PACKAGES.contains(&name.as_str()));
    let tools: [(&str, &str, &[&str]); 2] = [
        ("rustc", "rustc", &["--version"]),
        ("commit", "git", &["describe", "--always", "--dirty"]),
    ];
    for (name, program, arguments) in tools {
        if let Some(version) = said(program, arguments) {
            versions.insert(name.to_owned(), version);
        }
    }
    versions
}

/// Name and version of each package of a lock file.
fn locked(lock: &str) -> BTreeMap<String, String> {
    let mut lines = lock.lines();
    let mut packages = BTreeMap::new();
    while let Some(line) = lines.next() {
        let Some(name) = quoted(line, "name = ") else {
            continue;
        };
        if let Some(version) = lines.next().and_then(|line| quoted(line, "version = ")) {
            packages.insert(name.to_owned(), version.to_owned());
        }
    }
    packages
}

fn quoted<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    line.strip_prefix(before)?
        .strip_prefix('"')?
        .strip_suffix('"')
}

/// What a program prints; none if there is no such program.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_everything_that_matters_are_known() {
        let versions = versions();
        for package in PACKAGES {
            assert!(versions.contains_key(package), "{package}");
        }
    }

    #[test]
    fn a_lock_file_is_read_package_by_package() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"0.1.0\"\nsource = \"x\"\n";
        let locked = locked(lock);
        assert_eq!(locked.len(), 2);
        assert_eq!(locked["a"], "1.2.3");
    }
}
