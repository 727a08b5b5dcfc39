import { useQuery } from "@tanstack/react-query";
import { useClient } from "../api/context";
import { retry } from "../api/useMe";

export interface CompareSearch {
  a?: string;
  b?: string;
  a_run?: string;
  b_run?: string;
  namespace?: string;
  /** `all`: also steps that do not differ. */
  steps?: string;
}

/** Two runs, step by step. */
export function useCompare({ a, b, a_run, b_run, namespace }: CompareSearch) {
  const client = useClient();
  return useQuery({
    queryKey: ["compare", a, a_run, b, b_run, namespace],
    queryFn: ({ signal }) =>
      client.compare({ a: a!, b: b!, a_run_id: a_run, b_run_id: b_run, namespace }, signal),
    enabled: Boolean(a && b),
    retry,
  });
}

/** The run that is compared, and others of its type that it can be compared with. */
export function useOthers({ a, a_run, b, namespace }: CompareSearch) {
  const client = useClient();
  return useQuery({
    queryKey: ["others", a, a_run, namespace],
    queryFn: async ({ signal }) => {
      const trace = await client.trace(a!, { run_id: a_run, namespace, depth: "0" }, signal);
      const query = { type: trace.workflow_type, namespace: trace.namespace, limit: "50" };
      const { executions } = await client.executions(query, signal);
      return { run: trace, others: executions.filter((other) => other.run_id !== trace.run_id) };
    },
    enabled: Boolean(a && !b),
    retry,
  });
}
