import { useQuery } from "@tanstack/react-query";
import { ApiError, type Trace } from "../../api/client";
import { useClient } from "../../api/context";
import { isOpen } from "../../components/status";

/** Milliseconds between two looks at a run that goes on. */
export const LIVE_EVERY = 1000;

export interface TraceId {
  executionId: string;
  runId?: string;
  namespace?: string;
}

/** What a client did wrong does not get better by asking again. */
export const retry = (failures: number, error: Error) =>
  failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);

/** The trace of a run; it follows the run until it has ended. */
export function useWorkflowTrace({ executionId, runId, namespace }: TraceId) {
  const client = useClient();
  return useQuery<Trace, Error>({
    queryKey: ["trace", executionId, runId, namespace],
    queryFn: ({ signal }) => client.trace(executionId, { run_id: runId, namespace }, signal),
    refetchInterval: ({ state }) => (state.data && isOpen(state.data.status) ? LIVE_EVERY : false),
    retry,
  });
}

/** All that is recorded of one node, which the trace itself leaves out. */
export function useNodeDetail({ executionId, runId, namespace }: TraceId, eventKey: string, version: string) {
  const client = useClient();
  return useQuery({
    queryKey: ["node", executionId, runId, namespace, eventKey, version],
    queryFn: async ({ signal }) => {
      const query = {
        run_id: runId,
        namespace,
        event_key: eventKey,
        depth: "0",
        include: "prompts,responses,artifacts,attributes",
      };
      return (await client.trace(executionId, query, signal)).root;
    },
    placeholderData: (before, query) => (query?.queryKey[4] === eventKey ? before : undefined),
    retry,
  });
}
