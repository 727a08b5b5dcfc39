// Whether OmniTrace itself is well.

import { dashboard, quantile, rate } from "./panels.js";

const BY = ["instance"];

export default dashboard(
  "omnitrace-health",
  "OmniTrace: its own health",
  "What was offered, stored, sent and lost, and how the database and the collector do.",
  [],
  [
    {
      title: "Rows",
      charts: [
        {
          title: "What became of what was seen",
          description: "Offered is stored, unchanged, sampled out or dropped. Anything dropped is ObservationsDropped.",
          unit: "ops",
          queries: [
            { expr: "sum(rate(omnitrace_offered_total[$__rate_interval]))", legend: "offered" },
            { expr: "sum(rate(omnitrace_stored_total[$__rate_interval]))", legend: "stored" },
            { expr: "sum(rate(omnitrace_unchanged_total[$__rate_interval]))", legend: "unchanged" },
            { expr: "sum(rate(omnitrace_sampled_out_total[$__rate_interval]))", legend: "sampled out" },
            { expr: rate("omnitrace_dropped_total", ["reason"]), legend: "dropped: {{reason}}" },
          ],
        },
        {
          title: "Sample rate",
          description: "Failed and slow runs come on top of what is configured.",
          unit: "percentunit",
          queries: [
            { expr: "avg(omnitrace_sample_rate_configured)", legend: "configured" },
            { expr: "avg(omnitrace_sample_rate_actual)", legend: "actual" },
            { expr: "sum(rate(omnitrace_runs_promoted_total[$__rate_interval]))", legend: "promoted a second" },
          ],
        },
      ],
    },
    {
      title: "Memory and disk",
      charts: [
        {
          title: "Queue",
          description: "Bytes that were seen and not yet written; bounded by OMNITRACE_QUEUE_BYTES.",
          unit: "bytes",
          limit: 8 * 1024 * 1024,
          queries: [{ expr: "omnitrace_queue_bytes", legend: "{{instance}}" }],
        },
        {
          title: "Spool",
          description: "Bytes on disk that wait for the database. Usually none.",
          unit: "bytes",
          queries: [{ expr: "omnitrace_spool_bytes", legend: "{{instance}}" }],
        },
        {
          title: "Live recorders",
          description: "Runs in memory. As many as workers keep in their caches, not ever more.",
          unit: "short",
          queries: [{ expr: "omnitrace_live_recorders", legend: "{{instance}}" }],
        },
      ],
    },
    {
      title: "Database and collector",
      charts: [
        {
          title: "Write to the database",
          description: "p50 and p99 of a flush. p99 above the line for two minutes is SlowFlush.",
          unit: "s",
          limit: 2.5,
          queries: [
            { expr: quantile(0.5, "omnitrace_flush_seconds", BY), legend: "p50 {{instance}}" },
            { expr: quantile(0.99, "omnitrace_flush_seconds", BY), legend: "p99 {{instance}}" },
          ],
        },
        {
          title: "Breakers and collector",
          description: "1 is open, or reachable.",
          unit: "short",
          queries: [
            { expr: "omnitrace_breaker_open", legend: "breaker {{dependency}} {{instance}}" },
            { expr: "omnitrace_collector_up", legend: "collector {{instance}}" },
          ],
        },
        {
          title: "Spans and refusals",
          description: "Sent, given up, and how often the collector or the database refused.",
          unit: "ops",
          queries: [
            { expr: rate("omnitrace_spans_exported_total", BY), legend: "sent {{instance}}" },
            { expr: rate("omnitrace_spans_failed_total", BY), legend: "given up {{instance}}" },
            { expr: rate("omnitrace_export_errors_total", BY), legend: "collector refused {{instance}}" },
            { expr: rate("omnitrace_store_errors_total", BY), legend: "database refused {{instance}}" },
          ],
        },
      ],
    },
    {
      title: "At the edges",
      charts: [
        {
          title: "Left out",
          description: "Log lines over the limit, headers that are no trace context, and series that became other.",
          unit: "ops",
          queries: [
            { expr: rate("omnitrace_series_overflow_total", ["metric"]), legend: "series {{metric}}" },
            { expr: rate("omnitrace_log_lines_dropped_total", BY), legend: "log lines {{instance}}" },
            { expr: rate("omnitrace_headers_ignored_total", BY), legend: "headers {{instance}}" },
          ],
        },
        {
          title: "Reading a trace",
          description: "p50 and p99 of a trace that omnitrace serve gives.",
          unit: "s",
          limit: 2.5,
          queries: [
            { expr: quantile(0.5, "omnitrace_trace_fetch_seconds", BY), legend: "p50 {{instance}}" },
            { expr: quantile(0.99, "omnitrace_trace_fetch_seconds", BY), legend: "p99 {{instance}}" },
          ],
        },
      ],
    },
  ],
);
