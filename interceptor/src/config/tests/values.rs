//! Allowed values, defaults, and what goes before what.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::super::defaults::{COUNT_RANGE, MILLIS_RANGE, SIZE_RANGE};
use super::super::{parse, variables as v};
use super::*;

#[test]
fn what_is_documented_is_read_and_what_is_read_is_documented() {
    let read = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        (name == "OTEL_TRACES_SAMPLER").then(|| "traceidratio".into())
    };
    Settings::from_vars_in(&lookup, Path::new(CWD));
    let known: BTreeSet<String> = VARIABLES.iter().map(|v| v.name.to_owned()).collect();
    assert_eq!(read.into_inner(), known);
    assert_eq!(
        known.len(),
        VARIABLES.len(),
        "a name stands twice in the table"
    );
}

#[test]
fn a_documented_default_written_out_changes_nothing() {
    let default = read(&[]).0;
    for variable in VARIABLES.iter().filter(|v| !v.default.is_empty()) {
        let mut written = settings(&[(variable.name, variable.default)]);
        written.sample_rate_chosen = false;
        assert_eq!(written, default, "{}", variable.name);
    }
}

#[test]
fn the_documented_bounds_are_the_ones_that_hold() {
    fn check<T: std::fmt::Display>(variable: &Variable, range: std::ops::RangeInclusive<T>) {
        let bounds = format!("from {} to {}", range.start(), range.end());
        assert!(
            variable.allowed.contains(&bounds),
            "{}: {bounds}",
            variable.name
        );
        for bound in [range.start(), range.end()] {
            settings(&[(variable.name, &bound.to_string())]);
        }
    }
    check(v::MAX_EVENTS_PER_RUN, MAX_EVENTS_PER_RUN_RANGE);
    check(v::MAX_EVENT_BYTES, MAX_EVENT_BYTES_RANGE);
    check(v::SLOW_MS, SLOW_MS_RANGE);
    check(v::QUEUE_BYTES, QUEUE_BYTES_RANGE);
    check(v::SPOOL_BYTES, SPOOL_BYTES_RANGE);
    check(v::RECONCILE_S, RECONCILE_S_RANGE);
    check(v::FLUSH_MS, FLUSH_MS_RANGE);
    check(v::PROMOTE_WINDOW_S, PROMOTE_WINDOW_S_RANGE);
    check(v::OTLP_TIMEOUT, MILLIS_RANGE);
    check(v::SPAN_LINK_COUNT, COUNT_RANGE);
    check(v::BSP_MAX_QUEUE_SIZE, SIZE_RANGE);
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let (settings, findings) = read(&[]);
    assert_eq!(findings, []);
    assert_eq!(
        (settings.enabled, settings.env, settings.sample_rate),
        (true, Env::Dev, 1.0)
    );
    assert_eq!(settings.database, sqlite("/srv/app/omnitrace.db"));
    assert_eq!((settings.hash_key, settings.capture_content), (None, false));
    assert_eq!(settings.telemetry.backends, BTreeSet::new());
    assert!(!settings.telemetry.enabled);
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        Settings::default(),
        Settings::from_vars_in(&|_| None, &here).0
    );
}

#[test]
fn an_empty_or_blank_value_is_unset() {
    for blank in ["", "  "] {
        let vars: Vec<_> = VARIABLES
            .iter()
            // A key of blanks was meant as a key.
            .filter(|v| v.name != "OMNITRACE_HASH_KEY" || blank.is_empty())
            .map(|v| (v.name, blank))
            .collect();
        assert_eq!(settings(&vars), read(&[]).0);
    }
}

