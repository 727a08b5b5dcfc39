import { Outlet, createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { Notice } from "./components/Notice";
import { ExecutionsPage } from "./executions/ExecutionsPage";
import { readSearch } from "./executions/fns/search";
import { TracePage } from "./trace/TracePage";

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: () => (
    <Notice title="There is no such page">
      <p>
        <a href="/">See all runs</a>
      </p>
    </Notice>
  ),
});

const executions = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: readSearch,
  component: ExecutionsPage,
});

interface TraceSearch {
  id?: string;
  run?: string;
  namespace?: string;
  row?: string;
}

const trace = createRoute({
  getParentRoute: () => root,
  path: "/trace",
  validateSearch: ({ id, run, namespace, row }: Record<string, unknown>): TraceSearch => ({
    id: text(id),
    run: text(run),
    namespace: text(namespace),
    row: text(row),
  }),
  component: TracePage,
});

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

export const router = createRouter({
  routeTree: root.addChildren([executions, trace]),
  // Plain texts, as everybody else writes them: an id of digits stays an id.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
    const query = new URLSearchParams(given as [string, string][]).toString();
    return query && `?${query}`;
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
