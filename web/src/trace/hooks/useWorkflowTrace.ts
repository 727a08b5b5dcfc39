import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { ApiError, type Trace } from "../../api/client";
import { useClient } from "../../api/context";
import { isOpen } from "../../components/status";
import { LIVE_EVERY, useLive } from "./useLive";

export { LIVE_EVERY } from "./useLive";

export interface TraceId {
  executionId: string;
  runId?: string;
  namespace?: string;
}

/** What a client did wrong does not get better by asking again. */
export const retry = (failures: number, error: Error) =>
  failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);

/** The trace of a run, part by part if it is long; it follows the run until it has ended. */
export function useWorkflowTrace({ executionId, runId, namespace }: TraceId) {
  const client = useClient();
  const queries = useQueryClient();
  const [streams, setStreams] = useState(false);
  const queryKey = ["trace", executionId, runId, namespace];
  const query = useQuery<Trace, Error>({
    queryKey,
    queryFn: ({ signal }) =>
      client.trace(executionId, { run_id: runId, namespace }, signal, (part) => {
        // The first parts are shown; later looks at a run that goes on replace it as a whole.
        const shown = queries.getQueryData<Trace>(queryKey);
        if (!signal.aborted && (!shown || shown.root.more_children)) queries.setQueryData(queryKey, part);
      }),
    refetchInterval: ({ state }) => (!streams && state.data && isOpen(state.data.status) ? LIVE_EVERY : false),
    retry,
  });
  const { refetch } = query;
  const look = useCallback(() => refetch({ cancelRefetch: false }), [refetch]);
  const streaming = useLive(query.data, look);
  if (streaming !== streams) setStreams(streaming);
  return { ...query, streams };
}

/** All that is recorded of one node, which the trace itself leaves out; `withheld` if the reader may not see it. */
export function useNodeDetail({ executionId, runId, namespace }: TraceId, eventKey: string, version: string) {
  const client = useClient();
  return useQuery({
    queryKey: ["node", executionId, runId, namespace, eventKey, version],
    queryFn: async ({ signal }) => {
      const query = { run_id: runId, namespace, event_key: eventKey, depth: "0" };
      const include = "prompts,responses,artifacts,attributes";
      try {
        return { node: (await client.trace(executionId, { ...query, include }, signal)).root, withheld: false };
      } catch (error) {
        // Who may read a run may not always read what went through it.
        if (!(error instanceof ApiError) || error.status !== 403) throw error;
        return { node: (await client.trace(executionId, query, signal)).root, withheld: true };
      }
    },
    placeholderData: (before, query) => (query?.queryKey[4] === eventKey ? before : undefined),
    retry,
  });
}
