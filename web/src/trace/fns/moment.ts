// A run as it stood at a moment. Pure; moments are milliseconds since 1970.
//
// Invariant: what a worker or history knew at that moment, no more: a step that ended later is open, what
// began later is not there.
import type { Status, Trace, TraceNode } from "../../api/client";
import { isOpen } from "../../components/status";
import { idOf } from "./rows";
import { beginOf, endOf, startOf } from "./times";

/** Something that began or ended, and when. */
export interface Moment {
  at: number;
  id: string;
  what: "scheduled" | "started" | "ended";
}

/** The run at a moment; from its end on it is the run itself. */
export function traceAt(trace: Trace, at: number): Trace {
  if (endedBy(trace.root, at, undefined)) return trace;
  const root = nodeAt(trace.root, at, { known: -Infinity, over: undefined, parentOver: false }) ?? emptied(trace.root);
  if (root === trace.root) return trace;
  return { ...trace, root, event_count: count(root) - 1, status: root.status, ended_at: null, duration_ms: null };
}

/** What is known of a node's times through what is around it. */
interface Around {
  /** When it is known of at the latest, if it does not say itself. */
  known: number;
  /** When it was over at the latest. */
  over: number | undefined;
  /** What it is part of has ended. */
  parentOver: boolean;
}

function nodeAt(node: TraceNode, at: number, { known, over, parentOver }: Around): TraceNode | undefined {
  const begin = knownFrom(node) ?? known;
  if (begin > at) return undefined;
  const ended = endedBy(node, at, over);
  const end = endOf(node) ?? over;
  const attempts = nextAttempts(node.children);
  const children: TraceNode[] = [];
  let same = true;
  for (const child of node.children) {
    const next = attempts.get(child);
    const nextBegin = next && knownFrom(next);
    const around = {
      // An attempt without times is told of by the one after it.
      known: child.role === "attempt" ? (nextBegin ?? end ?? begin) : begin,
      over: child.role === "attempt" ? (nextBegin ?? end) : end,
      parentOver: ended,
    };
    const shown = nodeAt(child, at, around);
    same &&= shown === child;
    if (shown) children.push(shown);
  }
  if (ended) return same ? node : { ...node, children };
  const status = openStatus(node, at, children);
  const left_open = node.left_open && parentOver;
  if (same && isOpen(node.status) && status === node.status && left_open === node.left_open) return node;
  const hasStarted = (startOf(node) ?? begin + (node.waiting_ms ?? 0)) <= at;
  return {
    ...node,
    children,
    status,
    left_open,
    ended_at: null,
    duration_ms: null,
    started_at: hasStarted ? node.started_at : null,
    waiting_ms: hasStarted ? node.waiting_ms : null,
    error: null,
    hint: null,
    reported_status: null,
    child_run: hasStarted ? node.child_run : null,
    ...usage(children),
  };
}

/** Tokens and cost of what is there so far. */
function usage(children: TraceNode[]): Pick<TraceNode, "token_usage" | "cost_usd"> {
  const tokens = children.flatMap((child) => child.token_usage ?? []);
  const costs = children.flatMap((child) => child.cost_usd ?? []);
  const sum = (all: number[]) => all.reduce((total, one) => total + one, 0);
  return {
    token_usage: tokens.length
      ? { prompt: sum(tokens.map((one) => one.prompt)), completion: sum(tokens.map((one) => one.completion)) }
      : null,
    cost_usd: costs.length ? sum(costs) : null,
  };
}

/** Whether a node was over: by its own word, its duration, or because what follows it had begun. */
function endedBy(node: TraceNode, at: number, over: number | undefined): boolean {
  if (isOpen(node.status)) return false;
  const begin = startOf(node) ?? beginOf(node);
  const own = endOf(node) ?? (begin !== undefined && node.duration_ms != null ? begin + node.duration_ms : undefined);
  const end = own ?? over ?? begin;
  return end === undefined || end <= at;
}

function openStatus(node: TraceNode, at: number, children: TraceNode[]): Status {
  if (node.role !== "step" || node.kind === "timer" || node.kind === "update") return "running";
  if (children.some((child) => child.role === "attempt")) return "running";
  const started = startOf(node);
  return started !== undefined && started <= at ? "running" : "scheduled";
}

