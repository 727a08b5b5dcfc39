import { useEffect, useState } from "react";
import type { Trace } from "../../api/client";
import { useClient } from "../../api/context";
import { isOpen } from "../../components/status";

/** Milliseconds between two looks at a run whose stream is not to be had, and until it is tried again. */
export const LIVE_EVERY = 1000;
const AGAIN_AT_FIRST = 1000;
const AGAIN_AT_MOST = 30_000;
/** Milliseconds between two looks at a run that tells of itself; a look that takes long is done seldom. */
export const LOOK_EVERY = 250;

/**
 * Follows a run that goes on. The stream says that something changed; the tree is then the server's, so
 * that there is one way to build it. Says whether the run is streamed.
 */
export function useLive(trace: Trace | undefined, look: () => Promise<unknown>): boolean {
  const client = useClient();
  const [streams, setStreams] = useState(false);
  const { execution_id: executionId, run_id, namespace } = trace ?? {};
  const live = trace !== undefined && isOpen(trace.status);
  useEffect(() => {
    if (!live) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let looking = false;
    let changed = false;
    const lookSoon = () => {
      changed = true;
      if (looking) return;
      looking = true;
      changed = false;
      const began = performance.now();
      void look().finally(() => {
        timer = setTimeout(() => {
          looking = false;
          if (changed && !stop.signal.aborted) lookSoon();
        }, Math.max(LOOK_EVERY, 2 * (performance.now() - began)));
      });
    };
    const follow = async () => {
      let again = AGAIN_AT_FIRST;
      while (!stop.signal.aborted) {
        const onEvent = (event: string) => {
          setStreams(true);
          again = AGAIN_AT_FIRST;
          if (event !== "open") lookSoon();
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
        if (ended) lookSoon();
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
