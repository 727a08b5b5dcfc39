//! Alert rules: valid, each with a case that fires and one that doesn't, and each with a runbook.

use std::collections::BTreeSet;

use super::{assert_good, assert_measured, deploy, promtool, read, said};

/// Names of all alerts.
fn alerts() -> Vec<String> {
    let rules = read(&deploy("prometheus/rules/alerts.yml"));
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(names.len() >= 20, "{names:?}");
    names
}

#[test]
fn the_rules_are_valid() {
    assert_good(
        promtool()
            .args(["check", "rules"])
            .arg(deploy("prometheus/rules/alerts.yml"))
            .arg(deploy("prometheus/rules/settings.yml")),
    );
    assert_good(
        promtool()
            .args(["check", "config", "--syntax-only"])
            .arg(deploy("prometheus/prometheus.yml")),
    );
}

#[test]
fn each_alert_fires_when_it_should_and_is_quiet_when_not() {
    let file = deploy("prometheus/rules_test.yml");
    let tests = read(&file);
    for alert in alerts() {
        for case in ["fires", "does not fire"] {
            let name = format!("  - name: {alert} {case}\n");
            assert!(tests.contains(&name), "{alert}: no case that {case}");
        }
    }
    assert_good(promtool().args(["test", "rules"]).arg(file));
}

#[test]
fn a_rule_that_never_fires_fails_its_case() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("rules")).expect("a folder");
    let rules = read(&deploy("prometheus/rules/alerts.yml"));
    let dull = rules.replace("> 0.05", "> 1.05");
    assert_ne!(rules, dull);
    std::fs::write(folder.path().join("rules/alerts.yml"), dull).expect("a file");
    let tests = folder.path().join("rules_test.yml");
    std::fs::copy(deploy("prometheus/rules_test.yml"), &tests).expect("a file");
    let output = promtool().args(["test", "rules"]).arg(tests).output();
    let output = output.expect("promtool");
    assert!(!output.status.success());
    assert!(said(&output).contains("HighJobErrorRate fires"));
}

#[test]
fn each_alert_leads_to_its_runbook_and_no_runbook_is_left_over() {
    let rules = read(&deploy("prometheus/rules/alerts.yml"));
    let runbooks = deploy("../docs/runbooks");
    let index = read(&runbooks.join("README.md"));
    let blocks = rules.split("- alert: ").skip(1);
    for (alert, block) in alerts().iter().zip(blocks) {
        assert_measured(block.split("annotations:").next().expect("a rule"));
        let link = format!("runbook_url: docs/runbooks/{alert}.md\n");
        assert!(block.contains(&link), "{alert} leads to no runbook");
        let runbook = read(&runbooks.join(format!("{alert}.md")));
        assert!(runbook.starts_with(&format!("# {alert}\n")));
        for part in ["\n## Look\n", "\n## Do\n"] {
            assert!(runbook.contains(part), "{alert}: {part}");
        }
        assert!(index.contains(&format!("[{alert}]({alert}.md)")), "{alert}");
    }
    let there: BTreeSet<String> = std::fs::read_dir(runbooks)
        .expect("a folder")
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|name| name != "README.md")
        .collect();
    let expected = alerts().iter().map(|alert| format!("{alert}.md")).collect();
    assert_eq!(there, expected);
}
