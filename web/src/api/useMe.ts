import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { type Me, ApiError } from "./client";
import { useClient } from "./context";
import { onToken } from "./token";

/** What a client did wrong does not get better by asking again. */
export const retry = (failures: number, error: Error) =>
  failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);

/** Who the reader is to the server, and what they may see; nothing until that is known, and where no token is in use. */
export function useMe(): Me | undefined {
  const client = useClient();
  const enabled = useSyncExternalStore(onToken, () => client.hasToken());
  const query = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => client.me(signal), enabled, staleTime: 60_000, retry });
  return enabled ? query.data : undefined;
}

/** Whether some runs are not shown to the reader. */
export const isLimited = (me: Me | undefined) => Boolean(me && (me.tenants || me.namespaces));