/** Each attempt's next. */
function nextAttempts(children: TraceNode[]): Map<TraceNode, TraceNode> {
  const next = new Map<TraceNode, TraceNode>();
  let before: TraceNode | undefined;
  for (const child of children) {
    if (child.role !== "attempt") continue;
    if (before) next.set(before, child);
    before = child;
  }
  return next;
}

function childrenBegin(node: TraceNode): number | undefined {
  const begins = node.children.map((child) => beginOf(child) ?? childrenBegin(child)).filter((one) => one !== undefined);
  return begins.length ? Math.min(...begins) : undefined;
}

/** When it is first known of: a step when it was scheduled, an attempt when a worker began it, or told of it. */
const knownFrom = (node: TraceNode) =>
  node.role === "attempt" ? (startOf(node) ?? endOf(node)) : (beginOf(node) ?? childrenBegin(node));

const emptied = (root: TraceNode): TraceNode => ({
  ...root,
  status: "scheduled",
  children: [],
  ended_at: null,
  duration_ms: null,
  error: null,
  hint: null,
  token_usage: null,
  cost_usd: null,
});

const count = (node: TraceNode): number => node.children.reduce((sum, child) => sum + count(child), 1);

/** Every moment at which something began or ended, in order; of several at one moment each is there. */
export function momentsOf(root: TraceNode): Moment[] {
  const moments: Moment[] = [];
  const visit = (node: TraceNode) => {
    const id = idOf(node);
    const [begin, start, end] = [beginOf(node), startOf(node), endOf(node)];
    if (begin !== undefined) moments.push({ at: begin, id, what: start === begin ? "started" : "scheduled" });
    if (start !== undefined && start !== begin) moments.push({ at: start, id, what: "started" });
    if (end !== undefined && end !== begin) moments.push({ at: end, id, what: "ended" });
    node.children.forEach(visit);
  };
  visit(root);
  return moments.sort((a, b) => a.at - b.at);
}

/** The next moment after this one at which something happened, or the one before it. */
export function stepFrom(moments: Moment[], at: number, by: 1 | -1): number | undefined {
  // The first that is later than `at`.
  let low = 0;
  let high = moments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moments[middle]!.at > at) high = middle;
    else low = middle + 1;
  }
  if (by === 1) return moments[low]?.at;
  let before = low - 1;
  while (before >= 0 && moments[before]!.at === at) before -= 1;
  return moments[before]?.at;
}

/** What happened exactly at a moment. */
export const happened = (moments: Moment[], at: number) => moments.filter((moment) => moment.at === at);

/** A run in numbers, and what it waits for. */
export interface State {
  status: Status;
  open: TraceNode[];
  ended: number;
  failed: number;
  attempts: number;
  retries: number;
  signals: TraceNode[];
  tokens: { prompt: number; completion: number };
  cost: number;
}

export function stateOf(root: TraceNode): State {
  const state: State = {
    status: root.status,
    open: [],
    ended: 0,
    failed: 0,
    attempts: 0,
    retries: 0,
    signals: [],
    tokens: root.token_usage ?? { prompt: 0, completion: 0 },
    cost: root.cost_usd ?? 0,
  };
  const visit = (node: TraceNode) => {
    if (node.role === "attempt") {
      state.attempts += 1;
      if (node.attempt > 1) state.retries += 1;
    }
    if (node.role === "step") {
      if (node.kind === "signal") state.signals.push(node);
      else if (isOpen(node.status)) state.open.push(node);
      else if (node.status === "completed") state.ended += 1;
      else state.failed += 1;
    }
    node.children.forEach(visit);
  };
  visit(root);
  return state;
}

/** A moment as it stands in an address: UTC, to the microsecond. */
export function writeMoment(at: number): string {
  const micros = Math.round(at * 1000);
  const ms = Math.floor(micros / 1000);
  return new Date(ms).toISOString().replace("Z", `${String(micros - ms * 1000).padStart(3, "0")}Z`);
}
