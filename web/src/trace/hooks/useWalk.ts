import { useContext } from "react";
import type { Trace } from "../../api/client";
import { GoContext } from "../../components/go";
import { traceHref } from "../links";

/** Ways to the runs beside this one, where there are any. */
export function useWalk(trace: Trace) {
  const go = useContext(GoContext);
  const { execution_id: executionId, namespace, links } = trace;
  const run = (runId: string | null | undefined) =>
    runId ? () => go(traceHref({ executionId, namespace, runId })) : undefined;
  const { parent } = links;
  return {
    previous: run(links.previous_run),
    next: run(links.next_run),
    parent: parent
      ? () => go(traceHref({ executionId: parent.execution_id, namespace: parent.namespace, runId: parent.run_id }))
      : undefined,
  };
}
