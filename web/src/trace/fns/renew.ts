// Which parts of a trace are asked for anew when rows of its run changed. Pure but for `joined`, which asks.
import type { Trace, TraceNode, TraceQuery } from "../../api/client";
import { isOpen } from "../../components/status";

export interface Parts {
  /** Steps that are asked for one by one. */
  steps: number[];
  /** Everything behind this child of the run is asked for at once, with the run itself. */
  after: number;
}

/** So many of the last steps are asked for at once, from the first that changed on. */
const LAST = 100;
/** And so many before them one by one. */
const ONE_BY_ONE = 4;
/** Steps that begin at the same time may come in before one another. */
const OVERLAP = 10;

/**
 * The parts that hold these rows; nothing where that is most of the run. A row that is not known comes
 * last, or in the step whose key it has.
 */
export function partsOf(root: TraceNode, changed: ReadonlySet<string>): Parts | undefined {
  const at = places(root);
  const affected = new Set<number>();
  for (const key of changed) {
    const place = at.get(key) ?? at.get(stepOf(key));
    if (place !== undefined) affected.add(place);
  }
  const count = root.children.length;
  const early = [...affected].filter((place) => place < count - LAST);
  const late = [...affected].filter((place) => place >= count - LAST);
  const after = Math.min(count - OVERLAP, ...late) - 1;
  return after < 0 || early.length > ONE_BY_ONE ? undefined : { steps: early, after };
}

/** The trace with these parts as they are now; nothing if they do not hold what changed, or the run ended. */
export async function joined(
  before: Trace,
  { steps, after }: Parts,
  changed: ReadonlySet<string>,
  ask: (query: TraceQuery) => Promise<Trace>,
): Promise<Trace | undefined> {
  const run = { run_id: before.run_id, namespace: before.namespace };
  const key = (place: number) => before.root.children[place]!.event_key;
  const [rest, ...anew] = await Promise.all([
    ask({ ...run, after: key(after) }),
    ...steps.map((place) => ask({ ...run, event_key: key(place) })),
  ]);
  const children = before.root.children.slice(0, after + 1);
  steps.forEach((place, n) => (children[place] = anew[n]!.root));
  children.push(...rest!.root.children);
  if (!isOpen(rest!.status) || rest!.root.more_children) return undefined;
  const root = { ...rest!.root, children };
  const there = places(root);
  return [...changed].every((key) => there.has(key)) ? { ...rest!, root } : undefined;
}

/** By the key of each row, in which child of the run it is. */
function places(root: TraceNode): Map<string, number> {
  const at = new Map<string, number>();
  const visit = (node: TraceNode, place: number) => {
    at.set(node.event_key, place);
    for (const child of node.children) visit(child, place);
  };
  root.children.forEach(visit);
  return at;
}

/** The key of an attempt's step. */
const stepOf = (key: string) => `${key.slice(0, key.lastIndexOf(":"))}:0`;
