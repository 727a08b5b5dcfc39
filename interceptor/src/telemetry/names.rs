//! Every name that our spans carry: of spans, attributes and events.
//!
//! Invariant: no other file spells one, but for those that `tracing` told (`layer/conventions.rs`). Names are those of Temporal's own integrations, of current
//! OpenTelemetry conventions, and of OmniTrace's own `workflow.*`, `node.*` and `execution.*`; like
//! columns they are a promise.

use opentelemetry::trace::SpanKind;

/// Name of the instrumentation scope.
pub(crate) const SCOPE: &str = "omnitrace";

/// Kinds of rows: what a span's name begins with, and its kind.
pub(super) const KINDS: &[(&str, &str, SpanKind)] = &[
    ("activity", "StartActivity:", SpanKind::Client),
    ("child_workflow", "StartChildWorkflow:", SpanKind::Client),
    ("signal", "HandleSignal:", SpanKind::Server),
    ("signal_external", "SignalWorkflow:", SpanKind::Client),
    ("cancel_external", "CancelWorkflow:", SpanKind::Client),
    ("update", "HandleUpdate:", SpanKind::Server),
    ("nexus_operation", "StartNexusOperation:", SpanKind::Client),
    ("timer", "Timer:", SpanKind::Internal),
    ("cancel_request", "HandleCancel:", SpanKind::Server),
    ("patch", "Patch:", SpanKind::Internal),
    ("marker", "Marker:", SpanKind::Internal),
    // What happens inside an attempt.
    ("model", "chat ", SpanKind::Client),
    ("tool", "execute_tool ", SpanKind::Internal),
    ("publish", "publish ", SpanKind::Producer),
    ("db", "db ", SpanKind::Client),
    ("http", "http ", SpanKind::Client),
];

/// A run.
pub(super) const RUN_WORKFLOW: &str = "RunWorkflow:";
/// An attempt of an activity.
pub(super) const RUN_ACTIVITY: &str = "RunActivity:";

// Temporal's own integrations.
pub(super) const TEMPORAL_WORKFLOW_ID: &str = "temporalWorkflowID";
pub(super) const TEMPORAL_RUN_ID: &str = "temporalRunID";
pub(super) const TEMPORAL_ACTIVITY_ID: &str = "temporalActivityID";
pub(super) const TEMPORAL_ACTIVITY_ATTEMPT: &str = "temporalActivityAttempt";
pub(super) const TEMPORAL_UPDATE_ID: &str = "temporalUpdateID";

// The run.
pub(super) const WORKFLOW_NAMESPACE: &str = "workflow.namespace";
pub(super) const WORKFLOW_ID: &str = "workflow.id";
pub(super) const WORKFLOW_RUN_ID: &str = "workflow.run_id";
pub(super) const WORKFLOW_TYPE: &str = "workflow.type";
pub(super) const WORKFLOW_STATUS: &str = "workflow.status";
pub(super) const WORKFLOW_TASK_QUEUE: &str = "workflow.task_queue";
pub(super) const WORKFLOW_TRIGGER: &str = "workflow.trigger";
pub(super) const WORKFLOW_ATTEMPT: &str = "workflow.attempt";
pub(super) const WORKFLOW_MAX_ATTEMPTS: &str = "workflow.max_attempts";
pub(super) const WORKFLOW_VERSION: &str = "workflow.version";
pub(super) const WORKFLOW_SAMPLED_BY: &str = "workflow.sampled_by";
/// Hashed.
pub(super) const USER_ID: &str = "user.id";
/// Hashed.
pub(super) const TENANT_ID: &str = "tenant.id";

// A step, an attempt, or what happened inside one.
pub(super) const NODE_ID: &str = "node.id";
pub(super) const NODE_NAME: &str = "node.name";
pub(super) const NODE_TYPE: &str = "node.type";
pub(super) const NODE_CATEGORY: &str = "node.category";
pub(super) const EXECUTION_STATUS: &str = "execution.status";
pub(super) const EXECUTION_ATTEMPT: &str = "execution.attempt";
pub(super) const EXECUTION_LATENCY_MS: &str = "execution.latency_ms";
pub(super) const EVENT_KEY: &str = "omnitrace.event_key";
pub(super) const COST_USD: &str = "omnitrace.cost_usd";

/// Scalars that a row's data holds beside payloads, and what they are called.
pub(super) const DETAILS: &[(&str, &str)] = &[
    ("task_queue", "execution.task_queue"),
    ("worker", "execution.worker"),
    ("local", "execution.local"),
    ("late_result", "execution.late_result"),
    ("chain_attempt", "execution.chain_attempt"),
    ("backoff_ms", "execution.backoff_ms"),
    ("duration_ms", "timer.duration_ms"),
    ("workflow_id", "node.workflow_id"),
    ("run_id", "node.run_id"),
];

// By category.
pub(super) const TOOL_NAME: &str = "tool.name";
pub(super) const GEN_AI_TOOL_NAME: &str = "gen_ai.tool.name";
pub(super) const POLICY_NAME: &str = "policy.name";
pub(super) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
pub(super) const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const GEN_AI_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const GEN_AI_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
pub(super) const DB_OPERATION_NAME: &str = "db.operation.name";

// Requests.
pub(super) const HTTP_METHOD: &str = "http.request.method";
pub(super) const HTTP_ROUTE: &str = "http.route";
pub(super) const HTTP_REQUEST_SIZE: &str = "http.request.body.size";
pub(super) const HTTP_STATUS_CODE: &str = "http.response.status_code";
/// Value of `error.type` where a service failed without an answer.
pub(super) const SERVICE_ERROR: &str = "service_error";

// Errors.
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const EXCEPTION: &str = "exception";
pub(super) const EXCEPTION_TYPE: &str = "exception.type";
pub(super) const EXCEPTION_MESSAGE: &str = "exception.message";
pub(super) const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

// Prompts and responses.
pub(super) const GEN_AI_DETAILS: &str = "gen_ai.client.inference.operation.details";
pub(super) const GEN_AI_INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub(super) const GEN_AI_OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// What a link leads to.
pub(super) const LINK: &str = "omnitrace.link";
pub(super) const LINK_PREVIOUS_ATTEMPT: &str = "previous_attempt";
pub(super) const LINK_CONTINUED_FROM: &str = "continued_from";
/// Whoever sent a signal or an update.
pub(super) const LINK_SENT_BY: &str = "sent_by";
/// A caller that was not sampled.
pub(super) const LINK_CALLED_BY: &str = "called_by";

// The process.
pub(super) const SERVICE_NAME: &str = "service.name";
pub(super) const ENVIRONMENT: &str = "deployment.environment.name";
pub(super) const HOST_NAME: &str = "host.name";
pub(super) const PROCESS_PID: &str = "process.pid";
