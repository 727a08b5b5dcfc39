import { useEffect, useState } from "react";
import type { Rows, Trace } from "../../api/client";
import { useClient } from "../../api/context";
import { isOpen } from "../../components/status";

/** Milliseconds between two looks at a run whose stream is not to be had, and until it is tried again. */
export const LIVE_EVERY = 1000;
const AGAIN_AT_FIRST = 1000;
const AGAIN_AT_MOST = 30_000;
/** Milliseconds between two looks at a run that tells of itself; a look that takes long is done seldom. */
export const LOOK_EVERY = 250;

/** Keys of rows; nothing stands for any of them. */
type Changed = ReadonlySet<string> | undefined;

/**
 * Follows a run that goes on. The stream says which rows changed, and `look` asks for the parts of the tree
 * that hold them: the server's, so that there is one way to build it. What changes during a look is looked
 * at together. Says whether the run is streamed.
 */
export function useLive(trace: Trace | undefined, look: (changed: Changed) => Promise<unknown>): boolean {
  const client = useClient();
  const [streams, setStreams] = useState(false);
  const { execution_id: executionId, run_id, namespace } = trace ?? {};
  const live = trace !== undefined && isOpen(trace.status);
  useEffect(() => {
    if (!live) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let looking = false;
    let waiting: Changed[] = [];
    const lookSoon = (changed: Changed) => {
      waiting.push(changed);
      if (!looking) lookNow();
    };
    const lookNow = () => {
      looking = true;
      const all = waiting.some((changed) => !changed) ? undefined : new Set(waiting.flatMap((changed) => [...changed!]));
      waiting = [];
      const began = performance.now();
      void look(all).finally(() => {
        timer = setTimeout(() => {
          looking = false;
          if (waiting.length > 0 && !stop.signal.aborted) lookNow();
        }, Math.max(LOOK_EVERY, 2 * (performance.now() - began)));
      });
    };
    const follow = async () => {
      let again = AGAIN_AT_FIRST;
      while (!stop.signal.aborted) {
        let first = true;
        const onEvent = (event: string, data: string) => {
          setStreams(true);
          again = AGAIN_AT_FIRST;
          // What landed between the trace and the stream is not told of.
          lookSoon(first || event !== "rows" ? undefined : keysOf(data));
          first = false;
        };
        const ended = await client
          .follow(executionId!, { run_id: run_id!, namespace: namespace! }, onEvent, stop.signal)
          .then(
            () => true,
            () => false,
          );
        if (stop.signal.aborted) return;
        setStreams(false);
        // A stream that ended at once, while the run goes on, is tried again like one that was cut.
        if (ended) lookSoon(undefined);
        await new Promise((go) => setTimeout(go, again));
        again = Math.min(2 * again, AGAIN_AT_MOST);
      }
    };
    void follow();
    return () => {
      stop.abort();
      clearTimeout(timer);
      setStreams(false);
    };
  }, [client, executionId, run_id, namespace, live, look]);
  return streams;
}

/** The rows of an event; those that are gone leave no place to ask for. */
function keysOf(data: string): Changed {
  const { rows, gone } = JSON.parse(data) as Pick<Rows, "rows" | "gone">;
  return gone.length > 0 ? undefined : new Set(rows.map((row) => row.event_key));
}
