// What the length of a run depends on. Pure.
//
// Going back from the end: what ended last before that was waited for, then what ended last before it
// began, and so on. The rest of the time is the node's own.
import type { TraceNode } from "../../api/client";
import { shownChildren, idOf } from "./rows";
import { beginOf, endOf, type Range } from "./times";

/** For each row on the critical path the times at which the run's length depended on it alone. */
export type CriticalPath = ReadonlyMap<string, Range[]>;

interface Timed extends Range {
  node: TraceNode;
}

export function criticalPath(root: TraceNode, until: number): CriticalPath {
  const path = new Map<string, Range[]>();
  const visit = ({ node, from, to }: Timed) => {
    const own: Range[] = [];
    const children = shownChildren(node)
      .map((child) => timed(child, until))
      .filter((child) => child !== undefined)
      .sort((a, b) => a.to - b.to);
    let at = to;
    for (let last = children.pop(); last && at > from; last = children.pop()) {
      // What ended later was not waited for.
      if (last.to > at || last.from < from || last.from >= last.to) continue;
      if (last.to < at) own.push({ from: last.to, to: at });
      visit(last);
      at = last.from;
    }
    if (at > from) own.push({ from, to: at });
    path.set(idOf(node), own.reverse());
  };
  const run = timed(root, until);
  if (run) visit(run);
  return path;
}

function timed(node: TraceNode, until: number): Timed | undefined {
  const from = beginOf(node);
  if (from === undefined) return undefined;
  return { node, from, to: Math.max(endOf(node) ?? (node.duration_ms != null ? from + node.duration_ms : until), from) };
}
