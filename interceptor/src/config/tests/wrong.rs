//! Wrong values of every variable.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

/// Variables beside the tested one, so that each is asked for.
const BESIDE: &[(&str, &str)] = &[
    ("TELEMETRY_ENABLED", "true"),
    ("TELEMETRY_BACKEND", "prom,otel"),
    ("OTEL_TRACES_SAMPLER", "traceidratio"),
    ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ("OMNITRACE_CAPTURE_CONTENT", "true"),
];

type Check = fn(&Settings) -> bool;

/// Variable, wrong value, what the line says is done instead, and whether it is done.
const WRONG: &[(&str, &str, &str, Check)] = &[
    ("OMNITRACE_ENABLED", "maybe", "recording is off", |s| {
        !s.enabled
    }),
    ("OMNITRACE_ENV", "production", "prod is used", |s| {
        s.env == Env::Prod
    }),
    (
        "OMNITRACE_SAMPLE_RATE",
        "10%",
        "the rate 0.1 is used",
        |s| s.sample_rate == 0.1,
    ),
    (
        "OMNITRACE_SAMPLE_RATE",
        "1.5",
        "the rate 0.1 is used",
        |s| s.sample_rate == 0.1,
    ),
    (
        "OMNITRACE_SAMPLE_RATE",
        "NaN",
        "the rate 0.1 is used",
        |s| s.sample_rate == 0.1,
    ),
    ("OMNITRACE_MAX_EVENTS_PER_RUN", "many", "200 is used", |s| {
        s.max_events_per_run == 200
    }),
    (
        "OMNITRACE_MAX_EVENTS_PER_RUN",
        "100001",
        "200 is used",
        |s| s.max_events_per_run == 200,
    ),
    ("OMNITRACE_MAX_EVENTS_PER_RUN", "-5", "1 is used", |s| {
        s.max_events_per_run == 1
    }),
    ("OMNITRACE_MAX_EVENT_BYTES", "8 KB!", "8192 is used", |s| {
        s.max_event_bytes == 8192
    }),
    ("OMNITRACE_MAX_EVENT_BYTES", "100", "256 is used", |s| {
        s.max_event_bytes == 256
    }),
    ("OMNITRACE_MAX_EVENT_BYTES", "2MiB", "8192 is used", |s| {
        s.max_event_bytes == 8192
    }),
    (
        "OMNITRACE_DATABASE_URL",
        "omnitrace.db",
        "nothing is stored",
        no_store,
    ),
    (
        "OMNITRACE_DATABASE_URL",
        "sqlite://",
        "nothing is stored",
        no_store,
    ),
    (
        "OMNITRACE_DATABASE_URL",
        "mysql://localhost/x",
        "nothing is stored",
        no_store,
    ),
    (
        "OMNITRACE_MIGRATE",
        "2",
        "no schema is created or changed",
        |s| !s.migrate,
    ),
    ("OMNITRACE_SLOW_MS", "2s", "2000 is used", |s| {
        s.slow_ms == 2000
    }),
    ("OMNITRACE_SLOW_MS", "0", "2000 is used", |s| {
        s.slow_ms == 2000
    }),
    ("OMNITRACE_SLOW_MS", "86400001", "86400000 is used", |s| {
        s.slow_ms == 86_400_000
    }),
    (
        "OMNITRACE_TRACE_PER_CHAIN",
        "always",
        "a run that continues as new begins a trace",
        |s| !s.trace_per_chain,
    ),
    (
        "OMNITRACE_BAGGAGE",
        "team,a=b",
        "no baggage is passed on",
        |s| s.baggage.is_empty(),
    ),
    (
        "OMNITRACE_RECONCILE",
        "sometimes",
        "nothing is read from histories",
        |s| !s.reconcile,
    ),
    ("OMNITRACE_RECONCILE_S", "0", "60 is used", |s| {
        s.reconcile_s == 60
    }),
    ("OMNITRACE_SPOOL_BYTES", "lots", "67108864 is used", |s| {
        s.spool_bytes == 64 << 20
    }),
    ("OMNITRACE_SPOOL_BYTES", "-1", "0 is used", |s| {
        s.spool_bytes == 0
    }),
    (
        "OMNITRACE_SPOOL_PATH",
        "a\0b",
        "rows wait in memory alone",
        |s| s.spool_bytes == 0 && s.spool_path.is_none(),
    ),
    (
        "OMNITRACE_SPOOL_FSYNC",
        "often",
        "the system decides when the spool reaches the disk",
        |s| !s.spool_fsync,
    ),
    ("OMNITRACE_QUEUE_BYTES", "lots", "8388608 is used", |s| {
        s.queue_bytes == 8 << 20
    }),
    ("OMNITRACE_QUEUE_BYTES", "1", "65536 is used", |s| {
        s.queue_bytes == 65_536
    }),
    (
        "OMNITRACE_QUEUE_BYTES",
        "9999999 GiB",
        "8388608 is used",
        |s| s.queue_bytes == 8 << 20,
    ),
    ("OMNITRACE_FLUSH_MS", "0.5", "200 is used", |s| {
        s.flush_ms == 200
    }),
    ("OMNITRACE_FLUSH_MS", "0", "200 is used", |s| {
        s.flush_ms == 200
    }),
    ("OMNITRACE_PROMOTE_WINDOW_S", "5m", "300 is used", |s| {
        s.promote_window_s == 300
    }),
    ("OMNITRACE_PROMOTE_WINDOW_S", "-1", "0 is used", |s| {
        s.promote_window_s == 0
    }),
    ("OMNITRACE_CATEGORIES", "model", "no rule is used", |s| {
        s.categories.category("model").is_none() && s.categories_text.is_empty()
    }),
    (
        "OMNITRACE_ALLOW_FIELDS",
        "city,user_*",
        "what is no field name in it is left out",
        |s| s.allow_fields == ["city"],
    ),
    (
        "OMNITRACE_DROP_FIELDS",
        "city,user_*",
        "recording is off",
        |s| !s.enabled,
    ),
    ("OMNITRACE_HASH_KEY", " \n", "recording is off", |s| {
        !s.enabled
    }),
    (
        "OMNITRACE_CAPTURE_CONTENT",
        "some",
        "prompts and responses are not kept readable",
        |s| !s.capture_content,
    ),
    (
        "OMNITRACE_PRICES",
        "/etc/prices/",
        "the built-in prices are used",
        |s| s.prices.is_none(),
    ),
    (
        "TELEMETRY_ENABLED",
        "all",
        "no spans and no metrics leave the process",
        |s| !s.telemetry.enabled,
    ),
    (
        "TELEMETRY_BACKEND",
        "prom,datadog",
        "what is not known in it is left out",
        |s| s.telemetry.backends == BTreeSet::from([Backend::Prom]),
    ),
    (
        "PROM_EXPORT_PORT",
        "0",
        "no Prometheus endpoint is opened",
        no_port,
    ),
    (
        "PROM_EXPORT_PORT",
        "70000",
        "no Prometheus endpoint is opened",
        no_port,
    ),
    (
        "OTEL_SERVICE_NAME",
        "a\nb",
        "\"unknown_service\" is used",
        |s| s.service_name == "unknown_service",
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "a=1,b",
        "none of them is used",
        |s| s.telemetry.resource_attributes.is_empty(),
    ),
    ("OTEL_TRACES_SAMPLER", "xray", "the rate 0.1 is used", |s| {
        s.sample_rate == 0.1
    }),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "half",
        "the rate 0.1 is used",
        |s| s.sample_rate == 0.1,
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "localhost:4317",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://host:99999",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_ENDPOINT",
        "ftp://host",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/json",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "udp",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "token",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "a=%zz",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "collector:4318",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "http/json",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        "key",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        "0",
        "1 is used",
        |s| s.telemetry.otlp.metrics.timeout_ms == 1,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "zstd",
        "nothing is compressed",
        |s| !s.telemetry.otlp.metrics.gzip,
    ),
    (
        "OTEL_METRIC_EXPORT_INTERVAL",
        "soon",
        "60000 is used",
        |s| s.telemetry.otlp.metrics.interval_ms == 60_000,
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "everywhere",
        "no Prometheus endpoint is opened",
        no_port,
    ),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "10000 is used", |s| {
        s.telemetry.otlp.timeout_ms == 10_000
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0", "1 is used", |s| {
        s.telemetry.otlp.timeout_ms == 1
    }),
    (
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "zstd",
        "nothing is compressed",
        |s| !s.telemetry.otlp.gzip,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "yes",
        "nothing is compressed",
        |s| !s.telemetry.otlp.gzip,
    ),
    (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        "/etc/",
        "nothing is sent to a collector",
        no_spans,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "sometimes",
        "sums since the start are sent",
        |s| s.telemetry.otlp.metrics.temporality == MetricsTemporality::Cumulative,
    ),
    (
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "long",
        "128 is used",
        |s| s.telemetry.span_limits.value_length == Some(128),
    ),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "-1", "0 is used", |s| {
        s.telemetry.span_limits.attributes == 0
    }),
    (
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "-1",
        "0 is used",
        |s| s.telemetry.span_limits.value_length == Some(0),
    ),
    (
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "1000001",
        "128 is used",
        |s| s.telemetry.span_limits.attributes == 128,
    ),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x", "128 is used", |s| {
        s.telemetry.span_limits.events == 128
    }),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "x", "128 is used", |s| {
        s.telemetry.span_limits.links == 128
    }),
    (
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "x",
        "128 is used",
        |s| s.telemetry.span_limits.attributes_per_event == 128,
    ),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "x", "128 is used", |s| {
        s.telemetry.span_limits.attributes_per_link == 128
    }),
    ("OTEL_BSP_SCHEDULE_DELAY", "0", "5000 is used", |s| {
        s.telemetry.batching.schedule_delay_ms == 5_000
    }),
    ("OTEL_BSP_EXPORT_TIMEOUT", "x", "30000 is used", |s| {
        s.telemetry.batching.export_timeout_ms == 30_000
    }),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "x", "2048 is used", |s| {
        s.telemetry.batching.max_queue_size == 2048
    }),
    (
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "4096",
        "512 is used",
        |s| s.telemetry.batching.max_export_batch_size == 512,
    ),
];

