import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import type { Executions } from "../api/client";
import { useClient } from "../api/context";
import { retry } from "../api/useMe";
import type { Search } from "./fns/search";

/** Milliseconds between two looks at the list. */
export const LIVE_EVERY = 2000;

/** Runs in pages; while only the first is shown it is looked at again and again. */
export function useExecutions(search: Search) {
  const client = useClient();
  return useInfiniteQuery<Executions, Error>({
    queryKey: ["executions", search],
    queryFn: ({ pageParam, signal }) => {
      // Statuses are counted once, with the first page.
      const page = pageParam ? { cursor: pageParam as string } : { include: "counts" };
      return client.executions({ ...search, ...page }, signal);
    },
    initialPageParam: undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    // Not while older pages are shown, nor where asking again is of no use.
    refetchInterval: ({ state }) =>
      (state.data && state.data.pages.length > 1) || (state.error && !retry(0, state.error)) ? false : LIVE_EVERY,
    placeholderData: keepPreviousData,
    retry,
  });
}
