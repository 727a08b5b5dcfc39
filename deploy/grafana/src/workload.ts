// What runs, how long it takes, and what fails.

import { choice, dashboard, quantile, rate } from "./panels.js";

const OF = '{queue=~"$queue", job=~"$job"}';
const JOB = '{job=~"$job"}';

export default dashboard(
  "omnitrace-workload",
  "OmniTrace: workload",
  "Requests, runs, activities, queues and calls to others.",
  [choice("queue", "Task queue", "queue_job_latency_seconds_count"), choice("job", "Type", "queue_job_latency_seconds_count")],
  [
    {
      title: "Requests",
      charts: [
        {
          title: "Requests by status",
          description: "Requests per second that your HTTP services answered.",
          unit: "reqps",
          stacked: true,
          queries: [{ expr: rate("http_requests_total", ["status_class"]), legend: "{{status_class}}" }],
        },
        {
          title: "Latency of requests",
          description: "p95 above the line for two minutes is HighRequestLatency.",
          unit: "s",
          limit: 5,
          queries: [
            { expr: quantile(0.95, "http_request_duration_seconds", ["route"]), legend: "p95 {{route}}" },
            { expr: quantile(0.99, "http_request_duration_seconds", ["route"]), legend: "p99 {{route}}" },
          ],
        },
        {
          title: "Size of requests",
          description: "p95 of the bytes of a request's body.",
          unit: "bytes",
          queries: [{ expr: quantile(0.95, "http_request_size_bytes", ["route"]), legend: "{{route}}" }],
        },
      ],
    },
    {
      title: "Runs",
      charts: [
        {
          title: "Runs by how they ended",
          description: "Runs per second. More than 5 % failed, timed out or terminated is HighRunErrorRate.",
          unit: "ops",
          stacked: true,
          queries: [{ expr: rate("traces_total", ["status"], JOB), legend: "{{status}}" }],
        },
        {
          title: "How long runs take",
          description: "From start to end, waiting included.",
          unit: "s",
          queries: [
            { expr: quantile(0.5, "traces_duration", ["job"], JOB), legend: "p50 {{job}}" },
            { expr: quantile(0.95, "traces_duration", ["job"], JOB), legend: "p95 {{job}}" },
          ],
        },
      ],
    },
    {
      title: "Jobs",
      charts: [
        {
          title: "Latency of jobs",
          description: "From scheduled to ended. p95 above the line for two minutes is HighJobLatency.",
          unit: "s",
          limit: 5,
          queries: [
            { expr: quantile(0.95, "queue_job_latency_seconds", ["queue", "job"], OF), legend: "p95 {{queue}} {{job}}" },
            { expr: quantile(0.99, "queue_job_latency_seconds", ["queue", "job"], OF), legend: "p99 {{queue}} {{job}}" },
          ],
        },
        {
          title: "Failures by error",
          description: "Failed jobs per second.",
          unit: "ops",
          stacked: true,
          queries: [{ expr: rate("queue_job_failures_total", ["job", "error_type"], OF), legend: "{{job}} {{error_type}}" }],
        },
        {
          title: "Share of failures",
          description: "Above the line for a minute is HighJobErrorRate.",
          unit: "percentunit",
          limit: 0.05,
          queries: [
            {
              expr: `${rate("queue_job_failures_total", ["queue", "job"], OF)} / ${rate("queue_job_latency_seconds_count", ["queue", "job"], OF)}`,
              legend: "{{queue}} {{job}}",
            },
          ],
        },
        {
          title: "Tasks that wait",
          description: "The server's backlog. Above the line for two minutes is QueueDepthHigh.",
          unit: "short",
          limit: 100,
          queries: [
            { expr: 'max by (queue, kind) (queue_depth_total{queue=~"$queue"})', legend: "{{queue}} {{kind}}" },
          ],
        },
      ],
    },
    {
      title: "Calls to others",
      charts: [
        {
          title: "Calls",
          description: "Models, tools, databases and other services, by what they are.",
          unit: "ops",
          stacked: true,
          queries: [{ expr: rate("external_api_calls_total", ["category", "operation"]), legend: "{{category}} {{operation}}" }],
        },
        {
          title: "Latency of calls",
          description: "p95.",
          unit: "s",
          queries: [
            { expr: quantile(0.95, "external_api_duration_seconds", ["category", "operation"]), legend: "{{category}} {{operation}}" },
          ],
        },
        {
          title: "Failed calls",
          description: "More than 5 % for a minute is HighExternalErrorRate.",
          unit: "ops",
          stacked: true,
          queries: [
            {
              expr: rate("external_api_errors_total", ["category", "operation", "error_type"]),
              legend: "{{category}} {{operation}} {{error_type}}",
            },
          ],
        },
      ],
    },
  ],
);
