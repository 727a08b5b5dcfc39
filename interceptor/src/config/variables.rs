//! The variables that are read: one table for reading, messages, documentation and spelling help.
//!
//! Invariant: what is read is in [`VARIABLES`], and what is in it is read (a test compares both).

use std::ffi::OsStr;

use super::finding::Finding;

/// How a line may show a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// As it is.
    Plain,
    /// A URL: as it is, unless it may hold a password.
    Url,
    /// Never.
    Never,
}

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds when it is unset or empty; an empty text is "nothing".
    pub default: &'static str,
    /// What may be written, as it follows "allowed is".
    pub allowed: &'static str,
    /// What it does, one sentence.
    pub meaning: &'static str,
    /// How its value may be shown.
    pub shown: Shown,
}

impl Variable {
    const fn shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }
}

const fn var(
    name: &'static str,
    default: &'static str,
    allowed: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default,
        allowed,
        meaning,
        shown: Shown::Plain,
    }
}

const BOOL: &str = "true or false";
const FIELDS: &str =
    "a comma list of field names, each of at most 64 characters, without wildcards";
const URL: &str = "an http:// or https:// address";
const PROTOCOLS: &str = "grpc or http/protobuf";
const COMPRESSIONS: &str = "gzip or none";
const HEADERS: &str = "a comma list of key=value, percent-encoded";
const MILLIS: &str = "milliseconds from 1 to 3600000";
const COUNT: &str = "a whole number from 0 to 1000000";
const SIZE: &str = "a whole number from 1 to 1000000";

/// Declares the variables as constants and the table of them all.
macro_rules! variables {
    ($($id:ident = $variable:expr;)*) => {
        $(pub(super) const $id: &Variable = &$variable;)*

        /// All variables that are read, in the order of the documentation.
        pub const VARIABLES: &[&Variable] = &[$($id),*];
    };
}

