// Addresses of a trace page. Ids go into the query, where any text is allowed.
import type { TraceId } from "./hooks/useWorkflowTrace";

export function traceHref({ executionId, runId, namespace }: TraceId): string {
  const query = new URLSearchParams({ id: executionId });
  if (runId) query.set("run", runId);
  if (namespace) query.set("namespace", namespace);
  return `/trace?${query}`;
}
