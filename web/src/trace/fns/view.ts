// What of a trace is shown, as it stands in the address. Pure.
import type { TraceNode } from "../../api/client";
import { isError } from "../../components/status";
import { attemptsOf, idOf, shownChildren } from "./rows";

/** Texts, so that they can stand in an address as they are; without one there is no limit. */
export interface View {
  q?: string;
  status?: string;
  kind?: string;
  min_ms?: string;
  /** `errors`: what failed stands first. */
  first?: string;
  /** `off`: idle gaps are not folded. */
  fold?: string;
  /** `on`: the critical path is marked. */
  path?: string;
  /** The moment that is shown. */
  at?: string;
}

export const VIEW_NAMES = ["q", "status", "kind", "min_ms", "first", "fold", "path", "at"] as const satisfies (keyof View)[];

/** What a node is called in the list of kinds. */
export const kindOf = (node: TraceNode) => node.category ?? node.kind;

/** Kinds and statuses that occur, by name. */
export function occurring(root: TraceNode): { kinds: string[]; statuses: TraceNode["status"][] } {
  const kinds = new Set<string>();
  const statuses = new Set<TraceNode["status"]>();
  const visit = (node: TraceNode) => {
    kinds.add(kindOf(node));
    statuses.add(node.status);
    node.children.forEach(visit);
  };
  root.children.forEach(visit);
  return { kinds: [...kinds].sort(), statuses: [...statuses].sort() };
}

/** Whether a node is what a view looks for; nothing if the view looks for everything. */
export function matcher({ q, status, kind, min_ms }: View): ((node: TraceNode) => boolean) | undefined {
  const words = q?.toLowerCase().split(/\s+/).filter(Boolean) ?? [];
  const statuses = new Set(status?.split(",").filter(Boolean));
  const kinds = new Set(kind?.split(",").filter(Boolean));
  const least = Number(min_ms);
  const hasLeast = Boolean(min_ms) && Number.isFinite(least);
  if (!words.length && !statuses.size && !kinds.size && !hasLeast) return undefined;
  return (node) => {
    if (statuses.size && !statuses.has(node.status)) return false;
    if (kinds.size && !kinds.has(kindOf(node))) return false;
    if (hasLeast && !((node.duration_ms ?? 0) >= least)) return false;
    return words.length === 0 || hasWords(node, words);
  };
}

function hasWords(node: TraceNode, words: string[]): boolean {
  const only = attemptsOf(node).length === 1 ? attemptsOf(node)[0] : undefined;
  const text = [
    node.name,
    node.event_key,
    node.kind,
    node.category,
    node.model,
    node.error?.type,
    node.error?.message,
    node.child_run?.execution_id,
    only?.error?.type,
    only?.error?.message,
  ]
    .filter(Boolean)
    .join("\n")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Rows that are looked for, and those above them. */
export type Kept = ReadonlyMap<string, "found" | "above">;

export function keep(root: TraceNode, matches: (node: TraceNode) => boolean): Kept {
  const kept = new Map<string, "found" | "above">();
  const visit = (node: TraceNode): boolean => {
    let below = false;
    for (const child of shownChildren(node)) below = visit(child) || below;
    const found = node.role !== "run" && matches(node);
    if (found) kept.set(idOf(node), "found");
    else if (below || node === root) kept.set(idOf(node), "above");
    return found || below;
  };
  visit(root);
  return kept;
}

export const foundIn = (kept: Kept) => [...kept.values()].filter((how) => how === "found").length;

/** The tree with what failed, or has a failure inside, before the rest. */
export function errorsFirst(node: TraceNode): TraceNode {
  const failed = new Map<TraceNode, boolean>();
  const fails = (one: TraceNode): boolean => {
    let any = isError(one.status);
    for (const child of one.children) any = fails(child) || any;
    failed.set(one, any);
    return any;
  };
  const sorted = (one: TraceNode): TraceNode => {
    // Attempts are read in their order.
    if (!failed.get(one) || attemptsOf(one).length > 0) return one;
    const bad = one.children.filter((child) => failed.get(child)).map(sorted);
    return { ...one, children: [...bad, ...one.children.filter((child) => !failed.get(child))] };
  };
  return fails(node) ? sorted(node) : node;
}
