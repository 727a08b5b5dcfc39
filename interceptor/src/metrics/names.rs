//! Every metric: its name, labels, kind and meaning.
//!
//! Invariant: no other file spells a name, and `docs/metrics.md` is made from this table. Names and
//! labels are promises, like columns. Labels hold types, names and classes, never ids: what a label may
//! hold is bounded in the registry besides.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows; whole numbers.
    Counter,
    /// Only grows; amounts as US dollars.
    Amount,
    /// Goes up and down.
    Gauge,
    /// Spread over seconds.
    Seconds,
    /// Spread over bytes.
    Bytes,
    /// Spread over tokens of a language model.
    Tokens,
}

impl Kind {
    /// As Prometheus calls it.
    pub fn prometheus(self) -> &'static str {
        match self {
            Self::Counter | Self::Amount => "counter",
            Self::Gauge => "gauge",
            Self::Seconds | Self::Bytes | Self::Tokens => "histogram",
        }
    }

    /// The unit, as OpenTelemetry writes it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Tokens => "{token}",
            Self::Counter | Self::Amount | Self::Gauge => "",
        }
    }

    /// Upper ends of the buckets of a histogram.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            // Fine around the 5 s of the latency alert.
            Self::Seconds => &[
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.0, 5.0, 6.0, 7.5, 10.0, 30.0,
                60.0, 300.0, 1800.0, 3600.0, 86_400.0,
            ],
            Self::Bytes => &[
                100.0,
                1000.0,
                10_000.0,
                100_000.0,
                1_000_000.0,
                10_000_000.0,
                100_000_000.0,
            ],
            // Those of OpenTelemetry's conventions.
            Self::Tokens => &[
                1.0,
                4.0,
                16.0,
                64.0,
                256.0,
                1024.0,
                4096.0,
                16_384.0,
                65_536.0,
                262_144.0,
                1_048_576.0,
                4_194_304.0,
                16_777_216.0,
                67_108_864.0,
            ],
            Self::Counter | Self::Amount | Self::Gauge => &[],
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// As Prometheus sees it.
    pub name: &'static str,
    /// As it is sent by OTLP: the same, but for those of OpenTelemetry's conventions.
    pub otlp: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, as they are sent by OTLP; Prometheus sees `_` for `.`.
    pub labels: &'static [&'static str],
    /// What it counts or measures, and of what.
    pub meaning: &'static str,
}

/// Labels with few values, fixed in the code. They stay what they are when all else becomes
/// [`OTHER`].
pub(super) const CLOSED: &[&str] = &[
    "status",
    "status_class",
    "kind",
    "reason",
    "dependency",
    "gen_ai.token.type",
];

/// What a label holds in the place of a value that found no room.
pub const OTHER: &str = "other";
/// What a label holds where nothing is known.
pub const UNKNOWN: &str = "unknown";
/// The tenant of runs that have none.
pub const NO_TENANT: &str = "none";

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal $(($otlp:literal))? [$($label:literal),*] $meaning:literal;)+) => {
        $(
            #[doc = $meaning]
            pub static $id: Metric = Metric {
                name: $name,
                otlp: [$name $(, $otlp)?][[$name $(, $otlp)?].len() - 1],
                kind: Kind::$kind,
                labels: &[$($label),*],
                meaning: $meaning,
            };
        )+

        /// All metrics, in the order of the documentation.
        pub static ALL: &[&Metric] = &[$(&$id),+];
    };
}

