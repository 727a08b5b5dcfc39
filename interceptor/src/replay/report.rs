//! A result for a terminal, and as JUnit's XML.

use std::fmt::Write as _;

use omnitrace_store::ReplayVerdict;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::outcome::{Outcome, Report};

impl Report {
    /// For a person: those that did not pass, and how many did.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let told = |run: &&Outcome| run.verdict != ReplayVerdict::Passed;
        for run in self.runs.iter().filter(told) {
            run.write(&mut text);
        }
        let Self {
            replayed,
            passed,
            changed,
            parted,
            failed,
            gone,
            ..
        } = self;
        let build = clean(&self.build_id);
        // Writing to text cannot fail.
        let _ = writeln!(
            text,
            "{replayed} runs replayed with build {build}: {passed} passed, {changed} changed, {parted} parted, \
             {failed} failed; {gone} gone"
        );
        if self.runs.is_empty() {
            text.push_str(
                "no stored run fits: look at --type, --status, --since and --namespace\n",
            );
        }
        text
    }

    /// As JUnit's XML: a suite for each type, a case for each run.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn junit(&self) -> Result<String, String> {
        let mut report = quick_junit::Report::new("omnitrace replay");
        for runs in self
            .runs
            .chunk_by(|a, b| a.workflow_type == b.workflow_type)
        {
            let mut suite = TestSuite::new(clean(&runs[0].workflow_type));
            suite.add_test_cases(runs.iter().map(Outcome::case));
            report.add_test_suite(suite);
        }
        report.to_string().map_err(|error| error.to_string())
    }
}

impl Outcome {
    /// Where it parts, one line.
    fn place(&self) -> Option<String> {
        let at = format!("step {} of {}", self.position?, self.steps);
        Some(match self.event_key.as_deref() {
            Some(key) if !key.is_empty() => format!("{at}, {}", clean(key)),
            _ => at,
        })
    }

    fn write(&self, text: &mut String) {
        let (id, run) = (clean(&self.workflow_id), clean(&self.run_id));
        let place = match (self.verdict, self.place()) {
            (ReplayVerdict::Gone, _) => "gone: the server has no history of it any more".to_owned(),
            (ReplayVerdict::Parted, None) => "parted after its last step".to_owned(),
            (verdict, None) => verdict.as_str().to_owned(),
            (verdict, Some(place)) => format!("{} at {place}", verdict.as_str()),
        };
        let _ = writeln!(
            text,
            "{} {id} (run {run})\n  {place}",
            clean(&self.workflow_type)
        );
        if self.verdict == ReplayVerdict::Parted {
            let nothing = || "nothing".to_owned();
            let expected = self.expected.clone().unwrap_or_else(nothing);
            let found = self.found.clone().unwrap_or_else(nothing);
            let _ = writeln!(text, "  expected  {expected}\n  found     {found}");
        }
        if let Some(message) = &self.message {
            let _ = writeln!(text, "  {}", clean(message));
        }
    }

    fn case(&self) -> TestCase {
        let mut told = String::new();
        self.write(&mut told);
        let status = match self.verdict {
            ReplayVerdict::Parted | ReplayVerdict::Failed => {
                let kind = match self.verdict {
                    ReplayVerdict::Parted => NonSuccessKind::Failure,
                    _ => NonSuccessKind::Error,
                };
                let mut status = TestCaseStatus::non_success(kind);
                let place = self.place().unwrap_or_default();
                status
                    .set_type(self.verdict.as_str())
                    .set_message(format!("{} at {place}", self.verdict.as_str()))
                    .set_description(told);
                status
            }
            ReplayVerdict::Gone => TestCaseStatus::skipped(),
            _ => TestCaseStatus::success(),
        };
        let name = format!("{}/{}", clean(&self.workflow_id), clean(&self.run_id));
        let mut case = TestCase::new(name, status);
        case.set_classname(clean(&self.workflow_type));
        case
    }
}

/// Without what drives a terminal.
fn clean(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
