// The runs of a chain in their order. Pure.
import type { Execution, Trace } from "../../api/client";

export interface ChainRun {
  run_id: string;
  name: string;
  status?: Execution["status"];
  started_at?: string | null;
  /** How it came from the run before. */
  by?: string;
}

const BY: Record<string, string> = { continue_as_new: "continued", retry: "retried", cron: "cron", reset: "reset" };

/**
 * Runs of the workflow id, oldest first. `listed` are those that are known; what only the trace's links
 * name is there too.
 */
export function chainOf(trace: Trace, listed: Execution[]): ChainRun[] {
  const { previous_run, next_run } = trace.links;
  const known: Pick<Execution, "run_id" | "status" | "started_at" | "trigger">[] = listed.some(
    (run) => run.run_id === trace.run_id,
  )
    ? [...listed]
    : [...listed, trace];
  known.sort((a, b) => (a.started_at ?? "").localeCompare(b.started_at ?? ""));
  const runs: ChainRun[] = known.map(({ run_id, status, started_at, trigger }, at) => ({
    run_id,
    name: `run ${at + 1}`,
    status,
    started_at,
    by: at > 0 ? BY[trigger] : undefined,
  }));
  const has = (id: string) => runs.some((run) => run.run_id === id);
  if (previous_run && !has(previous_run)) runs.unshift({ run_id: previous_run, name: "run before" });
  if (next_run && !has(next_run)) runs.push({ run_id: next_run, name: "run after" });
  return runs;
}
