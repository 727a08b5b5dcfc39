//! What findings show and what they do not.

use std::ffi::OsStr;

use super::super::{finding, variables as v};
use super::*;

#[test]
fn a_misspelt_variable_is_named_with_the_nearest_and_without_its_value() {
    let names = [
        "OMNITRACE_SAMPEL_RATE",
        "omnitrace_env",
        "OMNITRACE_HASHKEY",
        "OMNITRACE_SOMETHING_ELSE",
        "OMNITRACE_LISTEN",
        "OMNITRACE_LISTENS",
        "OMNITRACE_ENV",
        "PATH",
        "OMNI",
    ];
    let lines: Vec<String> = v::unknown(names.iter().map(OsStr::new))
        .iter()
        .map(Finding::to_string)
        .collect();
    let ignored = "is not a variable of OmniTrace and is ignored";
    assert_eq!(
        lines,
        [
            format!("OMNITRACE_HASHKEY {ignored}: did you mean OMNITRACE_HASH_KEY?"),
            format!("OMNITRACE_LISTENS {ignored}: did you mean OMNITRACE_LISTEN?"),
            format!("OMNITRACE_SAMPEL_RATE {ignored}: did you mean OMNITRACE_SAMPLE_RATE?"),
            format!("OMNITRACE_SOMETHING_ELSE {ignored}: no known name is near to it"),
            format!("omnitrace_env {ignored}: did you mean OMNITRACE_ENV?"),
        ]
    );
}

#[test]
fn secrets_are_in_no_finding_and_in_no_debug() {
    const WORD: &str = "hunter2";
    let beside = [("TELEMETRY_ENABLED", "true"), ("TELEMETRY_BACKEND", "otel")];
    for (name, value) in [
        ("OMNITRACE_HASH_KEY", "hunter2"),
        ("OMNITRACE_HASH_KEY", "hunter2-hunter2-hunter2"),
        ("OMNITRACE_DATABASE_URL", "postgres://me:hunter2@host/db"),
        ("OMNITRACE_DATABASE_URL", "postgres//me:hunter2@host/db"),
        ("OMNITRACE_DATABASE_URL", "postgres://me:hunter2"),
        ("OMNITRACE_DATABASE_URL", "mysql://host/db?password=hunter2"),
        ("OMNITRACE_DATABASE_URL", "user=me password=hunter2"),
        ("OMNITRACE_DATABASE_URL", "hunter2@host://db"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "me:hunter2@host:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/?key=hunter2"),
        ("OTEL_EXPORTER_ENDPOINT", "tcp://me:hunter2@host"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://me:hunter2@host:x",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "api_key:hunter2"),
    ] {
        let mut vars = beside.to_vec();
        vars.push((name, value));
        let (settings, findings) = read(&vars);
        let all = format!("{settings:?}\n{settings:#?}\n{findings:?}");
        assert!(!all.contains(WORD), "{name}={value}\n{all}");
    }
    assert_eq!(Secret::new(WORD).to_string(), "***");
}

#[test]
fn a_value_that_shows_no_secret_is_shown() {
    for (url, shown) in [
        (
            "mysql://localhost:3306/traces",
            "mysql://localhost:3306/traces",
        ),
        ("omnitrace.db", "***"),
        ("postgres://me:word@host/db", "postgres://***"),
        ("me:word@host", "***"),
    ] {
        assert_eq!(finding::without_credentials(url), shown);
    }
    let (_, findings) = read(&[("OMNITRACE_ENV", &"x".repeat(10_000))]);
    assert!(findings[0].to_string().len() < 200, "a long value is cut");
}
