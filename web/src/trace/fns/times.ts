// When a node began and ended. Pure; all times are milliseconds.
import type { TraceNode } from "../../api/client";
import { parseTime } from "../../components/format";

export interface Range {
  from: number;
  to: number;
}

const CACHE = new WeakMap<TraceNode, { begin: number | undefined; start: number | undefined; end: number | undefined }>();

/** Times are read once for each node: reading texts is what costs most in a long trace. */
function timesOf(node: TraceNode) {
  let times = CACHE.get(node);
  if (!times) {
    const start = parseTime(node.started_at);
    times = { begin: parseTime(node.scheduled_at) ?? start, start, end: parseTime(node.ended_at) };
    CACHE.set(node, times);
  }
  return times;
}

/** When it was scheduled, or started if nobody knows that. */
export const beginOf = (node: TraceNode) => timesOf(node).begin;

export const startOf = (node: TraceNode) => timesOf(node).start;

export const endOf = (node: TraceNode) => timesOf(node).end;
