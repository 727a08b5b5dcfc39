// Which two runs are to be compared. Pure.
import type { Execution } from "../../api/client";

const same = (a: Execution, b: Execution) => a.namespace === b.namespace && a.run_id === b.run_id && a.execution_id === b.execution_id;

export const isChosen = (chosen: Execution[], run: Execution) => chosen.some((one) => same(one, run));

/** With a run chosen, or no longer; a third takes the place of the first. */
export const chose = (chosen: Execution[], run: Execution): Execution[] =>
  isChosen(chosen, run) ? chosen.filter((one) => !same(one, run)) : [...chosen, run].slice(-2);

/** Where two runs are compared; the older one is A. */
export function compareTwo(chosen: Execution[]): string {
  const [a, b] = [...chosen].sort((x, y) => (x.started_at ?? "").localeCompare(y.started_at ?? ""));
  const query = new URLSearchParams({ a: a!.execution_id, a_run: a!.run_id, b: b!.execution_id, b_run: b!.run_id });
  if (a!.namespace === b!.namespace) query.set("namespace", a!.namespace);
  return `/compare?${query}`;
}
