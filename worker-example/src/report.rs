//! Prints how tickets ended: a line for each on stdout, and a bar on stderr while a person looks.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use indicatif::{ProgressBar, ProgressStyle};
use worker_example::driver::Ended;

/// Prints and counts ends.
pub(crate) struct Report {
    json: bool,
    bar: ProgressBar,
    count: BTreeMap<String, usize>,
    failures: usize,
}

impl Report {
    /// A report on `total` tickets. Nothing is drawn unless stderr is a terminal.
    pub(crate) fn new(total: usize, json: bool) -> Self {
        let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} mails, {elapsed}") {
            bar.set_style(style);
        }
        Self {
            json,
            bar,
            count: BTreeMap::new(),
            failures: 0,
        }
    }

    /// Prints one end.
    pub(crate) fn add(&mut self, ended: &Ended) {
        *self.count.entry(ended.status.clone()).or_default() += 1;
        self.failures += usize::from(ended.is_failure());
        let line = if self.json { json(ended) } else { text(ended) };
        self.bar.suspend(|| print(&line));
        self.bar.inc(1);
    }

    /// Prints the totals for a person, and returns how many runs failed.
    pub(crate) fn finish(self) -> usize {
        self.bar.finish_and_clear();
        if !self.json {
            let total: usize = self.count.values().sum();
            let parts: Vec<_> = self
                .count
                .iter()
                .map(|(status, n)| format!("{n} {status}"))
                .collect();
            print(&format!("{total} mails: {}", parts.join(", ")));
        }
        self.failures
    }
}

fn json(ended: &Ended) -> String {
    serde_json::to_string(ended).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

fn text(ended: &Ended) -> String {
    let Ended {
        ticket,
        status,
        usage,
        error,
        ..
    } = ended;
    match error {
        Some(error) => format!("{ticket:<30} {status:<15} {error}"),
        None => format!(
            "{ticket:<30} {status:<15} {} tokens in, {} out",
            usage.input_tokens, usage.output_tokens
        ),
    }
}

/// A reader that has gone away is no reason to stop handling mails.
fn print(line: &str) {
    let _: io::Result<()> = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use worker_example::activities::Usage;

    fn ended(status: &str, error: Option<&str>) -> Ended {
        Ended {
            ticket: "01-a".to_owned(),
            workflow_id: "support/01-a".to_owned(),
            status: status.to_owned(),
            intent: None,
            usage: Usage {
                input_tokens: 12,
                output_tokens: 3,
            },
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_how_the_ticket_ended_and_what_it_took() {
        assert_eq!(
            text(&ended("answered", None)),
            "01-a                           answered        12 tokens in, 3 out"
        );
        assert!(text(&ended("failed", Some("timeout"))).ends_with("failed          timeout"));
    }

    #[test]
    fn only_runs_that_should_not_have_failed_count_as_failures() {
        let mut report = Report::new(3, true);
        for status in ["answered", "rejected", "failed"] {
            report.add(&ended(status, None));
        }
        assert_eq!(report.finish(), 1);
    }
}
