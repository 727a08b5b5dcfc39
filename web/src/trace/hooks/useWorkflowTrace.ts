import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { ApiError, type Trace } from "../../api/client";
import { useClient } from "../../api/context";
import { retry, useMe } from "../../api/useMe";
import { isOpen } from "../../components/status";
import { joined, partsOf } from "../fns/renew";
import { LIVE_EVERY, useLive } from "./useLive";

export { LIVE_EVERY } from "./useLive";

export interface TraceId {
  executionId: string;
  runId?: string;
  namespace?: string;
}

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
        // The first parts are shown; later looks at a run that goes on replace it as a whole. Each is laid out
        // as a whole, so one is shown when it is twice as long as that before.
        const shown = queries.getQueryData<Trace>(queryKey);
        const grown = !shown || (shown.root.more_children && part.root.children.length >= 2 * shown.root.children.length);
        if (!signal.aborted && grown) queries.setQueryData(queryKey, part);
      }),
    // Nodes that are the same are the same object where that pays; comparing all of a long run does not.
    structuralSharing: false,
    refetchInterval: ({ state }) => (!streams && state.data && isOpen(state.data.status) ? LIVE_EVERY : false),
    retry,
  });
  const { refetch } = query;
  const key = JSON.stringify(queryKey);
  const look = useCallback(
    async (changed: ReadonlySet<string> | undefined) => {
      const now = queries.getQueryData<Trace>(queryKey);
      const parts = now && changed && partsOf(now.root, changed);
      const next = parts && (await joined(now, parts, changed, (query) => client.trace(executionId, query)).catch(() => undefined));
      // Somebody else may have brought it up to date meanwhile.
      if (next && queries.getQueryData(queryKey) === now) queries.setQueryData(queryKey, next);
      else await refetch({ cancelRefetch: false });
    },
    [client, executionId, key, queries, refetch],
  );
  const streaming = useLive(query.data, look);
  if (streaming !== streams) setStreams(streaming);
  return { ...query, streams };
}

/** All that is recorded of one node, which the trace itself leaves out; `withheld` if the reader may not see it. */
export function useNodeDetail({ executionId, runId, namespace }: TraceId, eventKey: string, version: string) {
  const client = useClient();
  const withheld = useMe()?.content === false;
  return useQuery({
    queryKey: ["node", executionId, runId, namespace, eventKey, version, withheld],
    queryFn: async ({ signal }) => {
      const query = { run_id: runId, namespace, event_key: eventKey, depth: "0" };
      const include = "prompts,responses,artifacts,attributes";
      if (withheld) return { node: (await client.trace(executionId, query, signal)).root, withheld };
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
