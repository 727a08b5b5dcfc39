//! Dashboards: each query is PromQL that Prometheus takes.

use std::fmt::Write;

use serde_json::Value;

use super::{assert_good, assert_measured, deploy, promtool, read};

/// Dashboards by file.
fn dashboards() -> Vec<Value> {
    let files = std::fs::read_dir(deploy("grafana/dashboards")).expect("a folder");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 3);
    (files.iter())
        .map(|file| {
            let dashboard: Value = serde_json::from_str(&read(file)).expect("JSON");
            let name = file.file_stem().and_then(|name| name.to_str());
            assert_eq!(dashboard["uid"].as_str(), name);
            dashboard
        })
        .collect()
}

/// All queries.
fn queries() -> Vec<String> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.push(target["expr"].as_str().expect("a query").to_owned());
            }
        }
    }
    assert!(queries.len() > 40, "{}", queries.len());
    queries
}

#[test]
fn every_query_is_one_that_prometheus_takes_of_metrics_that_there_are() {
    let mut rules = "groups:\n  - name: dashboards\n    rules:\n".to_owned();
    for (at, query) in queries().iter().enumerate() {
        assert_measured(query);
        let query = query.replace("$__rate_interval", "2m");
        let query = serde_json::to_string(&query).expect("text");
        writeln!(rules, "      - {{record: 'query:{at}', expr: {query}}}").expect("text");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("queries.yml");
    std::fs::write(&file, rules).expect("a file");
    assert_good(promtool().args(["check", "rules"]).arg(file));
}

#[test]
fn no_two_panels_share_an_id_and_all_lie_within_the_grid() {
    for dashboard in dashboards() {
        let panels = dashboard["panels"].as_array().expect("panels");
        for (at, panel) in panels.iter().enumerate() {
            assert_eq!(panel["id"], at + 1);
            let place = &panel["gridPos"];
            let [x, w] = ["x", "w"].map(|name| place[name].as_u64().expect("a number"));
            assert!(x + w <= 24, "{panel:#}");
        }
    }
}
