// The tree as a list of rows. Pure.
import type { TraceNode } from "../../api/client";
import { isError } from "../../components/status";

/** The run itself has no key. */
export const RUN_ID = "run";

export const idOf = (node: Pick<TraceNode, "event_key">) => node.event_key || RUN_ID;

export interface Row {
  id: string;
  node: TraceNode;
  depth: number;
  parent: string | undefined;
  expandable: boolean;
  open: boolean;
}

/** What a reader opened and closed, by row. */
export type Openness = ReadonlyMap<string, boolean>;

export const attemptsOf = (node: TraceNode) => node.children.filter((child) => child.role === "attempt");

/** A step that took one attempt stands for it; what happened inside is then the step's. */
export function shownChildren(node: TraceNode): TraceNode[] {
  const [only, ...more] = attemptsOf(node);
  if (node.role !== "step" || !only || more.length > 0) return node.children;
  return node.children.flatMap((child) => (child === only ? only.children : [child]));
}

const NAMED = new Set(["activity", "workflow", "patch", "timer"]);

/** What a row is called. */
export function titleOf(node: TraceNode): string {
  if (node.role === "attempt") return `attempt ${node.attempt}`;
  if (node.kind === "timer") return node.event_key.split(":").slice(0, 2).join(" ");
  if (node.kind === "patch") return `patch ${node.event_key.split(":")[1] ?? ""}`;
  return node.role === "step" && !NAMED.has(node.kind) ? `${node.kind.replaceAll("_", " ")} ${node.name}` : node.name;
}

/** Retries are folded into their step until somebody asks. */
const opensByItself = (node: TraceNode) => attemptsOf(node).length < 2;

/** The rows that are shown; of a tree that is searched those that were `kept`, open down to what was found. */
export function flatten(root: TraceNode, openness: Openness, kept?: ReadonlyMap<string, unknown>): Row[] {
  const rows: Row[] = [];
  const visit = (node: TraceNode, depth: number, parent: string | undefined) => {
    const id = idOf(node);
    const all = shownChildren(node);
    const children = kept ? all.filter((child) => kept.has(idOf(child))) : all;
    const expandable = children.length > 0;
    const open = expandable && (openness.get(id) ?? (kept !== undefined || opensByItself(node)));
    rows.push({ id, node, depth, parent, expandable, open });
    if (open) for (const child of children) visit(child, depth + 1, id);
  };
  visit(root, 0, undefined);
  return rows;
}

/** Everything open, or everything but the run closed. */
export function setAll(root: TraceNode, open: boolean): Openness {
  const all = new Map<string, boolean>();
  const visit = (node: TraceNode) => {
    const children = shownChildren(node);
    if (children.length > 0) all.set(idOf(node), open || node === root);
    children.forEach(visit);
  };
  visit(root);
  return all;
}

/** The row with this id and those above it, from the run down; nothing if there is none. */
export function pathTo(root: TraceNode, id: string): TraceNode[] {
  const find = (node: TraceNode): TraceNode[] => {
    if (idOf(node) === id) return [node];
    for (const child of shownChildren(node)) {
      const path = find(child);
      if (path.length > 0) return [node, ...path];
    }
    // An attempt that its step stands for is found as the step.
    const folded = attemptsOf(node).some((attempt) => idOf(attempt) === id);
    return folded ? [node] : [];
  };
  return find(root);
}

/** The next row after this one, round again, that ended with an error; the run itself aside. */
export function nextError(root: TraceNode, after: string | undefined): string | undefined {
  const errors: string[] = [];
  let passed = after === undefined ? 0 : -1;
  const visit = (node: TraceNode) => {
    if (node !== root && isError(node.status)) errors.push(idOf(node));
    if (idOf(node) === after) passed = errors.length;
    shownChildren(node).forEach(visit);
  };
  visit(root);
  return errors[passed] ?? errors[0];
}

/** Openness with a row's ancestors open. */
export function reveal(root: TraceNode, id: string, openness: Openness): Openness {
  const above = pathTo(root, id).slice(0, -1);
  return new Map([...openness, ...above.map((node) => [idOf(node), true] as const)]);
}