fn no_store(settings: &Settings) -> bool {
    settings.database == DatabaseTarget::None
}

fn no_port(settings: &Settings) -> bool {
    settings.telemetry.prom_port.is_none()
}

fn no_spans(settings: &Settings) -> bool {
    !sends_spans(settings)
}

#[test]
fn each_wrong_value_is_one_line_and_fails_towards_less() {
    for (name, value, instead, done) in WRONG {
        let mut vars: Vec<_> = BESIDE.iter().copied().filter(|(n, _)| n != name).collect();
        vars.push((name, value));
        let (settings, findings) = read(&vars);
        let [finding] = &findings[..] else {
            panic!("{name}={value}: {findings:?}");
        };
        assert_eq!(
            (finding.kind, finding.variable.as_str()),
            (FindingKind::Invalid, *name)
        );
        let line = finding.to_string();
        let variable = VARIABLES.iter().find(|v| v.name == *name).unwrap();
        let shown = match variable.shown {
            Shown::Never => "***".to_owned(),
            // It may be a password alone.
            Shown::Url if !value.contains("://") => r#""***""#.to_owned(),
            _ => format!("{value:?}"),
        };
        let begins = format!("{name}={shown} is not valid: ");
        assert!(line.starts_with(&begins), "{line}");
        assert!(line.ends_with(&format!("; {instead}")), "{line}");
        assert!(!line.contains(char::is_control), "{line}");
        assert!(done(&settings), "{line}\n{settings:?}");
    }
}

#[test]
fn each_variable_has_a_wrong_value_in_the_test_above() {
    let tested: BTreeSet<&str> = WRONG.iter().map(|(name, ..)| *name).collect();
    let known: BTreeSet<&str> = VARIABLES.iter().map(|v| v.name).collect();
    assert_eq!(tested, known);
}

#[test]
fn what_is_not_utf_8_is_one_finding_or_a_path() {
    for variable in VARIABLES {
        let value = OsStr::from_bytes(b"/tmp/\xff").to_owned();
        let lookup = |name: &str| match name {
            name if name == variable.name => Some(value.clone()),
            "OTEL_TRACES_SAMPLER" => Some("traceidratio".into()),
            _ => None,
        };
        let (_, findings) = Settings::from_vars_in(&lookup, Path::new(CWD));
        let expected = usize::from(!variable.allowed.starts_with("the path of a"));
        assert_eq!(findings.len(), expected, "{}: {findings:?}", variable.name);
    }
}
