// What is drawn of a node. Pure; all times are milliseconds.
import type { Trace, TraceNode } from "../../api/client";
import { parseTime } from "../../components/format";
import { isError, isOpen } from "../../components/status";
import { attemptsOf } from "./rows";
import { beginOf, endOf as endedAt, startOf, type Range } from "./times";

export type { Range } from "./times";

/** Waiting is drawn apart from work; a point has no length. */
export interface Segment extends Range {
  kind: "work" | "wait" | "point";
  tone?: "bad" | "live";
}

/** Wait until something comes, and do nothing meanwhile. */
const WAITS = new Set(["timer", "approval"]);

const waits = (node: TraceNode) => WAITS.has(node.kind) || WAITS.has(node.category ?? "");

/** When a node ended, or up to when it is drawn while it goes on. */
function endOf(node: TraceNode, until: number): number | undefined {
  const end = endedAt(node);
  if (end !== undefined) return end;
  const begin = startOf(node) ?? beginOf(node);
  if (begin === undefined) return undefined;
  if (node.duration_ms != null) return begin + node.duration_ms;
  return isOpen(node.status) ? Math.max(until, begin) : begin;
}

/** From the first to the last moment of a trace; a run that goes on lasts until now. */
export function rangeOf(trace: Trace, now: number): Range {
  const open = isOpen(trace.status);
  let from = parseTime(trace.started_at) ?? Infinity;
  let to = parseTime(trace.ended_at) ?? (open ? now : -Infinity);
  const visit = (node: TraceNode) => {
    from = Math.min(from, beginOf(node) ?? Infinity);
    to = Math.max(to, endedAt(node) ?? beginOf(node) ?? -Infinity);
    node.children.forEach(visit);
  };
  visit(trace.root);
  if (!Number.isFinite(from) || !Number.isFinite(to)) return { from: now, to: now + 1 };
  return { from, to: Math.max(to, from + 1) };
}

/** The bars of a node; `until` is now, or when what it is part of ended. */
export function segmentsOf(node: TraceNode, until: number): Segment[] {
  const attempts = node.role === "step" ? attemptsOf(node) : [];
  const begin = beginOf(node);
  const end = endOf(node, until);
  if (attempts.length > 0 && !waits(node)) return ofAttempts(attempts, begin, end ?? until);
  if (begin === undefined || end === undefined) return [];
  if (end <= begin) return [{ kind: "point", from: begin, to: begin }];
  if (waits(node) || node.status === "scheduled") return [{ kind: "wait", from: begin, to: end }];
  const started = startOf(node) ?? begin + (node.waiting_ms ?? 0);
  const work: Segment = { kind: "work", from: Math.min(started, end), to: end, ...toneOf(node) };
  return started > begin ? [{ kind: "wait", from: begin, to: work.from }, work] : [work];
}

/** Each attempt is work; before the first, and between two, the step waits. */
function ofAttempts(attempts: TraceNode[], begin: number | undefined, until: number): Segment[] {
  const segments: Segment[] = [];
  let last = begin;
  for (const attempt of attempts) {
    const from = startOf(attempt) ?? beginOf(attempt);
    if (from === undefined) continue;
    if (last !== undefined && from > last) segments.push({ kind: "wait", from: last, to: from });
    const to = Math.max(endOf(attempt, until) ?? from, from);
    segments.push({ kind: "work", from, to, ...toneOf(attempt) });
    last = to;
  }
  if (last !== undefined && until > last && isOpen(attempts.at(-1)!.status) === false) {
    segments.push({ kind: "wait", from: last, to: until });
  }
  return segments;
}

function toneOf(node: TraceNode): Pick<Segment, "tone"> {
  if (isError(node.status)) return { tone: "bad" };
  return isOpen(node.status) && !node.left_open ? { tone: "live" } : {};
}