variables! {
    ENABLED = var("OMNITRACE_ENABLED", "true", BOOL, "Whether anything is recorded.");
    ENV = var("OMNITRACE_ENV", "dev", "dev, staging or prod",
        "The environment: default sample rate (1, 1, 0.1), days of retention, and the log level of `SwitchedLevel::from_env` (debug, info, info).");
    SAMPLE_RATE = var("OMNITRACE_SAMPLE_RATE", "1.0", "a number from 0 to 1, as 0.1",
        "Part of the runs that is recorded; by default 0.1 in prod. Of the others those that fail or are slow, as far \
         as they can be held meanwhile and unless [recording](rollout.md) is switched off.");
    MAX_EVENTS_PER_RUN = var("OMNITRACE_MAX_EVENTS_PER_RUN", "200", "a whole number from 1 to 100000",
        "Event rows that are stored of one run.");
    MAX_EVENT_BYTES = var("OMNITRACE_MAX_EVENT_BYTES", "8192", "bytes from 256 to 1048576, as 8192 or 8KiB",
        "Bytes of redacted data that one row keeps.");
    DATABASE_URL = var("OMNITRACE_DATABASE_URL", "sqlite://omnitrace.db",
        "none, or a database URL as sqlite://omnitrace.db or postgres://user@host:5432/database", "Where the rows are stored; [PostgreSQL](postgresql.md) has a page of its own.").shown(Shown::Url);
    MIGRATE = var("OMNITRACE_MIGRATE", "true", BOOL,
        "Whether a missing database is created and an older schema migrated at start; if not, `omnitrace migrate` does it.");
    SLOW_MS = var("OMNITRACE_SLOW_MS", "2000", "milliseconds from 1 to 86400000",
        "A step or run slower than this is recorded whatever the sample rate.");
    QUEUE_BYTES = var("OMNITRACE_QUEUE_BYTES", "8MiB", "bytes from 65536 to 1073741824, as 8388608, 8MiB or 8 MB",
        "Memory for what was observed and not yet written.");
    SPOOL_BYTES = var("OMNITRACE_SPOOL_BYTES", "64MiB", "bytes from 0 to 1099511627776, as 67108864, 64MiB or 64 MB",
        "Disk for rows that find no room in memory while the database is away; 0 is none.");
    SPOOL_PATH = var("OMNITRACE_SPOOL_PATH", "", "the path of a folder",
        "That folder; beside a SQLite file by default (omnitrace.db.spool), else omnitrace.spool.");
    SPOOL_FSYNC = var("OMNITRACE_SPOOL_FSYNC", "false", BOOL,
        "Whether each batch in it is forced to the disk: slower, and safe when the power fails.");
    RECONCILE = var("OMNITRACE_RECONCILE", "true", BOOL,
        "Whether runs that ended without a worker seeing it are closed from their history, by one process at a time.");
    RECONCILE_S = var("OMNITRACE_RECONCILE_S", "60", "seconds from 1 to 86400",
        "Time between two looks at them.");
    FLUSH_MS = var("OMNITRACE_FLUSH_MS", "200", "milliseconds from 10 to 60000",
        "How long rows are gathered before they are written together.");
    PROMOTE_WINDOW_S = var("OMNITRACE_PROMOTE_WINDOW_S", "300", "seconds from 0 to 86400",
        "How long the attempts of a run that was not sampled are held, should it fail after all.");
    TRACE_PER_CHAIN = var("OMNITRACE_TRACE_PER_CHAIN", "false", BOOL,
        "Whether a run that continues as new goes on in its trace; if not it begins one, so that a trace stays bounded.");
    BAGGAGE = var("OMNITRACE_BAGGAGE", "", "a comma list of keys, each of at most 64 letters, digits and -._~",
        "Keys of W3C baggage that calls pass on, at most 1 KiB in all; other baggage is dropped.");
    CATEGORIES = var("OMNITRACE_CATEGORIES", "", "rules, as model=*::chat,Llm*;tool=*Search*",
        "Which types of activities and child workflows, and names of signals and updates, are tools, models, policies, caches, approvals or publishes.");
    ALLOW_FIELDS = var("OMNITRACE_ALLOW_FIELDS", "", FIELDS, "Fields whose values are kept, beside the built-in ones.");
    DROP_FIELDS = var("OMNITRACE_DROP_FIELDS", "", FIELDS, "Fields whose values are dropped, beside the built-in ones.");
    HASH_KEY = var("OMNITRACE_HASH_KEY", "", "text that is not blank, best 16 random characters or more",
        "Key of the hashes that stand for values, so that short values cannot be guessed.").shown(Shown::Never);
    CAPTURE_CONTENT = var("OMNITRACE_CAPTURE_CONTENT", "false", BOOL,
        "Whether prompts and responses of models stay readable.");
    PRICES = var("OMNITRACE_PRICES", "", "the path of a file",
        "A price table for models, in the place of the built-in one.");
    TELEMETRY_ENABLED = var("TELEMETRY_ENABLED", "false", BOOL, "Whether spans and metrics leave the process.");
    TELEMETRY_BACKEND = var("TELEMETRY_BACKEND", "noop", "a comma list of noop, prom and otel, or both",
        "Where telemetry goes: nowhere, to a Prometheus endpoint, to an OTLP endpoint; both is prom,otel.");
    PROM_EXPORT_PORT = var("PROM_EXPORT_PORT", "9090", "a port from 1 to 65535",
        "Port of the Prometheus endpoint, which is Prometheus' own too: each worker of a host needs one that is free.");
    PROMETHEUS_HOST = var("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1", "an IP address, as 0.0.0.0 for all",
        "Address of this machine that the Prometheus endpoint is opened at.");
    OTEL_SERVICE_NAME = var("OTEL_SERVICE_NAME", "unknown_service", "one line of at most 255 characters",
        "Name of the service; goes before service.name in OTEL_RESOURCE_ATTRIBUTES.");
    OTEL_RESOURCE_ATTRIBUTES = var("OTEL_RESOURCE_ATTRIBUTES", "", HEADERS,
        "Attributes of every span and metric of the process.").shown(Shown::Never);
    OTEL_TRACES_SAMPLER = var("OTEL_TRACES_SAMPLER", "",
        "always_on, always_off, traceidratio, or one of them after parentbased_",
        "The sample rate, where OMNITRACE_SAMPLE_RATE is unset.");
    OTEL_TRACES_SAMPLER_ARG = var("OTEL_TRACES_SAMPLER_ARG", "1.0", "a number from 0 to 1, as 0.1",
        "The rate of the sampler traceidratio.");
    OTLP_ENDPOINT = var("OTEL_EXPORTER_OTLP_ENDPOINT", "", URL,
        "Where spans and metrics are sent; without it http://localhost:4318, or http://localhost:4317 with grpc.")
        .shown(Shown::Url);
    OTLP_ENDPOINT_ALIAS = var("OTEL_EXPORTER_ENDPOINT", "", URL,
        "Alias of OTEL_EXPORTER_OTLP_ENDPOINT, which goes before it.").shown(Shown::Url);
    OTLP_TRACES_ENDPOINT = var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "", URL,
        "Where spans are sent, with its full path; goes before OTEL_EXPORTER_OTLP_ENDPOINT.").shown(Shown::Url);
    OTLP_METRICS_ENDPOINT = var("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "", URL,
        "Where metrics are sent, with its full path; goes before OTEL_EXPORTER_OTLP_ENDPOINT.").shown(Shown::Url);
    OTLP_PROTOCOL = var("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", PROTOCOLS, "How spans and metrics are sent.");
    OTLP_TRACES_PROTOCOL = var("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "", PROTOCOLS,
        "Goes before OTEL_EXPORTER_OTLP_PROTOCOL.");
    OTLP_METRICS_PROTOCOL = var("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "", PROTOCOLS,
        "The same for metrics.");
    OTLP_HEADERS = var("OTEL_EXPORTER_OTLP_HEADERS", "", HEADERS,
        "Headers sent with spans and metrics, often with a token.").shown(Shown::Never);
    OTLP_TRACES_HEADERS = var("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "", HEADERS,
        "Goes before OTEL_EXPORTER_OTLP_HEADERS.").shown(Shown::Never);
    OTLP_METRICS_HEADERS = var("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "", HEADERS,
        "The same for metrics.").shown(Shown::Never);
    OTLP_TIMEOUT = var("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", MILLIS, "Longest time of one export.");
    OTLP_TRACES_TIMEOUT = var("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "", MILLIS,
        "Goes before OTEL_EXPORTER_OTLP_TIMEOUT.");
    OTLP_METRICS_TIMEOUT = var("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "", MILLIS,
        "The same for metrics.");
    OTLP_COMPRESSION = var("OTEL_EXPORTER_OTLP_COMPRESSION", "none", COMPRESSIONS, "Compression of what is sent.");
    OTLP_TRACES_COMPRESSION = var("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "", COMPRESSIONS,
        "Goes before OTEL_EXPORTER_OTLP_COMPRESSION.");
    OTLP_METRICS_COMPRESSION = var("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "", COMPRESSIONS,
        "The same for metrics.");
    OTLP_METRICS_TEMPORALITY = var("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative",
        "cumulative, delta or lowmemory", "Whether what is sent of a counter or histogram is its sum since the start, or since the last time.");
    METRIC_EXPORT_INTERVAL = var("OTEL_METRIC_EXPORT_INTERVAL", "60000", MILLIS,
        "Time between two exports of metrics.");
    OTLP_CERTIFICATE = var("OTEL_EXPORTER_OTLP_CERTIFICATE", "", "the path of a file",
        "Certificates that the endpoint is checked against.");
    OTLP_CLIENT_CERTIFICATE = var("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", "the path of a file",
        "Certificate shown to the endpoint.");
    OTLP_CLIENT_KEY = var("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", "the path of a file",
        "Private key of that certificate.");
    OTLP_TRACES_CERTIFICATE = var("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "", "the path of a file",
        "Goes before OTEL_EXPORTER_OTLP_CERTIFICATE.");
    OTLP_METRICS_CERTIFICATE = var("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "", "the path of a file",
        "The same for metrics.");
    OTLP_TRACES_CLIENT_CERTIFICATE = var("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "", "the path of a file",
        "Goes before OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE.");
    OTLP_METRICS_CLIENT_CERTIFICATE = var("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "", "the path of a file",
        "The same for metrics.");
    OTLP_TRACES_CLIENT_KEY = var("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "", "the path of a file",
        "Goes before OTEL_EXPORTER_OTLP_CLIENT_KEY.");
    OTLP_METRICS_CLIENT_KEY = var("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "", "the path of a file",
        "The same for metrics.");
    ATTRIBUTE_VALUE_LENGTH = var("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "", COUNT,
        "Characters of an attribute's text.");
    ATTRIBUTE_COUNT = var("OTEL_ATTRIBUTE_COUNT_LIMIT", "128", COUNT, "Attributes of a span, event or link.");
    SPAN_ATTRIBUTE_VALUE_LENGTH = var("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "", COUNT,
        "Goes before OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT.");
    SPAN_ATTRIBUTE_COUNT = var("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128", COUNT,
        "Attributes of a span; goes before OTEL_ATTRIBUTE_COUNT_LIMIT.");
    SPAN_EVENT_COUNT = var("OTEL_SPAN_EVENT_COUNT_LIMIT", "128", COUNT, "Events of a span.");
    SPAN_LINK_COUNT = var("OTEL_SPAN_LINK_COUNT_LIMIT", "128", COUNT, "Links of a span.");
    EVENT_ATTRIBUTE_COUNT = var("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "128", COUNT, "Attributes of a span's event.");
    LINK_ATTRIBUTE_COUNT = var("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "128", COUNT, "Attributes of a span's link.");
    BSP_SCHEDULE_DELAY = var("OTEL_BSP_SCHEDULE_DELAY", "5000", MILLIS, "Longest time between two exports.");
    BSP_EXPORT_TIMEOUT = var("OTEL_BSP_EXPORT_TIMEOUT", "30000", MILLIS, "Longest time of one batch.");
    BSP_MAX_QUEUE_SIZE = var("OTEL_BSP_MAX_QUEUE_SIZE", "2048", SIZE, "Spans that wait for export.");
    BSP_MAX_EXPORT_BATCH_SIZE = var("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512",
        "a whole number from 1 to OTEL_BSP_MAX_QUEUE_SIZE", "Spans of one batch.");
}

/// Read by `omnitrace serve` and `omnitrace prune` alone.
const OF_THE_SERVER: [&str; 17] = [
    "OMNITRACE_CLIENT_PATIENCE_S",
    "OMNITRACE_CORS_ORIGINS",
    "OMNITRACE_DASHBOARDS",
    "OMNITRACE_JWT_AUDIENCE",
    "OMNITRACE_JWT_ISSUER",
    "OMNITRACE_JWT_JWKS_FILE",
    "OMNITRACE_JWT_PUBLIC_KEY_FILE",
    "OMNITRACE_JWT_SECRET_FILE",
    "OMNITRACE_LISTEN",
    "OMNITRACE_RATE_LIMIT",
    "OMNITRACE_REQUIRE_TOKEN",
    "OMNITRACE_RETENTION_EVENTS_DAYS",
    "OMNITRACE_RETENTION_HOURLY_DAYS",
    "OMNITRACE_RETENTION_RUNS_DAYS",
    "OMNITRACE_TRACE_BACKEND",
    "OMNITRACE_TRACE_BACKEND_HEADERS",
    "OMNITRACE_UI",
];

/// One finding for each name that looks like a variable of OmniTrace and is none.
pub(super) fn unknown<'a>(names: impl IntoIterator<Item = &'a OsStr>) -> Vec<Finding> {
    const PREFIX: &str = "OMNITRACE_";
    let mut findings: Vec<Finding> = names
        .into_iter()
        .filter(|name| {
            let start = name.as_encoded_bytes().get(..PREFIX.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
        })
        .filter(|name| {
            (VARIABLES.iter().map(|known| known.name))
                .chain(OF_THE_SERVER)
                .all(|known| *name != OsStr::new(known))
        })
        .map(|name| Finding::unknown(name, nearest(&name.to_string_lossy())))
        .collect();
    findings.sort_by(|a, b| a.variable.cmp(&b.variable));
    findings
}

/// The known name with the fewest changed letters, if they are few.
fn nearest(name: &str) -> Option<&'static str> {
    /// Longer than any known name; the distance costs the product of both lengths.
    const COMPARED_CHARS: usize = 64;
    /// More changes than this make another word.
    const MAX_DISTANCE: usize = 4;
    let name: String = name
        .chars()
        .take(COMPARED_CHARS)
        .collect::<String>()
        .to_ascii_uppercase();
    (VARIABLES.iter().map(|known| known.name))
        .chain(OF_THE_SERVER)
        .filter(|known| known.starts_with("OMNITRACE_"))
        .map(|known| (strsim::damerau_levenshtein(&name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= MAX_DISTANCE)
        .map(|(_, name)| name)
}