#[test]
fn allowed_values_are_taken() {
    let s = settings(&[
        ("OMNITRACE_ENABLED", "Off"),
        ("OMNITRACE_ENV", " Staging "),
        ("OMNITRACE_SAMPLE_RATE", "0.25"),
        ("OMNITRACE_MAX_EVENTS_PER_RUN", "50"),
        ("OMNITRACE_MAX_EVENT_BYTES", "4KiB"),
        ("OMNITRACE_DATABASE_URL", "sqlite:///var/lib/o.db"),
        ("OMNITRACE_MIGRATE", "no"),
        ("OMNITRACE_SLOW_MS", "10"),
        ("OMNITRACE_QUEUE_BYTES", "8 MB"),
        ("OMNITRACE_SPOOL_BYTES", "1GiB"),
        ("OMNITRACE_SPOOL_PATH", "waiting/"),
        ("OMNITRACE_SPOOL_FSYNC", "true"),
        ("OMNITRACE_RECONCILE", "off"),
        ("OMNITRACE_RECONCILE_S", "5"),
        ("OMNITRACE_FLUSH_MS", "20"),
        ("OMNITRACE_PROMOTE_WINDOW_S", "0"),
        ("OMNITRACE_TRACE_PER_CHAIN", "true"),
        ("OMNITRACE_BAGGAGE", "team, plan.tier,"),
        ("OMNITRACE_CATEGORIES", "tool=*Search*"),
        ("OMNITRACE_ALLOW_FIELDS", " city, größe ,,"),
        ("OMNITRACE_DROP_FIELDS", "Date-of-Birth"),
        ("OMNITRACE_HASH_KEY", "0123456789abcdef\n"),
        ("OMNITRACE_CAPTURE_CONTENT", "YES"),
        ("OMNITRACE_PRICES", "prices.json"),
    ]);
    assert_eq!(
        (s.enabled, s.env, s.sample_rate),
        (false, Env::Staging, 0.25)
    );
    assert_eq!((s.max_events_per_run, s.max_event_bytes), (50, 4096));
    assert_eq!(s.database, sqlite("/var/lib/o.db"));
    assert_eq!(
        (s.migrate, s.slow_ms, s.queue_bytes),
        (false, 10, 8_000_000)
    );
    assert_eq!((s.spool_bytes, s.spool_fsync), (1 << 30, true));
    assert_eq!(s.spool_path, Some(PathBuf::from("/srv/app/waiting/")));
    assert_eq!((s.reconcile, s.reconcile_s), (false, 5));
    assert_eq!((s.flush_ms, s.promote_window_s), (20, 0));
    assert_eq!(s.categories.category("WebSearch"), Some("tool"));
    assert!(s.trace_per_chain);
    assert_eq!(s.baggage, ["team", "plan.tier"]);
    assert_eq!(s.allow_fields, ["city", "größe"]);
    assert_eq!(s.drop_fields, ["Date-of-Birth"]);
    assert_eq!(s.hash_key, Some(Secret::new("0123456789abcdef")));
    assert!(s.capture_content);
    assert_eq!(s.prices, Some(PathBuf::from("/srv/app/prices.json")));
    let none = settings(&[("OMNITRACE_DATABASE_URL", "None")]);
    assert_eq!(none.database, DatabaseTarget::None);
}

#[test]
fn sizes_have_units_and_switches_have_spellings() {
    for (text, bytes) in [
        ("8388608", Some(8 << 20)),
        ("8MiB", Some(8 << 20)),
        ("8 MB", Some(8_000_000)),
        ("64kb", Some(64_000)),
        ("1 GiB", Some(1 << 30)),
        ("100 b", Some(100)),
        ("8M", None),
        ("1.5MiB", None),
        ("MiB", None),
        ("8 MiB or so", None),
        ("170141183460469231731687303715884105727GiB", None),
    ] {
        assert_eq!(parse::bytes(text), bytes, "{text}");
    }
    for (text, value) in [
        ("TRUE", Some(true)),
        ("1", Some(true)),
        ("yes", Some(true)),
        ("On", Some(true)),
    ]
    .into_iter()
    .chain([
        ("0", Some(false)),
        ("No", Some(false)),
        ("off", Some(false)),
        ("", None),
    ]) {
        assert_eq!(parse::boolean(text), value, "{text}");
    }
    assert!(parse::rate("-0").is_some_and(|rate| rate.is_sign_positive()));
}

#[test]
fn our_sample_rate_goes_before_the_samplers_and_the_environments() {
    for (vars, rate) in [
        (&[("OMNITRACE_ENV", "prod")][..], 0.1),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], 0.0),
        (
            &[
                ("OMNITRACE_ENV", "prod"),
                ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
            ],
            1.0,
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.3"),
            ],
            0.3,
        ),
        (
            &[
                ("OMNITRACE_ENV", "prod"),
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ],
            1.0,
        ),
        (&[("OTEL_TRACES_SAMPLER_ARG", "0.3")], 1.0),
        (
            &[
                ("OMNITRACE_SAMPLE_RATE", "0.7"),
                ("OTEL_TRACES_SAMPLER", "always_off"),
            ],
            0.7,
        ),
    ] {
        assert_eq!(settings(vars).sample_rate, rate, "{vars:?}");
    }
    let (settings, findings) = read(&[
        ("OMNITRACE_SAMPLE_RATE", "all"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ]);
    assert_eq!(
        settings.sample_rate, 0.0,
        "a wrong rate is no more than the sampler's"
    );
    assert!(
        findings[0].to_string().ends_with("the rate 0 is used"),
        "{findings:?}"
    );
}

