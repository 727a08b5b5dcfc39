// Nodes for tests.
import type { TraceNode } from "../../api/client";

export const T0 = Date.UTC(2026, 0, 1, 10);

/** A time so many milliseconds after T0, as the server writes it. */
export const at = (ms: number) => new Date(T0 + ms).toISOString().replace("Z", "000Z");

export function node(name: string, given: Partial<TraceNode> = {}): TraceNode {
  return {
    name,
    kind: "activity",
    role: "step",
    event_key: `activity:${name}:T:0`,
    status: "completed",
    provisional: false,
    left_open: false,
    attempt: 0,
    prompts: [],
    responses: [],
    artifacts: [],
    children: [],
    ...given,
  };
}

export const attempt = (step: string, n: number, given: Partial<TraceNode> = {}) =>
  node(step, { role: "attempt", event_key: `activity:${step}:T:${n}`, attempt: n, ...given });

export const run = (children: TraceNode[], given: Partial<TraceNode> = {}) =>
  node("Order", { kind: "workflow", role: "run", event_key: "", attempt: 1, children, ...given });
