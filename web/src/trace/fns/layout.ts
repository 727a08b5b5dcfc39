// Where a node is drawn in time. Pure; all times are milliseconds.
import type { Trace, TraceNode } from "../../api/client";
import { parseTime } from "../../components/format";
import { isError, isOpen } from "../../components/status";
import { attemptsOf } from "./rows";

export interface Range {
  from: number;
  to: number;
}

/** Waiting is drawn apart from work; a point has no length. */
export interface Segment extends Range {
  kind: "work" | "wait" | "point";
  tone?: "bad" | "live";
}

/** Waits until something comes, and does nothing meanwhile. */
const WAITS = new Set(["timer"]);

const beginOf = (node: TraceNode) => parseTime(node.scheduled_at) ?? parseTime(node.started_at);

/** When a node ended, or up to when it is drawn while it goes on. */
function endOf(node: TraceNode, until: number): number | undefined {
  const end = parseTime(node.ended_at);
  if (end !== undefined) return end;
  const begin = parseTime(node.started_at) ?? beginOf(node);
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
    to = Math.max(to, parseTime(node.ended_at) ?? beginOf(node) ?? -Infinity);
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
  if (attempts.length > 0) return ofAttempts(attempts, begin, end ?? until);
  if (begin === undefined || end === undefined) return [];
  if (end <= begin) return [{ kind: "point", from: begin, to: begin }];
  if (WAITS.has(node.kind) || node.status === "scheduled") return [{ kind: "wait", from: begin, to: end }];
  const started = parseTime(node.started_at) ?? begin + (node.waiting_ms ?? 0);
  const work: Segment = { kind: "work", from: Math.min(started, end), to: end, ...toneOf(node) };
  return started > begin ? [{ kind: "wait", from: begin, to: work.from }, work] : [work];
}

/** Each attempt is work; before the first, and between two, the step waits. */
function ofAttempts(attempts: TraceNode[], begin: number | undefined, until: number): Segment[] {
  const segments: Segment[] = [];
  let last = begin;
  for (const attempt of attempts) {
    const from = parseTime(attempt.started_at) ?? beginOf(attempt);
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

/** Where a segment is, as percentages of the range. */
export function place(segment: Range, range: Range): { left: number; width: number } {
  const percent = (at: number) => (100 * (Math.min(Math.max(at, range.from), range.to) - range.from)) / (range.to - range.from);
  const left = percent(segment.from);
  return { left, width: percent(segment.to) - left };
}

/** Round moments of a range, counted from its begin: at most so many. */
export function ticks(range: Range, most = 6): number[] {
  const length = range.to - range.from;
  const rough = length / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= rough) ?? rough;
  const all: number[] = [];
  for (let n = 0; n * step <= length * 0.98; n += 1) all.push(n * step);
  return all;
}