#[test]
fn an_endpoint_that_nothing_is_sent_to_is_one_line() {
    let endpoint = ("OTEL_EXPORTER_ENDPOINT", "http://collector:4318");
    let (off, findings) = read(&[endpoint]);
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(
        lines,
        [
            "OTEL_EXPORTER_ENDPOINT is set and TELEMETRY_ENABLED is not true: nothing is sent to a \
             collector"
        ]
    );
    assert_eq!(
        off.telemetry.otlp.endpoint,
        Endpoint::parse("http://collector:4318")
    );
    let (_, findings) = read(&[endpoint, ("TELEMETRY_ENABLED", "true")]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].to_string().contains("TELEMETRY_BACKEND"),
        "{findings:?}"
    );
    let on = [
        endpoint,
        ("TELEMETRY_ENABLED", "true"),
        ("TELEMETRY_BACKEND", "otel"),
    ];
    assert!(sends_spans(&settings(&on)));
    let both = settings(&[("TELEMETRY_BACKEND", "Both")])
        .telemetry
        .backends;
    assert_eq!(both, BTreeSet::from([Backend::Prom, Backend::Otel]));
}

#[test]
fn an_endpoint_beside_a_wrong_one_is_not_named_as_well() {
    let wrong = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector");
    let (settings, findings) = read(&[wrong, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector")]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(!sends_spans(&settings));
}

#[test]
fn the_variables_of_spans_go_before_those_of_all_signals() {
    let telemetry = settings(&[
        ("TELEMETRY_ENABLED", "true"),
        ("TELEMETRY_BACKEND", "otel"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://[::1]:4318/base"),
        ("OTEL_EXPORTER_ENDPOINT", "http://ignored"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/tls/all.pem"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/tls/metrics.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/tls/key.pem"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
    ])
    .telemetry;
    assert_eq!(
        telemetry.otlp.endpoint,
        Endpoint::parse("https://[::1]:4318/base")
    );
    assert_eq!(telemetry.otlp.protocol, OtlpProtocol::Grpc);
    assert_eq!(
        telemetry.otlp.headers,
        [("x-key".to_owned(), Secret::new("a b"))]
    );
    assert_eq!(
        (telemetry.otlp.timeout_ms, telemetry.otlp.gzip),
        (500, true)
    );
    let metrics = &telemetry.otlp.metrics;
    assert_eq!(metrics.protocol, OtlpProtocol::HttpProtobuf);
    assert_eq!(metrics.headers, telemetry.otlp.headers);
    assert_eq!((metrics.timeout_ms, metrics.gzip), (500, false));
    assert_eq!(metrics.temporality, MetricsTemporality::Delta);
    let path = |path: &str| Some(PathBuf::from(path));
    let tls = &telemetry.otlp.tls;
    assert_eq!(
        (&tls.certificate, &tls.client_key),
        (&path("/tls/all.pem"), &path("/tls/key.pem"))
    );
    assert_eq!(
        (&metrics.tls.certificate, &metrics.tls.client_key),
        (&path("/tls/metrics.pem"), &None)
    );
    assert_eq!(telemetry.span_limits.attributes, 20);
    assert_eq!(telemetry.span_limits.attributes_per_link, 10);
    assert_eq!(
        telemetry.batching.max_export_batch_size, 100,
        "a batch fits the queue"
    );
}

#[test]
fn a_service_is_named_by_its_variable_then_by_its_attributes() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.name=my%20shop");
    assert_eq!(settings(&[attributes]).service_name, "my shop");
    assert_eq!(
        settings(&[attributes, ("OTEL_SERVICE_NAME", "till")]).service_name,
        "till"
    );
}

#[test]
fn without_a_current_directory_a_relative_path_is_none() {
    let prices = ("OMNITRACE_PRICES", "prices.json");
    let lookup = |name: &str| (name == prices.0).then(|| OsString::from(prices.1));
    let (settings, findings) = Settings::from_vars_in(&lookup, Path::new(""));
    assert_eq!(
        (settings.database, settings.prices),
        (DatabaseTarget::None, None)
    );
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[test]
fn the_policy_has_the_same_default_and_the_same_least_bytes() {
    use crate::policy::{DEFAULT_MAX_EVENT_BYTES as POLICYS, MIN_EVENT_BYTES};
    assert_eq!(DEFAULT_MAX_EVENT_BYTES as usize, POLICYS);
    assert_eq!(*MAX_EVENT_BYTES_RANGE.start() as usize, MIN_EVENT_BYTES);
}

#[test]
fn production_records_the_least_and_a_name_is_read_back() {
    for env in [Env::Dev, Env::Staging, Env::Prod] {
        assert_eq!(Env::parse(&env.to_string()), Some(env));
        assert!(env.default_sample_rate() >= Env::Prod.default_sample_rate());
        assert!(env.default_log_level() >= Env::Prod.default_log_level());
    }
    assert_eq!(Env::Dev.retention_days(), None);
    assert_eq!(
        (Env::Staging.retention_days(), Env::Prod.retention_days()),
        (Some(7), Some(14))
    );
}