metrics! {
    TRACES_TOTAL = Counter "traces_total" ["job", "status"]
        "Runs that closed. `job` is the workflow type (of a standalone activity its type), `status` one of Temporal's words.";
    TRACES_DURATION = Seconds "traces_duration" ["job"]
        "Seconds from a run's start to its close.";
    QUEUE_JOB_LATENCY = Seconds "queue_job_latency_seconds" ["queue", "job"]
        "Seconds from scheduling to end: of attempts of activities, and of runs. `queue` is the task queue, `job` the activity or workflow type.";
    QUEUE_JOB_FAILURES = Counter "queue_job_failures_total" ["queue", "job", "error_type"]
        "Attempts of activities, and runs, that failed, timed out or were lost; and activities that timed out before an attempt could tell.";
    QUEUE_DEPTH = Gauge "queue_depth_total" ["queue", "kind"]
        "Tasks that wait on the server for a worker (DescribeTaskQueue), of the task queues of this process's workers. `kind` is `workflow` or `activity`.";
    EXTERNAL_API_CALLS = Counter "external_api_calls_total" ["category", "operation"]
        "Calls of what lies outside: attempts of activities with a category, and what happens inside attempts (`tool`, `model`, `db`, `http`, …). `operation` is the activity type, or the event's name.";
    EXTERNAL_API_DURATION = Seconds "external_api_duration_seconds" ["category", "operation"]
        "Seconds of such calls, where it is known how long they took.";
    EXTERNAL_API_ERRORS = Counter "external_api_errors_total" ["category", "operation", "error_type"]
        "Such calls that failed.";
    TOKEN_COST = Amount "token_cost_usd" ["model", "tenant"]
        "US dollars that tokens of a language model cost. `tenant` is hashed, or `none`.";
    WORKFLOW_COST = Amount "workflow_cost_usd" ["job", "tenant"]
        "The same by workflow type.";
    GEN_AI_TOKEN_USAGE = Tokens "gen_ai_client_token_usage" ("gen_ai.client.token.usage")
        ["gen_ai.request.model", "gen_ai.token.type"]
        "Tokens used, `input` or `output`, as OpenTelemetry's conventions have it.";
    GEN_AI_OPERATION_DURATION = Seconds "gen_ai_client_operation_duration_seconds"
        ("gen_ai.client.operation.duration") ["gen_ai.request.model"]
        "Seconds of calls of a language model, as OpenTelemetry's conventions have it.";
    HTTP_REQUESTS = Counter "http_requests_total" ["method", "route", "status_class"]
        "Requests to an HTTP service with OmniTrace's layer. `status_class` is `2xx`, `3xx`, ….";
    HTTP_REQUEST_DURATION = Seconds "http_request_duration_seconds" ["method", "route", "status_class"]
        "Seconds until such a request was answered.";
    HTTP_REQUEST_SIZE = Bytes "http_request_size_bytes" ["method", "route"]
        "Bytes of its body, where the request says it.";

    QUERIES = Counter "omnitrace_queries_total" ["job"]
        "Queries that reached a workflow. `job` is the workflow type. History has none of them, so they are no rows.";
    UPDATES_REJECTED = Counter "omnitrace_updates_rejected_total" ["job"]
        "Updates that a workflow rejected. `job` is the workflow type. History has none of them.";

    OFFERED = Counter "omnitrace_offered_total" []
        "Rows made from what was observed.";
    STORED = Counter "omnitrace_stored_total" []
        "Rows that changed the store.";
    UNCHANGED = Counter "omnitrace_unchanged_total" []
        "Rows that said what was known already.";
    SAMPLED_OUT = Counter "omnitrace_sampled_out_total" []
        "Rows of runs that sampling left out.";
    DROPPED = Counter "omnitrace_dropped_total" ["reason"]
        "What is not stored. Losses: `queue_full`, `run_incomplete`, `panic`, `stopped`, `buffer_full`, `held_full`, `shutdown`, `spool`. As configured: `run_cap`, `step_cap`, `no_store`. No loss: `ghost` (never accepted by the server), `erased` (of an erased run). Wrong: `invalid_key`.";
    QUEUE_BYTES = Gauge "omnitrace_queue_bytes" []
        "Bytes of observations that wait for the writer.";
    FLUSH = Seconds "omnitrace_flush_seconds" []
        "Seconds of a write to the database.";
    STORE_ERRORS = Counter "omnitrace_store_errors_total" []
        "Writes that the database refused; they are tried again.";
    SPOOL_BYTES = Gauge "omnitrace_spool_bytes" []
        "Bytes of rows that wait on disk.";
    LIVE_RECORDERS = Gauge "omnitrace_live_recorders" []
        "Runs that are being followed.";
    BREAKER_OPEN = Gauge "omnitrace_breaker_open" ["dependency"]
        "1 while a dependency (`store`, `collector`) is left alone because it refused several times in a row, else 0.";
    SPANS_EXPORTED = Counter "omnitrace_spans_exported_total" []
        "Spans that the collector acknowledged.";
    SPANS_FAILED = Counter "omnitrace_spans_failed_total" []
        "Spans that will never be sent: the collector refused them, or without a store they found no room.";
    EXPORT_ERRORS = Counter "omnitrace_export_errors_total" []
        "Times that the collector did not take what it was sent.";
    COLLECTOR_UP = Gauge "omnitrace_collector_up" []
        "1 if the collector took what it was sent last, else 0. Absent where nothing is sent.";
    SAMPLE_RATE_CONFIGURED = Gauge "omnitrace_sample_rate_configured" []
        "The configured part of the runs that is recorded, 0 to 1.";
    SAMPLE_RATE_ACTUAL = Gauge "omnitrace_sample_rate_actual" []
        "The part that was recorded since the start, promoted runs aside. Absent before the first run.";
    RUNS_PROMOTED = Counter "omnitrace_runs_promoted_total" []
        "Runs that sampling left out and that were recorded after all: they failed or were slow.";
    HEADERS_IGNORED = Counter "omnitrace_headers_ignored_total" []
        "Trace headers that were malformed or too long.";
    LOG_LINES_DROPPED = Counter "omnitrace_log_lines_dropped_total" []
        "Log lines over the limit of lines per second.";
    TRACE_FETCH = Seconds "omnitrace_trace_fetch_seconds" []
        "Seconds that `omnitrace serve` took to read a trace.";
    CLIENTS_CUT = Counter "omnitrace_clients_cut_total" ["reason"]
        "Clients that `omnitrace serve` cut: `slow` took the rows of a stream too slowly and was told so, `stuck` took nothing at all.";
    SERIES_OVERFLOW = Counter "omnitrace_series_overflow_total" ["metric"]
        "Measurements whose labels became `other`, because their metric has its number of series.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    /// The names that are promised to alert rules and dashboards.
    const PROMISED: &[&str] = &[
        "http_request_duration_seconds",
        "http_requests_total",
        "http_request_size_bytes",
        "queue_job_latency_seconds",
        "queue_depth_total",
        "queue_job_failures_total",
        "external_api_calls_total",
        "external_api_duration_seconds",
        "external_api_errors_total",
        "token_cost_usd",
        "workflow_cost_usd",
        "traces_total",
        "traces_duration",
        "gen_ai_client_token_usage",
        "gen_ai_client_operation_duration_seconds",
    ];

    #[test]
    fn every_promised_name_is_there_once_and_every_other_is_our_own() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in PROMISED {
            assert!(names.contains(name), "{name}");
        }
        let own = names.iter().filter(|name| name.starts_with("omnitrace_"));
        assert_eq!(own.count() + PROMISED.len(), names.len());
        for metric in ALL {
            let is_plain = |text: &str| {
                (text.bytes()).all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
            };
            assert!(is_plain(metric.name) && !metric.name.contains('.'));
            assert!(metric.labels.iter().all(|label| is_plain(label)));
        }
    }

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    const MARK: &str = "<!-- made from interceptor/src/metrics/names.rs -->\n";

    #[test]
    fn the_table_in_the_documentation_is_up_to_date() {
        let stored = std::fs::read_to_string(PATH).expect("docs/metrics.md");
        let (head, _) = stored.split_once(MARK).expect("the mark");
        let mut page =
            format!("{head}{MARK}| metric | type | labels | what |\n|---|---|---|---|\n");
        for metric in ALL {
            let labels: Vec<String> = (metric.labels.iter())
                .map(|label| format!("`{}`", label.replace('.', "_")))
                .collect();
            writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                metric.name,
                metric.kind.prometheus(),
                labels.join(" "),
                metric.meaning
            )
            .expect("a string takes everything");
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PATH, &page).expect("docs/ can be written");
        }
        let stored = std::fs::read_to_string(PATH).expect("docs/metrics.md");
        assert_eq!(
            stored, page,
            "run UPDATE_DOCS=1 cargo test -p omnitrace documentation"
        );
    }
}
